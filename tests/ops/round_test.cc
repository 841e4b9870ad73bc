// Rounding as an op, maxout, and dropout that is scaled in evaluation.

#include "bitgrad/ops/round.h"

#include <cmath>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/maxout.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/number_format.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

class RoundTest : public OnTestDevice<testing::Test> {
 protected:
  Tensor OnDevice(const Tensor& host) { return ToDevice(context_, host); }
  std::vector<float> OnHost(const Tensor& tensor) { return ValuesOf(ToHost(context_, tensor)); }
  std::vector<float> Values(Tape& tape, const Var& x) { return OnHost(**tape.Value(x)); }

  // A dynamic group with this range.
  struct Dynamic {
    Parameter range, overflows;
    NumberGroup group;
  };
  void Make(Dynamic& dynamic, int bits, float range) {
    dynamic.range = MakeParameter("range", OnDevice(Filled({}, range)));
    dynamic.overflows = MakeParameter("overflows", OnDevice(Filled({3}, 0)));
    dynamic.range.overflows = &dynamic.overflows;
    dynamic.group = {{NumberFormatKind::kDynamicFixed, bits}, &dynamic.range, &dynamic.overflows};
  }

  ExecContext context_{{.device = TestDevice(), .threads = 2, .seed = 5}};
  TestRandom random_{1};
};

TEST_F(RoundTest, RoundsTheValueAndTheGradient) {
  const NumberFormat half{NumberFormatKind::kHalf}, fixed{NumberFormatKind::kFixed, 6, 0};
  const Tensor x = random_.UniformTensor({7, 33}), weights = random_.UniformTensor({7, 33});
  Tape tape(context_);
  const Var leaf = tape.Differentiable(OnDevice(x));
  const Var y = Round(leaf, {.format = half}, {.format = fixed});
  ASSERT_TRUE(tape.Backward(Sum(Mul(y, tape.Input(OnDevice(weights))))).ok()) << tape.status();
  const std::vector<float> values = Values(tape, y), gradient = OnHost(**tape.Gradient(leaf));
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    EXPECT_EQ(values[i], reference::RoundToFormat(half, x.data<float>()[i]));
    EXPECT_EQ(gradient[i], reference::RoundToFormat(fixed, weights.data<float>()[i])) << "the loss's, rounded";
  }
}

// The gradient passes where the value was clipped, and unrounded without a format for it; without formats nothing is
// recorded, and in evaluation gradients' formats do not matter.
TEST_F(RoundTest, StraightThrough) {
  const NumberFormat fixed{NumberFormatKind::kFixed, 4, 0};
  Tape tape(context_);
  const Var leaf = tape.Differentiable(OnDevice(Filled({3}, 5)));
  const Var y = Round(leaf, {.format = fixed});
  EXPECT_EQ(Values(tape, y), (std::vector<float>(3, 0.875f)));
  EXPECT_EQ(Round(y, {}, {}).index(), y.index());
  ASSERT_TRUE(tape.Backward(Sum(y)).ok());
  EXPECT_EQ(OnHost(**tape.Gradient(leaf)), (std::vector<float>{1, 1, 1}));
  Tape evaluation(context_, Mode::kEval);
  const Var x = evaluation.Input(OnDevice(Filled({3}, 0.3f)));
  EXPECT_EQ(Round(x, {}, {.format = fixed}).index(), x.index());
}

// Training counts, evaluation does not; ranges follow what was counted, each after its own number of steps.
TEST_F(RoundTest, DynamicRanges) {
  Dynamic wide, narrow;
  Make(wide, 8, 1);
  Make(narrow, 8, 1);
  wide.range.range_control = {.most_overflow = 1e-4, .batches = 2};
  narrow.range.range_control = {.most_overflow = 1e-4, .batches = 1};
  const std::vector<Parameter*> parameters = {&wide.range, &wide.overflows, &narrow.range, &narrow.overflows};
  const Tensor large = OnDevice(Filled({50}, 3)), small = OnDevice(Filled({50}, 0.1f));
  const auto step = [&](Mode mode) {
    Tape tape(context_, mode);
    EXPECT_EQ(Values(tape, Round(tape.Input(large), wide.group)).size(), 50u);
    EXPECT_EQ(Values(tape, Round(tape.Input(small), narrow.group)).size(), 50u);
  };
  step(Mode::kEval);
  EXPECT_EQ(OnHost(wide.overflows.value), (std::vector<float>{0, 0, 0}));
  step(Mode::kTrain);
  EXPECT_EQ(OnHost(wide.overflows.value), (std::vector<float>{1, 1, 1}));
  AdjustRanges(context_, parameters);
  EXPECT_EQ(OnHost(wide.range.value), (std::vector<float>{1})) << "after two steps";
  EXPECT_EQ(OnHost(narrow.range.value), (std::vector<float>{0}));
  step(Mode::kTrain);
  AdjustRanges(context_, parameters);
  EXPECT_EQ(OnHost(wide.range.value), (std::vector<float>{2}));
  EXPECT_EQ(OnHost(narrow.range.value), (std::vector<float>{-1}));
  EXPECT_EQ(OnHost(wide.overflows.value), (std::vector<float>{0, 0, 0}));
  Tape tape(context_);
  EXPECT_EQ(Values(tape, Round(tape.Input(large), wide.group)), (std::vector<float>(50, 3))) << "it fits now";
}

