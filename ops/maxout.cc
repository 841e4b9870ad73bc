#include "bitgrad/ops/maxout.h"

#include <vector>

#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/pool.h"
#include "bitgrad/ops/reshape.h"

namespace bitgrad {

Var Maxout(const Var& x, int64_t pieces) {
  OpRecorder op("maxout", {x});
  if (!op.ok()) return op.Failed();
  const Shape& shape = x.shape();
  if (pieces < 1 || pieces > 256) return op.Fail("pieces is ", pieces, "; it has to be in [1, 256]");
  const int last = shape.rank() - 1;
  if (last < 1 || shape.num_elements() == 0 || shape.dim(last) % pieces != 0) {
    return op.Fail("input ", shape.ToString(), " has to be [batch, .., a multiple of ", pieces, "], and not empty");
  }
  const int64_t units = shape.dim(last) / pieces;
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  dims.back() = units;
  const Var image = Reshape(x, {shape.dim(0), -1, pieces, units});
  const Var largest = MaxPool(image, {.kernel = {1, pieces}, .stride = {1, pieces}});
  return Reshape(largest, Shape(absl::MakeConstSpan(dims)));
}

}  // namespace bitgrad
