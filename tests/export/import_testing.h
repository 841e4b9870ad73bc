// ONNX graphs for tests, and what they compute, slowly: in double, op by op, as ONNX and QONNX define them.

#ifndef BITGRAD_TESTS_EXPORT_IMPORT_TESTING_H_
#define BITGRAD_TESTS_EXPORT_IMPORT_TESTING_H_

#include <cstdint>
#include <initializer_list>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/export/import_onnx.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

using Dims = std::vector<int64_t>;

// Builds a model of one input "x" and one output, the last node's.
class TestGraph {
 public:
  // `dims` with the batch.
  explicit TestGraph(const Dims& dims, int64_t opset = 17);

  // Each returns the name of what it adds.
  std::string Floats(const Dims& dims, const std::vector<float>& values);
  std::string Number(float value) { return Floats({}, {value}); }
  std::string Ints(const std::vector<int64_t>& values);
  std::string Int8(const Dims& dims, const std::vector<int>& values, bool is_signed = true);
  // Random floats in [-1, 1].
  std::string Random(const Dims& dims, uint64_t seed);
  // A node; attributes are added to last().
  std::string Node(const std::string& op, const std::vector<std::string>& inputs);
  onnx::NodeProto& last() { return *model_.mutable_graph()->mutable_node(model_.graph().node_size() - 1); }
  void Set(const std::string& attribute, int64_t value);
  void Set(const std::string& attribute, float value);
  void Set(const std::string& attribute, const Dims& values);
  void Set(const std::string& attribute, const std::string& value);

  // Quant, with the zero point 0.
  std::string Quant(const std::string& x, float scale, int bits, bool is_signed, bool narrow);
  std::string Quant(const std::string& x, const std::string& scale, int bits, bool is_signed, bool narrow);
  // Batch norm with random statistics and gammas of both signs, one of them 0.
  std::string BatchNorm(const std::string& x, int64_t channels, uint64_t seed);

  onnx::ModelProto& model() { return model_; }

 private:
  onnx::TensorProto& NewTensor(const Dims& dims);
  onnx::ModelProto model_;
  int names_ = 0;
};

struct TestValue {
  Dims dims;
  std::vector<double> data;
};

// The graph's output for x.
TestValue Evaluate(const onnx::GraphProto& graph, const TestValue& x);

// Imports the model, runs it on `inputs` [examples, ...] in ONNX's order, and returns the results, an image's in ONNX's
// order, too.
absl::StatusOr<TestValue> ImportAndRun(const onnx::ModelProto& model, const TestValue& inputs, ImportReport* report);

// Inputs of `count` examples: multiples of `grid` up to +-1, so that some lie exactly where quantizers decide; 0: any
// floats.
TestValue Inputs(const Dims& dims, int64_t count, double grid, uint64_t seed = 1);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_IMPORT_TESTING_H_
