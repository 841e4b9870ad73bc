// What is not imported, and what the errors say.

#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/import_onnx.h"
#include "bitgrad/tests/export/import_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

void ExpectError(TestGraph& graph, const std::string& text, const ImportOptions& options = {}) {
  ExecContext context({.threads = 1});
  const absl::StatusOr<PackedModelWriter> writer = ImportOnnx(context, graph.model(), options, nullptr);
  ASSERT_FALSE(writer.ok()) << "no error: " << text;
  EXPECT_THAT(std::string(writer.status().message()), HasSubstr(text));
}

// x [1, 4] times a weight.
TestGraph Linear() {
  TestGraph graph({1, 4});
  graph.Node("MatMul", {"x", graph.Random({4, 3}, 1)});
  return graph;
}

TEST(ImportErrorsTest, FilesThatAreNoOnnx) {
  const std::string path = testing::TempDir() + "/net.onnx";
  std::string bytes = Linear().model().SerializeAsString();
  for (const std::string& contents :
       {std::string(), std::string("no model at all"), bytes.substr(0, bytes.size() - 9)}) {
    std::ofstream(path, std::ios::binary) << contents;
    const auto model = ReadOnnx(path);
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("is no ONNX model, or its end is missing"));
  }
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_TRUE(ReadOnnx(path).ok());
}

TEST(ImportErrorsTest, Models) {
  TestGraph graph({1, 4});
  ExpectError(graph, "the model has no graph");
  for (const int64_t opset : {1, 99}) {
    graph = TestGraph({1, 4}, opset);
    graph.Node("Relu", {"x"});
    ExpectError(graph, "export it with opset_version=17");
  }
  graph = Linear();
  graph.Node("Softmax", {"v1"});
  ExpectError(graph, "node 'Softmax_1' (Softmax): this op is not read; docs/importing.md lists what is");
  graph = Linear();
  graph.last().set_domain("com.example");
  ExpectError(graph, "ops of the domain 'com.example' are not read");
}

TEST(ImportErrorsTest, InputsAndOutputs) {
  TestGraph graph = Linear();
  *graph.model().mutable_graph()->add_input() = graph.model().graph().input(0);
  graph.model().mutable_graph()->mutable_input(1)->set_name("second");
  ExpectError(graph, "the graph has several inputs, 'x' and 'second'; a packed model has one");
  graph = Linear();
  graph.model().mutable_graph()->add_output()->set_name("x");
  ExpectError(graph, "the graph has 2 outputs");
  graph = Linear();
  graph.model().mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->set_elem_type(
      onnx::TensorProto::INT64);
  ExpectError(graph, "the input 'x' is not of floats");
  graph = Linear();
  graph.model().mutable_graph()->mutable_output(0)->set_name("nothing");
  ExpectError(graph, "the output 'nothing' is made by no node");
}

TEST(ImportErrorsTest, OpenShapes) {
  TestGraph graph = Linear();
  graph.model().mutable_graph()->mutable_input(0)->mutable_type()->mutable_tensor_type()->clear_shape();
  ExpectError(graph, "the shape of the input 'x' is open; export the net with fixed shapes, or give the extents");
  ExecContext context({.threads = 1});
  EXPECT_TRUE(ImportOnnx(context, graph.model(), {.input_shape = {4}}, nullptr).ok());
  ExpectError(graph, "does not go with a value of shape [1, 5]", {.input_shape = {5}});
  graph = Linear();
  ExpectError(graph, "--input_shape=5 is not that of the input 'x', [1, 4]", {.input_shape = {5}});
  graph = TestGraph({1, int64_t{1} << 50});
  graph.Node("Relu", {"x"});
  ExpectError(graph, "which no packed model has");
}

TEST(ImportErrorsTest, Tensors) {
  TestGraph graph = Linear();
  onnx::TensorProto& w = *graph.model().mutable_graph()->mutable_initializer(0);
  w.set_data_location(onnx::TensorProto::EXTERNAL);
  ExpectError(graph, "initializer 'c0' has its data in another file; save the model as one file");
  w.set_data_location(onnx::TensorProto::DEFAULT);
  // No memory is asked for by what a shape says.
  w.set_dims(0, int64_t{1} << 24);
  ExpectError(graph, "initializer 'c0' has 48 bytes of data");
  w.set_dims(0, int64_t{1} << 40);
  ExpectError(graph, "initializer 'c0'");
  w.set_dims(0, -4);
  ExpectError(graph, "initializer 'c0'");
  w.set_dims(0, 4);
  w.set_data_type(onnx::TensorProto::STRING);
  ExpectError(graph, "(STRING), which is not read");
  graph = TestGraph({1, 2});
  graph.Node("MatMul", {"x", graph.Floats({2, 1}, {1, std::numeric_limits<float>::quiet_NaN()})});
  ExpectError(graph, "initializer 'c0' has a NaN or an infinity");
}

