// Every op with operands, options and state of every wrong kind, alone and drawn at random. Whatever is given, the
// process goes on: the op either fails with an error that begins with its name, or its result has a shape and a
// gradient. Messages are in misuse_test.cc.

#include <cstdint>
#include <functional>
#include <iterator>
#include <limits>
#include <map>
#include <string>
#include <tuple>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/batch_norm_estimation.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/embedding.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/matmul.h"
#include "bitgrad/ops/maxout.h"
#include "bitgrad/ops/pool.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/dorefa_gradient.h"
#include "bitgrad/ops/quantizers/dorefa_weight.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_round.h"
#include "bitgrad/ops/quantizers/swish_sign.h"
#include "bitgrad/ops/quantizers/ternary.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/round.h"
#include "bitgrad/ops/scale_penalty.h"
#include "bitgrad/ops/shift_channels.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/spline.h"
#include "bitgrad/ops/stack.h"
#include "bitgrad/ops/tap_attention.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The host's memory under the name of another device, so that a tensor of another device needs none.
class ElsewhereAllocator final : public Allocator {
 public:
  void* Allocate(size_t bytes) override { return HeapAllocator().Allocate(bytes); }
  void Deallocate(void* block, size_t bytes) override { HeapAllocator().Deallocate(block, bytes); }
  Device device() const override { return Device::kCuda; }
};

Allocator& Elsewhere() {
  static ElsewhereAllocator allocator;
  return allocator;
}

constexpr int64_t kHuge = int64_t{1} << 21;  // the product of two is more than a tensor may have

const std::vector<Shape>& Shapes() {
  static const std::vector<Shape> shapes = {{},
                                            {0},
                                            {1},
                                            {3},
                                            {2, 3},
                                            {3, 2},
                                            {3, 3},
                                            {0, 3},
                                            {3, 0},
                                            {0, int64_t{1} << 40},
                                            {2, 2, 3},
                                            {2, 0, 3},
                                            {1, 4, 4, 3},
                                            {2, 3, 3, 3},
                                            {3, 1, 1, 3},
                                            {1, 64, 64, 1},
                                            {1, 1, 1, 1},
                                            {0, 4, 4, 3},
                                            {1, 0, 4, 3},
                                            {1, 4, 4, 0},
                                            {1, 1, 2, 1, 3},
                                            {kHuge, 1},
                                            {1, kHuge},
                                            {kHuge, 1, 1, 1}};
  return shapes;
}

// What an op is given beside its operands.
struct Extras {
  Parameter state[2];  // labels, targets, running statistics
  int64_t numbers[6];  // kernels, strides, pads, groups, extents
  float real;
};

struct Op {
  std::string name;  // with which its errors begin
  size_t operands;
  std::function<Var(const std::vector<Var>&, Extras&)> apply;
  bool begins_with_indices = false;  // the first operand is int32
};

using V = const std::vector<Var>&;

