#include "bitgrad/export/import_constants.h"

#include <algorithm>
#include <cmath>
#include <string>
#include <utility>

#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

using Folded = absl::StatusOr<std::optional<ImportTensor>>;

ImportTensor Integers(const Shape& shape, std::vector<int64_t> values) {
  ImportTensor result;
  result.shape = shape;
  result.ints = std::move(values);
  result.is_integer = true;
  return result;
}

// The shape that both operands are broadcast to.
absl::StatusOr<Shape> BroadcastShape(const ImportNode& node, const Shape& a, const Shape& b) {
  const int rank = std::max(a.rank(), b.rank());
  std::vector<int64_t> dims;
  for (int d = 0; d < rank; ++d) {
    const int from_a = d - (rank - a.rank()), from_b = d - (rank - b.rank());
    const int64_t m = from_a < 0 ? 1 : a.dim(from_a), n = from_b < 0 ? 1 : b.dim(from_b);
    if (m != n && m != 1 && n != 1) return node.Error("shapes ", a.ToString(), " and ", b.ToString(), " do not match");
    dims.push_back(m == 1 ? n : m);
  }
  const Shape shape(dims);
  if (const absl::Status status = CheckImportedShape(shape); !status.ok()) return node.Error(status.message());
  return shape;
}

// The codes of what a constant with codes becomes by a product with, or a sum with, one number: as bitgrad's own files
// write symmetric codes 2 c - (2^k - 1). None where the results are no multiples of one number.
std::optional<ImportCodes> CodesAfter(const std::string& op, const ImportTensor& a, const ImportTensor& b) {
  if (!a.codes.has_value() || a.codes->scales.size() != 1 || b.size() != 1 || b.is_integer) return std::nullopt;
  ImportCodes codes = *a.codes;
  float& scale = codes.scales[0];
  const float number = op == "Sub" ? -b.floats[0] : b.floats[0];
  if (op == "Mul" && number > 0) {
    scale *= number;
    return codes;
  }
  const float halves = 2 * number / scale;
  if ((op != "Add" && op != "Sub") || halves != std::floor(halves) || std::abs(halves) > 1 << 16) return std::nullopt;
  // c s + h s / 2 = (2 c + h) s / 2, or (c + h / 2) s.
  const int32_t h = static_cast<int32_t>(halves);
  const bool is_whole = h % 2 == 0;
  if (!is_whole) scale *= 0.5f;
  for (int32_t& c : codes.codes) {
    if (std::abs(c) > 1 << 16) return std::nullopt;
    c = is_whole ? c + h / 2 : 2 * c + h;
  }
  return codes;
}

double Apply(const std::string& op, double a, double b) {
  if (op == "Add") return a + b;
  if (op == "Sub") return a - b;
  if (op == "Mul") return a * b;
  return a / b;
}

// A sum, difference, product or quotient of floats rounds once, as float arithmetic does: double is wide enough for
// rounding twice to be the same.
Folded FoldArithmetic(const ImportNode& node, const ImportTensor& a, const ImportTensor& b) {
  if (a.is_integer != b.is_integer) return node.Error("its operands are of two types");
  BITGRAD_ASSIGN_OR_RETURN(const Shape shape, BroadcastShape(node, a.shape, b.shape));
  std::optional<ImportCodes> codes;
  if (shape == a.shape) codes = CodesAfter(node.op(), a, b);
  ImportTensor y = {.shape = shape, .floats = {}, .ints = {}, .is_integer = a.is_integer, .data_type = 0, .codes = {}};
  const int rank = shape.rank();
  const auto strides = [&](const Shape& x) {
    const std::vector<int64_t> own = StridesOf(x);
    std::vector<int64_t> result(static_cast<size_t>(rank), 0);
    for (int d = 0; d < x.rank(); ++d) result[d + rank - x.rank()] = x.dim(d) == 1 ? 0 : own[d];
    return result;
  };
  const std::vector<int64_t> of_a = strides(a.shape), of_b = strides(b.shape);
  std::vector<int64_t> place(static_cast<size_t>(rank), 0);
  for (int64_t i = 0; i < shape.num_elements(); ++i) {
    int64_t in_a = 0, in_b = 0;
    for (int d = 0; d < rank; ++d) {
      in_a += place[d] * of_a[d];
      in_b += place[d] * of_b[d];
    }
    if (y.is_integer) {
      const int64_t n = b.ints[in_b];
      if (node.op() == "Div" && n == 0) return node.Error("divides by 0");
      y.ints.push_back(static_cast<int64_t>(std::trunc(Apply(node.op(), static_cast<double>(a.ints[in_a]), n))));
    } else {
      y.floats.push_back(static_cast<float>(Apply(node.op(), a.floats[in_a], b.floats[in_b])));
    }
    for (int d = rank - 1; d >= 0 && ++place[d] == shape.dim(d); --d) place[d] = 0;
  }
  y.codes = std::move(codes);
  return y;
}

