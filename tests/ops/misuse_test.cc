// User errors with ops, and the message for each; and what is allowed although it looks odd.

#include <cmath>
#include <cstdint>
#include <functional>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/embedding.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/matmul.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/dorefa_activation.h"
#include "bitgrad/ops/quantizers/dorefa_gradient.h"
#include "bitgrad/ops/quantizers/dorefa_weight.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_round.h"
#include "bitgrad/ops/quantizers/swish_sign.h"
#include "bitgrad/ops/quantizers/ternary.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/stack.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

class MisuseTest : public testing::Test {
 protected:
  // The message of an op on a fresh tape; its result has to be a failed Var.
  std::string Error(const std::function<Var(Tape&)>& op, Mode mode = Mode::kTrain) {
    Tape tape(context_, mode);
    const Var result = op(tape);
    EXPECT_EQ(result.shape(), Shape({0}));
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kInvalidArgument);
    return std::string(tape.status().message());
  }

  // The error of a unary or binary op on zeros of these shapes.
  std::string Error(const std::vector<Shape>& shapes, const std::function<Var(const std::vector<Var>&)>& op,
                    Mode mode = Mode::kTrain) {
    return Error(
        [&](Tape& tape) {
          std::vector<Var> vars;
          for (const Shape& shape : shapes) vars.push_back(tape.Input(Tensor::Zeros(shape)));
          return op(vars);
        },
        mode);
  }

  ExecContext context_{{.threads = 1}};
};

using V = const std::vector<Var>&;

TEST_F(MisuseTest, Arithmetic) {
  const std::string expected =
      " do not match; they have to be equal, or the second that of one example or of the last "
      "dimension of the first";
  EXPECT_EQ(Error({{2, 3}, {2}}, [](V v) { return Add(v[0], v[1]); }), "add: shapes [2, 3] and [2]" + expected);
  EXPECT_EQ(Error({{3}, {2, 3}}, [](V v) { return Sub(v[0], v[1]); }), "sub: shapes [3] and [2, 3]" + expected);
  EXPECT_EQ(Error({{}, {1}}, [](V v) { return Mul(v[0], v[1]); }), "mul: shapes [] and [1]" + expected);
  EXPECT_EQ(Error({{2, 3}, {1, 3}}, [](V v) { return Mul(v[0], v[1]); }), "mul: shapes [2, 3] and [1, 3]" + expected);
  EXPECT_EQ(Error({{2, 4, 4, 3}, {4}}, [](V v) { return Mul(v[0], v[1]); }),
            "mul: shapes [2, 4, 4, 3] and [4]" + expected);
}

TEST_F(MisuseTest, Sequences) {
  EXPECT_EQ(Error({{4, 3}}, [](V v) { return Slice(v[0], 2, 3); }),
            "slice: the part of 3 from 2 on is not within dimension 0 of [4, 3]");
  EXPECT_EQ(Error({{4, 3}}, [](V v) { return SliceColumns(v[0], -1, 2); }),
            "slice_columns: the part of 2 from -1 on is not within dimension 1 of [4, 3]");
  EXPECT_EQ(Error({{4, 3}}, [](V v) { return Step(v[0], 4); }),
            "slice: the part of 1 from 4 on is not within dimension 0 of [4, 3]");
  EXPECT_EQ(Error({{}}, [](V v) { return Slice(v[0], 0, 1); }), "slice: the operand is a scalar");
  EXPECT_EQ(Error({{4, 3}, {3, 4}}, [](V v) { return Stack(v); }), "stack: shapes [4, 3] and [3, 4] differ");
  EXPECT_EQ(Stack({}).tape(), nullptr);

  const auto embed = [](const Tensor& ids, Shape table) {
    return [=, ids = std::make_shared<Tensor>(ids.Alias())](Tape& tape) {
      return Embedding(tape.Input(*ids), tape.Input(Tensor::Zeros(table)));
    };
  };
  EXPECT_EQ(Error(embed(Labels({0, 4}), {4, 3})), "embedding: id 4 is not in [0, 4), the rows of the table");
  EXPECT_EQ(Error(embed(Labels({-1}), {4, 3})), "embedding: id -1 is not in [0, 4), the rows of the table");
  EXPECT_EQ(Error(embed(Labels({0}), {4})), "embedding: the table is [4]; it has to be [vocabulary, width]");
  EXPECT_EQ(Error(embed(Floats({1}, {0}), {4, 3})),
            "embedding: the operand of indices is float32 [1] on cpu; indices are int32 on cpu");
  EXPECT_EQ(Error([](Tape& tape) {
              return Relu(tape.Input(Labels({0, 1})));
            }),
            "relu: an operand is int32 [2] on cpu; ops compute in float32 on cpu");
  EXPECT_EQ(Error([](Tape& tape) {
              return tape.Differentiable(Labels({0, 1}));
            }),
            "input: a tensor of int32 can have no gradient; use Input()");
}

