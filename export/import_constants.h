// The nodes of an ONNX graph that depend on no input: they are computed when the graph is read, in float as ONNX
// defines them, so that what exporters write around parameters and shapes amounts to constants.

#ifndef BITGRAD_EXPORT_IMPORT_CONSTANTS_H_
#define BITGRAD_EXPORT_IMPORT_CONSTANTS_H_

#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/export/import_node.h"
#include "bitgrad/export/import_tensor.h"

namespace bitgrad {

// The value of a node whose operands are all constants; inputs[k] is null where operand k is missing. None where the op
// is not computed on constants, or not of these. Quantizing nodes give the codes with the floats
// (import_quantizers.h).
//
//   Constant, ConstantOfShape, Identity, Cast, Shape, Gather, Slice, Concat, Squeeze, Unsqueeze, Reshape, Flatten,
//   Transpose, Add, Sub, Mul, Div, Neg, Sqrt, Reciprocal, Floor, Round
absl::StatusOr<std::optional<ImportTensor>> FoldNode(const ImportNode& node,
                                                     absl::Span<const ImportTensor* const> inputs);

// The target of a Reshape of `count` elements: 0 stays (unless allowzero), -1 is what is left over.
absl::StatusOr<Shape> ReshapeTarget(const ImportNode& node, const Shape& from, const ImportTensor& target);

// What a Shape makes of a value of shape x: the extents from `start` on, before `end`.
ImportTensor ExtentsOf(const ImportNode& node, const Shape& x);

// The axes of a Squeeze or Unsqueeze, in [0, rank): an operand from opset 13 on, before that an attribute. For a
// Squeeze without axes, those of extent 1.
absl::StatusOr<std::vector<int64_t>> AxesOf(const ImportNode& node, const ImportTensor* axes, int rank);

// The shape without, or with new extents of 1 at, the axes.
absl::StatusOr<Shape> SqueezedShape(const ImportNode& node, const Shape& x, const std::vector<int64_t>& axes);
Shape UnsqueezedShape(const Shape& x, const std::vector<int64_t>& axes);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_CONSTANTS_H_
