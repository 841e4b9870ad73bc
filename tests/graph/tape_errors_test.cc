// Errors on the tape: the first error is kept, and every op after it does nothing and returns it.

#include <cmath>
#include <functional>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/optim/sgd.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

class TapeErrorsTest : public testing::Test {
 protected:
  ExecContext context_{{.threads = 1}};
  Parameter weight_ = MakeParameter("fc/weight", Filled({4, 3}, 1));
};

constexpr char kMismatch[] =
    "layer 'net/hidden1': linear: input [2, 5] and weight [4, 3] do not match; they have to be "
    "[batch, in] and [out, in]";

TEST_F(TapeErrorsTest, FirstErrorIsKeptAndReturnedByEverything) {
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({2, 5}, 1));
  Var y;
  {
    const Tape::LayerScope outer(tape, "net");
    const Tape::LayerScope layer(tape, "net/hidden1");
    y = Linear(x, tape.Use(weight_));
  }
  EXPECT_EQ(tape.layer(), "");
  EXPECT_EQ(tape.status().message(), kMismatch);
  EXPECT_EQ(tape.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(y.shape(), Shape({0}));
  EXPECT_EQ(y.tape(), &tape);

  // Later ops, on the failed value or on good ones, record nothing and do not replace the error.
  const size_t nodes = tape.nodes().size();
  Var loss;
  {
    const Tape::LayerScope layer(tape, "net/hidden2");
    const Var z = Add(Relu(y), x);
    const Var w = Mul(x, x);
    EXPECT_EQ(w.shape(), Shape({0}));
    EXPECT_EQ(tape.Input(Filled({1}, 1)).shape(), Shape({0}));
    EXPECT_EQ(tape.Use(weight_).shape(), Shape({0}));
    loss = Sum(z);
    tape.ReportError(absl::InternalError("another"));
  }
  EXPECT_EQ(tape.nodes().size(), nodes);
  EXPECT_EQ(tape.status().message(), kMismatch);
  EXPECT_EQ(tape.Backward(loss).message(), kMismatch);
  EXPECT_EQ(tape.Backward(Sum(x)).message(), kMismatch);
  EXPECT_EQ(tape.Value(x).status().message(), kMismatch);
  EXPECT_EQ(tape.Value(loss).status().message(), kMismatch);
  EXPECT_EQ(tape.Gradient(x).status().message(), kMismatch);
  EXPECT_TRUE(weight_.gradient.is_null());
}

TEST_F(TapeErrorsTest, ResetForgetsTheError) {
  Tape tape(context_);
  Linear(tape.Input(Filled({2, 5}, 1)), tape.Use(weight_));
  EXPECT_FALSE(tape.status().ok());
  tape.Reset();
  EXPECT_TRUE(tape.status().ok());
  const Var loss = Sum(Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_)));
  EXPECT_TRUE(tape.Backward(loss).ok()) << tape.status();
  EXPECT_EQ(ValuesOf(weight_.gradient), std::vector<float>(12, 2));
}

TEST_F(TapeErrorsTest, OpsAfterAnErrorChangeNoState) {
  Parameter mean = MakeParameter("bn/mean", Filled({3}, 0)), variance = MakeParameter("bn/v", Filled({3}, 1));
  Tape tape(context_);
  const Var x = tape.Input(Filled({2, 3}, 5)), vector = tape.Input(Filled({3}, 1));
  Mean(tape.Input(Tensor::Zeros({0})));
  EXPECT_FALSE(tape.status().ok());
  ApplyBatchNorm(x, vector, vector, mean, variance);
  EXPECT_EQ(ValuesOf(mean.value), std::vector<float>(3, 0));
  EXPECT_EQ(ValuesOf(variance.value), std::vector<float>(3, 1));
  EXPECT_EQ(tape.arithmetic().float_multiplications, 0);
}

TEST_F(TapeErrorsTest, ErrorsOfKernelsSurface) {
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({2}, 1));
  const Var loss = Sum(x);
  context_.ReportError(absl::UnimplementedError("kernel 'k' does not exist on cpu"));
  EXPECT_EQ(tape.status().message(), "kernel 'k' does not exist on cpu");
  EXPECT_EQ(tape.Value(x).status().message(), "kernel 'k' does not exist on cpu");
  EXPECT_EQ(tape.Backward(loss).message(), "kernel 'k' does not exist on cpu");
}