TEST_F(MisuseTest, Products) {
  EXPECT_EQ(Error({{2, 3}, {4, 5}}, [](V v) { return Linear(v[0], v[1]); }),
            "linear: input [2, 3] and weight [4, 5] do not match; they have to be [batch, in] and "
            "[out, in]");
  EXPECT_EQ(Error({{2, 3}, {3}}, [](V v) { return Linear(v[0], v[1]); }),
            "linear: input [2, 3] and weight [3] do not match; they have to be [batch, in] and "
            "[out, in]");
  EXPECT_EQ(Error({{}, {1, 1}}, [](V v) { return Linear(v[0], v[1]); }),
            "linear: input [] and weight [1, 1] do not match; they have to be [batch, in] and "
            "[out, in]");
  EXPECT_EQ(Error({{2, 3}, {2, 3}}, [](V v) { return MatMul(v[0], v[1]); }),
            "matmul: shapes [2, 3] and [2, 3] do not multiply; they have to be [m, k] and [k, n]");
  EXPECT_EQ(Error({{2, 3}, {3}}, [](V v) { return MatMul(v[0], v[1]); }),
            "matmul: shapes [2, 3] and [3] do not multiply; they have to be [m, k] and [k, n]");
}

TEST_F(MisuseTest, QuantizersOfLinear) {
  const std::string expected = "quantize: quantizer 'dorefa_gradient(4)' is out of place; it is for gradients";
  EXPECT_EQ(Error({{2, 3}, {4, 3}}, [](V v) { return QuantizedLinear(v[0], v[1], {.input = DorefaGradient(4)}); }),
            expected);
  EXPECT_EQ(Error({{2, 3}, {4, 3}}, [](V v) { return QuantizedLinear(v[0], v[1], {.weight = DorefaGradient(4)}); }),
            expected);
}

TEST_F(MisuseTest, QuantizersOutOfRange) {
  for (const Quantizer& q : {KBit(9), KBit(0), KBit(1 << 30), DorefaWeight(9), DorefaActivation(0), DorefaGradient(40),
                             StochasticRound(1), Ternary(1), SwishSign(0), SwishSign(std::nanf(""))}) {
    for (const bool of_product : {false, true}) {
      // The product itself takes the quantizer of gradients only.
      const ProductQuantizers quantizers =
          of_product ? ProductQuantizers{.gradient = q} : ProductQuantizers{.input = q, .weight = q};
      EXPECT_EQ(Error({{2, 3}, {4, 3}}, [&](V v) { return QuantizedLinear(v[0], v[1], quantizers); }),
                absl::StrCat(of_product ? "linear: " : "quantize: ", q.status().message()));
      EXPECT_EQ(
          Error({{2, 3, 3, 2}, {4, 3, 3, 2}}, [&](V v) { return QuantizedConvolution(v[0], v[1], {}, quantizers); }),
          absl::StrCat(of_product ? "conv2d: " : "quantize: ", q.status().message()));
    }
    for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
      EXPECT_EQ(Error(
                    {{2, 3}}, [&](V v) { return Quantize(v[0], q); }, mode),
                absl::StrCat("quantize: ", q.status().message()));
    }
  }
}

