#include "bitgrad/export/onnx_graph.h"

#include <bit>
#include <utility>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// The numbers as the bytes that ONNX stores, little-endian, which is what every machine of ours is.
template <typename T>
std::string RawData(absl::Span<const T> values) {
  return {reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T)};
}

onnx::AttributeProto Attribute(const std::string& name, onnx::AttributeProto::AttributeType type) {
  onnx::AttributeProto attribute;
  attribute.set_name(name);
  attribute.set_type(type);
  return attribute;
}

}  // namespace

onnx::AttributeProto IntAttribute(const std::string& name, int64_t value) {
  onnx::AttributeProto attribute = Attribute(name, onnx::AttributeProto::INT);
  attribute.set_i(value);
  return attribute;
}

onnx::AttributeProto FloatAttribute(const std::string& name, float value) {
  onnx::AttributeProto attribute = Attribute(name, onnx::AttributeProto::FLOAT);
  attribute.set_f(value);
  return attribute;
}

onnx::AttributeProto IntsAttribute(const std::string& name, std::vector<int64_t> values) {
  onnx::AttributeProto attribute = Attribute(name, onnx::AttributeProto::INTS);
  for (const int64_t value : values) attribute.add_ints(value);
  return attribute;
}

onnx::AttributeProto StringAttribute(const std::string& name, const std::string& value) {
  onnx::AttributeProto attribute = Attribute(name, onnx::AttributeProto::STRING);
  attribute.set_s(value);
  return attribute;
}

std::string OnnxGraph::UniqueName(const std::string& hint) {
  std::string name = hint;
  while (!names_.insert(name).second) name = absl::StrCat(hint, "_", ++next_number_[hint]);
  return name;
}

std::string OnnxGraph::Node(const std::string& op, std::vector<std::string> inputs, const std::string& hint,
                            std::vector<onnx::AttributeProto> attributes, const std::string& domain) {
  const std::string output = UniqueName(hint);
  NamedNode(op, std::move(inputs), output, std::move(attributes));
  if (!domain.empty()) proto_.mutable_node(proto_.node_size() - 1)->set_domain(domain);
  return output;
}

void OnnxGraph::NamedNode(const std::string& op, std::vector<std::string> inputs, const std::string& output,
                          std::vector<onnx::AttributeProto> attributes) {
  names_.insert(output);
  onnx::NodeProto& node = *proto_.add_node();
  node.set_op_type(op);
  node.set_name(output);
  for (std::string& input : inputs) node.add_input(std::move(input));
  node.add_output(output);
  for (onnx::AttributeProto& attribute : attributes) *node.add_attribute() = std::move(attribute);
}

onnx::TensorProto& OnnxGraph::AddTensor(const std::string& hint, std::vector<int64_t> shape,
                                        onnx::TensorProto::DataType type) {
  onnx::TensorProto& tensor = *proto_.add_initializer();
  tensor.set_name(UniqueName(hint));
  tensor.set_data_type(type);
  for (const int64_t extent : shape) tensor.add_dims(extent);
  return tensor;
}

std::string OnnxGraph::Floats(const std::string& hint, std::vector<int64_t> shape, absl::Span<const float> values) {
  onnx::TensorProto& tensor = AddTensor(hint, std::move(shape), onnx::TensorProto::FLOAT);
  tensor.set_raw_data(RawData(values));
  return tensor.name();
}

std::string OnnxGraph::Int64s(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values) {
  onnx::TensorProto& tensor = AddTensor(hint, std::move(shape), onnx::TensorProto::INT64);
  tensor.set_raw_data(RawData(values));
  return tensor.name();
}

std::string OnnxGraph::Bytes(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values,
                             bool is_signed) {
  onnx::TensorProto& tensor =
      AddTensor(hint, std::move(shape), is_signed ? onnx::TensorProto::INT8 : onnx::TensorProto::UINT8);
  // Of a negative number these are the bits of its two's complement.
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  tensor.set_raw_data(RawData<uint8_t>(bytes));
  return tensor.name();
}

std::string OnnxGraph::Doubles(const std::string& hint, std::vector<int64_t> shape, absl::Span<const double> values) {
  onnx::TensorProto& tensor = AddTensor(hint, std::move(shape), onnx::TensorProto::DOUBLE);
  tensor.set_raw_data(RawData(values));
  return tensor.name();
}

std::string OnnxGraph::Bools(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values) {
  onnx::TensorProto& tensor = AddTensor(hint, std::move(shape), onnx::TensorProto::BOOL);
  const std::vector<uint8_t> bytes(values.begin(), values.end());
  tensor.set_raw_data(RawData<uint8_t>(bytes));
  return tensor.name();
}

std::string OnnxGraph::Scalar(float value) {
  std::string& name = scalars_[std::bit_cast<uint32_t>(value)];
  if (name.empty()) name = Floats(absl::StrCat("constant/", value), {}, {value});
  return name;
}

std::string OnnxGraph::DoubleScalar(double value) {
  std::string& name = double_scalars_[std::bit_cast<uint64_t>(value)];
  if (name.empty()) name = Doubles(absl::StrCat("constant/double/", value), {}, {value});
  return name;
}

std::string OnnxGraph::ByteScalar(int64_t value, bool is_signed) {
  std::string& name = byte_scalars_[{value, is_signed}];
  if (name.empty())
    name = Bytes(absl::StrCat(is_signed ? "constant/int8/" : "constant/uint8/", value), {}, {value}, is_signed);
  return name;
}

std::string OnnxGraph::Index(std::vector<int64_t> values) {
  std::string& name = indices_[values];
  if (name.empty()) name = Int64s("constant/index", {static_cast<int64_t>(values.size())}, values);
  return name;
}

std::string OnnxGraph::Cast(const std::string& x, onnx::TensorProto::DataType type, const std::string& hint) {
  return Node("Cast", {x}, hint, {IntAttribute("to", type)});
}

void SetTensorType(onnx::TensorProto::DataType type, const std::vector<OnnxGraph::Extent>& shape,
                   onnx::ValueInfoProto& info) {
  onnx::TypeProto::Tensor& tensor = *info.mutable_type()->mutable_tensor_type();
  tensor.set_elem_type(type);
  tensor.mutable_shape();  // also where there are no extents
  for (const OnnxGraph::Extent& extent : shape) {
    onnx::TensorShapeProto::Dimension& dimension = *tensor.mutable_shape()->add_dim();
    if (extent.name.empty()) {
      dimension.set_dim_value(extent.value);
    } else {
      dimension.set_dim_param(extent.name);
    }
  }
}

void OnnxGraph::AddInput(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Extent>& shape) {
  names_.insert(name);
  onnx::ValueInfoProto& info = *proto_.add_input();
  info.set_name(name);
  SetTensorType(type, shape, info);
}

void OnnxGraph::AddOutput(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Extent>& shape) {
  onnx::ValueInfoProto& info = *proto_.add_output();
  info.set_name(name);
  SetTensorType(type, shape, info);
}

}  // namespace bitgrad
