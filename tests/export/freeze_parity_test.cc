// Frozen nets of integer codes give the graph's logits to the last bit: random nets, every quantizer, exact ties. Seeds
// are fixed and printed on failure.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using FreezeParityTest = OnTestDevice<testing::Test>;

Quantizer Q(const std::string& text) { return *ParseQuantizer(text); }

// Layers in a row; with `bias` and an activation between batch norm and the next quantizer.
class Net final : public Model {
 public:
  struct Options {
    std::vector<int64_t> widths;  // input, hidden ones, output
    std::string input = "k_bit(8)", activation_quantizer = "sign", weight = "sign";
    std::string activation = "identity";
    bool bias = false;
    BatchNormOptions norm;

    std::string ToString() const {
      return absl::StrCat(absl::StrJoin(widths, "-"), " ", input, " ", activation_quantizer, " ", weight, " ",
                          activation, bias ? " bias" : "", " statistic ", static_cast<int>(norm.statistic), " epsilon ",
                          static_cast<int>(norm.placement), " arithmetic ", static_cast<int>(norm.arithmetic));
    }
  };
  Net(const Scope& scope, const Options& options) {
    for (size_t i = 0; i + 1 < options.widths.size(); ++i) {
      const Scope layer = scope / absl::StrCat("layer", i);
      layers_.Add<Dense>(layer, DenseOptions{.in = options.widths[i],
                                             .out = options.widths[i + 1],
                                             .input = Q(i == 0 ? options.input : options.activation_quantizer),
                                             .weight = Q(options.weight),
                                             .bias = options.bias});
      layers_.Add<BatchNorm>(layer / "norm",
                             BatchNormLayerOptions{.features = options.widths[i + 1], .norm = options.norm});
      if (i + 2 < options.widths.size()) {
        layers_.Add<Activation>(*ActivationForm::Parse(options.activation), layer, options.widths[i + 1]);
      }
    }
  }
  Var Forward(const Var& x) override { return layers_(x); }

 private:
  Sequential layers_;
};

constexpr const char* kActivations[] = {"identity", "hardtanh", "relu", "leaky_relu", "tanh", "sigmoid"};
constexpr int64_t kWidths[] = {1, 3, 31, 33, 65, 100};
constexpr RunningStatistic kStatistics[] = {RunningStatistic::kVariance, RunningStatistic::kStd,
                                            RunningStatistic::kInverseStd};
constexpr EpsilonPlacement kPlacements[] = {EpsilonPlacement::kInsideRoot, EpsilonPlacement::kOutsideRoot};

// What one count of a sum is worth in the layer behind these quantizers, where that is fixed.
float UnitOf(const std::string& input, const std::string& weight) {
  const auto scale = [](const Quantizer& q) { return q.scale_is_constant() ? q.scale(1) : 1.0f; };
  return scale(Q(input)) * scale(Q(weight).In(QuantizerRole::kWeight));
}

// An emulated device is slow: there, a few images have to do.
int64_t Images() { return ImagesOnDevice(1000, 4); }

// An emulated device takes one of `count` nets in a row, each time another one.
bool IsTested(uint32_t seed, uint32_t count) {
  return TestDevice() == Device::kCpu || seed % count == seed / count % count;
}

// What a seed draws.
template <typename Values>
auto Pick(std::mt19937& random, const Values& values) {
  return values[random() % std::size(values)];
}

// Whether chains end in thresholds for the codes of an activation quantizer: it has at most 16 codes.
bool Folds(const Quantizer& quantizer) {
  return quantizer.info().monotone && quantizer.encoding().is_integer() && quantizer.encoding().largest_stored() <= 15;
}

void ExpectNetBitEqual(const Net::Options& options, uint32_t seed, int expected_thresholds, int64_t batch) {
  SCOPED_TRACE(absl::StrCat("seed ", seed, ": ", options.ToString()));
  std::mt19937 random(seed);
  ParameterStore store(seed);
  Net net(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  const bool is_first = random() % 2 == 0;  // the layer whose sums meet thresholds exactly
  RandomizeBatchNorms(store, random, UnitOf(is_first ? options.input : options.activation_quantizer, options.weight));
  ExecContext context({.threads = 1 + static_cast<int>(random() % 2)});
  const auto frozen = ExpectBitEqual(context, net, {1, options.widths.front()}, batch, random,
                                     /*one_by_one=*/TestDevice() == Device::kCpu || seed % 16 == 0);
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), expected_thresholds);
}