std::vector<Op> Ops() {
  std::vector<Op> ops = {
      {"relu", 1, [](V v, Extras&) { return Relu(v[0]); }},
      {"leaky_relu", 1, [](V v, Extras& e) { return LeakyRelu(v[0], e.real); }},
      {"hardtanh", 1, [](V v, Extras&) { return Hardtanh(v[0]); }},
      {"sigmoid", 1, [](V v, Extras&) { return Sigmoid(v[0]); }},
      {"tanh", 1, [](V v, Extras&) { return Tanh(v[0]); }},
      {"add", 2, [](V v, Extras&) { return Add(v[0], v[1]); }},
      {"sub", 2, [](V v, Extras&) { return Sub(v[0], v[1]); }},
      {"mul", 2, [](V v, Extras&) { return Mul(v[0], v[1]); }},
      {"scale_penalty", 2, [](V v, Extras&) { return ScalePenalty(v[0], v[1], ScalePenaltyKind::kR2); }},
      {"matmul", 2, [](V v, Extras&) { return MatMul(v[0], v[1]); }},
      {"concat", 3, [](V v, Extras&) { return Concat(v); }},
      {"stack", 3, [](V v, Extras&) { return Stack(v); }},
      {"slice", 1, [](V v, Extras& e) { return Slice(v[0], e.numbers[0], e.numbers[1]); }},
      {"slice_columns", 1, [](V v, Extras& e) { return SliceColumns(v[0], e.numbers[0], e.numbers[1]); }},
      {"slice", 1, [](V v, Extras& e) { return Step(v[0], e.numbers[0]); }},
      // Ids are of type int32 in half of the cases; and a float operand in their place.
      {"embedding", 1, [](V v, Extras& e) { return Embedding(v[0].tape()->Input(e.state[0].value), v[0]); }},
      {"embedding", 2, [](V v, Extras&) { return Embedding(v[0], v[1]); }, /*begins_with_indices=*/true},
      {"reshape", 1,
       [](V v, Extras& e) {
         return Reshape(v[0], {e.numbers[0], e.numbers[1]});
       }},
      {"reshape", 1, [](V v, Extras&) { return Flatten(v[0]); }},
      {"dropout", 1, [](V v, Extras& e) { return ApplyDropout(v[0], e.real); }},
      {"dropout", 1, [](V v, Extras& e) { return ApplyDropout(v[0], e.real, DropoutScaling::kInEvaluation); }},
      {"maxout", 1, [](V v, Extras& e) { return Maxout(v[0], e.numbers[0]); }},
      {"round", 1, [](V v, Extras&) { return Round(v[0], {{NumberFormatKind::kHalf}}, {{NumberFormatKind::kHalf}}); }},
      {"sum", 1, [](V v, Extras&) { return Sum(v[0]); }},
      {"mean", 1, [](V v, Extras&) { return Mean(v[0]); }},
      {"average_pool", 1, [](V v, Extras&) { return GlobalAveragePool(v[0]); }},
      {"softmax_cross_entropy", 1, [](V v, Extras& e) { return SoftmaxCrossEntropy(v[0], e.state[0].value); }},
      {"squared_hinge", 1, [](V v, Extras& e) { return SquaredHinge(v[0], e.state[0].value); }},
      {"mean_squared_error", 1, [](V v, Extras& e) { return MeanSquaredError(v[0], e.state[0].value); }},
  };
  const auto pool = [](const Extras& e) {
    return PoolOptions{.kernel = {e.numbers[0], e.numbers[1]},
                       .stride = {e.numbers[2], e.numbers[3]},
                       .pad = {e.numbers[4], e.numbers[5]},
                       .partial = e.numbers[0] % 2 == 1};
  };
  ops.push_back({"max_pool", 1, [pool](V v, Extras& e) { return MaxPool(v[0], pool(e)); }});
  ops.push_back({"average_pool", 1, [pool](V v, Extras& e) { return AveragePool(v[0], pool(e)); }});
  for (const bool unbiased : {false, true}) {
    for (const auto arithmetic : {BatchNormArithmetic::kExact, BatchNormArithmetic::kShiftTorch}) {
      ops.push_back({"batch_norm", 3, [=](V v, Extras& e) {
                       return ApplyBatchNorm(v[0], v[1], v[2], e.state[0], e.state[1],
                                             {.momentum = e.real, .unbiased = unbiased, .arithmetic = arithmetic});
                     }});
      ops.push_back({"batch_norm", 3, [=](V v, Extras& e) {
                       return ApplyBatchNormEstimating(v[0], v[1], v[2], e.state[0], e.state[1], e.numbers[0],
                                                       {.unbiased = unbiased, .arithmetic = arithmetic});
                     }});
    }
  }
  const std::vector<ProductQuantizers> quantizers = {
      {},
      {.input = Sign(), .weight = Sign()},
      {.input = KBit(2), .weight = Ternary(), .gradient = DorefaGradient(4)},
      {.input = Sign(), .weight = DorefaWeight(2), .gradient = StochasticRound(8)},
      {.input = SwishSign(), .weight = DorefaWeight(1), .gradient = StochasticRound(8)},
      {.input = KBit(9), .weight = Sign()},
      {.weight = KBit(0)},
      {.gradient = StochasticRound(1)}};
  for (const ProductQuantizers& q : quantizers) {
    ops.push_back({"linear", 2, [q](V v, Extras&) { return QuantizedLinear(v[0], v[1], q); }});
    ops.push_back({"conv2d", 2, [q](V v, Extras& e) {
                     return QuantizedConvolution(v[0], v[1],
                                                 {.stride = {e.numbers[0], e.numbers[1]},
                                                  .pad = {e.numbers[2], e.numbers[3]},
                                                  .dilation = e.numbers[4],
                                                  .groups = e.numbers[5],
                                                  .padding = e.real > 0.5f ? Padding::kPlusOne : Padding::kZero},
                                                 q);
                   }});
  }
  for (const QuantizerInfo& info : AllQuantizers()) {
    const Quantizer q = *ParseQuantizer(info.name);
    ops.push_back({"quantize", 1, [q](V v, Extras&) { return Quantize(v[0], q); }});
  }
  ops.push_back({"spline", 2, [](V v, Extras& e) { return Spline(v[0], v[1], e.real, e.real); }});
  ops.push_back({"spline_linear_term", 3, [](V v, Extras& e) { return AddLinearTerm(v[0], v[1], v[2], e.real); }});
  ops.push_back(
      {"spline_penalty", 1, [](V v, Extras& e) { return SplinePenalty(v[0], e.real, SplinePenaltyKind::kBv2); }});
  const std::vector<Op> taps = {
      {"tap_attention", 3, [](V v, Extras& e) { return TapAttention(v[0], v[1], v[2], e.real > 0); }},
      {"spread_over_taps", 1,
       [](V v, Extras& e) {
         return SpreadOverTaps(v[0], std::vector<uint8_t>(3, static_cast<uint8_t>(e.numbers[0])), e.numbers[1]);
       }},
      {"shift_channels", 1,
       [](V v, Extras& e) {
         return ShiftChannels(v[0], std::vector<uint8_t>(3, static_cast<uint8_t>(e.numbers[0])), e.numbers[1],
                              e.numbers[2]);
       }},
  };
  ops.insert(ops.end(), taps.begin(), taps.end());
  return ops;
}