TEST(ImportErrorsTest, CyclesAndWhatIsMissing) {
  TestGraph graph({1, 4});
  graph.Node("Add", {"x", "v1"});
  graph.Node("Relu", {"v0"});
  ExpectError(graph, "it reads 'v1', which no node before it makes: the graph has a cycle");
  graph = TestGraph({1, 4});
  graph.Node("Relu", {"x"});
  graph.Node("Relu", {"x"});
  graph.last().set_output(0, "v0");
  ExpectError(graph, "'v0' is made twice");
}

TEST(ImportErrorsTest, Quantizers) {
  TestGraph graph({1, 4});
  graph.Node("Quant", {"x", graph.Number(1), graph.Number(3), graph.Number(4)});
  ExpectError(graph, "its zero point is 3; only 0 is read");
  graph = TestGraph({1, 4});
  const std::string scale = graph.Node("Relu", {"x"});
  graph.Node("Quant", {"x", scale, graph.Number(0), graph.Number(4)});
  ExpectError(graph, "its scale is computed; it has to be a constant");
  graph = TestGraph({1, 4});
  graph.Quant("x", -1.0f, 4, true, true);
  ExpectError(graph, "its scale -1 is not positive");
  graph = TestGraph({1, 4});
  graph.Quant("x", 1.0f, 9, true, true);
  ExpectError(graph, "needs more than 8 bits");
  graph = TestGraph({1, 4});
  graph.Quant("x", graph.Floats({4}, {1, 2, 3, 4}), 4, true, true);
  ExpectError(graph, "with a scale for each channel");
  graph = TestGraph({1, 4});
  graph.Node("QuantizeLinear", {"x", graph.Number(1), graph.Int8({}, {0})});
  graph.Node("Relu", {"v2"});
  ExpectError(graph, "it reads the whole numbers of a QuantizeLinear");
}

// Passes that freezing shares with importing name neither.
TEST(ImportErrorsTest, ErrorsOfPassesBeginWithTheLayer) {
  TestGraph graph({1, 4});
  std::string y = graph.Node(
      "MatMul", {graph.Quant("x", 0.5f, 2, true, true), graph.Quant(graph.Random({4, 1}, 1), 0.5f, 2, true, true)});
  y = graph.Node("Mul", {y, graph.Number(3e38f)});
  y = graph.Node("Mul", {y, graph.Number(3e38f)});
  graph.Quant(y, 1.0f, 2, true, true);
  ExecContext context({.threads = 1});
  const absl::Status status = ImportOnnx(context, graph.model(), {}, nullptr).status();
  EXPECT_THAT(std::string(status.message()), StartsWith("layer '"));
  EXPECT_THAT(std::string(status.message()), HasSubstr("gives a NaN or an infinity"));
  // And none names the program, which does so itself.
  graph = Linear();
  graph.Node("Softmax", {"v1"});
  EXPECT_THAT(std::string(ImportOnnx(context, graph.model(), {}, nullptr).status().message()), StartsWith("node '"));
}

TEST(ImportErrorsTest, FormsThatAreNotRead) {
  TestGraph graph({1, 2, 4, 4});
  graph.Node("Conv", {"x", graph.Random({2, 2, 2, 2}, 1)});
  graph.Set("pads", Dims{0, 0, 1, 1});
  ExpectError(graph, "its border is not the same on both sides");
  graph = TestGraph({1, 2, 4, 4});
  graph.Node("AveragePool", {"x"});
  graph.Set("kernel_shape", Dims{2, 2});
  graph.Set("pads", Dims{1, 1, 1, 1});
  graph.Set("count_include_pad", int64_t{1});
  ExpectError(graph, "use count_include_pad=False");
  graph = TestGraph({1, 2, 4, 4});
  graph.Node("Transpose", {"x"});
  graph.Set("perm", Dims{0, 1, 3, 2});
  ExpectError(graph, "it moves the elements of [1, 2, 4, 4]");
  graph = TestGraph({1, 2, 4, 4});
  graph.Node("Flatten", {"x"});
  ExpectError(graph, "flattened from an image without a product behind");
  graph = TestGraph({1, 4});
  graph.Node("MatMul", {"x", "x"});
  ExpectError(graph, "its weight is computed from the input");
  graph = TestGraph({1, 4});
  graph.Node("Reshape", {"x", graph.Ints({2, 2})});
  ExpectError(graph, "the batch has to stay the first dimension");
}

}  // namespace
}  // namespace bitgrad
