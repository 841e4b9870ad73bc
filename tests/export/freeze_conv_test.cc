// Frozen convolutional nets give the graph's logits to the last bit: pooling before and behind batch norm, every
// border, groups, few-bit operands, residual nets. Seeds are fixed and printed on failure.

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/bireal_net.h"
#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/examples/tiny_vgg.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using FreezeConvTest = OnTestDevice<testing::Test>;

Quantizer Q(const std::string& text) { return *ParseQuantizer(text); }

constexpr Padding kPaddings[] = {Padding::kZero, Padding::kPlusOne, Padding::kMinusOne};

// Instructions of a kind that predict runs, "conv2d + threshold".
int CountOps(const FrozenModel& frozen, const std::string& op) {
  int count = 0;
  for (const LayerCost& layer : CostOf(*frozen.packed).layers) count += layer.op == op;
  return count;
}

TEST_F(FreezeConvTest, RandomBinaryConvNets) {
  const int64_t widths[] = {1, 3, 31, 33, 64, 65, 100};
  for (uint32_t seed = 1; seed <= 30; ++seed) {
    std::mt19937 random(seed);
    const auto pick = [&](auto& values) { return values[random() % std::size(values)]; };
    const auto below = [&](int64_t n) { return static_cast<int64_t>(random() % n); };
    ConvNetOptions options = {.image = {9 + below(4), 8 + below(4), 1 + below(3)},
                              .classes = 5,
                              .input = KBit(8),
                              .activation_quantizer = Sign(),
                              .weight = Sign(),
                              .norm = NormOf(seed),
                              .padding = pick(kPaddings)};
    const int64_t kernels[] = {1, 3, 5};
    for (int i = 0; i < 3; ++i) {
      const int64_t kernel = pick(kernels);
      options.blocks.push_back({.filters = pick(widths),
                                .kernel = kernel,
                                .stride = i == 1 ? 1 + below(2) : 1,
                                .pad = kernel / 2,
                                .pool = i == 0 ? below(4) : 0,
                                .pool_stride = 1 + below(2)});
    }
    options.hidden = {pick(widths)};
    const char* const activations[] = {"identity", "hardtanh", "relu"};
    options.activation = pick(activations);
    SCOPED_TRACE(absl::StrCat("seed ", seed, " image ", options.image.ToString(), " padding ",
                              static_cast<int>(options.padding), " ", options.activation));
    ParameterStore store(seed);
    ConvNet net(store.Root(), options);
    ASSERT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random);
    ExecContext context({.threads = 1 + static_cast<int>(seed % 2)});
    const auto frozen =
        ExpectBitEqual(context, net, {1, options.image.num_elements()}, ImagesOnDevice(1000, 23), random);
    ASSERT_NE(frozen, nullptr);
    EXPECT_EQ(CountOps(*frozen, "conv2d + threshold"), 3);
    EXPECT_EQ(CountOps(*frozen, "linear + threshold"), 1);
    EXPECT_EQ(CountOps(*frozen, "batch_norm"), 1);
    EXPECT_EQ(CountOps(*frozen, "max_pool"), options.blocks[0].pool > 0 ? 1 : 0);
  }
}

// A net of one's own: what stands between two convolutions.
class TwoConvs final : public Model {
 public:
  enum class Between { kPoolLast, kPoolBetweenNorms, kNothing };
  TwoConvs(const Scope& scope, Between between, const std::string& activation_quantizer, const std::string& weight,
           int64_t groups, const BatchNormOptions& norm) {
    layers_.Add<Unflatten>(Shape({6, 7, 4}));
    layers_.Add<Conv2d>(
        scope / "conv1",
        Conv2dOptions{.in = 4, .out = 64, .pad = 1, .groups = groups, .input = Q("k_bit(8)"), .weight = Q(weight)});
    layers_.Add<BatchNorm2d>(scope / "norm1", BatchNormLayerOptions{.features = 64, .norm = norm});
    if (between != Between::kNothing) layers_.Add<MaxPool2d>(scope / "pool", PoolOptions{.kernel = 2, .stride = 2});
    if (between == Between::kPoolBetweenNorms) {
      layers_.Add<BatchNorm2d>(scope / "norm2", BatchNormLayerOptions{.features = 64});
    }
    layers_.Add<Conv2d>(scope / "conv2", Conv2dOptions{.in = 64,
                                                       .out = 8,
                                                       .kernel = {3, 1},
                                                       .dilation = 1,
                                                       .groups = groups,
                                                       .input = Q(activation_quantizer),
                                                       .weight = Q(weight)});
    layers_.Add<GlobalAvgPool2d>(scope / "mean");
    layers_.Add<Dense>(scope / "output", DenseOptions{.in = 8, .out = 3});
  }
  Var Forward(const Var& x) override { return layers_(x); }

 private:
  Sequential layers_;
};

