// Imported graphs answer as the graphs do.

#include <cmath>
#include <string>
#include <vector>

#include "bitgrad/export/import_onnx.h"
#include "bitgrad/tests/export/import_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// The graph's answers are those of the slow evaluation up to float rounding. Returns the report.
ImportReport ExpectSame(TestGraph& graph, const TestValue& inputs, double tolerance = 1e-5) {
  const TestValue expected = Evaluate(graph.model().graph(), inputs);
  ImportReport report;
  const absl::StatusOr<TestValue> actual = ImportAndRun(graph.model(), inputs, &report);
  EXPECT_TRUE(actual.ok()) << actual.status();
  if (!actual.ok()) return report;
  EXPECT_EQ(actual->data.size(), expected.data.size());
  double far = 0;
  for (size_t i = 0; i < std::min(actual->data.size(), expected.data.size()); ++i) {
    far = std::max(far, std::abs(actual->data[i] - expected.data[i]) / (1 + std::abs(expected.data[i])));
  }
  EXPECT_LE(far, tolerance);
  return report;
}

std::string DetailOf(const ImportReport& report, size_t layer) {
  return layer < report.layers.size() ? report.layers[layer].detail : "no such layer";
}

// ---- Products

TEST(ImportOnnxTest, ConvolutionsWithGroupsBordersStridesAndDilation) {
  TestGraph graph({1, 4, 9, 8});
  graph.Node("Conv", {"x", graph.Random({6, 2, 3, 2}, 1), graph.Random({6}, 2)});
  graph.Set("group", int64_t{2});
  graph.Set("pads", Dims{2, 1, 2, 1});
  graph.Set("strides", Dims{2, 1});
  graph.Set("dilations", Dims{2, 1});
  const ImportReport report = ExpectSame(graph, Inputs({1, 4, 9, 8}, 5, 0));
  EXPECT_EQ(report.packed(), 0);
  EXPECT_EQ(DetailOf(report, 0), "its weights are not quantized");
}

TEST(ImportOnnxTest, GemmAndMatMul) {
  TestGraph graph({1, 7});
  const std::string h = graph.Node("Gemm", {"x", graph.Random({5, 7}, 1), graph.Random({5}, 2)});
  graph.Set("transB", int64_t{1});
  graph.Set("alpha", 0.5f);
  graph.Set("beta", 2.0f);
  graph.Node("MatMul", {h, graph.Random({5, 3}, 3)});
  EXPECT_EQ(ExpectSame(graph, Inputs({1, 7}, 9, 0)).layers.size(), 2u);
}

// ---- Elementwise

TEST(ImportOnnxTest, ArithmeticWithConstantsOnBothSides) {
  TestGraph graph({1, 3, 2, 2});
  std::string y = graph.Node("Mul", {"x", graph.Number(2)});
  y = graph.Node("Sub", {y, graph.Floats({3, 1, 1}, {1, 2, 3})});
  y = graph.Node("Sub", {graph.Floats({1, 3, 1, 1}, {3, 5, 7}), y});
  y = graph.Node("Add", {graph.Random({1, 3, 2, 2}, 4), y});
  y = graph.Node("Div", {y, graph.Floats({3, 1, 1}, {2, -4, 3})});
  graph.Node("Neg", {y});
  ExpectSame(graph, Inputs({1, 3, 2, 2}, 6, 0));
}

TEST(ImportOnnxTest, ActivationsAndClips) {
  for (const char* op : {"Relu", "Sigmoid", "Tanh", "LeakyRelu", "PRelu", "Clip", "Identity", "Dropout"}) {
    SCOPED_TRACE(op);
    TestGraph graph({1, 3, 2, 2});
    const std::string h = graph.Node("Mul", {"x", graph.Number(3)});
    if (std::string(op) == "PRelu") {
      graph.Node(op, {h, graph.Floats({3, 1, 1}, {0.25f, -0.5f, 0})});
    } else if (std::string(op) == "Clip") {
      graph.Node(op, {graph.Node(op, {h, graph.Number(-1), graph.Number(1)}), graph.Number(-0.5f), graph.Number(2)});
    } else {
      graph.Node(op, {h});
    }
    if (std::string(op) == "LeakyRelu") graph.Set("alpha", 0.1f);
    ExpectSame(graph, Inputs({1, 3, 2, 2}, 20, 0));
  }
}

TEST(ImportOnnxTest, BatchNormOfImagesAndVectors) {
  TestGraph images({1, 3, 4, 2});
  images.BatchNorm("x", 3, 7);
  ExpectSame(images, Inputs({1, 3, 4, 2}, 5, 0));
  TestGraph vectors({1, 6});
  vectors.BatchNorm("x", 6, 8);
  ExpectSame(vectors, Inputs({1, 6}, 5, 0));
}

