// Single operators of ONNX, as its specification has them: small graphs, with the expected numbers computed by hand.

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

std::vector<double> UpTo(int n) {
  std::vector<double> values;
  for (int i = 1; i <= n; ++i) values.push_back(i);
  return values;
}

// Identity of `channels` channels, so that a net has a product behind what is tested.
std::string OneByOne(TestGraph& graph, const std::string& x, int64_t channels) {
  std::vector<float> w;
  for (int64_t o = 0; o < channels; ++o) {
    for (int64_t c = 0; c < channels; ++c) w.push_back(o == c ? 1.0f : 0.0f);
  }
  return graph.Node("Conv", {x, graph.Floats({channels, channels, 1, 1}, w)});
}

// ---- Pools

// Of [[1, 2], [3, 4]] and [[5, 6], [7, 8]].
TEST(ImportOpsTest, ReduceMeanOverHeightAndWidth) {
  for (const bool keeps : {true, false}) {
    TestGraph of_attribute({1, 2, 2, 2}, /*opset=*/13);
    of_attribute.Node("ReduceMean", {"x"});
    of_attribute.Set("axes", Dims{2, 3});
    of_attribute.Set("keepdims", int64_t{keeps});
    EXPECT_THAT(Answer(of_attribute, {1, 2, 2, 2}, UpTo(8)), ElementsAre(2.5, 6.5));
    TestGraph of_operand({1, 2, 2, 2}, /*opset=*/18);
    of_operand.Node("ReduceMean", {"x", of_operand.Ints({-1, -2})});
    of_operand.Set("keepdims", int64_t{keeps});
    EXPECT_THAT(Answer(of_operand, {1, 2, 2, 2}, UpTo(8)), ElementsAre(2.5, 6.5));
  }
  // Without them a product follows.
  TestGraph vector({1, 2, 2, 2});
  const std::string means = vector.Node("ReduceMean", {"x"});
  vector.Set("axes", Dims{2, 3});
  vector.Set("keepdims", int64_t{0});
  vector.Node("MatMul", {means, vector.Floats({2, 1}, {1, 10})});
  EXPECT_THAT(Answer(vector, {1, 2, 2, 2}, UpTo(8)), ElementsAre(67.5));
  TestGraph channels({1, 2, 2, 2});
  channels.Node("ReduceMean", {"x"});
  channels.Set("axes", Dims{1});
  EXPECT_THAT(ErrorOf(channels), HasSubstr("means over height and width are read"));
}

// A window of 3, step 2, on 5 numbers takes 0 and 4 of them with the border that makes 3 windows: as much on both
// sides, so that UPPER and LOWER are one. Of 4 numbers 2 windows need one number more: at the end, or at the beginning.
TEST(ImportOpsTest, AutoPadOfPoolsAndConvolutions) {
  for (const char* pad : {"SAME_UPPER", "SAME_LOWER"}) {
    SCOPED_TRACE(pad);
    TestGraph pool({1, 1, 1, 5});
    pool.Node("MaxPool", {"x"});
    pool.Set("kernel_shape", Dims{1, 3});
    pool.Set("strides", Dims{1, 2});
    pool.Set("auto_pad", std::string(pad));
    EXPECT_THAT(Answer(pool, {1, 1, 1, 5}, {5, 1, 2, 7, 3}), ElementsAre(5, 7, 7));
    TestGraph conv({1, 1, 1, 5});
    conv.Node("Conv", {"x", conv.Floats({1, 1, 1, 3}, {1, 10, 100})});
    conv.Set("strides", Dims{1, 2});
    conv.Set("auto_pad", std::string(pad));
    EXPECT_THAT(Answer(conv, {1, 1, 1, 5}, {5, 1, 2, 7, 3}), ElementsAre(150, 721, 37));
    TestGraph uneven({1, 1, 1, 4});
    uneven.Node("MaxPool", {"x"});
    uneven.Set("kernel_shape", Dims{1, 3});
    uneven.Set("strides", Dims{1, 2});
    uneven.Set("auto_pad", std::string(pad));
    EXPECT_THAT(ErrorOf(uneven), HasSubstr("its border is not the same on both sides"));
  }
  TestGraph valid({1, 1, 1, 5});
  valid.Node("Conv", {"x", valid.Floats({1, 1, 1, 3}, {1, 10, 100})});
  valid.Set("strides", Dims{1, 2});
  valid.Set("auto_pad", std::string("VALID"));
  valid.Set("pads", Dims{0, 1, 0, 1});  // which do not count then
  EXPECT_THAT(Answer(valid, {1, 1, 1, 5}, {5, 1, 2, 7, 3}), ElementsAre(215, 372));
  TestGraph unknown({1, 1, 1, 5});
  unknown.Node("MaxPool", {"x"});
  unknown.Set("kernel_shape", Dims{1, 3});
  unknown.Set("auto_pad", std::string("SAME"));
  EXPECT_THAT(ErrorOf(unknown), HasSubstr("auto_pad 'SAME' is not read"));
}