TEST_F(TapeErrorsTest, NullTensors) {
  Parameter empty;
  empty.name = "fc/bias";
  Tape tape(context_);
  EXPECT_EQ(tape.Use(empty).shape(), Shape({0}));
  EXPECT_EQ(tape.status().message(), "parameter 'fc/bias' has no value");
  tape.Reset();
  tape.Input(Tensor());
  EXPECT_EQ(tape.status().message(), "input: the tensor is null");
  tape.Reset();
  tape.Differentiable(Tensor());
  EXPECT_EQ(tape.status().message(), "input: the tensor is null");
}

// ---- Backward -----------------------------------------------------------------------------------------

TEST_F(TapeErrorsTest, BackwardTwice) {
  Tape tape(context_);
  const Var loss = Sum(Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_)));
  ASSERT_TRUE(tape.Backward(loss).ok());
  const std::string expected = "backward: it has run on this tape already; Reset() the tape or make another";
  EXPECT_EQ(tape.Backward(loss).message(), expected);
  EXPECT_EQ(tape.status().message(), expected);  // sticky as every error
  EXPECT_EQ(ValuesOf(weight_.gradient), std::vector<float>(12, 2)) << "added a second time";
}

TEST_F(TapeErrorsTest, LossIsNotOneNumber) {
  Tape tape(context_);
  const Var y = Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_));
  EXPECT_EQ(tape.Backward(y).message(), "backward: the loss has shape [2, 4]; it has to be one number");
  EXPECT_EQ(tape.status().message(), "backward: the loss has shape [2, 4]; it has to be one number");
  EXPECT_TRUE(weight_.gradient.is_null());
}

TEST_F(TapeErrorsTest, LossWithoutParameters) {
  Tape tape(context_);
  EXPECT_EQ(tape.Backward(Sum(tape.Input(Filled({2}, 1)))).message(), "backward: the loss depends on no parameter");
  EXPECT_FALSE(tape.status().ok());
  // State that is not learned is no parameter in this sense.
  tape.Reset();
  weight_.trainable = false;
  EXPECT_EQ(tape.Backward(Sum(tape.Use(weight_))).message(), "backward: the loss depends on no parameter");
  EXPECT_TRUE(weight_.gradient.is_null());
}

TEST_F(TapeErrorsTest, BackwardOfAnEvaluation) {
  Tape tape(context_, Mode::kEval);
  const Var loss = Sum(tape.Use(weight_));
  EXPECT_EQ(tape.Backward(loss).message(), "backward: the tape records an evaluation; use Mode::kTrain");
  EXPECT_FALSE(tape.status().ok());
}

TEST_F(TapeErrorsTest, NoGradientArrived) {
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({2}, 1)), unused = tape.Differentiable(Filled({2}, 1));
  const Var y = Relu(x);
  EXPECT_EQ(tape.Gradient(x).status().code(), absl::StatusCode::kNotFound);
  ASSERT_TRUE(tape.Backward(Sum(y)).ok());
  EXPECT_TRUE(tape.Gradient(x).ok());
  EXPECT_EQ(tape.Gradient(unused).status().code(), absl::StatusCode::kNotFound);
  EXPECT_EQ(tape.Gradient(y).status().code(), absl::StatusCode::kNotFound);
  EXPECT_TRUE(tape.status().ok()) << "asking for a gradient that is not there is not an error of the step";
}

// ---- Values that change under the tape ------------------------------------------------------------------

constexpr char kChanged[] =
    "parameter 'fc/weight' was changed after the tape had used it; run the forward pass again, on a tape of its own";

TEST_F(TapeErrorsTest, ParameterChangedBeforeBackward) {
  const std::function<void()> changes[] = {
      [&] { weight_.value.mutable_data<float>()[0] = 2; },
      [&] { weight_.value.Alias().mutable_data<float>()[0] = 2; },
      [&] {
        weight_.value = Filled({4, 3}, 1);
      },
      [&] {
        weight_.value = Filled({5, 3}, 1);
      },
      [&] {
        weight_.value = weight_.value.Alias({3, 4});
      },
      [&] {
        weight_.value = Tensor::Zeros({4, 3}, DType::kInt32);
      },
      [&] { weight_.value = Tensor(); },
  };
  for (const auto& change : changes) {
    weight_.value = Filled({4, 3}, 1);
    Tape tape(context_);
    const Var x = tape.Differentiable(Filled({2, 3}, 1));
    const Var loss = Sum(Linear(x, tape.Use(weight_)));
    change();
    EXPECT_EQ(tape.Backward(loss).message(), kChanged);
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_TRUE(weight_.gradient.is_null());
  }
  // Reading is no change, nor is one after the backward pass.
  weight_.value = Filled({4, 3}, 1);
  Tape tape(context_);
  const Var loss = Sum(Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_)));
  EXPECT_EQ(ValuesOf(weight_.value), std::vector<float>(12, 1));
  EXPECT_TRUE(tape.Backward(loss).ok()) << tape.status();
  weight_.value.mutable_data<float>()[0] = 2;
  tape.Reset();
  EXPECT_TRUE(tape.Backward(Sum(tape.Use(weight_))).ok()) << tape.status();
}