// Results with more elements than a tensor may have, from operands that are small. Nothing is read of them.
TEST_F(MisuseTest, ResultsThatAreTooLarge) {
  const int64_t large = int64_t{1} << 21;
  const Tensor column({large, 1}, DType::kFloat32), row({1, large}, DType::kFloat32);
  const std::string end = " has more than 2^40 elements";
  EXPECT_EQ(Error([&](Tape& tape) { return MatMul(tape.Input(column), tape.Input(row)); }),
            "matmul: the result's shape [2097152, 2097152]" + end);
  for (const Quantizer& q : {Quantizer(), Sign(), KBit(2)}) {
    EXPECT_EQ(Error([&](Tape& tape) {
                return QuantizedLinear(tape.Input(column), tape.Input(column), {.input = q, .weight = q});
              }),
              "linear: the result's shape [2097152, 2097152]" + end);
    EXPECT_EQ(Error([&](Tape& tape) {
                const Tensor images = column.Alias({large, 1, 1, 1});
                return QuantizedConvolution(tape.Input(images), tape.Input(images), {}, {.input = q, .weight = q});
              }),
              "conv2d: the result's shape [2097152, 1, 1, 2097152]" + end);
  }
  // The result is small, but not the images with their border.
  EXPECT_EQ(Error([&](Tape& tape) {
              return Convolution(tape.Input(column.Alias({large, 1, 1, 1})),
                                 tape.Input(Tensor::Zeros({1, 999, 999, 1})), {.stride = 4000, .pad = 998});
            }),
            "conv2d: the result's shape [2097152, 1997, 1997, 1]" + end);
  // Operands that are empty take no memory, whatever their extents.
  const Shape empty({0, int64_t{1} << 39});
  EXPECT_EQ(Error({empty},
                  [](V v) {
                    return Concat({v[0], v[0], v[0]});
                  }),
            "concat: the result's shape [0, 1649267441664]" + end);
  EXPECT_EQ(Error({{large, 0}, {0, large}}, [](V v) { return MatMul(v[0], v[1]); }),
            "matmul: the result's shape [2097152, 2097152]" + end);
  // A tensor that is none is found where it enters the tape.
  const int64_t limit = std::numeric_limits<int64_t>::max();
  EXPECT_EQ(Error([&](Tape& tape) {
              return Flatten(tape.Input(Tensor::Zeros({0, limit, limit})));
            }),
            absl::StrCat("input: shape [0, ", limit, ", ", limit, "]", end));
}

TEST_F(MisuseTest, InnerDimensionOfBinaryLinear) {
  // Never filled: the error comes before anything is read.
  const Tensor huge({1, int64_t{1} << 24}, DType::kFloat32);
  EXPECT_EQ(Error([&](Tape& tape) {
              return QuantizedLinear(tape.Input(huge), tape.Input(huge), {.input = Sign(), .weight = Sign()});
            }),
            "linear: inner dimension 16777216 is not below 2^24");
}

TEST_F(MisuseTest, LongestSumOfInt8Gradients) {
  const Tensor many({(1 << 17) + 1, 2}, DType::kFloat32), few({3, 2}, DType::kFloat32);
  EXPECT_EQ(Error([&](Tape& tape) {
              return QuantizedLinear(tape.Input(many), tape.Differentiable(few),
                                     {.input = Sign(), .weight = Sign(), .gradient = StochasticRound(8)});
            }),
            "linear: gradient quantizer 'stochastic_round(8)' sums up at most 131072 examples or outputs, not those of "
            "input [131073, 2] and weight [3, 2]");
}

TEST_F(MisuseTest, Concat) {
  EXPECT_EQ(Error({{2, 3}, {3, 3}},
                  [](V v) {
                    return Concat({v[0], v[1]});
                  }),
            "concat: shapes [2, 3] and [3, 3] differ before the last dimension");
  EXPECT_EQ(Error({{2, 3}, {2, 1, 3}},
                  [](V v) {
                    return Concat({v[0], v[1]});
                  }),
            "concat: shapes [2, 3] and [2, 1, 3] differ before the last dimension");
  EXPECT_EQ(Error({{}, {}}, [](V v) { return Concat({v[0], v[1]}); }), "concat: an operand is a scalar");
  EXPECT_EQ(Concat({}).tape(), nullptr);
}