// A maximum knows no border: that of negative numbers is negative there, too.
TEST(ImportOpsTest, MaxPoolOfNegativeNumbersAtTheBorder) {
  TestGraph graph({1, 1, 1, 3});
  graph.Node("MaxPool", {"x"});
  graph.Set("kernel_shape", Dims{1, 2});
  graph.Set("pads", Dims{0, 1, 0, 1});
  EXPECT_THAT(Answer(graph, {1, 1, 1, 3}, {-3, -1, -2}), ElementsAre(-3, -1, -1, -2));
}

TEST(ImportOpsTest, AveragePoolCountsTheBorderOrNot) {
  const auto pool = [](int64_t pads, int64_t counts) {
    TestGraph graph({1, 1, 1, 3});
    graph.Node("AveragePool", {"x"});
    graph.Set("kernel_shape", Dims{1, 2});
    graph.Set("pads", Dims{0, pads, 0, pads});
    graph.Set("count_include_pad", counts);
    return graph;
  };
  TestGraph without = pool(1, 0), nothing_to_count = pool(0, 1), counted = pool(1, 1);
  EXPECT_THAT(Answer(without, {1, 1, 1, 3}, {2, 4, 8}), ElementsAre(2, 3, 6, 8));
  EXPECT_THAT(Answer(nothing_to_count, {1, 1, 1, 3}, {2, 4, 8}), ElementsAre(3, 6));
  EXPECT_THAT(ErrorOf(counted), HasSubstr("it counts the border; use count_include_pad=False"));
}

// Windows that stand out at the end: ceil((4 - 3) / 2) + 1 = 2.
TEST(ImportOpsTest, CeilModeOfPools) {
  for (const bool is_max : {true, false}) {
    TestGraph graph({1, 1, 1, 4});
    graph.Node(is_max ? "MaxPool" : "AveragePool", {"x"});
    graph.Set("kernel_shape", Dims{1, 3});
    graph.Set("strides", Dims{1, 2});
    graph.Set("ceil_mode", int64_t{1});
    const std::vector<double> y = Answer(graph, {1, 1, 1, 4}, {1, 2, 6, 4});
    EXPECT_THAT(y, is_max ? ElementsAre(6, 6) : ElementsAre(3, 5));
  }
}

TEST(ImportOpsTest, DilatedWindows) {
  TestGraph conv({1, 1, 1, 5});
  conv.Node("Conv", {"x", conv.Floats({1, 1, 1, 2}, {1, 10})});
  conv.Set("dilations", Dims{1, 3});
  EXPECT_THAT(Answer(conv, {1, 1, 1, 5}, UpTo(5)), ElementsAre(41, 52));
  TestGraph pool({1, 1, 1, 5});
  pool.Node("MaxPool", {"x"});
  pool.Set("kernel_shape", Dims{1, 2});
  pool.Set("dilations", Dims{1, 3});
  EXPECT_THAT(ErrorOf(pool), HasSubstr("its windows are dilated"));
}

