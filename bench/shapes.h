// Shapes of matrix products and of convolutions, read from text files. A family (the layers of a net, or a sweep over
// sizes) is one file in bench/shapes/ (products) or bench/shapes/conv/ (convolutions):
//
//   # whatever follows a '#' is a comment
//   conv2 1024 128 1152        name m n k: one token and positive numbers, a shape per line
//   conv2 32 32 128 128 3 1    name height width channels filters kernel stride, in bench/shapes/conv/
//
// To add a family, add a file there; nothing else changes.

#ifndef BITGRAD_BENCH_SHAPES_H_
#define BITGRAD_BENCH_SHAPES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

struct GemmShape {
  std::string name;
  int64_t m = 0;
  int64_t n = 0;
  int64_t k = 0;
};

// A convolution with a square kernel and a border of kernel / 2.
struct ConvShape {
  std::string name;
  int64_t height = 0;  // of the input
  int64_t width = 0;
  int64_t channels = 0;
  int64_t filters = 0;
  int64_t kernel = 0;
  int64_t stride = 0;
};

template <typename Shape>
struct Family {
  std::string name;  // the file's name without ".txt"
  std::vector<Shape> shapes;
};
using ShapeFamily = Family<GemmShape>;
using ConvShapeFamily = Family<ConvShape>;

// The shapes in `text`. InvalidArgument names a line that is not "name m n k" or a name that occurs twice, or says that
// there is no shape.
absl::StatusOr<std::vector<GemmShape>> ParseShapes(absl::string_view text);
absl::StatusOr<std::vector<ConvShape>> ParseConvShapes(absl::string_view text);

// The families in all files *.txt of `directory`, sorted by name. Errors name the file.
absl::StatusOr<std::vector<ShapeFamily>> ReadShapeFamilies(const std::string& directory);
absl::StatusOr<std::vector<ConvShapeFamily>> ReadConvShapeFamilies(const std::string& directory);

// Finds bench/shapes: among the runfiles of the running program, else below the current directory. NotFound lists where
// it looked.
absl::StatusOr<std::string> FindShapesDirectory();

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_SHAPES_H_
