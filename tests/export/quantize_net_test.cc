// Quantizing after training: what the packed models compute, against a simulation of the same arithmetic, and what was
// searched.

#include "bitgrad/export/quantize_net.h"

#include <cmath>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/requantize.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/export/quantize_net_testing.h"
#include "bitgrad/tests/export/simulate_shifts.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

class QuantizeNetTest : public OnTestDevice<::testing::TestWithParam<std::tuple<Kind, int>>> {};

TEST_P(QuantizeNetTest, IsTheSimulationExactly) {
  const auto [kind, bits] = GetParam();
  const Quantized q(kind, bits);
  ASSERT_NE(q.packed, nullptr);
  const int64_t images = ImagesOnDevice(kSimulated, 5);
  const ConstMatrixView<uint8_t> pixels(q.pixels.data<uint8_t>(), images, kFeatures);
  const std::vector<float> expected = SimulateShifts(*q.packed, pixels);
  for (const int threads : {1, 2}) {
    ExecContext context({.device = TestDevice(), .threads = threads});
    const auto interpreter = Interpreter::Create(*q.packed, context);
    ASSERT_TRUE(interpreter.ok()) << interpreter.status();
    const absl::StatusOr<Tensor> logits = (*interpreter)->RunPixels(pixels);
    ASSERT_TRUE(logits.ok()) << logits.status();
    ASSERT_EQ(logits->num_elements(), images * kClasses);
    for (int64_t i = 0; i < logits->num_elements(); ++i) {
      ASSERT_EQ(logits->data<float>()[i], expected[i]) << "logit " << i % kClasses << " of image " << i / kClasses;
    }
  }
}

TEST_P(QuantizeNetTest, SearchIsNoWorseThanTheHeuristic) {
  const auto [kind, bits] = GetParam();
  const Quantized q(kind, bits);
  ASSERT_NE(q.net, nullptr);
  int better = 0;
  for (size_t m = 0; m < q.net->modules.size(); ++m) {
    const ModuleFormat& format = q.net->formats[m];
    EXPECT_LE(format.error, format.heuristic_error) << q.net->modules[m].layer;
    if (!q.net->modules[m].quantizes()) continue;
    EXPECT_GT(format.norm, 0) << q.net->modules[m].layer;
    better += format.error < format.heuristic_error;
  }
  // It does find something.
  EXPECT_GT(better, 0);
  EXPECT_EQ(CountScalings(q.packed->header()), 0);
}

INSTANTIATE_TEST_SUITE_P(Nets, QuantizeNetTest,
                         ::testing::Combine(::testing::Values(Kind::kVgg, Kind::kResNet, Kind::kBranches),
                                            ::testing::Values(8, 6, 4)));

// The folded and quantized net is the float net, as far as 8 bits go.
TEST(QuantizeNet, IsNearTheFloatNet) {
  for (const Kind kind : {Kind::kVgg, Kind::kResNet, Kind::kBranches}) {
    Quantized q(kind, 8);
    ASSERT_NE(q.packed, nullptr);
    Tensor images({kSimulated, kFeatures}, DType::kFloat32);
    for (int64_t i = 0; i < images.num_elements(); ++i) {
      images.mutable_data<float>()[i] = (2.0f * static_cast<float>(q.pixels.data<uint8_t>()[i]) - 255.0f) / 255.0f;
    }
    const absl::StatusOr<Tensor> logits = Logits(q.context, *q.model, images);
    ASSERT_TRUE(logits.ok());
    const auto interpreter = Interpreter::Create(*q.packed, q.context);
    const absl::StatusOr<Tensor> quantized = (*interpreter)->RunPixels(q.pixels.matrix<uint8_t>());
    const absl::StatusOr<Tensor> of_floats = (*interpreter)->Run(images.matrix<float>());
    ASSERT_TRUE(quantized.ok() && of_floats.ok());
    double error = 0, norm = 0;
    for (int64_t i = 0; i < logits->num_elements(); ++i) {
      const double o = logits->data<float>()[i], difference = o - quantized->data<float>()[i];
      error += difference * difference;
      norm += o * o;
      ASSERT_EQ(quantized->data<float>()[i], of_floats->data<float>()[i]);
    }
    EXPECT_LT(std::sqrt(error / norm), 0.05) << static_cast<int>(kind);
  }
}

TEST(QuantizeNet, ResidualsQuantizeOnce) {
  const Quantized q(Kind::kResNet, 8);
  ASSERT_NE(q.packed, nullptr);
  int quantizations = 0, shortcuts = 0;
  for (const packed::Instruction& instruction : q.packed->header().instructions()) {
    const packed::Requantize* const requantize = RequantizeOf(instruction);
    if (requantize == nullptr) continue;
    quantizations += requantize->encoding() != packed::Blob::UNSPECIFIED;
    shortcuts += instruction.operands_size() == 2;
    EXPECT_FALSE(instruction.has_shift_add());
  }
  // The stem, a and b + add + relu of each block, one shortcut, the average. The logits stay sums.
  EXPECT_EQ(quantizations, 7);
  EXPECT_EQ(shortcuts, 2);
  EXPECT_EQ(q.net->quantizing_modules(), 8);
}