Folded FoldUnary(const ImportNode& node, const ImportTensor& x) {
  if (x.is_integer) return node.Unsupported("of integers is not read");
  ImportTensor y = {.shape = x.shape, .floats = x.floats, .ints = {}, .is_integer = false, .data_type = 0, .codes = {}};
  for (float& v : y.floats) {
    if (node.op() == "Neg") v = -v;
    if (node.op() == "Sqrt") v = std::sqrt(v);
    if (node.op() == "Reciprocal") v = 1.0f / v;
    if (node.op() == "Floor") v = std::floor(v);
    if (node.op() == "Round") v = std::nearbyint(v);
  }
  return y;
}

Folded FoldCast(const ImportNode& node, ImportTensor x) {
  using onnx::TensorProto;
  const int64_t to = node.Int("to", 0);
  const bool to_float = to == TensorProto::FLOAT || to == TensorProto::DOUBLE;
  if (to == TensorProto::FLOAT16 || to == TensorProto::BFLOAT16) {
    return node.Unsupported("it rounds floats to another type; export the net in float32");
  }
  if (to_float == !x.is_integer) return x;
  ImportTensor y = {.shape = x.shape, .floats = {}, .ints = {}, .is_integer = !to_float, .data_type = 0, .codes = {}};
  // Integers are codes of the scale 1.
  const bool has_codes =
      to_float && std::all_of(x.ints.begin(), x.ints.end(), [](int64_t i) { return std::abs(i) <= 1 << 16; });
  if (has_codes) y.codes = ImportCodes{.codes = {x.ints.begin(), x.ints.end()}, .scales = {1.0f}, .axis = 0};
  for (int64_t i = 0; i < x.size(); ++i) {
    if (to_float) {
      y.floats.push_back(static_cast<float>(x.ints[i]));
    } else if (to == TensorProto::BOOL) {
      y.ints.push_back(x.floats[i] != 0 ? 1 : 0);
    } else if (std::abs(x.floats[i]) > 9e18f) {
      return node.Error("a number is too large for an integer");
    } else {
      y.ints.push_back(static_cast<int64_t>(x.floats[i]));
    }
  }
  return y;
}

// Of vectors and numbers, which is what exporters make of shapes.
Folded FoldGather(const ImportNode& node, const ImportTensor& x, const ImportTensor& indices) {
  if (x.shape.rank() != 1 || indices.shape.rank() > 1 || !indices.is_integer || !x.is_integer) {
    return node.Unsupported("of a constant is read where it takes elements of a vector of integers");
  }
  ImportTensor y = Integers(indices.shape, {});
  for (int64_t i : indices.ints) {
    if (i < 0) i += x.size();
    if (i < 0 || i >= x.size()) return node.Error("index ", i, " is not in [0, ", x.size(), ")");
    y.ints.push_back(x.ints[i]);
  }
  return y;
}

Folded FoldSlice(const ImportNode& node, absl::Span<const ImportTensor* const> inputs) {
  const ImportTensor& x = *inputs[0];
  const auto number = [&](size_t k, int64_t otherwise) {
    return k < inputs.size() && inputs[k] != nullptr && inputs[k]->is_integer && inputs[k]->size() == 1
               ? inputs[k]->ints[0]
               : otherwise;
  };
  if (x.shape.rank() != 1 || !x.is_integer || inputs.size() < 3 || number(3, 0) != 0 || number(4, 1) != 1) {
    return node.Unsupported("of a constant is read where it takes a part of a vector of integers");
  }
  const auto clipped = [&](int64_t i) { return std::clamp<int64_t>(i < 0 ? i + x.size() : i, 0, x.size()); };
  const int64_t begin = clipped(number(1, 0)), end = std::max(begin, clipped(number(2, x.size())));
  return Integers({end - begin}, {x.ints.begin() + begin, x.ints.begin() + end});
}