// Two groups: the first filter sees the channels 1 and 2, the second 3 and 4.
TEST(ImportOpsTest, GroupsOfConvolutions) {
  TestGraph graph({1, 4, 1, 1});
  graph.Node("Conv", {"x", graph.Floats({2, 2, 1, 1}, {1, 10, 100, 1000})});
  graph.Set("group", int64_t{2});
  EXPECT_THAT(Answer(graph, {1, 4, 1, 1}, UpTo(4)), ElementsAre(21, 4300));
  graph.last().mutable_attribute(0)->set_i(3);
  EXPECT_THAT(ErrorOf(graph), HasSubstr("its weight [2, 2, 1, 1] and 3 groups do not go with a value of shape"));
}

TEST(ImportOpsTest, PadIsNotRead) {
  TestGraph graph({1, 1, 2, 2});
  graph.Node("Pad", {"x", graph.Ints({0, 0, 1, 1, 0, 0, 1, 1})});
  EXPECT_THAT(ErrorOf(graph), HasSubstr("node 'Pad_0' (Pad): this op is not read"));
}

// ---- Shapes

// [H, W, C] = [1, 2, 3] with the channels last: 1 2 3 | 4 5 6. Channels first they are 1 4 | 2 5 | 3 6.
TEST(ImportOpsTest, TransposeFromChannelsLastAndBack) {
  TestGraph first({1, 1, 2, 3});
  std::string y = first.Node("Transpose", {"x"});
  first.Set("perm", Dims{0, 3, 1, 2});
  y = first.Node("Conv", {y, first.Floats({1, 3, 1, 1}, {1, 10, 100})});
  // The packed model takes the elements as the graph does.
  EXPECT_THAT(Answer(first, {1, 6}, UpTo(6)), ElementsAre(321, 654));
  // Behind ops on single elements, too.
  TestGraph behind({1, 1, 2, 3});
  y = behind.Node("Mul", {"x", behind.Floats({3}, {1, 2, 3})});
  y = behind.Node("Transpose", {behind.Node("Relu", {y})});
  behind.Set("perm", Dims{0, 3, 1, 2});
  behind.Node("Conv", {y, behind.Floats({1, 3, 1, 1}, {1, 10, 100})});
  EXPECT_THAT(Answer(behind, {1, 6}, UpTo(6)), ElementsAre(1 + 40 + 900, 4 + 100 + 1800));
  // An image [C, H, W] = [3, 1, 2] becomes [1, 2, 3], flattened 1 3 5 2 4 6.
  TestGraph last({1, 3, 1, 2});
  y = last.Node("Transpose", {"x"});
  last.Set("perm", Dims{0, 2, 3, 1});
  y = last.Node("Flatten", {y});
  last.Node("MatMul", {y, last.Floats({6, 1}, {1, 10, 100, 1000, 10000, 100000})});
  EXPECT_THAT(Answer(last, {1, 3, 1, 2}, UpTo(6)), ElementsAre(642531));
}

TEST(ImportOpsTest, TransposeOfExtentsOfOne) {
  TestGraph graph({1, 3, 1});
  const std::string y = graph.Node("Transpose", {"x"});
  graph.Set("perm", Dims{0, 2, 1});
  graph.Node("MatMul", {y, graph.Floats({3, 1}, {1, 10, 100})});
  EXPECT_THAT(Answer(graph, {1, 3}, UpTo(3)), ElementsAre(321));
  TestGraph wrong({1, 3, 1});
  wrong.Node("Transpose", {"x"});
  wrong.Set("perm", Dims{0, 2, 2});
  EXPECT_THAT(ErrorOf(wrong), HasSubstr("perm is no permutation of its 3 dimensions"));
  TestGraph batch({2, 3});
  batch.Node("Transpose", {"x"});
  batch.Set("perm", Dims{1, 0});
  EXPECT_THAT(ErrorOf(batch), HasSubstr("it moves the elements of [2, 3]"));
}

