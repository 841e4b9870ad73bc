// Comparisons, choices and roundings of ONNX graphs, with the expected numbers computed by hand.

#include <cmath>
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

TEST(ImportComparisonsTest, ComparisonsAtTheBoundItself) {
  const std::vector<double> x = {0.5, 1, std::nextafter(1.0f, 2.0f)};
  const auto compare = [&](const char* op, bool first, bool by_element) {
    TestGraph graph({1, 1, 3});
    const std::string c = by_element ? graph.Floats({1, 3}, {1, 1, 1}) : graph.Number(1);
    const std::string y = graph.Node(op, first ? std::vector<std::string>{c, "x"} : std::vector<std::string>{"x", c});
    graph.Node("Cast", {y});
    graph.Set("to", int64_t{onnx::TensorProto::FLOAT});
    return Answer(graph, {1, 3}, x);
  };
  for (const bool by_element : {false, true}) {
    EXPECT_THAT(compare("GreaterOrEqual", false, by_element), ElementsAre(0, 1, 1));
    EXPECT_THAT(compare("Greater", false, by_element), ElementsAre(0, 0, 1));
    EXPECT_THAT(compare("LessOrEqual", false, by_element), ElementsAre(1, 1, 0));
    EXPECT_THAT(compare("Less", false, by_element), ElementsAre(1, 0, 0));
    EXPECT_THAT(compare("GreaterOrEqual", true, by_element), ElementsAre(1, 1, 0));
    EXPECT_THAT(compare("Less", true, by_element), ElementsAre(0, 0, 1));
  }
}

TEST(ImportComparisonsTest, RoundingsOfBoundedValues) {
  const std::vector<double> x = {-9, -1.5, -0.5, 0.5, 1.5, 2.5, 9};
  const auto round = [&](const char* op) {
    TestGraph graph({1, 7});
    graph.Node(op, {graph.Node("Clip", {"x", graph.Number(-3), graph.Number(3)})});
    return Answer(graph, {1, 7}, x);
  };
  EXPECT_THAT(round("Floor"), ElementsAre(-3, -2, -1, 0, 1, 2, 3));
  EXPECT_THAT(round("Ceil"), ElementsAre(-3, -1, 0, 1, 2, 3, 3));
  EXPECT_THAT(round("Round"), ElementsAre(-3, -2, 0, 0, 2, 2, 3));  // ties to even
  TestGraph unbounded({1, 7});
  unbounded.Node("Floor", {"x"});
  EXPECT_THAT(ErrorOf(unbounded), HasSubstr("of which it is not known that it takes at most 256 whole numbers"));
}

// A choice between choices, and one that neither rises nor falls.
TEST(ImportComparisonsTest, WhereOfComparisonsOfOneValue) {
  TestGraph graph({1, 5});
  const std::string above = graph.Node("Greater", {"x", graph.Number(1)});
  const std::string below = graph.Node("Less", {"x", graph.Number(-1)});
  const std::string rest = graph.Node("Where", {below, graph.Number(7), graph.Number(0)});
  graph.Node("Where", {above, graph.Number(3), rest});
  EXPECT_THAT(Answer(graph, {1, 5}, {-2, -1, 0, 1, 2}), ElementsAre(7, 0, 0, 0, 3));
  TestGraph other({1, 5});
  const std::string condition = other.Node("Greater", {"x", other.Number(1)});
  other.Node("Where", {condition, "x", other.Number(0)});
  EXPECT_THAT(ErrorOf(other), HasSubstr("values that are not made of what the condition compares"));
}

// Sums of comparisons that are not monotone, times a number: no codes, but the same numbers.
TEST(ImportComparisonsTest, SumsOfComparisonsThatAreNoCodes) {
  TestGraph graph({1, 4});
  const auto step = [&](float bound, float height) {
    const std::string c = graph.Node("Cast", {graph.Node("GreaterOrEqual", {"x", graph.Number(bound)})});
    graph.Set("to", int64_t{onnx::TensorProto::FLOAT});
    return graph.Node("Mul", {c, graph.Number(height)});
  };
  graph.Node("Sum", {step(0, 1), step(1, -0.75f), step(2, 100)});
  EXPECT_THAT(Answer(graph, {1, 4}, {-1, 0.5, 1, 2}), ElementsAre(0, 1, 0.25, 100.25));
}

// Behind exact sums a count of comparisons is thresholds; a count whose order falls, too.
TEST(ImportComparisonsTest, CountsOfComparisonsBecomeThresholds) {
  for (const char* op : {"GreaterOrEqual", "Less"}) {
    TestGraph graph({1, 4});
    const std::string x = graph.Node("BipolarQuant", {"x", graph.Number(1)});
    const std::string w =
        graph.Node("BipolarQuant", {graph.Floats({4, 2}, {1, 1, 1, -1, 1, 1, 1, -1}), graph.Number(1)});
    const std::string sum = graph.Node("MatMul", {x, w});
    const auto reached = [&](const std::vector<float>& bounds) {
      const std::string c = graph.Node("Cast", {graph.Node(op, {sum, graph.Floats({2}, bounds)})});
      graph.Set("to", int64_t{onnx::TensorProto::FLOAT});
      return c;
    };
    const std::string count = graph.Node("Sum", {reached({-2, -3.5f}), reached({0.5f, 0}), reached({3, 2})});
    graph.Node("MatMul", {count, graph.Node("BipolarQuant", {graph.Floats({2, 1}, {1, -1}), graph.Number(1)})});
    ImportReport report;
    // Sums 2 and 2; -4 and 0.
    const absl::StatusOr<TestValue> y = ImportAndRun(graph.model(), {{2, 4}, {1, -1, 1, 1, -1, -1, -1, -1}}, &report);
    ASSERT_TRUE(y.ok()) << y.status();
    const bool rises = std::string(op) == "GreaterOrEqual";
    EXPECT_THAT(y->data, rises ? ElementsAre(2 - 3, 0 - 2) : ElementsAre(1 - 0, 3 - 1)) << op;
    EXPECT_THAT(report.layers[0].detail, HasSubstr("thresholds")) << op;
    EXPECT_THAT(report.layers[1].detail, HasSubstr("values unsigned 2 bits")) << op;
  }
}

}  // namespace
}  // namespace bitgrad
