// Constants of an ONNX graph: what its tensors hold, as floats or integers, and the codes of those that are quantized.

#ifndef BITGRAD_EXPORT_IMPORT_TENSOR_H_
#define BITGRAD_EXPORT_IMPORT_TENSOR_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

// Integers q with value = q * scale, of one scale or one for each slice along an axis.
struct ImportCodes {
  std::vector<int32_t> codes;  // of the tensor's elements, in its order
  std::vector<float> scales;   // one, or as many as the tensor's extent of `axis`
  int axis = 0;
};

struct ImportTensor {
  Shape shape;
  // One of the two has the elements, row-major.
  std::vector<float> floats;
  std::vector<int64_t> ints;
  bool is_integer = false;
  int data_type = 0;  // of the TensorProto that it was read from, else 0
  // Where quantizing made the floats. float = code * scale, rounded once.
  std::optional<ImportCodes> codes;

  int64_t size() const { return shape.num_elements(); }
  double at(int64_t i) const { return is_integer ? static_cast<double>(ints[i]) : floats[i]; }
};

using SharedTensor = std::shared_ptr<const ImportTensor>;

// The largest number of elements of a constant: far beyond any net that a packed model can hold, and little enough that
// a graph of a few bytes cannot ask for all memory.
inline constexpr int64_t kMostImportedElements = int64_t{1} << 28;

// InvalidArgument unless the shape has at most 8 dimensions and kMostImportedElements elements, all extents at least 0.
absl::Status CheckImportedShape(const Shape& shape);

// Reads floats, halves, bfloat16 and doubles as floats, integers and bools as integers, in raw and in typed fields.
// Errors: data in another file, other types, a number of elements that is not the shape's (nothing is allocated by what
// a shape says alone), a NaN or an infinity. They do not name the tensor; callers do.
absl::StatusOr<ImportTensor> ReadTensor(const onnx::TensorProto& proto);

// The strides of a row-major tensor.
std::vector<int64_t> StridesOf(const Shape& shape);

// The same elements in another order of dimensions, y[i_0, i_1, ..] with dimension d of y being dimension perm[d] of x.
// Codes and their axis move along. REQUIRES: perm is a permutation of x's dimensions.
ImportTensor Transposed(const ImportTensor& x, const std::vector<int64_t>& perm);

// The same elements in another shape. Codes stay where they have one scale, or one for each slice of a first dimension
// that stays. REQUIRES: as many elements.
ImportTensor Reshaped(const ImportTensor& x, const Shape& shape);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_TENSOR_H_