TEST(ImportOpsTest, SqueezeAndUnsqueeze) {
  for (const bool is_operand : {false, true}) {
    TestGraph graph({1, 3}, is_operand ? 13 : 11);
    const auto shaped = [&](const char* op, const std::string& x, const Dims& axes) {
      const std::string y = is_operand ? graph.Node(op, {x, graph.Ints(axes)}) : graph.Node(op, {x});
      if (!is_operand) graph.Set("axes", axes);
      return y;
    };
    // [1, 3] becomes [1, 3, 1, 1], an image of three channels, and [1, 3] again.
    std::string y = OneByOne(graph, shaped("Unsqueeze", "x", {-1, 2}), 3);
    y = shaped("Squeeze", y, {2, -1});
    graph.Node("MatMul", {y, graph.Floats({3, 1}, {1, 10, 100})});
    EXPECT_THAT(Answer(graph, {1, 3}, UpTo(3)), ElementsAre(321));
  }
  TestGraph wide({1, 2, 1, 2});
  wide.Node("Squeeze", {"x", wide.Ints({3})});
  EXPECT_THAT(ErrorOf(wide), HasSubstr("axis 3 of [1, 2, 1, 2] has not the extent 1"));
  TestGraph all({1, 2, 1, 1});
  all.Node("Squeeze", {"x"});
  EXPECT_THAT(ErrorOf(all), HasSubstr("it names no axes"));
  TestGraph twice({1, 3});
  twice.Node("Unsqueeze", {"x", twice.Ints({1, 1})});
  EXPECT_THAT(ErrorOf(twice), HasSubstr("an axis is named twice"));
}

// The channels [[1, 2]], [[3, 4]] flattened: in the order of channels, 1 2 3 4.
TEST(ImportOpsTest, FlattenAxis) {
  for (const int64_t axis : {1, -3}) {
    TestGraph graph({1, 2, 1, 2});
    const std::string y = graph.Node("Flatten", {"x"});
    graph.Set("axis", axis);
    graph.Node("MatMul", {y, graph.Floats({4, 1}, {1, 10, 100, 1000})});
    EXPECT_THAT(Answer(graph, {1, 2, 1, 2}, UpTo(4)), ElementsAre(4321));
  }
  for (const int64_t axis : {0, 2}) {
    TestGraph graph({1, 2, 1, 2});
    graph.Node("Flatten", {"x"});
    graph.Set("axis", axis);
    EXPECT_THAT(ErrorOf(graph), HasSubstr("only 1 is read, which keeps the batch"));
  }
}

TEST(ImportOpsTest, ReshapeKeepsAndInfersExtents) {
  TestGraph graph({1, 2, 1, 2});
  const std::string y = graph.Node("Reshape", {"x", graph.Ints({0, -1})});
  graph.Node("MatMul", {y, graph.Floats({4, 1}, {1, 10, 100, 1000})});
  EXPECT_THAT(Answer(graph, {1, 2, 1, 2}, UpTo(4)), ElementsAre(4321));
  TestGraph wrong({1, 4});
  wrong.Node("Reshape", {"x", wrong.Ints({1, 3})});
  EXPECT_THAT(ErrorOf(wrong), HasSubstr("cannot reshape [1, 4] to [1, 3]"));
  TestGraph zero({1, 4});
  zero.Node("Reshape", {"x", zero.Ints({0, 4})});
  zero.Set("allowzero", int64_t{1});
  EXPECT_THAT(ErrorOf(zero), HasSubstr("cannot reshape [1, 4] to [0, 4]"));
}

TEST(ImportOpsTest, ShapeFromStartToEnd) {
  TestGraph graph({1, 2, 3});
  const auto extents = [&](TestGraph& of, const std::string& x, int64_t start, int64_t end) {
    const std::string y = of.Node("Shape", {x});
    of.Set("start", start);
    of.Set("end", end);
    return y;
  };
  const std::string target =
      graph.Node("Concat", {extents(graph, "x", 0, 1), extents(graph, "x", -1, 9), extents(graph, "x", 1, -1)});
  const std::string y = graph.Node("Reshape", {"x", target});  // [1, 3, 2]
  graph.Node("MatMul", {y, graph.Floats({2, 1}, {1, 10})});
  EXPECT_THAT(Answer(graph, {1, 6}, UpTo(6)), ElementsAre(21, 43, 65));
  TestGraph constant({1, 2});
  const std::string two = extents(constant, constant.Floats({5, 2, 7}, std::vector<float>(70, 1.0f)), 1, -1);
  constant.Node("Neg", {constant.Node("Reshape", {"x", constant.Node("Concat", {constant.Ints({1}), two})})});
  EXPECT_THAT(Answer(constant, {1, 2}, {3, 4}), ElementsAre(-3, -4));
}

