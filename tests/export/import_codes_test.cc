// What has codes, and of which scale, behind ops that change either: small graphs, with the expected numbers computed
// by hand.

#include <string>
#include <vector>

#include "bitgrad/export/import_onnx.h"
#include "bitgrad/tests/export/import_answers.h"
#include "bitgrad/tests/export/import_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// The numbers, and how many products multiply codes.
void ExpectPacked(TestGraph& graph, const Dims& dims, const std::vector<double>& x, const std::vector<double>& y,
                  int packed) {
  ImportReport report;
  const absl::StatusOr<TestValue> answer = ImportAndRun(graph.model(), {.dims = dims, .data = x}, &report);
  ASSERT_TRUE(answer.ok()) << answer.status();
  EXPECT_EQ(answer->data, y);
  EXPECT_EQ(report.packed(), packed);
}

// 2 x w + 3 b with x = (1, -1), w = 0.5 times codes.
TEST(ImportCodesTest, GemmsAlphaAndBetaOfCodes) {
  TestGraph graph({1, 2});
  const std::string w = graph.Quant(graph.Floats({2, 2}, {0.5f, -1, 1.5f, 0.5f}), 0.5f, 3, true, true);
  graph.Node("Gemm", {graph.Node("BipolarQuant", {"x", graph.Number(1)}), w, graph.Floats({2}, {10, 20})});
  graph.Set("alpha", 2.0f);
  graph.Set("beta", 3.0f);
  ExpectPacked(graph, {1, 2}, {1, -1}, {2 * (0.5 - 1.5) + 30, 2 * (-1 - 0.5) + 60}, 1);
}

// The scales go with the outputs, which are the rows before the transposition and the columns behind it.
TEST(ImportCodesTest, ScalesOfOutputsAreTransposedWithTheWeight) {
  TestGraph graph({1, 3});
  const std::string w =
      graph.Quant(graph.Floats({2, 3}, {1, -1, 2, 10, 20, -10}), graph.Floats({2, 1}, {1, 10}), 3, true, true);
  const std::string turned = graph.Node("Transpose", {w});
  graph.Node("MatMul", {graph.Node("BipolarQuant", {"x", graph.Number(1)}), turned});
  ExpectPacked(graph, {1, 3}, {1, 1, 1}, {2, 20}, 1);
  // In another shape they are none of outputs any more.
  TestGraph mixed({1, 2});
  const std::string v =
      mixed.Quant(mixed.Floats({2, 3}, {1, -1, 2, 10, 20, -10}), mixed.Floats({2, 1}, {1, 10}), 3, true, true);
  const std::string reshaped = mixed.Node("Reshape", {mixed.Node("Transpose", {v}), mixed.Ints({2, 3})});
  mixed.Node("MatMul", {mixed.Node("BipolarQuant", {"x", mixed.Number(1)}), reshaped});
  // The transposed weight is 1 10 -1 20 2 -10, in rows of three.
  ExpectPacked(mixed, {1, 2}, {1, 1}, {1 + 20, 10 + 2, -1 - 10}, 0);
}

TEST(ImportCodesTest, RoundLeavesWholeSumsAloneAndNoOthers) {
  const auto net = [](float scale_of_x, const std::vector<float>& scales, float bias) {
    TestGraph graph({1, 2});
    const std::string w =
        graph.Node("BipolarQuant", {graph.Floats({2, 2}, {1, -1, 1, 1}), graph.Floats({1, 2}, scales)});
    const std::string x = graph.Node("BipolarQuant", {"x", graph.Number(scale_of_x)});
    graph.Node("Round", {graph.Node("Gemm", {x, w, graph.Floats({2}, {bias, bias})})});
    return graph;
  };
  TestGraph whole = net(1, {1, 2}, 7);
  ExpectPacked(whole, {1, 2}, {1, 1}, {2 + 7, 0 + 7}, 1);
  for (TestGraph graph : {net(0.5f, {1, 2}, 7), net(1, {1, 0.5f}, 7), net(1, {1, 2}, 0.25f)}) {
    EXPECT_THAT(ErrorOf(graph), HasSubstr("it rounds a value of which it is not known"));
  }
}

TEST(ImportCodesTest, QuantRoundsDown) {
  TestGraph graph({1, 6});
  graph.Quant("x", 0.5f, 2, false, false);
  graph.last().mutable_attribute(2)->set_s("FLOOR");
  EXPECT_THAT(Answer(graph, {1, 6}, {-1, 0.49, 0.5, 0.99, 1, 9}), ElementsAre(0, 0, 0.5, 0.5, 1, 1.5));
}