TEST_F(FreezeParityTest, RandomBinaryNets) {
  for (uint32_t seed = 1; seed <= 60; ++seed) {
    std::mt19937 random(seed);
    const auto width = [&] { return kWidths[random() % std::size(kWidths)]; };
    Net::Options options{.widths = {width(), width(), width(), width()}};
    if (seed % 3 == 0) options.widths.push_back(width());
    options.activation = kActivations[seed % std::size(kActivations)];
    options.bias = random() % 2 == 0;
    options.input = seed % 4 == 0 ? "sign" : "k_bit(8)";
    options.norm.statistic = kStatistics[random() % std::size(kStatistics)];
    options.norm.placement = kPlacements[random() % std::size(kPlacements)];
    ExpectNetBitEqual(options, seed, static_cast<int>(options.widths.size()) - 2, Images());
  }
}

// What the running statistic is of, and where epsilon stands, all pairs of them; and with shifts.
TEST_F(FreezeParityTest, EveryVariantOfBatchNorm) {
  for (uint32_t seed = 200; seed < 200 + kNormVariants; ++seed) {
    for (const float epsilon : {1e-4f, 0.3f}) {
      Net::Options options{.widths = {31, 65, 33, 5}, .activation = "leaky_relu", .norm = NormOf(seed)};
      options.norm.epsilon = epsilon;
      ExpectNetBitEqual(options, seed, 2, Images());
    }
  }
  uint32_t seed = 200 + kNormVariants;
  for (const RunningStatistic statistic :
       {RunningStatistic::kVariance, RunningStatistic::kStd, RunningStatistic::kInverseStd}) {
    for (const auto arithmetic : {BatchNormArithmetic::kShiftPaper, BatchNormArithmetic::kShiftTorch}) {
      Net::Options options{.widths = {31, 65, 33, 5}, .activation = "leaky_relu"};
      options.norm = {.statistic = statistic, .arithmetic = arithmetic};
      ExpectNetBitEqual(options, seed++, 2, Images());
    }
  }
}

// The frozen net has the rounded gammas; its header counts those that were learned.
TEST_F(FreezeParityTest, RoundedGammasCountAsParameters) {
  ParameterStore store(1);
  Net net(store.Root(), {.widths = {31, 65, 5}, .norm = {.arithmetic = BatchNormArithmetic::kShiftPaper}});
  ExecContext context({.threads = 1});
  const auto frozen = FreezeToMemory(context, net, {1, 31});
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ((*frozen)->packed->header().parameter_count(), store.trainable_elements());
}

// Each quantizer whose codes in evaluation are integers as that of all activations, with each variant of batch norm:
// with up to 4 bits, chains end in multi-thresholds.
TEST_F(FreezeParityTest, EveryActivationQuantizer) {
  constexpr const char* kWeights[] = {"sign", "ternary", "lsq(3)", "xnor"};
  uint32_t seed = 10 * kNormVariants;
  for (const Quantizer& quantizer : IntegerQuantizers(QuantizerRole::kActivation)) {
    for (uint32_t i = 0; i < kNormVariants; ++i, ++seed) {
      if (!IsTested(seed, kNormVariants)) continue;
      std::mt19937 random(~seed);  // other numbers than the net's
      ExpectNetBitEqual({.widths = {33, 31, 65, 5},
                         .input = quantizer.ToString(),
                         .activation_quantizer = quantizer.ToString(),
                         .weight = Pick(random, kWeights),
                         .activation = random() % 2 == 0 ? "identity" : "leaky_relu",
                         .bias = random() % 3 == 0,
                         .norm = NormOf(seed)},
                        seed, Folds(quantizer.AtEvaluation()) ? 2 : 0, Images());
    }
  }
}