TEST_F(MisuseTest, Reshape) {
  const auto error = [&](const Shape& to) { return Error({{2, 3}}, [&](V v) { return Reshape(v[0], to); }); };
  const std::string prefix = "reshape: shape [2, 3] of 6 elements does not fit into ";
  EXPECT_EQ(error({4, 2}), prefix + "[4, 2]");
  EXPECT_EQ(error({}), prefix + "[]");
  EXPECT_EQ(error({-1, 4}), prefix + "[-1, 4]");
  EXPECT_EQ(error({-1, 7}), prefix + "[-1, 7]");
  EXPECT_EQ(error({-1, 0}), prefix + "[-1, 0]");
  EXPECT_EQ(error({-1, -1, 6}), "reshape: shape [-1, -1, 6] has more than one -1 or a negative extent");
  EXPECT_EQ(error({-2, -3}), "reshape: shape [-2, -3] has more than one -1 or a negative extent");
  // Extents whose product is no int64.
  const int64_t large = int64_t{1} << 33;
  EXPECT_EQ(error({large, large}), prefix + "[8589934592, 8589934592]");
  EXPECT_EQ(error({large, -1, large}), prefix + "[8589934592, -1, 8589934592]");
}

TEST_F(MisuseTest, Numbers) {
  EXPECT_EQ(Error({{2}}, [](V v) { return ApplyDropout(v[0], 0); }), "dropout: keep is 0; it has to be in (0, 1]");
  EXPECT_EQ(Error({{2}}, [](V v) { return ApplyDropout(v[0], 1.5f); }), "dropout: keep is 1.5; it has to be in (0, 1]");
  EXPECT_EQ(Error({{2}}, [](V v) { return ApplyDropout(v[0], std::nanf("")); }),
            "dropout: keep is nan; it has to be in (0, 1]");
  EXPECT_EQ(Error({{2}}, [](V v) { return LeakyRelu(v[0], std::numeric_limits<float>::infinity()); }),
            "leaky_relu: slope inf is not finite");
  EXPECT_EQ(Error({{0, 3}}, [](V v) { return Mean(v[0]); }), "mean: shape [0, 3] is empty");
}

TEST_F(MisuseTest, LabelsAndTargets) {
  const auto hinge = [](const Tensor& labels) { return [&labels](V v) { return SquaredHinge(v[0], labels); }; };
  const auto softmax = [](const Tensor& labels) {
    return [&labels](V v) { return SoftmaxCrossEntropy(v[0], labels); };
  };
  EXPECT_EQ(Error({{2, 3}}, hinge(Labels({0, 3}))), "squared_hinge: label 3 is not in [0, 3)");
  EXPECT_EQ(Error({{2, 3}}, hinge(Labels({-1, 0}))), "squared_hinge: label -1 is not in [0, 3)");
  EXPECT_EQ(Error({{2, 3}}, softmax(Labels({0, 7}))), "softmax_cross_entropy: label 7 is not in [0, 3)");
  const std::string needed = "; it has to be int32 [2] on cpu";
  EXPECT_EQ(Error({{2, 3}}, softmax(Labels({0}))),
            "softmax_cross_entropy: the tensor of labels is int32 [1] on cpu" + needed);
  EXPECT_EQ(Error({{2, 3}}, softmax(Filled({2}, 0))),
            "softmax_cross_entropy: the tensor of labels is float32 [2] on cpu" + needed);
  EXPECT_EQ(Error({{2, 3}}, hinge(Tensor())), "squared_hinge: the tensor of labels is null" + needed);
  EXPECT_EQ(Error({{6}}, hinge(Labels({0}))), "squared_hinge: logits are [6]; they have to be [batch, classes]");
  EXPECT_EQ(Error({{0, 3}}, softmax(Labels({}))),
            "softmax_cross_entropy: logits are [0, 3]; they have to be [batch, classes]");
  EXPECT_EQ(Error({{2, 0}}, softmax(Labels({0, 0}))),
            "softmax_cross_entropy: logits are [2, 0]; they have to be [batch, classes]");

  EXPECT_EQ(Error({{2, 3}},
                  [](V v) {
                    return MeanSquaredError(v[0], Filled({3, 2}, 0));
                  }),
            "mean_squared_error: the tensor of targets is float32 [3, 2] on cpu; it has to be float32 [2, 3] on cpu");
  EXPECT_EQ(Error({{2}}, [](V v) { return MeanSquaredError(v[0], Tensor()); }),
            "mean_squared_error: the tensor of targets is null; it has to be float32 [2] on cpu");
  EXPECT_EQ(Error({{2}},
                  [](V v) {
                    return MeanSquaredError(v[0], Labels({0, 1}));
                  }),
            "mean_squared_error: the tensor of targets is int32 [2] on cpu; it has to be float32 [2] on cpu");
  EXPECT_EQ(Error({{0}}, [](V v) { return MeanSquaredError(v[0], Filled({0}, 0)); }),
            "mean_squared_error: the prediction [0] is empty");
}