TEST(ImportCodesTest, ConcatOfTernaryCodesOfAScale) {
  TestGraph graph({1, 2});
  const auto ternary = [&](const std::string& x) { return graph.Quant(x, 4.0f, 2, true, true); };
  const std::string both = graph.Node("Concat", {ternary("x"), ternary(graph.Node("Neg", {"x"}))});
  graph.Set("axis", int64_t{1});
  graph.Node("MatMul", {both, graph.Quant(graph.Floats({4, 1}, {1, 2, 3, 3}), 1.0f, 3, true, true)});
  ExpectPacked(graph, {1, 2}, {5, 1}, {4 * 1 + 0 * 2 - 4 * 3 + 0 * 3}, 1);
}

// 3 - 2 c of codes c, which fall: the mirror of the codes, which a product reads as codes.
TEST(ImportCodesTest, ArithmeticOfCodesStaysCodes) {
  TestGraph graph({1, 3});
  const std::string c = graph.Quant("x", 1.0f, 2, false, false);
  const std::string y = graph.Node("Sub", {graph.Number(3), graph.Node("Mul", {c, graph.Number(2)})});
  graph.Node("MatMul", {y, graph.Quant(graph.Floats({3, 1}, {1, 2, 3}), 1.0f, 3, true, true)});
  ExpectPacked(graph, {1, 3}, {0, 1, 3}, {3 * 1 + 1 * 2 - 3 * 3}, 1);
}

// A scale for each input is none that a finished sum could be multiplied with.
TEST(ImportCodesTest, ScalesOfInputsStayInTheWeight) {
  TestGraph graph({1, 2});
  const std::string w = graph.Quant(graph.Floats({2, 1}, {3, 20}), graph.Floats({2, 1}, {1, 10}), 3, true, true);
  graph.Node("MatMul", {graph.Node("BipolarQuant", {"x", graph.Number(1)}), w});
  ExpectPacked(graph, {1, 2}, {1, 1}, {23}, 0);
}

TEST(ImportCodesTest, RoundingModesOfWeights) {
  const auto product = [](const std::string& mode) {
    TestGraph graph({1, 4});
    const std::string w = graph.Quant(graph.Floats({4, 1}, {1.25f, -1.25f, 1.75f, -2.5f}), 1.0f, 4, true, true);
    graph.last().mutable_attribute(2)->set_s(mode);
    graph.Node("MatMul", {"x", w});
    // One weight after the other.
    std::vector<double> weights;
    for (int k = 0; k < 4; ++k) {
      std::vector<double> x(4);
      x[static_cast<size_t>(k)] = 1;
      weights.push_back(Answer(graph, {1, 4}, x)[0]);
    }
    return weights;
  };
  EXPECT_THAT(product("ROUND"), ElementsAre(1, -1, 2, -2));
  EXPECT_THAT(product("FLOOR"), ElementsAre(1, -2, 1, -3));
  EXPECT_THAT(product("CEIL"), ElementsAre(2, -1, 2, -2));
  EXPECT_THAT(product("ROUND_TO_ZERO"), ElementsAre(1, -1, 1, -2));
}

// The maximum of signs, of which one channel is turned, and then all are.
TEST(ImportCodesTest, TurnedChannelsOfAMaximumStayBits) {
  TestGraph graph({1, 2, 1, 2});
  std::string y = graph.Node("MaxPool", {graph.Node("BipolarQuant", {"x", graph.Number(1)})});
  graph.Set("kernel_shape", Dims{1, 2});
  const auto product = [&](const std::string& x) {
    return graph.Node("Conv", {x, graph.Quant(graph.Floats({1, 2, 1, 1}, {1, 3}), 1.0f, 3, true, true)});
  };
  const std::string one = graph.Node("Mul", {y, graph.Floats({2, 1, 1}, {1, -1})});
  const std::string first = product(one);
  const std::string second = product(graph.Node("Mul", {one, graph.Number(-1)}));
  graph.Node("Add", {graph.Node("Mul", {first, graph.Number(10)}), second});
  // The maxima are -1 and 1: first -1 - 3, then their opposite 1 + 3.
  ExpectPacked(graph, {1, 2, 1, 2}, {-1, -2, -3, 4}, {-40 + 4}, 2);
}

// lsq's codes without its step: floor(clip(x / 0.3, 0, 3) + 1/2).
TEST(ImportCodesTest, CodesOfAQuantizerWithoutItsScale) {
  TestGraph graph({1, 5});
  std::string y = graph.Node("Div", {"x", graph.Number(0.3f)});
  y = graph.Node("Clip", {y, graph.Number(0), graph.Number(3)});
  y = graph.Node("Floor", {graph.Node("Add", {y, graph.Number(0.5f)})});
  const std::vector<float> w = {1, 2, 3, -1, -2};
  graph.Node("MatMul", {y, graph.Quant(graph.Floats({5, 1}, w), 1.0f, 3, true, true)});
  // The codes are 0, 0, 1, 2, 3.
  ExpectPacked(graph, {1, 5}, {-1, 0.1, 0.3, 0.5, 7}, {3 - 2 - 6}, 1);
}

}  // namespace
}  // namespace bitgrad
