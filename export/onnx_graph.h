// OnnxGraph: builds the graph of an ONNX file, node by node, and gives every tensor a name that nobody else has.
//
//   OnnxGraph graph;
//   const std::string sum = graph.Node("MatMul", {"x", graph.Floats("fc1/weight", {70, 10}, weights)}, "fc1/sum");
//   const std::string y = graph.Node("Mul", {sum, graph.Scalar(0.37f)}, "fc1");
//
// It knows nothing of packed models and of dialects.

#ifndef BITGRAD_EXPORT_ONNX_GRAPH_H_
#define BITGRAD_EXPORT_ONNX_GRAPH_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

// Attributes of nodes.
onnx::AttributeProto IntAttribute(const std::string& name, int64_t value);
onnx::AttributeProto FloatAttribute(const std::string& name, float value);
onnx::AttributeProto IntsAttribute(const std::string& name, std::vector<int64_t> values);
onnx::AttributeProto StringAttribute(const std::string& name, const std::string& value);

class OnnxGraph {
 public:
  // `hint`, or `hint` with a number behind it where the name is taken.
  std::string UniqueName(const std::string& hint);

  // Adds a node with one output, whose name is made of `hint`; returns that name. The node has the output's name.
  std::string Node(const std::string& op, std::vector<std::string> inputs, const std::string& hint,
                   std::vector<onnx::AttributeProto> attributes = {}, const std::string& domain = "");
  // The same with an output of exactly this name, which must not be taken: an output of the graph.
  void NamedNode(const std::string& op, std::vector<std::string> inputs, const std::string& output,
                 std::vector<onnx::AttributeProto> attributes = {});

  // Constants. Shapes of no extents are scalars. The values are row-major and as many as the shape has elements.
  std::string Floats(const std::string& hint, std::vector<int64_t> shape, absl::Span<const float> values);
  std::string Int64s(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values);
  // Integers of 8 bits: INT8, or UINT8 where is_signed is false. REQUIRES: they are in its range.
  std::string Bytes(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values,
                    bool is_signed);
  std::string Doubles(const std::string& hint, std::vector<int64_t> shape, absl::Span<const double> values);
  std::string Bools(const std::string& hint, std::vector<int64_t> shape, absl::Span<const int64_t> values);
  // Scalars are shared: one constant for each number.
  std::string Scalar(float value);
  std::string DoubleScalar(double value);
  std::string ByteScalar(int64_t value, bool is_signed);
  // Vectors of int64, as Reshape, Slice and their like take them; shared, too.
  std::string Index(std::vector<int64_t> values);

  // A cast to a type of onnx::TensorProto.
  std::string Cast(const std::string& x, onnx::TensorProto::DataType type, const std::string& hint);

  // An input or output of the graph. An extent of a shape is a number or the name of what is not fixed.
  struct Extent {
    int64_t value = 0;
    std::string name;  // where it is not empty, `value` does not count
  };
  void AddInput(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Extent>& shape);
  void AddOutput(const std::string& name, onnx::TensorProto::DataType type, const std::vector<Extent>& shape);

  int node_count() const { return proto_.node_size(); }
  onnx::GraphProto& proto() { return proto_; }

 private:
  onnx::TensorProto& AddTensor(const std::string& hint, std::vector<int64_t> shape, onnx::TensorProto::DataType type);

  onnx::GraphProto proto_;
  std::set<std::string> names_;
  std::map<std::string, int> next_number_;  // of a hint
  std::map<uint32_t, std::string> scalars_;
  std::map<uint64_t, std::string> double_scalars_;
  std::map<std::pair<int64_t, bool>, std::string> byte_scalars_;
  std::map<std::vector<int64_t>, std::string> indices_;
};

// The type of an input or output: a tensor of these extents.
void SetTensorType(onnx::TensorProto::DataType type, const std::vector<OnnxGraph::Extent>& shape,
                   onnx::ValueInfoProto& info);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_GRAPH_H_
