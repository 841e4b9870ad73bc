// Errors on the tape: the first error is kept, and every op after it does nothing and returns it.

#include <cmath>
#include <limits>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/reduce.h"
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
    const Tape::Layer outer(tape, "net");
    const Tape::Layer layer(tape, "net/hidden1");
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
    const Tape::Layer layer(tape, "net/hidden2");
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
  const std::string expected = "backward: already run on this recording; Reset() the tape or record again";
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

// ---- Finite values ------------------------------------------------------------------------------------

TEST_F(TapeErrorsTest, CheckFiniteNamesOpAndLayer) {
  const float huge = std::numeric_limits<float>::max();
  for (const bool check : {false, true}) {
    Tape tape(context_);
    tape.set_check_finite(check);
    Var x = tape.Input(Filled({2}, huge));
    {
      const Tape::Layer layer(tape, "hidden1");
      x = Sub(x, x);
    }
    {
      const Tape::Layer layer(tape, "hidden2");
      x = Mul(Add(x, tape.Input(Filled({2}, huge))), tape.Input(Filled({2}, 2)));
    }
    {
      const Tape::Layer layer(tape, "hidden3");
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
    const Tape::Layer layer(tape, "fc");
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