TEST_F(MisuseTest, OperandsThatAreNotFloat) {
  for (const auto& op : std::vector<std::function<Var(const Var&)>>{Relu, [](const Var& x) { return Sum(x); }, Flatten,
                                                                    [](const Var& x) { return Quantize(x, Sign()); }}) {
    const std::string error = Error([&](Tape& tape) { return op(tape.Input(Labels({1, 2}))); });
    EXPECT_NE(error.find(": an operand is int32 [2] on cpu; ops compute in float32 on cpu"), std::string::npos)
        << error;
  }
}

TEST_F(MisuseTest, BatchNorm) {
  for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
    SCOPED_TRACE(mode == Mode::kTrain ? "training" : "evaluation");
    const auto error = [&](Shape x, Shape gamma, Shape beta, Tensor mean, Tensor statistic,
                           BatchNormOptions options = {}) {
      Parameter running_mean = MakeParameter("bn/mean", std::move(mean));
      Parameter running_statistic = MakeParameter("bn/statistic", std::move(statistic));
      Tape tape(context_, mode);
      const Var y = ApplyBatchNorm(tape.Input(Tensor::Zeros(x)), tape.Input(Tensor::Zeros(gamma)),
                                   tape.Input(Tensor::Zeros(beta)), running_mean, running_statistic, options);
      EXPECT_EQ(y.shape(), Shape({0}));
      return std::string(tape.status().message());
    };
    const std::string end = " do not match; they have to be [batch, n] and [n]";
    const auto zeros = [](int64_t n) { return Filled({n}, 0); };
    const auto expect_mismatch = [&](const std::string& message) {
      EXPECT_EQ(message.rfind("batch_norm: input [2, 3]", 0), 0u) << message;
      EXPECT_NE(message.find(end), std::string::npos) << message;
    };
    expect_mismatch(error({2, 3}, {4}, {3}, zeros(3), zeros(3)));
    expect_mismatch(error({2, 3}, {3}, {3, 1}, zeros(3), zeros(3)));
    expect_mismatch(error({2, 3}, {3}, {3}, zeros(2), zeros(3)));
    expect_mismatch(error({2, 3}, {3}, {3}, zeros(3), zeros(2)));
    EXPECT_NE(error({2, 3}, {3}, {3}, Tensor(), zeros(3)), "");
    EXPECT_NE(error({2, 3}, {3}, {3}, zeros(3), Tensor()), "");
    EXPECT_NE(error({}, {1}, {1}, zeros(1), zeros(1)), "");
    EXPECT_EQ(error({2, 3}, {3}, {3}, zeros(3), zeros(3), {.epsilon = -1, .momentum = 0.5f}),
              "batch_norm: epsilon -1 and momentum 0.5 have to be >= 0 and in [0, 1]");
    EXPECT_EQ(error({2, 3}, {3}, {3}, zeros(3), zeros(3), {.epsilon = 1, .momentum = 1.5f}),
              "batch_norm: epsilon 1 and momentum 1.5 have to be >= 0 and in [0, 1]");
    EXPECT_EQ(error({2, 3}, {3}, {3}, zeros(3), zeros(3), {.epsilon = std::nanf(""), .momentum = 1}),
              "batch_norm: epsilon nan and momentum 1 have to be >= 0 and in [0, 1]");
  }
  Parameter mean = MakeParameter("bn/mean", Filled({3}, 0));
  Parameter variance = MakeParameter("bn/variance", Filled({3}, 1));
  const auto normalize = [&](const BatchNormOptions& options) {
    return [&, options](V v) { return ApplyBatchNorm(v[0], v[1], v[2], mean, variance, options); };
  };
  for (const RunningStatistic statistic : {RunningStatistic::kStd, RunningStatistic::kInverseStd}) {
    EXPECT_EQ(Error({{2, 3}, {3}, {3}}, normalize({.statistic = statistic, .unbiased = true})),
              "batch_norm: unbiased is for running statistics of the variance");
  }
  EXPECT_EQ(Error({{1, 3}, {3}, {3}}, normalize({.unbiased = true})), "batch_norm: one row has no unbiased variance");
  for (const BatchNormArithmetic arithmetic : {BatchNormArithmetic::kShiftPaper, BatchNormArithmetic::kShiftTorch}) {
    for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
      EXPECT_EQ(Error({{2, 3}, {3}, {3}},
                      normalize({.placement = EpsilonPlacement::kOutsideRoot, .arithmetic = arithmetic}), mode),
                "batch_norm: shifts need epsilon inside the root, 1 / sqrt(variance + epsilon)");
    }
  }
  for (const DType dtype : {DType::kUint8, DType::kInt32, DType::kInt64}) {
    for (Parameter* state : {&mean, &variance}) {
      const Tensor before = std::exchange(state->value, Tensor::Zeros({3}, dtype));
      for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
        EXPECT_EQ(Error({{2, 3}, {3}, {3}}, normalize({}), mode),
                  absl::StrCat("batch_norm: the tensor of running_", state == &mean ? "mean" : "statistic", " is ",
                               Name(dtype), " [3] on cpu; it has to be float32 [3] on cpu"));
      }
      state->value = before.Alias();
    }
  }
  EXPECT_EQ(Error({{0, 3}, {3}, {3}}, [&](V v) { return ApplyBatchNorm(v[0], v[1], v[2], mean, variance); }),
            "batch_norm: the batch is empty");
  EXPECT_EQ(ValuesOf(mean.value), std::vector<float>(3, 0)) << "a failed op changed running statistics";
}

