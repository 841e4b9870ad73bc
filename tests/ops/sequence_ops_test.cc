// The ops of sequences on odd shapes: values and gradients against their formulas in double precision; and that the
// parts of a tensor share one gradient.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/embedding.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/ops/stack.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using Vars = absl::Span<const Var>;
using Array = std::vector<double>;

// An op, made for a first operand of [m, n].
struct OpCase {
  const char* name;
  std::function<GradientCase(int64_t m, int64_t n)> make;
};

// Parts of x [m, n], which overlap and together leave some elements out: times 1, 2, .. and joined, so that each has
// a gradient of its own. `columns` says which dimension is cut.
OpCase SliceCase(const char* name, bool columns) {
  return {name, [=](int64_t m, int64_t n) {
            const int64_t extent = columns ? n : m, outer = columns ? m : 1, inner = columns ? 1 : n;
            struct Part {
              int64_t begin, size;
            };
            const std::vector<Part> parts = {
                {0, extent}, {extent / 2, extent - extent / 2}, {extent / 3, extent / 3}, {extent, 0}};
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op =
                                    [=](Vars v) {
                                      std::vector<Var> joined;
                                      for (size_t k = 0; k < parts.size(); ++k) {
                                        const auto [begin, size] = parts[k];
                                        const Var part =
                                            columns ? SliceColumns(v[0], begin, size) : Slice(v[0], begin, size);
                                        joined.push_back(Reshape(part, {1, part.shape().num_elements()}));
                                        for (size_t i = 0; i < k; ++i)
                                          joined.back() = Add(joined.back(), joined.back());
                                      }
                                      return Concat(joined);
                                    },
                                .value =
                                    [=](const Doubles& v) {
                                      Array y;
                                      for (size_t k = 0; k < parts.size(); ++k) {
                                        const auto [begin, size] = parts[k];
                                        for (int64_t i = 0; i < outer; ++i) {
                                          for (int64_t j = begin * inner; j < (begin + size) * inner; ++j) {
                                            y.push_back(v[0][i * extent * inner + j] * std::pow(2.0, k));
                                          }
                                        }
                                      }
                                      return y;
                                    },
                                .roundings = 4};
          }};
}

// [m, n, 2] cut into its time steps and joined again, the last one first, so that it is no copy.
OpCase StepsCase() {
  return {"step_and_stack", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n, 2}}},
                                .op =
                                    [m](Vars v) {
                                      std::vector<Var> steps;
                                      for (int64_t i = m - 1; i >= 0; --i) steps.push_back(Step(v[0], i));
                                      return Stack(steps);
                                    },
                                .value =
                                    [=](const Doubles& v) {
                                      Array y;
                                      for (int64_t i = m - 1; i >= 0; --i) {
                                        y.insert(y.end(), v[0].begin() + i * n * 2, v[0].begin() + (i + 1) * n * 2);
                                      }
                                      return y;
                                    },
                                .roundings = 1};
          }};
}

// Several operands, one of them twice.
OpCase StackCase() {
  return {"stack", [](int64_t m, int64_t n) {
            return GradientCase{.operands = {{.shape = {m, n}}, {.shape = {m, n}}},
                                .op =
                                    [](Vars v) {
                                      return Stack({v[1], v[0], v[1]});
                                    },
                                .value =
                                    [](const Doubles& v) {
                                      Array y = v[1];
                                      y.insert(y.end(), v[0].begin(), v[0].end());
                                      y.insert(y.end(), v[1].begin(), v[1].end());
                                      return y;
                                    },
                                .roundings = 3};
          }};
}

// ids [2, 2 m + 1] of a table [m, n]: rows that occur several times, and, where there are several, one that does not.
OpCase EmbeddingCase() {
  return {"embedding", [](int64_t m, int64_t n) {
            const int64_t count = 2 * (2 * m + 1);
            const auto id = [m](int64_t i) { return static_cast<int32_t>(i * i % std::max<int64_t>(1, m - 1)); };
            return GradientCase{.operands = {{.shape = {m, n}}},
                                .op =
                                    [=](Vars v) {
                                      std::vector<int32_t> ids;
                                      for (int64_t i = 0; i < count; ++i) ids.push_back(id(i));
                                      Tape& tape = *v[0].tape();
                                      const Tensor tensor = Labels(ids).Alias({2, count / 2});
                                      return Embedding(tape.Input(ToDevice(tape.context(), tensor)), v[0]);
                                    },
                                .value =
                                    [=](const Doubles& v) {
                                      Array y;
                                      for (int64_t i = 0; i < count; ++i) {
                                        for (int64_t j = 0; j < n; ++j) y.push_back(v[0][id(i) * n + j]);
                                      }
                                      return y;
                                    },
                                .roundings = 2.0 + static_cast<double>(count)};
          }};
}

