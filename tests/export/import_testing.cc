#include "bitgrad/tests/export/import_testing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <memory>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// A number in [0, 1) from a seed and a counter (splitmix64).
double Uniform(uint64_t seed, uint64_t i) {
  uint64_t z = seed * 0x9e3779b97f4a7c15u + (i + 1) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9u;
  z = (z ^ (z >> 27)) * 0x94d049bb133111ebu;
  return static_cast<double>((z ^ (z >> 31)) >> 11) * 0x1p-53;
}

int64_t Count(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  return count;
}

}  // namespace

TestGraph::TestGraph(const Dims& dims, int64_t opset) {
  model_.set_ir_version(8);
  onnx::OperatorSetIdProto& import = *model_.add_opset_import();
  import.set_version(opset);
  onnx::GraphProto& graph = *model_.mutable_graph();
  onnx::ValueInfoProto& input = *graph.add_input();
  input.set_name("x");
  onnx::TypeProto::Tensor& type = *input.mutable_type()->mutable_tensor_type();
  type.set_elem_type(onnx::TensorProto::FLOAT);
  for (const int64_t d : dims) type.mutable_shape()->add_dim()->set_dim_value(d);
  graph.add_output();
}

onnx::TensorProto& TestGraph::NewTensor(const Dims& dims) {
  onnx::TensorProto& tensor = *model_.mutable_graph()->add_initializer();
  tensor.set_name(absl::StrCat("c", names_++));
  for (const int64_t d : dims) tensor.add_dims(d);
  return tensor;
}

std::string TestGraph::Floats(const Dims& dims, const std::vector<float>& values) {
  onnx::TensorProto& tensor = NewTensor(dims);
  tensor.set_data_type(onnx::TensorProto::FLOAT);
  tensor.set_raw_data(std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(float)));
  return tensor.name();
}

std::string TestGraph::Ints(const std::vector<int64_t>& values) {
  onnx::TensorProto& tensor = NewTensor({static_cast<int64_t>(values.size())});
  tensor.set_data_type(onnx::TensorProto::INT64);
  for (const int64_t v : values) tensor.add_int64_data(v);
  return tensor.name();
}

std::string TestGraph::Int8(const Dims& dims, const std::vector<int>& values, bool is_signed) {
  onnx::TensorProto& tensor = NewTensor(dims);
  tensor.set_data_type(is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
  for (const int v : values) tensor.add_int32_data(v);
  return tensor.name();
}

std::string TestGraph::Random(const Dims& dims, uint64_t seed) {
  std::vector<float> values;
  for (int64_t i = 0; i < Count(dims); ++i) values.push_back(static_cast<float>(2 * Uniform(seed, i) - 1));
  return Floats(dims, values);
}

std::string TestGraph::Node(const std::string& op, const std::vector<std::string>& inputs) {
  onnx::NodeProto& node = *model_.mutable_graph()->add_node();
  node.set_op_type(op);
  if (op == "Quant" || op == "BipolarQuant" || op == "Trunc") node.set_domain("qonnx.custom_op.general");
  for (const std::string& input : inputs) node.add_input(input);
  node.add_output(absl::StrCat("v", names_++));
  model_.mutable_graph()->mutable_output(0)->set_name(node.output(0));
  return node.output(0);
}

void TestGraph::Set(const std::string& attribute, int64_t value) {
  onnx::AttributeProto& a = *last().add_attribute();
  a.set_name(attribute);
  a.set_type(onnx::AttributeProto::INT);
  a.set_i(value);
}

void TestGraph::Set(const std::string& attribute, float value) {
  onnx::AttributeProto& a = *last().add_attribute();
  a.set_name(attribute);
  a.set_type(onnx::AttributeProto::FLOAT);
  a.set_f(value);
}

void TestGraph::Set(const std::string& attribute, const Dims& values) {
  onnx::AttributeProto& a = *last().add_attribute();
  a.set_name(attribute);
  a.set_type(onnx::AttributeProto::INTS);
  for (const int64_t v : values) a.add_ints(v);
}

void TestGraph::Set(const std::string& attribute, const std::string& value) {
  onnx::AttributeProto& a = *last().add_attribute();
  a.set_name(attribute);
  a.set_type(onnx::AttributeProto::STRING);
  a.set_s(value);
}

std::string TestGraph::Quant(const std::string& x, const std::string& scale, int bits, bool is_signed, bool narrow) {
  const std::string y = Node("Quant", {x, scale, Number(0), Number(static_cast<float>(bits))});
  Set("signed", int64_t{is_signed});
  Set("narrow", int64_t{narrow});
  Set("rounding_mode", std::string("ROUND"));
  return y;
}

std::string TestGraph::Quant(const std::string& x, float scale, int bits, bool is_signed, bool narrow) {
  return Quant(x, Number(scale), bits, is_signed, narrow);
}

std::string TestGraph::BatchNorm(const std::string& x, int64_t channels, uint64_t seed) {
  std::vector<float> numbers[4];
  for (int64_t c = 0; c < channels; ++c) {
    const auto number = [&](int k) { return static_cast<float>(2 * Uniform(seed + k, c) - 1); };
    numbers[0].push_back(c == 1 ? 0.0f : number(0));
    numbers[1].push_back(number(1));
    numbers[2].push_back(number(2) * 4);
    numbers[3].push_back(std::abs(number(3)) * 8 + 0.1f);
  }
  std::vector<std::string> inputs = {x};
  for (const auto& values : numbers) inputs.push_back(Floats({channels}, values));
  return Node("BatchNormalization", inputs);
}

TestValue Inputs(const Dims& dims, int64_t count, double grid, uint64_t seed) {
  TestValue x = {.dims = dims, .data = {}};
  x.dims[0] = count;
  for (int64_t i = 0; i < Count(x.dims); ++i) {
    const double v = 2 * Uniform(seed, i) - 1;
    x.data.push_back(grid > 0 ? std::nearbyint(v / grid) * grid : static_cast<float>(v));
  }
  return x;
}

absl::StatusOr<TestValue> ImportAndRun(const onnx::ModelProto& proto, const TestValue& inputs, ImportReport* report) {
  ExecContext context({.threads = 1});
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, ImportOnnx(context, proto, {.name = "test"}, report));
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<PackedModel> model, PackedModel::FromBytes("test", bytes));
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(*model, context));
  const int64_t n = inputs.dims[0], features = Count(inputs.dims) / n;
  std::vector<float> x(inputs.data.begin(), inputs.data.end());
  if (inputs.dims.size() == 4) {
    const int64_t channels = inputs.dims[1], area = inputs.dims[2] * inputs.dims[3];
    for (int64_t i = 0; i < n * channels * area; ++i) {
      x[(i / (channels * area) * area + i % area) * channels + i / area % channels] =
          static_cast<float>(inputs.data[i]);
    }
  }
  BITGRAD_ASSIGN_OR_RETURN(const Tensor y, interpreter->Run({x.data(), n, features}));
  TestValue result = {.dims = {n, y.num_elements() / n}, .data = {}};
  for (const float v : y.span<float>()) result.data.push_back(v);
  const auto& last = model->result().example;
  if (last.rank() == 3) {
    const int64_t channels = last.dim(2), area = last.dim(0) * last.dim(1);
    const std::vector<double> nhwc = result.data;
    for (int64_t i = 0; i < n * channels * area; ++i) {
      result.data[i] = nhwc[(i / (channels * area) * area + i % area) * channels + i / area % channels];
    }
  }
  return result;
}

}  // namespace bitgrad
