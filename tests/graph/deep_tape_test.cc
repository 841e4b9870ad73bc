// Long chains of nodes: recorded, run backward and destroyed, all by loops or in a bounded number of nested calls.

#include <cstdint>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/pool.h"
#include "bitgrad/ops/quantized_product.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kNodes = 1'000'000;

TEST(DeepTapeTest, BackwardThroughAMillionNodes) {
  ExecContext context({.threads = 1});
  {
    Tape tape(context);
    const Var x = tape.Differentiable(Filled({1}, 0.5f));
    const Var c = tape.Differentiable(Filled({1}, 0));
    Var y = x;
    int64_t uses = 0;
    while (static_cast<int64_t>(tape.nodes().size()) < kNodes) {
      y = Relu(Add(y, c));
      ++uses;
    }
    ASSERT_TRUE(tape.Backward(y).ok()) << tape.status();
    EXPECT_EQ(ValuesOf(**tape.Gradient(x)), std::vector<float>{1});
    // One from each Add; sums of ones are exact below 2^24.
    EXPECT_EQ(ValuesOf(**tape.Gradient(c)), std::vector<float>{static_cast<float>(uses)});
  }
  EXPECT_EQ(context.allocator().live_bytes(), 0u);
}

TEST(DeepTapeTest, DestroyedWithoutBackward) {
  ExecContext context({.threads = 1});
  Var last;
  {
    Tape tape(context);
    Var y = tape.Differentiable(Filled({1}, 0.5f));
    while (static_cast<int64_t>(tape.nodes().size()) < kNodes) y = Sigmoid(y);
    last = y;
  }
  EXPECT_EQ(context.allocator().live_bytes(), 0u);
  EXPECT_EQ(last.tape(), nullptr);
}

// The output of a binary convolution is computed again for the backward pass rather than kept, and so is that of pools
// behind it, each from the one before.
TEST(DeepTapeTest, AHundredThousandPoolsThatAreRecomputed) {
  ExecContext context({.threads = 1});
  Parameter mean = MakeParameter("mean", Filled({1}, 0)), variance = MakeParameter("variance", Filled({1}, 1));
  {
    Tape tape(context);
    const Var x = tape.Differentiable(Filled({1, 2, 2, 1}, 0.5f)), one = tape.Input(Filled({1}, 1));
    const Var w = tape.Differentiable(Filled({1, 1, 1, 1}, 0.5f));
    Var y = QuantizedConvolution(x, w, {}, {.input = Sign(), .weight = Sign()});
    for (int i = 0; i < 100'000; ++i) {
      y = MaxPool(y, {.kernel = 1, .stride = 1});
      // Batch norm's backward function asks for its input again.
      if (i < 20 || i >= 99'990) ApplyBatchNorm(y, one, one, mean, variance);
    }
    const Var loss = Sum(ApplyBatchNorm(y, one, tape.Differentiable(Filled({1}, 0)), mean, variance));
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    EXPECT_EQ((*tape.Gradient(x))->shape(), Shape({1, 2, 2, 1}));
  }
  EXPECT_EQ(context.allocator().live_bytes(), 0u);
}

}  // namespace
}  // namespace bitgrad