// ---- Empty batches ------------------------------------------------------------------------------------

TEST_F(MisuseTest, EmptyBatchesPassThrough) {
  Parameter weight = MakeParameter("weight", Filled({4, 3}, 0.5f));
  Parameter bias = MakeParameter("bias", Filled({4}, 0.5f));
  for (const ProductQuantizers& quantizers :
       {ProductQuantizers{}, ProductQuantizers{.input = Sign(), .weight = Sign(), .gradient = DorefaGradient(2)}}) {
    Tape tape(context_);
    const Var x = tape.Differentiable(Tensor::Zeros({0, 3, 1}));
    const Var flat = Flatten(x);
    EXPECT_EQ(flat.shape(), Shape({0, 3}));
    Var y = Add(QuantizedLinear(flat, tape.Use(weight), quantizers), tape.Use(bias));
    y = Tanh(ApplyDropout(Concat({y, Relu(y)}), 0.5f));
    y = MatMul(y, tape.Input(Filled({8, 2}, 1)));
    EXPECT_EQ(y.shape(), Shape({0, 2}));
    const Var loss = Sum(Quantize(y, Sign()));
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    EXPECT_EQ(ValuesOf(**tape.Value(loss)), std::vector<float>{0});
    EXPECT_EQ(ValuesOf(weight.gradient), std::vector<float>(12, 0));
    EXPECT_EQ(ValuesOf(bias.gradient), std::vector<float>(4, 0));
    EXPECT_EQ((*tape.Gradient(x))->shape(), Shape({0, 3, 1}));
  }
}

TEST_F(MisuseTest, FlattenKeepsTheBatch) {
  Tape tape(context_);
  const auto flat = [&](Shape shape) { return Flatten(tape.Input(Tensor::Zeros(shape))).shape(); };
  EXPECT_EQ(flat({5, 2, 3}), Shape({5, 6}));
  EXPECT_EQ(flat({5}), Shape({5, 1}));
  EXPECT_EQ(flat({}), Shape({1, 1}));
  EXPECT_EQ(flat({0, 2, 3}), Shape({0, 6}));
  EXPECT_EQ(flat({0}), Shape({0, 1}));
  EXPECT_EQ(flat({5, 0, 3}), Shape({5, 0}));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
}

}  // namespace
}  // namespace bitgrad