class MisuseSweepTest : public testing::Test {
 protected:
  // Zeros, the same bytes for every use.
  const Tensor& Zeros(size_t shape, DType dtype, bool elsewhere) {
    Tensor& tensor = zeros_[{shape, static_cast<int>(dtype), elsewhere}];
    if (tensor.is_null()) {
      tensor = Tensor::Zeros(Shapes()[shape], dtype, elsewhere ? Elsewhere() : HeapAllocator());
    }
    return tensor;
  }

  // A shape; a huge one seldom, for it takes time.
  size_t AnyShape() {
    const auto shape = static_cast<size_t>(random_.Below(static_cast<uint32_t>(Shapes().size())));
    return Shapes()[shape].num_elements() >= kHuge && random_.Below(4) != 0 ? 4 : shape;
  }

  // The shapes of an op's operands. Beside a huge one the others are huge, so that a product is too large to be a
  // tensor, or small: else it may be a tensor for which the machine has no memory.
  std::vector<size_t> AnyShapes(size_t count) {
    constexpr int64_t kSmall = 64;
    std::vector<size_t> shapes;
    bool any_huge = false;
    for (size_t i = 0; i < count; ++i) {
      shapes.push_back(AnyShape());
      any_huge |= Shapes()[shapes.back()].num_elements() >= kHuge;
    }
    for (size_t& shape : shapes) {
      const int64_t elements = Shapes()[shape].num_elements();
      if (any_huge && elements > kSmall && elements < kHuge) shape = 4;
    }
    return shapes;
  }

  Extras SomeExtras() {
    constexpr int64_t kLimit = std::numeric_limits<int64_t>::max();
    constexpr int64_t kNumbers[] = {
        1, 1, 1, 1, 2, 2, 3, 0, 0, 0, -1, 40, kHuge, int64_t{1} << 31, int64_t{1} << 61, kLimit, -kLimit - 1};
    constexpr float kReals[] = {
        0, 0.1f, 0.5f, 1, -1, 2, std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()};
    Extras extras;
    for (int64_t& number : extras.numbers) number = kNumbers[random_.Below(std::size(kNumbers))];
    extras.real = kReals[random_.Below(std::size(kReals))];
    for (Parameter& state : extras.state) {
      if (random_.Below(8) == 0) continue;
      const DType dtype = random_.Below(2) == 0 ? DType::kFloat32 : SomeDType();
      state = MakeParameter(
          "state", Tensor::Zeros(Shapes()[random_.Below(7)], dtype,
                                 random_.Below(8) == 0 ? Elsewhere() : static_cast<Allocator&>(HeapAllocator())));
      state.trainable = false;
    }
    return extras;
  }

  DType SomeDType() {
    constexpr DType kTypes[] = {DType::kFloat32, DType::kInt32, DType::kUint8, DType::kInt8, DType::kInt64};
    return kTypes[random_.Below(std::size(kTypes))];
  }