// Each quantizer whose values in evaluation are integer codes as that of all weights, and each scale that weights can
// have, one for the tensor or one for each output, with each variant of batch norm.
TEST_F(FreezeParityTest, EveryWeightQuantizer) {
  constexpr const char* kInputs[] = {"k_bit(8)", "sign", "dorefa_activation(2)"};
  uint32_t seed = 125 * kNormVariants;
  for (const Quantizer& quantizer : IntegerQuantizers(QuantizerRole::kWeight)) {
    for (uint32_t i = 0; i < kNormVariants; ++i, ++seed) {
      if (!IsTested(seed, kNormVariants)) continue;
      std::mt19937 random(~seed);  // other numbers than the net's
      ExpectNetBitEqual({.widths = {65, 33, 31, 10},
                         .input = Pick(random, kInputs),
                         .weight = quantizer.ToString(),
                         .norm = NormOf(seed)},
                        seed, 2, Images());
    }
  }
}

// Logarithmic weights, activations and both, whose sums are exact in 24, in 32 and in 64 bits; only the first have
// thresholds.
TEST_F(FreezeParityTest, LogarithmicOperands) {
  constexpr const char* kLogs[] = {"log_quant(2)",
                                   "log_quant(3)",
                                   "log_quant(4)",
                                   "log_quant(5)",
                                   "log_quant(6)",
                                   "log_quant(2, zero=false)",
                                   "log_quant(3, zero=false)",
                                   "log_quant(4, zero=false)",
                                   "log_quant(5, zero=false)"};
  struct Pair {
    const char *activation, *weight;
  };
  std::vector<Pair> pairs;
  for (const char* log : kLogs) {
    for (const char* activation : {"sign", "k_bit(2)", "dorefa_activation(4)", "k_bit(8)"}) {
      pairs.push_back({activation, log});
    }
    for (const char* weight : {"sign", "ternary", "lsq(3)", "k_bit(8)"}) pairs.push_back({log, weight});
    for (const char* weight : kLogs) pairs.push_back({log, weight});
  }
  uint32_t seed = 4000;
  for (const auto& [activation, weight] : pairs) {
    const Net::Options options{
        .widths = {65, 100, 33, 10}, .activation_quantizer = activation, .weight = weight, .norm = NormOf(++seed)};
    const Encoding x0 = Q(options.input).encoding(), x = Q(activation).encoding();
    const Encoding w = Q(weight).In(QuantizerRole::kWeight).encoding();
    // Sums that are no integers differ from batch to batch.
    if (!IsTested(seed, 4) || ChooseDotKernel(x, w, 100, 1, true) == DotKernel::kFloatGemm) continue;
    const int exact = DotIsExact(x0, w, options.widths[0]) + DotIsExact(x, w, options.widths[1]);
    ExpectNetBitEqual(options, seed, Folds(Q(activation)) ? exact : 0, Images());
  }
}

// Many images through nets of few bits, with every variant of batch norm.
TEST_F(FreezeParityTest, AThousandImagesFromCodeToCode) {
  uint32_t seed = 3000;
  for (const RunningStatistic statistic : kStatistics) {
    for (const EpsilonPlacement placement : kPlacements) {
      for (const char* activation : {"dorefa_activation(2)", "pact(3)", "lsq(4)"}) {
        Net::Options options{.widths = {65, 100, 65, 10},
                             .activation_quantizer = activation,
                             .weight = seed % 2 == 0 ? "lsq(2, per_output)" : "dorefa_weight(2)",
                             .activation = seed % 3 == 0 ? "relu" : "identity",
                             .bias = true};
        options.norm = {.epsilon = 0.01f, .placement = placement, .statistic = statistic};
        ExpectNetBitEqual(options, seed++, 2, Images());
      }
    }
  }
}