// Of channels, as [[1, 2]] and [[10, 20]], and of vectors.
TEST(ImportOpsTest, Concat) {
  TestGraph images({1, 1, 1, 2});
  const std::string ten = images.Node("Conv", {"x", images.Floats({1, 1, 1, 1}, {10})});
  images.Node("Concat", {"x", ten, "x"});
  images.Set("axis", int64_t{-3});
  EXPECT_THAT(Answer(images, {1, 1, 1, 2}, {1, 2}), ElementsAre(1, 2, 10, 20, 1, 2));
  TestGraph vectors({1, 2});
  vectors.Node("Concat", {vectors.Node("Neg", {"x"}), "x"});
  vectors.Set("axis", int64_t{1});
  EXPECT_THAT(Answer(vectors, {1, 2}, {1, 2}), ElementsAre(-1, -2, 1, 2));
  TestGraph rows({1, 1, 2, 2});
  rows.Node("Concat", {"x", "x"});
  rows.Set("axis", int64_t{2});
  EXPECT_THAT(ErrorOf(rows), HasSubstr("axis 2 of [1, 1, 2, 2] is not read"));
  TestGraph constant({1, 2});
  constant.Node("Concat", {"x", constant.Floats({1, 1}, {1})});
  constant.Set("axis", int64_t{1});
  EXPECT_THAT(ErrorOf(constant), HasSubstr("one of its operands is a constant"));
  TestGraph uneven({1, 2, 2, 2});
  uneven.Node("Concat", {"x", uneven.Node("GlobalAveragePool", {"x"})});
  uneven.Set("axis", int64_t{1});
  EXPECT_THAT(ErrorOf(uneven), HasSubstr("its operands are [1, 2, 2, 2] and [1, 2, 1, 1]"));
}

// Codes of one quantizer, put together, stay codes: those of a symmetric one of a scale of its own, too.
TEST(ImportOpsTest, ConcatOfCodesThatAreNoQuantizersOwn) {
  TestGraph graph({1, 2});
  const auto codes = [&](const std::string& x) {
    const std::string q = graph.Node("Mul", {graph.Quant(x, 1.0f, 2, false, false), graph.Number(2)});
    return graph.Node("Add", {q, graph.Number(-3)});
  };
  const std::string y = graph.Node("Concat", {codes("x"), codes(graph.Node("Neg", {"x"}))});
  graph.Set("axis", int64_t{1});
  graph.Node("MatMul", {y, graph.Quant(graph.Floats({4, 1}, {1, -3, 2, 3}), 1.0f, 3, true, true)});
  ImportReport report;
  const absl::StatusOr<TestValue> answer = ImportAndRun(graph.model(), {{1, 2}, {2, -1}}, &report);
  ASSERT_TRUE(answer.ok()) << answer.status();
  // The codes are 2 * 2 - 3, 2 * 0 - 3, and of -2 and 1: -3, -1.
  EXPECT_THAT(answer->data, ElementsAre(1 * 1 + -3 * -3 + -3 * 2 + -1 * 3));
  EXPECT_EQ(report.packed(), 1);
}

// ---- Elementwise