  // Applies the op and, where it succeeds and somebody wants gradients, runs backward.
  void Try(const Op& op, const std::vector<Var>& operands, Extras extras, bool wants_gradient = true) {
    Tape& tape = *operands[0].tape();
    std::string what = op.name;
    for (const Var& operand : operands) what += " " + operand.shape().ToString();
    for (const int64_t number : extras.numbers) what += " " + std::to_string(number);
    SCOPED_TRACE(what + " " + std::to_string(extras.real));
    const Var y = op.apply(operands, extras);
    if (!tape.status().ok()) {
      ++failed_;
      EXPECT_EQ(tape.status().code(), absl::StatusCode::kInvalidArgument) << tape.status();
      const std::string message(tape.status().message());
      // A product of operands that are quantized for it ends where the first of these ops does.
      const bool of_quantize = message.rfind("quantize: ", 0) == 0 && (op.name == "linear" || op.name == "conv2d");
      EXPECT_TRUE(message.rfind(op.name + ": ", 0) == 0 || message.rfind("input: ", 0) == 0 || of_quantize) << message;
      EXPECT_EQ(y.shape(), Shape({0}));
      EXPECT_EQ(tape.Backward(y), tape.status());
      return;
    }
    ++passed_;
    EXPECT_TRUE(y.shape().Validate().ok()) << y.shape().ToString();
    if (!tape.training() || !wants_gradient) return;
    const Var loss = Sum(y);
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    for (const Var& operand : operands) {
      const auto gradient = tape.Gradient(operand);
      EXPECT_TRUE(!gradient.ok() || (*gradient)->shape() == operand.shape());
    }
  }

  TestRandom random_{83};
  ExecContext context_{{.threads = 2}};
  int failed_ = 0, passed_ = 0;

 private:
  std::map<std::tuple<size_t, int, bool>, Tensor> zeros_;
};

TEST_F(MisuseSweepTest, OneShapeForAllOperands) {
  BITGRAD_TRACE(random_);
  for (const Op& op : Ops()) {
    for (size_t shape = 0; shape < Shapes().size(); ++shape) {
      for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
        if (mode == Mode::kEval && Shapes()[shape].num_elements() >= kHuge) continue;  // takes long
        Tape tape(context_, mode);
        const Var x = tape.Differentiable(Zeros(shape, DType::kFloat32, false));
        Try(op, std::vector<Var>(op.operands, x), SomeExtras());
        if (HasFailure()) return;
      }
    }
  }
}

// Each operand in turn is of another type, device or tape, of a step before, or nothing.
TEST_F(MisuseSweepTest, OneOperandThatIsNone) {
  BITGRAD_TRACE(random_);
  for (const Op& op : Ops()) {
    for (size_t i = 0; i < op.operands; ++i) {
      for (int kind = 0; kind < 6; ++kind) {
        SCOPED_TRACE(kind);
        constexpr int kForeign = 3;
        if (kind == kForeign && op.operands == 1) continue;           // Then it is an op of the other tape.
        if (kind == 0 && i == 0 && op.begins_with_indices) continue;  // Then it is what it should be.
        Tape tape(context_), other(context_);
        const Var stale = tape.Input(Zeros(4, DType::kFloat32, false));
        tape.Reset();
        const Var x = tape.Differentiable(Zeros(4, DType::kFloat32, false));
        std::vector<Var> operands(op.operands, x);
        switch (kind) {
          case 0: operands[i] = tape.Input(Zeros(4, DType::kInt32, false)); break;
          case 1: operands[i] = tape.Input(Zeros(4, DType::kUint8, false)); break;
          case 2: operands[i] = tape.Input(Zeros(4, DType::kFloat32, true)); break;
          case kForeign: operands[i] = other.Input(Zeros(4, DType::kFloat32, false)); break;
          case 4: operands[i] = stale; break;
          case 5: operands[i] = tape.Failed(); break;
        }
        Try(op, operands, SomeExtras());
        if (HasFailure()) return;
      }
    }
  }
  EXPECT_EQ(passed_, 0);
}

TEST_F(MisuseSweepTest, AnythingAtRandom) {
  BITGRAD_TRACE(random_);
  const std::vector<Op> ops = Ops();
  for (int trial = 0; trial < 6000; ++trial) {
    const Op& op = ops[random_.Below(static_cast<uint32_t>(ops.size()))];
    Tape tape(context_, random_.Below(4) == 0 ? Mode::kEval : Mode::kTrain);
    std::vector<Var> operands;
    bool wants_gradient = false;
    for (const size_t shape : AnyShapes(op.operands)) {
      const DType dtype = random_.Below(16) == 0 ? SomeDType() : DType::kFloat32;
      const Tensor& value = Zeros(shape, dtype, random_.Below(32) == 0);
      const bool differentiable = random_.Below(2) == 0;
      operands.push_back(differentiable ? tape.Differentiable(value) : tape.Input(value));
      wants_gradient |= differentiable;
    }
    SCOPED_TRACE(trial);
    Try(op, operands, SomeExtras(), wants_gradient);
    if (HasFailure()) return;
  }
  // Both happen, or the test would show nothing.
  EXPECT_GT(passed_, 1000);
  EXPECT_GT(failed_, 1000);
}

}  // namespace
}  // namespace bitgrad