// Without thresholds the packed model computes the chains in floats, to the same answers.
TEST_F(FreezeParityTest, PassesMayBeLeftOut) {
  std::mt19937 random(8);
  ParameterStore store(8);
  Net net(store.Root(), {.widths = {33, 65, 31, 5}, .activation_quantizer = "lsq(2)", .weight = "xnor", .bias = true});
  RandomizeBatchNorms(store, random, 1.0f / 255);
  ExecContext context({.threads = 2});
  const Tensor x = RandomInputs({ImagesOnDevice(1000, 200), 33}, random);
  const Tensor graph = GraphLogits(context, net, x);
  const struct {
    FreezeOptions options;
    int thresholds;
  } cases[] = {{{}, 2}, {{.max_levels = 3}, 2}, {{.max_levels = 2}, 0}, {{.fold_thresholds = false}, 0}};
  for (const auto& [options, thresholds] : cases) {
    const auto frozen = FreezeToMemory(context, net, {1, 33}, options);
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_EQ((*frozen)->thresholds(), thresholds);
    const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
    ASSERT_TRUE(packed.ok()) << packed.status();
    EXPECT_EQ(packed->span<float>(), graph.span<float>());
  }
  // Weights are quantized by constant folding.
  const auto frozen = FreezeToMemory(context, net, {1, 33}, {.fold_constants = false});
  EXPECT_TRUE(absl::StrContains(frozen.status().message(), "layer 'layer0': quantize")) << frozen.status();
}

// A sum of one input that takes all values from -k to k, through every gamma, mean and activation.
TEST_F(FreezeParityTest, EverySumOfEveryOutput) {
  for (const int64_t k : kWidths) {
    for (const char* activation : kActivations) {
      for (const bool bias : {false, true}) {
        SCOPED_TRACE(absl::StrCat("k ", k, " ", activation, bias ? " bias" : ""));
        std::mt19937 random(static_cast<uint32_t>(k));
        ParameterStore store(7);
        // A bit of the hidden layer that differs is seen: it moves each logit by 2.
        Net net(store.Root(), {.widths = {k, 200, 3}, .input = "sign", .activation = activation, .bias = bias});
        RandomizeBatchNorms(store, random);
        for (float& w : store.Find("layer0/weight")->value.mutable_span<float>()) w = 0.5f;
        for (float& gamma : store.Find("layer1/norm/gamma")->value.mutable_span<float>()) gamma = 1;
        ExecContext context({.threads = 1});
        const auto frozen = FreezeToMemory(context, net, {1, k});
        ASSERT_TRUE(frozen.ok()) << frozen.status();
        EXPECT_EQ((*frozen)->thresholds(), 1);
        Tensor x({k + 1, k}, DType::kFloat32);
        for (int64_t i = 0; i <= k; ++i) {
          for (int64_t j = 0; j < k; ++j) x.mutable_data<float>()[i * k + j] = j < i ? 1.0f : -1.0f;
        }
        const Tensor graph = GraphLogits(context, net, x);
        const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
        ASSERT_TRUE(packed.ok());
        EXPECT_EQ(packed->span<float>(), graph.span<float>());
      }
    }
  }
}

// The same with 8-bit inputs and weights: sums of 255 x 255 steps.
TEST_F(FreezeParityTest, EverySumOfOneByteInput) {
  for (const char* activation : kActivations) {
    for (const char* weight : {"sign", "k_bit(8)", "dorefa_weight(3)", "ternary"}) {
      SCOPED_TRACE(absl::StrCat(activation, " ", weight));
      std::mt19937 random(3);
      ParameterStore store(9);
      Net net(store.Root(), {.widths = {1, 300, 3}, .weight = weight, .activation = activation});
      RandomizeBatchNorms(store, random, UnitOf("k_bit(8)", weight));
      ExecContext context({.threads = 1});
      const auto frozen = FreezeToMemory(context, net, {1, 1});
      ASSERT_TRUE(frozen.ok()) << frozen.status();
      Tensor x({256, 1}, DType::kFloat32), pixels({256, 1}, DType::kUint8);
      for (int p = 0; p < 256; ++p) {
        pixels.mutable_data<uint8_t>()[p] = static_cast<uint8_t>(p);
        x.mutable_data<float>()[p] = (2 * static_cast<float>(p) - 255) / 255;
      }
      const Tensor graph = GraphLogits(context, net, x);
      for (const auto& packed : {(*frozen)->interpreter->Run(x.matrix<float>()),
                                 (*frozen)->interpreter->RunPixels(pixels.matrix<uint8_t>())}) {
        ASSERT_TRUE(packed.ok()) << packed.status();
        EXPECT_EQ(packed->span<float>(), graph.span<float>());
      }
    }
  }
}

