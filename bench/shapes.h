// Shapes of matrix products, from text files: one file of bench/shapes/ per family (a net, or a sweep over sizes).
//
//   # whatever follows a '#' is a comment
//   conv2 1024 128 1152        name m n k: one token and three positive numbers, a shape per line
//
// A new family is a new file there, and nothing else.

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

struct ShapeFamily {
  std::string name;  // of the file, without ".txt"
  std::vector<GemmShape> shapes;
};

// InvalidArgument names the line that is not "name m n k", a name that comes twice, or says that there is no shape.
absl::StatusOr<std::vector<GemmShape>> ParseShapes(absl::string_view text);

// All files *.txt of `directory`, by name. Errors name the file.
absl::StatusOr<std::vector<ShapeFamily>> ReadShapeFamilies(const std::string& directory);

// bench/shapes: among the runfiles of the running program, else below the current directory. NotFound says where was
// looked.
absl::StatusOr<std::string> FindShapesDirectory();

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_SHAPES_H_
