// What changes shapes: nothing is moved, and what would have to be moved is an error.

#include <algorithm>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_constants.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_steps.h"

namespace bitgrad {
namespace {

Imported ConstantOf(ImportTensor tensor) {
  Imported result;
  result.shape = tensor.shape;
  result.constant = std::make_shared<const ImportTensor>(std::move(tensor));
  return result;
}

}  // namespace

absl::StatusOr<Imported> ReshapeTo(const ImportCall& call, const Imported& x, const Shape& shape) {
  if (shape == x.shape) return x;
  if (shape.rank() < 2 || shape.dim(0) != x.shape.dim(0)) {
    return call.node.Unsupported(
        "it makes ", shape.ToString(), " of ", x.shape.ToString(),
        "; the batch has to stay the first dimension: export the net with the batch as the only "
        "dynamic dimension, or simplify it (onnxsim)");
  }
  const std::vector<int64_t> order = x.Order();
  Imported y = {.shape = shape, .nonnegative = x.nonnegative, .whole = x.whole};
  std::vector<int64_t> dims(shape.dims().begin(), shape.dims().end());
  if (shape.rank() == 4) {
    y.is_image = true;
    if (y.Order() == order) {
      dims = {shape.dim(0), shape.dim(2), shape.dim(3), shape.dim(1)};
    } else {
      y.is_image = false;
    }
  }
  if (!y.is_image && !x.is_in_order()) {
    if (shape.rank() != 2) {
      return call.node.Unsupported("it makes ", shape.ToString(), " of an image ", x.shape.ToString(),
                                   ", which would move its elements; flattening is read");
    }
    y.columns = order;
  }
  y.id = call.graph.Add(program::Reshape(), "reshape", {x.id}, Shape(dims));
  return y;
}

absl::StatusOr<Imported> ImportIdentity(const ImportCall& call) {
  if (call.node.op() == "Cast" && call.node.Int("to", 0) != onnx::TensorProto::FLOAT) {
    return call.node.Unsupported("it makes numbers of another type of its operand; only floats are read");
  }
  if (call.node.op() == "Dropout") {
    const ImportTensor* const training = call.constant(2);
    if (call.node.has_input(2) && (training == nullptr || training->at(0) != 0)) {
      return call.node.Unsupported("it is in training mode; export the net in evaluation mode (model.eval())");
    }
  }
  return call.x();
}

absl::StatusOr<Imported> ImportShape(const ImportCall& call) {
  return ConstantOf(ExtentsOf(call.node, call.x().shape));
}

absl::StatusOr<Imported> ImportReshape(const ImportCall& call) {
  ImportTensor of_attribute;
  const ImportTensor* target = call.constant(1);
  if (target == nullptr && call.node.has("shape")) {  // before opset 5
    of_attribute.is_integer = true;
    of_attribute.ints = call.node.Ints("shape");
    of_attribute.shape = Shape({static_cast<int64_t>(of_attribute.ints.size())});
    target = &of_attribute;
  }
  if (target == nullptr) {
    return call.node.Unsupported("its target is computed; export with fixed shapes, or simplify the net (onnxsim)");
  }
  BITGRAD_ASSIGN_OR_RETURN(const Shape shape, ReshapeTarget(call.node, call.x().shape, *target));
  return ReshapeTo(call, call.x(), shape);
}

absl::StatusOr<Imported> ImportFlatten(const ImportCall& call) {
  const Imported& x = call.x();
  const int64_t axis = call.node.Int("axis", 1);
  if (axis != 1 && axis != 1 - x.shape.rank()) {
    return call.node.Unsupported("its axis is ", axis, "; only 1 is read, which keeps the batch");
  }
  return ReshapeTo(call, x, {x.shape.dim(0), x.size()});
}

absl::StatusOr<Imported> ImportSqueeze(const ImportCall& call) {
  const Imported& x = call.x();
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, AxesOf(call.node, call.constant(1), x.shape.rank()));
  if (axes.empty()) return call.node.Unsupported("it names no axes, so that it might take the batch's; name them");
  BITGRAD_ASSIGN_OR_RETURN(const Shape shape, SqueezedShape(call.node, x.shape, axes));
  return ReshapeTo(call, x, shape);
}

absl::StatusOr<Imported> ImportUnsqueeze(const ImportCall& call) {
  const Imported& x = call.x();
  const ImportTensor* const given = call.constant(1);
  const size_t count = given != nullptr ? given->ints.size() : call.node.Ints("axes").size();
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                           AxesOf(call.node, given, x.shape.rank() + static_cast<int>(count)));
  return ReshapeTo(call, x, UnsqueezedShape(x.shape, axes));
}