TEST(ImportOnnxTest, Pools) {
  for (const char* op : {"MaxPool", "AveragePool", "GlobalAveragePool"}) {
    SCOPED_TRACE(op);
    TestGraph graph({1, 3, 7, 6});
    graph.Node(op, {"x"});
    if (std::string(op) != "GlobalAveragePool") {
      graph.Set("kernel_shape", Dims{3, 2});
      graph.Set("strides", Dims{2, 2});
      graph.Set("pads", Dims{1, 0, 1, 0});
    }
    ExpectSame(graph, Inputs({1, 3, 7, 6}, 5, 0));
  }
  TestGraph partial({1, 2, 6, 6});
  partial.Node("MaxPool", {"x"});
  partial.Set("kernel_shape", Dims{3, 3});
  partial.Set("strides", Dims{2, 2});
  partial.Set("ceil_mode", int64_t{1});
  ExpectSame(partial, Inputs({1, 2, 6, 6}, 5, 0));
}

// ---- Layouts

TEST(ImportOnnxTest, WhatReadsAFlattenedImageHasItsOrder) {
  TestGraph graph({1, 3, 4, 2});
  std::string y = graph.Node("Flatten", {"x"});
  y = graph.BatchNorm(y, 24, 3);
  y = graph.Node("Add", {y, graph.Random({24}, 4)});
  y = graph.Node("MatMul", {y, graph.Random({24, 5}, 5)});
  ExpectSame(graph, Inputs({1, 3, 4, 2}, 7, 0));
}

TEST(ImportOnnxTest, ConcatOfImagesAndOfFlattenedOnes) {
  TestGraph graph({1, 3, 2, 2});
  const std::string a = graph.Node("Conv", {"x", graph.Random({2, 3, 1, 1}, 1)});
  const std::string both = graph.Node("Concat", {a, "x"});
  graph.Set("axis", int64_t{1});
  const std::string flat = graph.Node("Flatten", {both}), other = graph.Node("Flatten", {a});
  const std::string all = graph.Node("Concat", {other, flat});
  graph.Set("axis", int64_t{-1});
  graph.Node("MatMul", {all, graph.Random({28, 4}, 2)});
  ExpectSame(graph, Inputs({1, 3, 2, 2}, 7, 0));
}

TEST(ImportOnnxTest, TheChainsOfAViewFold) {
  TestGraph graph({1, 2, 3, 3});
  const std::string shape = graph.Node("Shape", {"x"});
  const std::string zero = graph.Floats({}, {0});
  graph.model().mutable_graph()->mutable_initializer()->RemoveLast();
  onnx::TensorProto& index = *graph.model().mutable_graph()->add_initializer();
  index.set_name("index");
  index.set_data_type(onnx::TensorProto::INT64);
  index.add_int64_data(0);
  std::string batch = graph.Node("Gather", {shape, "index"});
  batch = graph.Node("Unsqueeze", {batch, graph.Ints({0})});
  const std::string target = graph.Node("Concat", {batch, graph.Ints({-1})});
  graph.Set("axis", int64_t{0});
  const std::string flat = graph.Node("Reshape", {"x", target});
  graph.Node("MatMul", {flat, graph.Random({18, 3}, 2)});
  const absl::StatusOr<TestValue> y = ImportAndRun(graph.model(), Inputs({1, 2, 3, 3}, 4, 0), nullptr);
  ASSERT_TRUE(y.ok()) << y.status();
  EXPECT_EQ(y->dims, (Dims{4, 3}));
}

// ---- Quantizers

struct Range {
  float scale;
  int bits;
  bool is_signed, narrow;
};

// Values that lie exactly at ties among them: inputs are multiples of 1/16.
TEST(ImportOnnxTest, EveryQuantizerOfValuesRoundsAsQonnxDoes) {
  for (const Range& r : {Range{0.125f, 1, false, false}, Range{0.125f, 3, false, false}, Range{0.0625f, 4, true, false},
                         Range{0.125f, 4, true, true}, Range{0.25f, 8, true, false}, Range{0.25f, 2, true, true},
                         Range{0.5f, 2, true, false}, Range{0.125f, 8, false, false}, Range{4, 2, true, true},
                         Range{0.125f, 3, false, true}, Range{0.3f, 3, true, true}, Range{0.1f, 4, false, false},
                         Range{0.07f, 8, true, false}, Range{0.3f, 2, true, true}}) {
    SCOPED_TRACE(testing::Message() << r.scale << " " << r.bits << " " << r.is_signed << r.narrow);
    TestGraph graph({1, 50});
    const std::string h = graph.Node("Mul", {"x", graph.Number(r.scale == 4 ? 8 : 1)});
    graph.Quant(h, r.scale, r.bits, r.is_signed, r.narrow);
    // Where the scale is no power of two, inputs are kept off the grid, on which float and double may part at a tie.
    const bool is_power = std::exp2(std::nearbyint(std::log2(r.scale))) == r.scale;
    ExpectSame(graph, Inputs({1, 50}, 20, is_power ? 1.0 / 16 : 0), 1e-6);
  }
}