TEST(ImportOpsTest, ClipOnOneSideOnBothAndAsAttributes) {
  const std::vector<double> x = {-7, -0.5, 0.25, 5, 9};
  TestGraph relu6({1, 5});
  relu6.Node("Clip", {"x", relu6.Number(0), relu6.Number(6)});
  EXPECT_THAT(Answer(relu6, {1, 5}, x), ElementsAre(0, 0, 0.25, 5, 6));
  TestGraph below({1, 5});
  below.Node("Clip", {"x", below.Number(-1)});
  EXPECT_THAT(Answer(below, {1, 5}, x), ElementsAre(-1, -0.5, 0.25, 5, 9));
  TestGraph above({1, 5});
  above.Node("Clip", {"x", "", above.Number(2)});
  EXPECT_THAT(Answer(above, {1, 5}, x), ElementsAre(-7, -0.5, 0.25, 2, 2));
  TestGraph of_attributes({1, 5}, /*opset=*/7);
  of_attributes.Node("Clip", {"x"});
  of_attributes.Set("min", -1.0f);
  of_attributes.Set("max", 1.0f);
  EXPECT_THAT(Answer(of_attributes, {1, 5}, x), ElementsAre(-1, -0.5, 0.25, 1, 1));
  TestGraph empty({1, 5});
  empty.Node("Clip", {"x", empty.Number(1), empty.Number(1)});
  EXPECT_THAT(ErrorOf(empty), HasSubstr("its min 1 is not below its max 1"));
  TestGraph computed({1, 5});
  computed.Node("Clip", {"x", "x"});
  EXPECT_THAT(ErrorOf(computed), HasSubstr("its min is not one constant number"));
}

TEST(ImportOpsTest, GemmBroadcastsItsBias) {
  const auto gemm = [](const Dims& dims, const std::vector<float>& bias) {
    TestGraph graph({1, 2});
    graph.Node("Gemm", {"x", graph.Floats({2, 2}, {1, 2, 3, 4}), graph.Floats(dims, bias)});
    return graph;
  };
  TestGraph row = gemm({2}, {10, 20}), matrix = gemm({1, 2}, {10, 20}), one = gemm({1, 1}, {10});
  EXPECT_THAT(Answer(row, {1, 2}, {1, 1}), ElementsAre(14, 26));
  EXPECT_THAT(Answer(matrix, {1, 2}, {1, 1}), ElementsAre(14, 26));
  EXPECT_THAT(Answer(one, {1, 2}, {1, 1}), ElementsAre(14, 16));
  // One number for each row is one for each example.
  TestGraph column = gemm({2, 1}, {10, 20});
  EXPECT_THAT(ErrorOf(column), HasSubstr("its bias has the shape [2, 1]"));
}

TEST(ImportOpsTest, BatchNormalizationInTrainingMode) {
  const auto norm = [](int outputs, int64_t training) {
    TestGraph graph({1, 1});
    graph.Node("BatchNormalization",
               {"x", graph.Number(1), graph.Number(0), graph.Floats({1}, {2}), graph.Floats({1}, {4})});
    graph.Set("epsilon", 0.0f);
    if (training != 0) graph.Set("training_mode", training);
    for (int k = 1; k < outputs; ++k) graph.last().add_output("statistic" + std::to_string(k));
    return graph;
  };
  TestGraph evaluation = norm(1, 0), flag = norm(1, 1), old = norm(5, 0);
  EXPECT_THAT(Answer(evaluation, {1, 1}, {8}), ElementsAre(3));
  EXPECT_THAT(ErrorOf(flag), HasSubstr("it is in training mode"));
  EXPECT_THAT(ErrorOf(old), HasSubstr("it is in training mode"));  // before opset 14
}

TEST(ImportOpsTest, CastsOfConstants) {
  TestGraph graph({1, 2});
  const std::string bits = graph.Node("Cast", {graph.Floats({2}, {0.25f, 0})});
  graph.Set("to", int64_t{onnx::TensorProto::BOOL});
  const std::string ones = graph.Node("Cast", {bits});
  graph.Set("to", int64_t{onnx::TensorProto::FLOAT});
  graph.Node("Mul", {"x", ones});
  EXPECT_THAT(Answer(graph, {1, 2}, {3, 4}), ElementsAre(3, 0));
  TestGraph half({1, 2});
  const std::string rounded = half.Node("Cast", {half.Floats({2}, {0.1f, 0})});
  half.Set("to", int64_t{onnx::TensorProto::FLOAT16});
  half.Node("Mul", {"x", rounded});
  EXPECT_THAT(ErrorOf(half), HasSubstr("rounds floats to another type"));
}

}  // namespace
}  // namespace bitgrad