TEST_F(FreezeParityTest, PixelsOfTheBuiltInNets) {
  std::mt19937 random(4);
  ParameterStore store(4);
  Mlp net(store.Root(), {.features = 784,
                         .hidden = {100, 65},
                         .classes = 10,
                         .input = KBit(8),
                         .activation_quantizer = Sign(),
                         .weight = Sign(),
                         .input_keep = 0.8f,
                         .hidden_keep = 0.5f});
  RandomizeBatchNorms(store, random, 1.0f / 255);
  ExecContext context({.threads = 2});
  const auto frozen = ExpectBitEqual(context, net, {1, 784}, ImagesOnDevice(1000, 100), random);
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 2) << "dropout has to leave no trace";
  const int64_t count = ImagesOnDevice(1000, 200);
  Tensor pixels({count, 784}, DType::kUint8), x({count, 784}, DType::kFloat32);
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random());
    x.mutable_data<float>()[i] = (2 * static_cast<float>(pixels.data<uint8_t>()[i]) - 255) / 255;
  }
  const auto packed = frozen->interpreter->RunPixels(pixels.matrix<uint8_t>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  EXPECT_EQ(packed->span<float>(), GraphLogits(context, net, x).span<float>());
}

// ---- Freezing on a device ----------------------------------------------------------------------

// A model whose parameters lie on a device, where the host cannot read them, gives the file that it gives on the CPU.
TEST_F(FreezeParityTest, OnTheDevice) {
  std::mt19937 random(5);
  ParameterStore store(5);
  Net net(store.Root(), {.widths = {33, 65, 31, 5}, .weight = "ternary", .activation = "relu", .bias = true});
  RandomizeBatchNorms(store, random, 1.0f / 255);
  const Tensor example = Tensor::Zeros({1, 33});
  ExecContext cpu({.threads = 2}), device({.device = TestDevice(), .threads = 2});
  const auto expected = Freeze(cpu, net, example, {});
  ASSERT_TRUE(expected.ok()) << expected.status();
  for (Parameter* parameter : store.parameters()) parameter->value = ToDevice(device, parameter->value);
  const Tensor device_example = ToDevice(device, example);
  for (const Tensor* x : {&example, &device_example}) {
    const auto frozen = Freeze(device, net, *x, {});
    ASSERT_TRUE(frozen.ok()) << frozen.status();
    EXPECT_TRUE(*frozen->Serialize() == *expected->Serialize());
  }
}

// ---- Size --------------------------------------------------------------------------------------

TEST(FreezeSizeTest, ThreeTimes1024IsAtLeast25TimesSmaller) {
  ParameterStore store(1);
  Mlp net(store.Root(), {.features = 784,
                         .hidden = {1024, 1024, 1024},
                         .classes = 10,
                         .input = KBit(8),
                         .activation_quantizer = Sign(),
                         .weight = Sign()});
  ExecContext context;
  const auto frozen = FreezeToMemory(context, net, {1, 784}, {.name = "small"});
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  const packed::Header& header = (*frozen)->packed->header();
  const double bytes = static_cast<double>((*frozen)->bytes.size());
  EXPECT_GE(4.0 * static_cast<double>(store.trainable_elements()) / bytes, 25);
  EXPECT_EQ(header.parameter_count(), store.trainable_elements());
  int64_t numbers = 0;
  for (const Parameter* parameter : store.parameters()) numbers += parameter->value.num_elements();
  EXPECT_EQ(header.float_parameter_bytes(), 4 * numbers);
  EXPECT_EQ(CostOf(*(*frozen)->packed).predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));
  EXPECT_EQ((*frozen)->thresholds(), 3);
  EXPECT_EQ(header.name(), "small");
  EXPECT_EQ(header.class_count(), 10);
}

}  // namespace
}  // namespace bitgrad