absl::StatusOr<Imported> ImportTranspose(const ImportCall& call) {
  Imported& x = call.x();
  const std::vector<int64_t> perm = call.node.Ints("perm");
  const int rank = x.shape.rank();
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  bool is_permutation = static_cast<int>(perm.size()) == rank;
  for (int d = 0; is_permutation && d < rank; ++d) is_permutation = sorted[d] == d;
  if (!is_permutation) return call.node.Unsupported("perm is no permutation of its ", rank, " dimensions");
  std::vector<int64_t> dims;
  for (const int64_t d : perm) dims.push_back(x.shape.dim(static_cast<int>(d)));
  Imported y = x;
  y.shape = Shape(dims);
  // Between ONNX's order of an image's dimensions and ours: the program's value is the same.
  if (x.is_image && perm == std::vector<int64_t>{0, 2, 3, 1}) {
    y.is_image = false;
    return y;
  }
  if (!x.is_image && perm == std::vector<int64_t>{0, 3, 1, 2}) {
    y.is_image = true;
    return y;
  }
  // Extents of 1 may go anywhere.
  const auto without_ones = [&](const std::vector<int64_t>& order) {
    std::vector<int64_t> result;
    for (const int64_t d : order) {
      if (x.shape.dim(static_cast<int>(d)) != 1) result.push_back(d);
    }
    return result;
  };
  if (perm[0] == 0 && without_ones(perm) == without_ones(sorted)) {
    BITGRAD_RETURN_IF_ERROR(MakeValue(call.graph, x));
    return ReshapeTo(call, x, y.shape);
  }
  return call.node.Unsupported("it moves the elements of ", x.shape.ToString(),
                               "; what is read are changes between NHWC and NCHW, and of extents of 1");
}

absl::StatusOr<Imported> ImportConcat(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& first = call.x();
  const int rank = first.shape.rank();
  int64_t axis = node.Int("axis", 1);
  if (axis < 0) axis += rank;
  if (axis != (first.is_image ? 1 : rank - 1) || axis == 0) {
    return node.Unsupported("axis ", axis, " of ", first.shape.ToString(),
                            " is not read: images are put together by channels, others by the last dimension");
  }
  std::vector<int> operands;
  std::vector<int64_t> columns;
  int64_t extent = 0;
  bool nonnegative = true, whole = true, same_codes = call.graph.value(first.id).is_coded();
  for (const Imported* x : call.inputs) {
    if (x == nullptr || x->is_constant()) return node.Unsupported("one of its operands is a constant");
    if (x->is_image != first.is_image || x->shape.rank() != rank) {
      return node.Error("its operands are ", first.shape.ToString(), " and ", x->shape.ToString());
    }
    for (int d = 0; d < rank; ++d) {
      if (d != axis && x->shape.dim(d) != first.shape.dim(d)) {
        return node.Error("its operands are ", first.shape.ToString(), " and ", x->shape.ToString());
      }
    }
    operands.push_back(x->id);
    if (rank == 2) {
      for (const int64_t column : x->Order()) columns.push_back(extent + column);
    }
    extent += x->shape.dim(static_cast<int>(axis));
    nonnegative &= x->nonnegative;
    whole &= x->whole;
    const program::Value &a = call.graph.value(first.id), &b = call.graph.value(x->id);
    same_codes &= a.encoding == b.encoding && a.scale == b.scale;
  }
  std::vector<int64_t> dims(first.shape.dims().begin(), first.shape.dims().end());
  dims[axis] = extent;
  Imported y = {.shape = Shape(dims), .is_image = first.is_image, .nonnegative = nonnegative, .whole = whole};
  const Shape shape = first.is_image ? Shape({dims[0], dims[2], dims[3], dims[1]}) : y.shape;
  y.id = call.graph.Add(program::Concat(), "concat", std::move(operands), shape);
  if (!std::is_sorted(columns.begin(), columns.end())) y.columns = std::move(columns);
  if (!same_codes) return y;
  // Concat gives floats. Made codes again, so that a product reads codes.
  const program::Value& codes = call.graph.value(first.id);
  BITGRAD_ASSIGN_OR_RETURN(y.id, call.graph.AddCodesOf(y.id, Encoding(codes.encoding), float{codes.scale}));
  return y;
}

}  // namespace bitgrad
