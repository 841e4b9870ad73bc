// The graph under construction: what the names of an ONNX graph stand for, and the program (export/program.h) that
// grows with each node.
//
// ONNX's images are [N, C, H, W], the program's [N, H, W, C]. So a value knows its ONNX shape and how the elements of
// an example are ordered in the program; a vector that was flattened from an image has the image's order, and whoever
// reads it puts its constants into that order. No element is ever moved.

#ifndef BITGRAD_EXPORT_IMPORT_GRAPH_H_
#define BITGRAD_EXPORT_IMPORT_GRAPH_H_

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/export/import_node.h"
#include "bitgrad/export/import_tensor.h"
#include "bitgrad/export/program.h"
#include "bitgrad/export/step_function.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The whole numbers that QuantizeLinear makes of a value, until a DequantizeLinear makes numbers of them again.
struct PendingCodes {
  float scale = 1;
  int least = 0, most = 0;
};

// A function of each element of a value, in column j of its last dimension in the program.
struct Pointwise {
  // Monotone in x; of a value that takes few values (import_steps.h) it may be any function.
  std::function<float(float x, int64_t j)> apply;
  int64_t columns = 1;  // 1: it is the same in all columns
};
// What was done to value `of`, and gave the next one.
struct PointwiseStep {
  int of;
  std::shared_ptr<const Pointwise> op;
};
// A value as a function of another one, value `of`, that takes few values.
struct SteppedOf {
  int of;
  StepFunction function;
};

// What a name stands for: a constant, or a value of the program.
struct Imported {
  SharedTensor constant;
  int id = -1;                   // -1: no operation has made it yet, and `stepped` says what it is (import_steps.h)
  Shape shape;                   // as ONNX has it, with the batch
  bool is_image = false;         // [N, C, H, W], and [N, H, W, C] in the program
  std::vector<int64_t> columns;  // of a vector: element j in the program is ONNX's element columns[j]; empty: the same
  bool nonnegative = false;      // whether no element can be below 0
  bool whole = false;            // whether all elements are whole numbers
  std::optional<PendingCodes> pending;
  // How it was made from values before by functions of single elements, the farthest value first.
  std::vector<PointwiseStep> chain;
  // Behind a rounding or a comparison: what it is of each value of the chain up to there.
  std::vector<SteppedOf> stepped;

  bool is_constant() const { return constant != nullptr; }
  // Of one example.
  int64_t size() const { return shape.num_elements() / shape.dim(0); }
  // For each element of an example in the program's order, which one of ONNX's it is.
  std::vector<int64_t> Order() const;
  bool is_in_order() const;
  // The extents of an image.
  int64_t channels() const { return shape.dim(1); }
  int64_t height() const { return shape.dim(2); }
  int64_t width() const { return shape.dim(3); }
};

// A product, for the report.
struct ImportedProduct {
  std::string layer;
  int id = -1;
  std::string float_weight;  // why the weight is floats; empty: it is codes
};

class ImportGraph {
 public:
  // REQUIRES: the context outlives this.
  explicit ImportGraph(ExecContext& context) : context_(context) {}

  ExecContext& context() { return context_; }
  program::Program& program() { return program_; }
  std::vector<ImportedProduct>& products() { return products_; }

  // ---- Names

  // Null where no node before has made it.
  Imported* Find(const std::string& name);
  absl::Status Set(const ImportNode& node, const std::string& name, Imported value);
  void SetLayer(std::string layer) { layer_ = std::move(layer); }

  // ---- Values of the program, which belong to the layer that was set last. `x` and results are ids.

  int AddInput(const Shape& shape);
  int AddFloats(const std::string& name, const Shape& shape, std::vector<float> values);
  int AddCodes(const std::string& name, const Shape& shape, std::shared_ptr<const CodedTensor> coded);
  int AddUnary(int x, Unary op, float parameter = 0);
  int AddRound(int x, const NumberFormat& format);
  // With a constant of floats: of the last dimension, or of an example.
  int AddBinary(int x, Binary op, const Shape& shape, std::vector<float> values);
  // With the same number for all elements.
  int AddNumber(int x, Binary op, float number);
  int AddBinary(int x, Binary op, int y);
  absl::StatusOr<int> AddQuantize(int x, const PackedQuantizer& quantizer);
  // Codes of a value that is code * scale already, for codes of this encoding.
  absl::StatusOr<int> AddCodesOf(int x, const Encoding& encoding, float scale);
  // min(max(x, least), most), of those that are there, by operations that packed models have: it rounds as they do.
  // REQUIRES: least < most.
  int AddClip(int x, std::optional<float> least, std::optional<float> most);
  // Any other operation. A pool or a reshape of codes has codes.
  int Add(program::Operation operation, const std::string& op, std::vector<int> operands, const Shape& shape);

  const program::Value& value(int id) const { return program_.value(id); }
  const Shape& shape(int id) const { return program_.value(id).shape; }
  const std::string& layer() const { return layer_; }

 private:
  ExecContext& context_;
  program::Program program_;
  std::vector<ImportedProduct> products_;
  std::map<std::string, Imported> values_;
  std::string layer_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_GRAPH_H_