class SequenceOpsTest : public OnTestDevice<testing::Test> {};

TEST_F(SequenceOpsTest, AgreeWithDoublePrecision) {
  constexpr int64_t kShapes[][2] = {{1, 1}, {1, 7}, {3, 5}, {2, 65}, {33, 17}};
  for (const OpCase& op :
       {SliceCase("slice", false), SliceCase("slice_columns", true), StepsCase(), StackCase(), EmbeddingCase()}) {
    uint64_t seed = 1;
    for (const auto& [m, n] : kShapes) {
      SCOPED_TRACE(Shape({m, n}).ToString());
      GradientCase c = op.make(m, n);
      c.name = op.name;
      CheckGradients(c, seed++);
      if (HasFatalFailure()) return;
    }
  }
}

// The attributes that freezing reads.
TEST_F(SequenceOpsTest, Descriptors) {
  ExecContext context({.device = TestDevice(), .threads = 1});
  Tape tape(context, Mode::kEval);
  const Var x = tape.Input(ToDevice(context, Filled({5, 4, 6}, 1)));
  const auto node = [&](const Var& var) -> const Tape::Node& { return tape.nodes()[var.index()]; };
  const OpDescriptor slice = node(Slice(x, 1, 3)).descriptor;
  EXPECT_EQ(slice.op, "slice");
  EXPECT_EQ(slice.Get<int64_t>("begin", -1), 1);
  EXPECT_EQ(slice.Get<int64_t>("size", -1), 3);
  const OpDescriptor columns = node(SliceColumns(x, 2, 4)).descriptor;
  EXPECT_EQ(columns.op, "slice_columns");
  EXPECT_EQ(columns.Get<int64_t>("begin", -1), 2);
  EXPECT_EQ(columns.Get<int64_t>("size", -1), 4);
  EXPECT_EQ(node(Stack({x, x})).descriptor.op, "stack");
  const Var ids = tape.Input(ToDevice(context, Labels({1, 0})));
  const Var table = tape.Input(ToDevice(context, Filled({2, 3}, 1)));
  const Tape::Node& embedding = node(Embedding(ids, table));
  EXPECT_EQ(embedding.descriptor.op, "embedding");
  ASSERT_EQ(embedding.inputs.size(), 2u);
  EXPECT_EQ(embedding.inputs[0], ids.index());
  EXPECT_EQ(embedding.inputs[1], table.index());
}

// A sequence that is cut into its steps: the backward pass holds one gradient of the sequence, and those of single
// steps, whatever the number of steps.
TEST_F(SequenceOpsTest, PartsShareOneGradient) {
  ExecContext context({.device = TestDevice(), .threads = 1});
  constexpr int64_t kSteps = 64, kSize = 1 << 12;
  const Tensor x = ToDevice(context, Filled({kSteps, 2, kSize / 2}, 1));
  Tape tape(context);
  const Var leaf = tape.Differentiable(x);
  const Var sequence = Mul(leaf, tape.Input(x));
  Var sum = Step(sequence, 0);
  for (int64_t i = 1; i < kSteps; ++i) sum = Add(sum, Step(sequence, i));
  const Var loss = Sum(sum);
  const size_t before = context.allocator().peak_bytes();
  ASSERT_TRUE(tape.Backward(loss).ok());
  const size_t after = context.allocator().peak_bytes();
  EXPECT_LT(after - std::min(after, before), 3 * kSteps * kSize * sizeof(float));
  EXPECT_EQ(ValuesOf(ToHost(context, **tape.Gradient(leaf))), std::vector<float>(kSteps * kSize, 1));
}

}  // namespace
}  // namespace bitgrad
