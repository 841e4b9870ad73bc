// TensorLayout: how a parameter lies in a file of another framework, whose images are channels, height, width
// (docs/conventions.md, "Layouts and names", has ours).
//
//   same               as here
//   transpose          [in, out] there, [out, in] here
//   nchw               filters [out, channels, height, width] there, [out, height, width, channels] here
//   from_nchw(C,H,W)   a dense layer behind a flattened image [C, H, W] there, [H, W, C] here: its columns have another
//                      order
//
// All but the first are one thing: the parameter, seen as [batch, rows, cols], is [batch, cols, rows] there.

#ifndef BITGRAD_EXPORT_TENSOR_LAYOUT_H_
#define BITGRAD_EXPORT_TENSOR_LAYOUT_H_

#include <cstddef>
#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/shape.h"

namespace bitgrad {

struct TensorLayout {
  enum class Kind { kSame, kTranspose, kNchw, kFromNchw };
  Kind kind = Kind::kSame;
  int64_t channels = 0, height = 0, width = 0;  // of kFromNchw; positive
};

// A word of the list above but "same". InvalidArgument, with the words there are, for another one.
absl::StatusOr<TensorLayout> ParseTensorLayout(absl::string_view word);
std::string ToString(const TensorLayout& layout);

// A parameter in both layouts.
struct TensorPlaces {
  Shape there;  // the shape that it has in the file
  // The parameter as [batch, rows, cols]; rows = 1 where both layouts are the same.
  int64_t batch = 1, rows = 1, cols = 1;
};

// InvalidArgument, without the parameter's name, where a parameter of this shape has no such layout.
absl::StatusOr<TensorPlaces> PlacesOf(const TensorLayout& layout, const Shape& here);

// to[b, j, i] = from[b, i, j] of elements of so many bytes: from here to there. The other way is the same with rows and
// cols exchanged.
void Exchange(int64_t batch, int64_t rows, int64_t cols, size_t element_bytes, const void* from, void* to);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_TENSOR_LAYOUT_H_