Folded FoldConcat(const ImportNode& node, absl::Span<const ImportTensor* const> inputs) {
  ImportTensor y = Integers({0}, {});
  for (const ImportTensor* x : inputs) {
    if (x->shape.rank() != 1 || !x->is_integer) return node.Unsupported("of constants is read where they are vectors");
    y.ints.insert(y.ints.end(), x->ints.begin(), x->ints.end());
  }
  y.shape = Shape({static_cast<int64_t>(y.ints.size())});
  return y;
}

Folded FoldTranspose(const ImportNode& node, const ImportTensor& x) {
  const int rank = x.shape.rank();
  std::vector<int64_t> perm = node.Ints("perm");
  if (perm.empty()) {
    for (int d = rank - 1; d >= 0; --d) perm.push_back(d);
  }
  std::vector<int64_t> sorted = perm;
  std::sort(sorted.begin(), sorted.end());
  for (int d = 0; d < static_cast<int>(sorted.size()); ++d) {
    if (sorted[d] != d) return node.Error("perm is no permutation");
  }
  if (static_cast<int>(perm.size()) != rank) return node.Error("perm has ", perm.size(), " dimensions, not ", rank);
  return Transposed(x, perm);
}

Folded FoldConstantNode(const ImportNode& node) {
  if (const onnx::TensorProto* value = node.Tensor("value")) {
    absl::StatusOr<ImportTensor> tensor = ReadTensor(*value);
    if (!tensor.ok()) return node.Error("its value ", tensor.status().message());
    return *std::move(tensor);
  }
  ImportTensor result;
  if (node.has("value_float")) {
    result.floats = {node.Float("value_float", 0)};
    return result;
  }
  result.is_integer = true;
  if (node.has("value_int")) {
    result.ints = {node.Int("value_int", 0)};
    return result;
  }
  if (node.has("value_ints")) {
    result.ints = node.Ints("value_ints");
    result.shape = Shape({static_cast<int64_t>(result.ints.size())});
    return result;
  }
  return node.Unsupported("its value is of a kind that is not read");
}

Folded FoldConstantOfShape(const ImportNode& node, const ImportTensor& extents) {
  if (!extents.is_integer || extents.shape.rank() != 1) return node.Error("its shape is no vector of integers");
  const Shape shape(extents.ints);
  if (const absl::Status status = CheckImportedShape(shape); !status.ok()) return node.Error(status.message());
  ImportTensor one;
  one.floats = {0.0f};
  if (const onnx::TensorProto* value = node.Tensor("value")) {
    BITGRAD_ASSIGN_OR_RETURN(one, ReadTensor(*value));
    if (one.size() != 1) return node.Error("its value is not one number");
  }
  const size_t count = static_cast<size_t>(shape.num_elements());
  one.shape = shape;
  if (one.is_integer) {
    one.ints.resize(count, one.ints[0]);
  } else {
    one.floats.resize(count, one.floats[0]);
  }
  return one;
}

}  // namespace

absl::StatusOr<Shape> ReshapeTarget(const ImportNode& node, const Shape& from, const ImportTensor& target) {
  if (!target.is_integer || target.shape.rank() != 1) return node.Error("its target is no vector of integers");
  std::vector<int64_t> dims;
  int64_t known = 1;
  int open = -1;
  for (int d = 0; d < static_cast<int>(target.ints.size()); ++d) {
    int64_t extent = target.ints[d];
    if (extent == 0 && node.Int("allowzero", 0) == 0 && d < from.rank()) extent = from.dim(d);
    if (extent == -1 && open < 0) {
      open = d;
      extent = 1;
    }
    if (extent < 1 || extent > kMostImportedElements || known > kMostImportedElements / extent) {
      return node.Error("cannot reshape ", from.ToString(), " to ", Shape(target.ints).ToString());
    }
    known *= extent;
    dims.push_back(extent);
  }
  if (open >= 0) dims[open] = from.num_elements() / known;
  const Shape shape(dims);
  if (shape.num_elements() != from.num_elements()) {
    return node.Error("cannot reshape ", from.ToString(), " to ", Shape(target.ints).ToString());
  }
  return shape;
}