TEST(ImportOnnxTest, BipolarQuantOfZeroIsPositive) {
  TestGraph graph({1, 30});
  graph.Node("BipolarQuant", {"x", graph.Number(0.3f)});
  ExpectSame(graph, Inputs({1, 30}, 20, 0.25), 1e-6);
}

TEST(ImportOnnxTest, ComparisonsAreSteps) {
  TestGraph graph({1, 3, 2, 2});
  graph.Node("GreaterOrEqual", {"x", graph.Floats({3, 1, 1}, {0.25f, 0, -0.5f})});
  const std::string y = graph.Node("Cast", {"v1"});
  graph.Set("to", int64_t{onnx::TensorProto::FLOAT});
  graph.Node("Sum", {y, "x", y});
  ExpectSame(graph, Inputs({1, 3, 2, 2}, 20, 0.25), 0);
}

// What bitgrad's own exporter writes for symmetric codes, of values and of weights: 2 c - (2^k - 1), c by floor.
TEST(ImportOnnxTest, SymmetricCodesOfUnsignedOnes) {
  TestGraph graph({1, 12});
  const auto quantize = [&](const std::string& x) {
    const std::string c = graph.Quant(x, 1, 2, false, false);
    graph.last().mutable_attribute(2)->set_s("FLOOR");
    return graph.Node("Add", {graph.Node("Mul", {c, graph.Number(2)}), graph.Number(-3)});
  };
  std::string y = quantize(graph.Node("Mul", {"x", graph.Number(4)}));
  graph.Node("MatMul", {y, quantize(graph.Node("Mul", {graph.Random({12, 5}, 1), graph.Number(4)}))});
  const ImportReport report = ExpectSame(graph, Inputs({1, 12}, 40, 1.0 / 16), 0);
  EXPECT_EQ(DetailOf(report, 0), "weights symmetric 2 bits, values symmetric 2 bits, sums");
}

TEST(ImportOnnxTest, TruncDropsBits) {
  TestGraph graph({1, 2, 4, 4});
  std::string y = graph.Quant("x", 0.0625f, 4, false, false);
  y = graph.Node("AveragePool", {y});
  graph.Set("kernel_shape", Dims{2, 2});
  graph.Set("strides", Dims{2, 2});
  y = graph.Node("Mul", {y, graph.Number(4)});
  graph.Node("Trunc", {y, graph.Number(0.0625f), graph.Number(0), graph.Number(6), graph.Number(4)});
  ExpectSame(graph, Inputs({1, 2, 4, 4}, 30, 1.0 / 32), 1e-6);
}

TEST(ImportOnnxTest, QuantizeClipDequantize) {
  TestGraph graph({1, 20});
  const std::string zero = graph.Int8({}, {0});
  std::string y = graph.Node("QuantizeLinear", {"x", graph.Number(0.125f), zero});
  y = graph.Node("Clip", {y, graph.Int8({}, {-7}), graph.Int8({}, {7})});
  y = graph.Node("DequantizeLinear", {y, graph.Number(0.125f), zero});
  const std::string w =
      graph.Node("DequantizeLinear", {graph.Int8({20, 2}, std::vector<int>(40, -3)), graph.Number(0.5f), zero});
  graph.Node("MatMul", {y, w});
  const ImportReport report = ExpectSame(graph, Inputs({1, 20}, 20, 1.0 / 16), 1e-6);
  EXPECT_EQ(report.packed(), 1);
}

// ---- Nets of few bits