TEST_F(FreezeConvTest, WhatStandsBetween) {
  uint32_t seed = 100;
  for (const auto between :
       {TwoConvs::Between::kPoolLast, TwoConvs::Between::kPoolBetweenNorms, TwoConvs::Between::kNothing}) {
    for (const char* activation : {"sign", "k_bit(2)", "ternary(0.5)", "dorefa_activation(2)", "lsq(2)", "pact(4)",
                                   "log_quant(4)", "log_quant(3, zero=false)"}) {
      for (const char* weight : {"sign", "ternary(0.25)", "k_bit(3)", "dorefa_weight(1)", "xnor", "lsq(2, per_output)",
                                 "log_quant(4)", "log_quant(3, zero=false)"}) {
        for (const int64_t groups : {1, 2}) {
          SCOPED_TRACE(absl::StrCat("seed ", ++seed, " ", static_cast<int>(between), " ", activation, " ", weight,
                                    " groups ", groups));
          std::mt19937 random(seed);
          ParameterStore store(seed);
          // Drawn, because the seed says which of the loops' cases this is.
          TwoConvs net(store.Root(), between, activation, weight, groups, NormOf(static_cast<uint32_t>(random())));
          ASSERT_TRUE(store.status().ok()) << store.status();
          RandomizeBatchNorms(store, random);
          ExecContext context({.threads = 2});
          const auto frozen = ExpectBitEqual(context, net, {1, 6 * 7 * 4}, 1000, random, /*one_by_one=*/false);
          ASSERT_NE(frozen, nullptr);
          // Every activation quantizer here has at most 4 bits.
          const bool folds = between != TwoConvs::Between::kPoolBetweenNorms && groups == 1;
          EXPECT_EQ(CountOps(*frozen, "conv2d + threshold"), folds ? 1 : 0);
        }
      }
    }
  }
}

// Sums beyond 2^24 are integers of 32 bits, which have no thresholds.
TEST_F(FreezeConvTest, LogarithmicCodesWithLargeSums) {
  uint32_t seed = 500;
  for (const char* activation : {"k_bit(2)", "dorefa_activation(4)", "log_quant(4)"}) {
    SCOPED_TRACE(absl::StrCat("seed ", ++seed, " ", activation));
    std::mt19937 random(seed);
    ParameterStore store(seed);
    TwoConvs net(store.Root(), TwoConvs::Between::kPoolLast, activation, "log_quant(5)", /*groups=*/1, {});
    ASSERT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random);
    ExecContext context({.threads = 2});
    const auto frozen = ExpectBitEqual(context, net, {1, 6 * 7 * 4}, 50, random, /*one_by_one=*/false);
    ASSERT_NE(frozen, nullptr);
    EXPECT_EQ(CountOps(*frozen, "conv2d + threshold"), 0);
    const Encoding x = Q(activation).encoding();
    const std::string second = absl::StrCat(x.bits, x.is_log() ? " bit log" : "", " x 5 bit log codes");
    int log_kernels = 0, second_kernels = 0;
    for (const LayerCost& layer : CostOf(*frozen->packed).layers) {
      log_kernels += layer.kernel == "8 x 5 bit log codes";
      second_kernels += layer.kernel == second;
    }
    EXPECT_EQ(log_kernels, 1);
    EXPECT_EQ(second_kernels, 1) << second;
  }
}

TEST_F(FreezeConvTest, AModelOfOnesOwn) {
  std::mt19937 random(5);
  ParameterStore store(5);
  TinyVgg net(store.Root());
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  ExecContext context({.threads = 2});
  std::unique_ptr<FrozenModel> frozen;
  // A thousand images, in parts: the floats of all at once would take most of a gigabyte.
  for (int64_t part = 0; part < ImagesOnDevice(8, 1); ++part) {
    frozen = ExpectBitEqual(context, net, {1, 32 * 32 * 3}, ImagesOnDevice(125, 7), random, /*one_by_one=*/part == 0);
    ASSERT_NE(frozen, nullptr);
  }
  // The sum of y and what comes of it is float; so is the sum in front of the last batch norm.
  EXPECT_EQ(CountOps(*frozen, "conv2d"), 2);
  EXPECT_EQ(CountOps(*frozen, "conv2d + threshold"), 1);
}

TEST_F(FreezeConvTest, ResidualNets) {
  for (uint32_t seed = 1; seed <= 6; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    const BiRealNetOptions options = {
        .image = {11, 10, 3},
        .stem_filters = 8,
        .stem_pool = seed % 2 == 0 ? 2 : 0,
        .stages = {{.filters = 8, .blocks = 2}, {.filters = 33, .blocks = 2, .stride = 2}},
        .classes = 4,
        .activation_quantizer = seed < 4 ? ApproxSign() : Q("lsq(2)"),
        .weight = seed < 4 ? Sign() : Q("lsq(2, per_output)"),
        .norm = NormOf(seed),
        .padding = seed < 4 ? kPaddings[seed % 3] : Padding::kZero};
    ParameterStore store(seed);
    BiRealNet net(store.Root(), options);
    ASSERT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random);
    ExecContext context({.threads = 1});
    const auto frozen =
        ExpectBitEqual(context, net, {1, options.image.num_elements()}, 1000, random, /*one_by_one=*/false);
    ASSERT_NE(frozen, nullptr);
    EXPECT_EQ(CountOps(*frozen, "conv2d"), 1 + 4 + 1);
  }
}

}  // namespace
}  // namespace bitgrad