TEST_F(RoundTest, MaxoutIsTheLargestPiece) {
  for (const Shape& shape : {Shape({5, 12}), Shape({2, 3, 4, 12})}) {
    const int64_t pieces = 3, units = 4;
    const Tensor x = random_.UniformTensor(shape);
    Tape tape(context_);
    const Var leaf = tape.Differentiable(OnDevice(x));
    const Var y = Maxout(leaf, pieces);
    ASSERT_TRUE(tape.status().ok()) << tape.status();
    EXPECT_EQ(y.shape().dim(y.shape().rank() - 1), units);
    EXPECT_EQ(y.shape().rank(), shape.rank());
    ASSERT_TRUE(tape.Backward(Sum(Mul(y, y))).ok()) << tape.status();
    const std::vector<float> values = Values(tape, y), gradient = OnHost(**tape.Gradient(leaf));
    for (int64_t i = 0; i < x.num_elements() / 12; ++i) {
      for (int64_t j = 0; j < units; ++j) {
        int64_t largest = 0;
        const auto at = [&](int64_t p) { return x.data<float>()[12 * i + units * p + j]; };
        for (int64_t p = 1; p < pieces; ++p) largest = at(p) > at(largest) ? p : largest;
        EXPECT_EQ(values[units * i + j], at(largest));
        for (int64_t p = 0; p < pieces; ++p) {
          EXPECT_EQ(gradient[12 * i + units * p + j], p == largest ? 2 * at(p) : 0);
        }
      }
    }
  }
}

TEST_F(RoundTest, MaxoutSaysWhatIsWrong) {
  const auto error = [&](const Shape& shape, int64_t pieces) {
    Tape tape(context_);
    Maxout(tape.Input(OnDevice(Filled(shape, 1))), pieces);
    return std::string(tape.status().message());
  };
  EXPECT_EQ(error({2, 10}, 3), "maxout: input [2, 10] has to be [batch, .., a multiple of 3], and not empty");
  EXPECT_EQ(error({6}, 3), "maxout: input [6] has to be [batch, .., a multiple of 3], and not empty");
  EXPECT_EQ(error({2, 6}, 0), "maxout: pieces is 0; it has to be in [1, 256]");
  EXPECT_EQ(error({2, 514}, 257), "maxout: pieces is 257; it has to be in [1, 256]");
}

// In training what is kept is not scaled, in evaluation everything is.
TEST_F(RoundTest, DropoutScaledInEvaluation) {
  constexpr float kKeep = 0.5f;
  Tape tape(context_);
  const Var leaf = tape.Differentiable(OnDevice(Filled({20, 50}, 3)));
  const Var y = ApplyDropout(leaf, kKeep, DropoutScaling::kInEvaluation);
  ASSERT_TRUE(tape.Backward(Sum(y)).ok());
  const std::vector<float> values = Values(tape, y), gradient = OnHost(**tape.Gradient(leaf));
  int kept = 0;
  for (size_t i = 0; i < values.size(); ++i) {
    EXPECT_TRUE(values[i] == 0 || values[i] == 3);
    EXPECT_EQ(gradient[i], values[i] / 3);
    kept += values[i] != 0;
  }
  EXPECT_NEAR(kept, 500, 80);
  Tape evaluation(context_, Mode::kEval);
  const Var x = evaluation.Input(OnDevice(Filled({2, 3, 4}, 3)));
  EXPECT_EQ(Values(evaluation, ApplyDropout(x, kKeep, DropoutScaling::kInEvaluation)), std::vector<float>(24, 1.5f));
}

}  // namespace
}  // namespace bitgrad