TEST_F(TapeErrorsTest, OptimizerBetweenForwardAndBackward) {
  const auto optimizer = *MakeSgd(context_, {.common = {.learning_rate = 0.1}});
  Tape first(context_), second(context_);
  const Var x = first.Input(Filled({2, 3}, 1)), y = second.Input(Filled({2, 3}, 1));
  const Var first_loss = Sum(Linear(x, first.Use(weight_))), second_loss = Sum(Linear(y, second.Use(weight_)));
  ASSERT_TRUE(first.Backward(first_loss).ok());
  Parameter* const parameters[] = {&weight_};
  ASSERT_TRUE(optimizer->Step(parameters).ok());
  EXPECT_EQ(second.Backward(second_loss).message(), kChanged);
}

TEST_F(TapeErrorsTest, ParameterChangedBetweenTwoUses) {
  for (const Mode mode : {Mode::kTrain, Mode::kEval}) {
    weight_.value = Filled({4, 3}, 1);
    Tape tape(context_, mode);
    Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_));
    weight_.value = Filled({40, 3}, 1);
    EXPECT_EQ(tape.Use(weight_).shape(), Shape({0}));
    EXPECT_EQ(tape.status().message(), kChanged);
  }
}

TEST_F(TapeErrorsTest, InputWrittenToBeforeBackward) {
  Tensor images = Filled({2, 3}, 1);
  Tape tape(context_);
  const Var loss = Sum(Linear(tape.Input(images), tape.Use(weight_)));
  images.mutable_data<float>()[0] = 5;
  EXPECT_EQ(tape.Backward(loss).message(),
            "an input [2, 3] was written to after the tape had taken it; give the tape a tensor that stays as it is "
            "until Backward() has run");
  EXPECT_TRUE(weight_.gradient.is_null());
  // Memory that the tape's user has given back may be written to by whoever has it now.
  tape.Reset();
  Var again;
  {
    const Tensor temporary = Filled({4, 3}, 1);
    again = Mul(tape.Use(weight_), tape.Input(temporary));
  }
  EXPECT_TRUE(tape.Backward(Sum(again)).ok()) << tape.status();
}

// ---- Gradients that do not fit --------------------------------------------------------------------------

TEST_F(TapeErrorsTest, GradientFromBeforeThatDoesNotFit) {
  const std::pair<Tensor, std::string> gradients[] = {
      {Tensor::Zeros({3, 4}), "float32 [3, 4] on cpu"},
      {Tensor::Zeros({1}), "float32 [1] on cpu"},
      {Tensor::Zeros({4, 3}, DType::kUint8), "uint8 [4, 3] on cpu"},
  };
  for (const auto& [gradient, what] : gradients) {
    weight_.gradient = gradient.Alias();
    Tape tape(context_);
    const Var x = tape.Differentiable(Filled({2, 3}, 1));
    const Var loss = Sum(Linear(x, tape.Use(weight_)));
    EXPECT_EQ(tape.Backward(loss).message(),
              "backward: parameter 'fc/weight' has a gradient from before that is " + what +
                  ", its value is [4, 3]; drop the gradient (DropGradient()) where the value gets another shape");
    EXPECT_EQ(tape.nodes()[x.index()].gradient.is_null(), true) << "half done";
  }
  // The value's shape changes, and the gradient is that of the old one.
  weight_.gradient = Filled({4, 3}, 1);
  weight_.value = Filled({400, 3}, 1);
  Tape tape(context_);
  const Var loss = Sum(Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_)));
  EXPECT_FALSE(tape.Backward(loss).ok());
  EXPECT_EQ(ValuesOf(weight_.gradient), std::vector<float>(12, 1));
}

