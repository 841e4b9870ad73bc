// What each op of an ONNX graph becomes in a program (export/program.h): one function for each op, and the table of
// them. Ops whose operands are all constants are computed beforehand (import_constants.h).

#ifndef BITGRAD_EXPORT_IMPORT_OPS_H_
#define BITGRAD_EXPORT_IMPORT_OPS_H_

#include <functional>
#include <optional>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/export/import_graph.h"
#include "bitgrad/export/import_node.h"
#include "bitgrad/export/import_tensor.h"

namespace bitgrad {

// A node with what its operands stand for; inputs[k] is null where operand k is missing.
struct ImportCall {
  ImportGraph& graph;
  const ImportNode& node;
  std::vector<Imported*> inputs;

  Imported& x() const { return *inputs[0]; }
  // Operand k where it is a constant, else null.
  const ImportTensor* constant(size_t k) const {
    return k < inputs.size() && inputs[k] != nullptr ? inputs[k]->constant.get() : nullptr;
  }
  std::vector<const ImportTensor*> constants() const;
};

// The value of the node's first output.
using ImportOp = absl::StatusOr<Imported>(const ImportCall& call);

// What reads an op. Its function is null where the op is not read.
struct ImportOpInfo {
  ImportOp* function = nullptr;
  // Whether it takes operands whose elements are functions of others (import_steps.h) as they are; for other ops they
  // get an operation first.
  bool is_pointwise = false;
};
ImportOpInfo FindImportOp(const std::string& op);

// The value of a node of constants alone, as FoldNode() and, of nodes that quantize, with their codes.
absl::StatusOr<std::optional<ImportTensor>> FoldCall(const ImportCall& call);

// ---- import_products.cc
ImportOp ImportConv, ImportGemm, ImportMatMul;
// ---- import_elementwise.cc
ImportOp ImportArithmetic, ImportBatchNorm, ImportActivation, ImportPRelu, ImportClip;
// ---- import_comparisons.cc
ImportOp ImportComparison, ImportWhere, ImportRounding;
// ---- import_pools.cc
ImportOp ImportMaxPool, ImportAveragePool, ImportGlobalAveragePool, ImportReduceMean;
// ---- import_shapes.cc
ImportOp ImportIdentity, ImportShape, ImportReshape, ImportFlatten, ImportSqueeze, ImportUnsqueeze, ImportTranspose,
    ImportConcat;
// ---- import_quantizing.cc
ImportOp ImportQuant, ImportTrunc, ImportQuantizeLinear, ImportDequantizeLinear;

// The value in another shape, which has its elements in ONNX's order. Unimplemented where that is another order in the
// program.
absl::StatusOr<Imported> ReshapeTo(const ImportCall& call, const Imported& x, const Shape& shape);

// A constant as the program takes it beside the value x: numbers of the last dimension, or of an example, in the
// program's order.
struct ImportedRow {
  Shape shape;
  std::vector<float> values;

  // Whether they are numbers of the last dimension.
  bool is_by_column() const { return shape.rank() == 1; }
};
absl::StatusOr<ImportedRow> RowOf(const ImportNode& node, const ImportTensor& constant, const Imported& x);

// f(x, number of the column). REQUIRES: row.is_by_column(); f is monotone in x for each of the numbers.
Pointwise PointwiseOf(const ImportedRow& row, std::function<float(float x, float number)> f);

// Floor, Ceil or Round, which takes ties to the even number.
float WholeNumber(const std::string& op, float x);

// The border of a conv or pool, which has to be the same on both sides.
struct ImportedWindow {
  int64_t kernel_height, kernel_width, stride_height, stride_width, pad_height, pad_width, dilation_height,
      dilation_width;
};
// Reads kernel_shape (else `kernel`), strides, dilations, pads and auto_pad.
absl::StatusOr<ImportedWindow> WindowOf(const ImportCall& call, std::vector<int64_t> kernel);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_OPS_H_