TEST(QuantizeNet, PoolsBeforeNormsTakeTheLeastWhereGammaIsNegative) {
  const Quantized q(Kind::kVgg, 8);
  ASSERT_NE(q.packed, nullptr);
  int flips = 0;
  for (const packed::Instruction& instruction : q.packed->header().instructions()) {
    if (!instruction.has_max_pool() || !instruction.max_pool().has_flips()) continue;
    for (int c = 0; c < 20; ++c) flips += q.packed->plane(instruction.max_pool().flips(), 0).bit(0, c);
  }
  EXPECT_GT(flips, 0);
  EXPECT_LT(flips, 20);
}

// ---- Formats

TEST(QuantizeNet, HeuristicClipsNothing) {
  EXPECT_EQ(HeuristicFractionBits(1.0, 7), 7);
  EXPECT_EQ(HeuristicFractionBits(1.01, 7), 6);
  EXPECT_EQ(HeuristicFractionBits(0.3, 7), 8);
  EXPECT_EQ(HeuristicFractionBits(1000, 7), -3);
  EXPECT_EQ(HeuristicFractionBits(0, 7), 0);
  EXPECT_EQ(FixedPointCode(0.3f, 8, -128, 127), 77);
  EXPECT_EQ(FixedPointCode(-5.0f, 8, -128, 127), -128);
  EXPECT_EQ(FixedPointCode(1000, -3, -128, 127), 125);
  EXPECT_EQ(FixedPointCode(NAN, -3, -128, 127), -128);
}

// ---- Bad input

absl::Status StatusOf(const std::function<void(Sequential&, const Scope&)>& fill, int bits = 8,
                      const std::function<void(ParameterStore&)>& change = nullptr) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  Net net([&](Sequential& layers) { fill(layers, store.Root()); });
  EXPECT_TRUE(store.status().ok()) << store.status();
  if (change) change(store);
  const Tensor images = Tensor::Of<float>({2, 4}, std::vector<float>{-1, 0, 0.5, 1, 1, 0, 0, 0.25});
  return QuantizeNet(context, net, images, {.bits = bits}).status();
}

void AddDense(Sequential& net, const Scope& s, const Quantizer& weight = {}) {
  net.Add<Dense>(s / "fc", DenseOptions{.in = 4, .out = 4, .weight = weight});
}

TEST(QuantizeNetErrors, NameLayerOpAndWhatToDo) {
  const auto tanh = StatusOf([](Sequential& net, const Scope& s) {
    AddDense(net, s);
    AddFunction(net, "tanh");
    AddDense(net, s / "top");
  });
  EXPECT_THAT(std::string(tanh.message()), HasSubstr("op 'tanh' cannot be computed by shifts; train the net with"));
  const auto norm = StatusOf([](Sequential& net, const Scope& s) {
    AddDense(net, s);
    AddRelu(net);
    AddNorm(net, s / "norm", 4);
    AddDense(net, s / "top");
  });
  EXPECT_THAT(std::string(norm.message()),
              HasSubstr("layer 'norm': op 'batch_norm' follows no linear or conv2d that only it reads"));
  const auto average = StatusOf([](Sequential& net, const Scope& s) {
    net.Add<Unflatten>(Shape({2, 2, 1}));
    AddConv(net, s / "conv", 1, 3);
    net.Add<AvgPool2d>(s / "pool", PoolOptions{.kernel = {1, 2}, .stride = {1, 2}, .partial = true});
  });
  EXPECT_THAT(std::string(average.message()), HasSubstr("layer 'pool': op 'average_pool'"));
  EXPECT_THAT(std::string(average.message()), HasSubstr("use whole windows of a power of two"));
  const auto nothing = StatusOf([](Sequential& net, const Scope&) { net.Add<FlattenLayer>(); });
  EXPECT_FALSE(nothing.ok());
}

TEST(QuantizeNetErrors, NetsWithQuantizersAreFrozen) {
  const auto weight = StatusOf([](Sequential& net, const Scope& s) { AddDense(net, s, Sign()); });
  EXPECT_EQ(weight.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(weight.message()), HasSubstr("layer 'fc'"));
  EXPECT_THAT(std::string(weight.message()), HasSubstr("freeze it instead: //export:freeze"));
  const auto input = StatusOf([](Sequential& net, const Scope& s) {
    net.Add<Dense>(s / "fc", DenseOptions{.in = 4, .out = 4, .input = Sign()});
  });
  EXPECT_THAT(std::string(input.message()), HasSubstr("has a quantizer"));
}

TEST(QuantizeNetErrors, Bits) {
  const auto fill = [](Sequential& net, const Scope& s) { AddDense(net, s); };
  for (const int bits : {-1, 0, 3, 9}) {
    EXPECT_THAT(std::string(StatusOf(fill, bits).message()), HasSubstr("is not in 4 .. 8")) << bits;
  }
  for (int bits = 4; bits <= 8; ++bits) EXPECT_TRUE(StatusOf(fill, bits).ok()) << StatusOf(fill, bits);
}