ImportTensor ExtentsOf(const ImportNode& node, const Shape& x) {
  const absl::Span<const int64_t> dims = x.dims();
  const int64_t rank = static_cast<int64_t>(dims.size());
  const auto place = [&](int64_t d) { return std::clamp<int64_t>(d < 0 ? d + rank : d, 0, rank); };
  const int64_t begin = place(node.Int("start", 0)), end = std::max(begin, place(node.Int("end", rank)));
  return Integers({end - begin}, {dims.begin() + begin, dims.begin() + end});
}

absl::StatusOr<std::vector<int64_t>> AxesOf(const ImportNode& node, const ImportTensor* axes, int rank) {
  std::vector<int64_t> result = axes != nullptr ? axes->ints : node.Ints("axes");
  for (int64_t& axis : result) {
    if (axis < 0) axis += rank;
    if (axis < 0 || axis >= rank) return node.Error("axis ", axis, " is not in [0, ", rank, ")");
  }
  std::sort(result.begin(), result.end());
  if (std::adjacent_find(result.begin(), result.end()) != result.end()) return node.Error("an axis is named twice");
  return result;
}

absl::StatusOr<Shape> SqueezedShape(const ImportNode& node, const Shape& x, const std::vector<int64_t>& axes) {
  std::vector<int64_t> dims;
  for (int d = 0; d < x.rank(); ++d) {
    const bool named = axes.empty() ? x.dim(d) == 1 : std::binary_search(axes.begin(), axes.end(), d);
    if (named && x.dim(d) != 1) return node.Error("axis ", d, " of ", x.ToString(), " has not the extent 1");
    if (!named) dims.push_back(x.dim(d));
  }
  return Shape(dims);
}

Shape UnsqueezedShape(const Shape& x, const std::vector<int64_t>& axes) {
  std::vector<int64_t> dims;
  int next = 0;
  for (int d = 0; d < x.rank() + static_cast<int>(axes.size()); ++d) {
    dims.push_back(std::binary_search(axes.begin(), axes.end(), d) ? 1 : x.dim(next++));
  }
  return Shape(dims);
}

Folded FoldNode(const ImportNode& node, absl::Span<const ImportTensor* const> inputs) {
  const std::string& op = node.op();
  if (op == "Constant") return FoldConstantNode(node);
  if (inputs.empty() || inputs[0] == nullptr) return std::nullopt;
  const ImportTensor& x = *inputs[0];
  const ImportTensor* const second = inputs.size() > 1 ? inputs[1] : nullptr;
  if (op == "ConstantOfShape") return FoldConstantOfShape(node, x);
  if (op == "Identity" || op == "Dropout") return x;
  if (op == "Cast") return FoldCast(node, x);
  if (op == "Shape") return ExtentsOf(node, x.shape);
  if (op == "Neg" || op == "Sqrt" || op == "Reciprocal" || op == "Floor" || op == "Round") return FoldUnary(node, x);
  if (op == "Slice") return FoldSlice(node, inputs);
  if (op == "Concat") return FoldConcat(node, inputs);
  if (op == "Transpose") return FoldTranspose(node, x);
  if (op == "Squeeze") {
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> axes, AxesOf(node, second, x.shape.rank()));
    BITGRAD_ASSIGN_OR_RETURN(const Shape shape, SqueezedShape(node, x.shape, axes));
    return Reshaped(x, shape);
  }
  if (op == "Unsqueeze") {
    const size_t count = second != nullptr ? second->ints.size() : node.Ints("axes").size();
    BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> axes,
                             AxesOf(node, second, x.shape.rank() + static_cast<int>(count)));
    return Reshaped(x, UnsqueezedShape(x.shape, axes));
  }
  if (second == nullptr) return std::nullopt;
  if (op == "Add" || op == "Sub" || op == "Mul" || op == "Div") return FoldArithmetic(node, x, *second);
  if (op == "Gather") return FoldGather(node, x, *second);
  if (op == "Reshape") {
    BITGRAD_ASSIGN_OR_RETURN(const Shape shape, ReshapeTarget(node, x.shape, *second));
    return Reshaped(x, shape);
  }
  return std::nullopt;
}

}  // namespace bitgrad