// An op of the user's own whose backward function is wrong.
TEST_F(TapeErrorsTest, BackwardFunctionThatAddsWhatDoesNotFit) {
  const std::pair<std::function<Tensor()>, std::string> gradients[] = {
      {[] { return Tensor(); }, "null"},
      {[] { return Tensor::Zeros({3}); }, "float32 [3] on cpu"},
      {[] { return Tensor::Zeros({2}, DType::kInt32); }, "int32 [2] on cpu"},
  };
  for (const auto& [make, what] : gradients) {
    Tape tape(context_);
    const Var x = tape.Differentiable(Filled({2}, 1)), c = tape.Input(Filled({2}, 1));
    const Var h = Relu(x);
    const auto add = [&make = make](Tape::GradientSink& sink) { sink.Add(0, make()); };
    const Var y = tape.Record({.op = "mine"}, {h, c}, Filled({2}, 1), add, nullptr);
    EXPECT_EQ(tape.Backward(Sum(y)).message(), "backward of mine: the gradient of operand 0 is " + what +
                                                   ", the operand is [2]; Add() takes float32 of that shape on the "
                                                   "tape's device");
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kInternal);
  }
  Tape tape(context_);
  const Var x = tape.Differentiable(Filled({2}, 1)), c = tape.Input(Filled({2}, 1));
  const auto add = [](Tape::GradientSink& sink) { sink.Add(1, Filled({2}, 1)); };
  const Var y = tape.Record({.op = "mine"}, {x, c}, Filled({2}, 1), add, nullptr);
  EXPECT_EQ(tape.Backward(Sum(y)).message(),
            "backward of mine: the gradient of operand 1 is float32 [2] on cpu, the operand wants none and is [2]; "
            "Add() takes float32 of that shape on the tape's device");
}

// ---- Options of the context -----------------------------------------------------------------------------

TEST_F(TapeErrorsTest, MoreThreadsThanThereCanBe) {
  for (const int threads : {100'000, 1025, -1}) {
    ExecContext context({.threads = threads});
    const std::string expected =
        "threads: " + std::to_string(threads) + " is not in [0, 1024]; 0 stands for one per hardware thread";
    EXPECT_EQ(context.status().message(), expected);
    Tape tape(context);
    const Var loss = Sum(Linear(tape.Input(Filled({2, 3}, 1)), tape.Use(weight_)));
    EXPECT_EQ(tape.Backward(loss).message(), expected);
  }
  EXPECT_TRUE(ExecContext({.threads = 0}).status().ok());
  EXPECT_TRUE(ExecContext({.threads = ExecContext::kMaxThreads}).status().ok());
}

// ---- Finite values ------------------------------------------------------------------------------------

TEST_F(TapeErrorsTest, CheckFiniteNamesOpAndLayer) {
  const float huge = std::numeric_limits<float>::max();
  for (const bool check : {false, true}) {
    Tape tape(context_);
    tape.set_check_finite(check);
    Var x = tape.Input(Filled({2}, huge));
    {
      const Tape::LayerScope layer(tape, "hidden1");
      x = Sub(x, x);
    }
    {
      const Tape::LayerScope layer(tape, "hidden2");
      x = Mul(Add(x, tape.Input(Filled({2}, huge))), tape.Input(Filled({2}, 2)));
    }
    {
      const Tape::LayerScope layer(tape, "hidden3");
      x = Sub(x, x);  // NaN of infinities
    }
    if (!check) {
      EXPECT_TRUE(tape.status().ok());
      EXPECT_TRUE(std::isnan((*tape.Value(x))->data<float>()[0]));
      continue;
    }
    EXPECT_EQ(tape.status().code(), absl::StatusCode::kOutOfRange);
    EXPECT_EQ(tape.status().message(), "layer 'hidden2': mul: the value has a NaN or an infinity");
  }
}

// A diverged training has NaN in its parameters.
TEST_F(TapeErrorsTest, CheckFiniteNamesTheParameter) {
  weight_.value.mutable_data<float>()[5] = std::nanf("");
  Tape tape(context_);
  tape.set_check_finite(true);
  Var w;
  {
    const Tape::LayerScope layer(tape, "fc");
    w = tape.Use(weight_);
  }
  EXPECT_EQ(w.shape(), Shape({0}));
  EXPECT_EQ(tape.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_EQ(tape.status().message(), "layer 'fc': parameter 'fc/weight' has a NaN or an infinity");
  EXPECT_EQ(Linear(tape.Input(Filled({2, 3}, 1)), w).shape(), Shape({0}));
}

TEST_F(TapeErrorsTest, CheckFiniteStaysAfterReset) {
  Tape tape(context_);
  tape.set_check_finite(true);
  tape.Reset();
  tape.Differentiable(Filled({1}, std::nanf("")));
  EXPECT_EQ(tape.status().message(), "input: the value has a NaN or an infinity");
}

}  // namespace
}  // namespace bitgrad