// conv -> batch norm -> quantizer -> max pool -> conv (groups) -> relu -> quantizer -> flatten -> linear
TEST(ImportOnnxTest, ANetOfFewBitsRunsOnThresholds) {
  for (const bool binary : {true, false}) {
    SCOPED_TRACE(binary);
    TestGraph graph({1, 4, 8, 8});
    const auto quantize = [&](const std::string& x, float scale, int bits) {
      return binary ? graph.Node("BipolarQuant", {x, graph.Number(scale)}) : graph.Quant(x, scale, bits, true, false);
    };
    std::string y = quantize("x", 0.25f, 3);
    y = graph.Node("Conv", {y, quantize(graph.Random({8, 4, 3, 3}, 1), 0.5f, 2)});
    graph.Set("pads", Dims{1, 1, 1, 1});
    y = graph.BatchNorm(y, 8, 5);
    y = quantize(y, 0.5f, 3);
    y = graph.Node("MaxPool", {y});
    graph.Set("kernel_shape", Dims{2, 2});
    graph.Set("strides", Dims{2, 2});
    // A scale for each output.
    std::vector<float> scales;
    for (int o = 0; o < 6; ++o) scales.push_back(0.125f * static_cast<float>(o + 1));
    y = graph.Node("Conv",
                   {y, graph.Quant(graph.Random({6, 4, 2, 2}, 2), graph.Floats({6, 1, 1, 1}, scales), 4, true, true),
                    graph.Random({6}, 3)});
    graph.Set("group", int64_t{2});
    y = graph.Node("Relu", {y});
    y = graph.Quant(y, 0.5f, 2, false, false);
    y = graph.Node("Flatten", {y});
    graph.Node("MatMul", {y, quantize(graph.Random({54, 10}, 4), 0.25f, 4)});
    const ImportReport report = ExpectSame(graph, Inputs({1, 4, 8, 8}, 20, 1.0 / 16));
    ASSERT_EQ(report.layers.size(), 3u);
    EXPECT_EQ(report.packed(), 3);
    EXPECT_THAT(DetailOf(report, 0), HasSubstr("thresholds"));
    EXPECT_THAT(DetailOf(report, 0), HasSubstr(binary ? "weights binary, values binary" : "twos_complement 3 bits"));
    EXPECT_THAT(DetailOf(report, 2), HasSubstr("values unsigned 2 bits, sums"));
  }
}

// Powers of two everywhere: sums and their halves are exact, and many lie at ties of the quantizer behind.
TEST(ImportOnnxTest, ThresholdsRoundTiesToEven) {
  TestGraph graph({1, 16});
  std::string y = graph.Quant("x", 0.25f, 3, true, false);
  y = graph.Node("MatMul", {y, graph.Node("BipolarQuant", {graph.Random({16, 12}, 1), graph.Number(1)})});
  y = graph.Quant(y, 0.5f, 3, true, true);
  graph.Node("MatMul", {y, graph.Node("BipolarQuant", {graph.Random({12, 5}, 2), graph.Number(1)})});
  const ImportReport report = ExpectSame(graph, Inputs({1, 16}, 200, 1.0 / 16), 0);
  EXPECT_THAT(DetailOf(report, 0), HasSubstr("thresholds"));
}

TEST(ImportOnnxTest, ShortcutsAndConcatStayCodes) {
  TestGraph graph({1, 4, 5, 5});
  const std::string x = graph.Quant("x", 0.125f, 4, true, false);
  std::string y = graph.Node("Conv", {x, graph.Quant(graph.Random({4, 4, 3, 3}, 1), 0.25f, 2, true, true)});
  graph.Set("pads", Dims{1, 1, 1, 1});
  y = graph.Node("Add", {y, x});
  y = graph.Quant(y, 0.125f, 4, true, false);
  y = graph.Node("Concat", {y, x});
  graph.Set("axis", int64_t{1});
  graph.Node("Conv", {y, graph.Quant(graph.Random({3, 8, 3, 3}, 2), 0.25f, 3, true, true)});
  EXPECT_EQ(ExpectSame(graph, Inputs({1, 4, 5, 5}, 20, 1.0 / 16)).packed(), 2);
}

TEST(ImportOnnxTest, TheReportSaysWhyALayerIsFloat) {
  TestGraph graph({1, 6});
  std::string y = graph.Node("MatMul", {"x", graph.Quant(graph.Random({6, 6}, 1), 0.5f, 2, true, true)});
  y = graph.Quant(y, 0.5f, 2, true, true);
  y = graph.Node("MatMul", {y, graph.Quant(graph.Random({6, 6}, 2), 0.001f, 12, true, true)});
  graph.Node("MatMul", {y, graph.Random({6, 2}, 3)});
  const ImportReport report = ExpectSame(graph, Inputs({1, 6}, 20, 0));
  EXPECT_EQ(DetailOf(report, 0), "the values that it takes are not quantized (weights ternary)");
  EXPECT_EQ(DetailOf(report, 1), "its weights have more than 8 bits");
  EXPECT_EQ(DetailOf(report, 2), "its weights are not quantized");
  EXPECT_EQ(report.packed(), 0);
}

}  // namespace
}  // namespace bitgrad
