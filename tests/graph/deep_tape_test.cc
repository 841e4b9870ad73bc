// A tape with a million nodes in one chain is recorded, run backward and destroyed without recursion.

#include <cstdint>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
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

}  // namespace
}  // namespace bitgrad