TEST(QuantizeNetErrors, ActivationsThatAreNotFinite) {
  const auto status = StatusOf(
      [](Sequential& net, const Scope& s) {
        AddDense(net, s);
        AddRelu(net);
        AddDense(net, s / "top");
      },
      8,
      [](ParameterStore& store) {
        for (Parameter* parameter : store.parameters()) {
          for (float& v : parameter->value.mutable_span<float>()) v = 1e30f;
        }
      });
  EXPECT_THAT(std::string(status.message()), HasSubstr("layer 'top/fc': 'linear' gives inf for calibration image"));
}

TEST(QuantizeNetErrors, NoImages) {
  ExecContext context;
  ParameterStore store(1);
  Net net([&](Sequential& layers) { AddDense(layers, store.Root()); });
  EXPECT_FALSE(QuantizeNet(context, net, Tensor(), {}).ok());
  EXPECT_FALSE(QuantizeNet(context, net, Tensor({0, 4}, DType::kFloat32), {}).ok());
}

// ---- Rules of the file

TEST(ShiftRules, BrokenFieldsAreRefused) {
  const Quantized q(Kind::kResNet, 8);
  ASSERT_NE(q.packed, nullptr);
  const packed::Header& good = q.packed->header();
  int with_shortcut = -1, first = -1;
  for (int i = good.instructions_size() - 1; i >= 0; --i) {
    if (!good.instructions(i).has_conv2d()) continue;
    first = i;
    if (good.instructions(i).operands_size() == 2) with_shortcut = i;
  }
  const auto expect = [&](const std::string& message, const std::function<void(packed::Header&)>& change) {
    packed::Header header = good;
    change(header);
    const auto checked = CheckProgram(header);
    EXPECT_FALSE(checked.ok()) << message;
    EXPECT_THAT(std::string(checked.status().message()), HasSubstr(message));
  };
  const auto requantize = [](packed::Header& h, int i) {
    return h.mutable_instructions(i)->mutable_conv2d()->mutable_requantize();
  };
  expect("requantize.shift: 29", [&](auto& h) { requantize(h, first)->set_shift(29); });
  expect("requantize.shift: -16", [&](auto& h) { requantize(h, first)->set_shift(-16); });
  expect("bias_shift: -29", [&](auto& h) { requantize(h, first)->set_bias_shift(-29); });
  expect("fraction_bits: 61", [&](auto& h) { requantize(h, first)->set_fraction_bits(61); });
  expect("there is no second operand", [&](auto& h) { requantize(h, first)->set_shortcut_shift(1); });
  expect("may exceed 2^30", [&](auto& h) { requantize(h, with_shortcut)->set_shortcut_shift(23); });
  expect("neither UNSIGNED nor TWOS_COMPLEMENT",
         [&](auto& h) { requantize(h, first)->set_encoding(packed::Blob::SYMMETRIC); });
  expect("no bits, shift and flips", [&](auto& h) { requantize(h, first)->clear_encoding(); });
  expect("bits 9", [&](auto& h) { requantize(h, first)->set_bits(9); });
  expect("there is no bias", [&](auto& h) { requantize(h, first)->clear_bias(); });
  expect("there is a scale", [&](auto& h) { h.mutable_instructions(first)->mutable_conv2d()->set_scale(2); });
  expect("the border is PLUS_ONE",
         [&](auto& h) { h.mutable_instructions(first)->mutable_conv2d()->set_padding(packed::Conv2d::PLUS_ONE); });
  expect("operands: 1 given", [&](auto& h) {
    h.mutable_instructions(first)->clear_conv2d();
    h.mutable_instructions(first)->mutable_shift_add();
  });
  expect("fraction_bits: -61",
         [&](auto& h) { h.mutable_instructions(0)->mutable_fixed_point()->set_fraction_bits(-61); });
  expect("go together", [&](auto& h) { h.mutable_instructions(0)->mutable_fixed_point()->set_mean(0); });
}

TEST(ShiftRules, BiasesThatOverflowAreRefused) {
  PackedModelWriter writer;
  writer.header().mutable_input()->add_shape(2);
  const int x = writer.AddFixedPoint("in", kInputValue, {EncodingKind::kTwosComplement, 8}, 7);
  const std::vector<uint8_t> codes = {1, 2};
  const int weight = writer.AddStoredCodes("w", {EncodingKind::kTwosComplement, 8}, {codes.data(), 1, 2});
  const int bias = writer.AddInts("b", 1, std::vector<int32_t>{-(1 << 20)});
  writer.AddShiftLinear("fc", x, weight, {.fraction_bits = 14, .bias = bias, .bias_shift = 10});
  const absl::StatusOr<std::string> bytes = writer.Serialize();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_THAT(std::string(PackedModel::FromBytes("net", *bytes).status().message()),
              HasSubstr("blob 1 (b): the bias of output 0, -1048576 shifted by 10, exceeds 2^29"));
}

}  // namespace
}  // namespace bitgrad
