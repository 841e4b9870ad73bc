// batch_norm, unary, spline, round, binary, concat, reshape, slice_columns.

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx_steps.h"
#include "bitgrad/ops/kernels/spline_grid.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

using packed::Instruction;

constexpr ImageLayout kLast = ImageLayout::kChannelsLast;

// (x - mean) * inv_std * gamma + beta: four roundings, in this order. ONNX's BatchNormalization has others.
void AddBatchNorm(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::BatchNorm& norm = values.instruction(i).batch_norm();
  const ImageLayout layout = values.LayoutOf(values.instruction(i).operands(0));
  std::string x = values.Floats(values.instruction(i).operands(0), layout);
  const auto apply = [&](const char* op, const char* what, int blob) {
    const std::string numbers = values.PerChannel(values.Hint(i, what), values.model().floats(blob), i + 1, layout);
    x = graph.Node(op, {x, numbers}, values.Hint(i, absl::StrCat("times_", what)));
  };
  x = graph.Node("Sub",
                 {x, values.PerChannel(values.Hint(i, "mean"), values.model().floats(norm.mean()), i + 1, layout)},
                 values.Hint(i, "centered"));
  apply("Mul", "inv_std", norm.inv_std());
  apply("Mul", "gamma", norm.gamma());
  x = graph.Node("Add",
                 {x, values.PerChannel(values.Hint(i, "beta"), values.model().floats(norm.beta()), i + 1, layout)},
                 values.Hint(i, "norm"));
  values.SetFloats(i + 1, layout, x);
}

void AddUnary(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::Unary& unary = values.instruction(i).unary();
  const ImageLayout layout = values.LayoutOf(values.instruction(i).operands(0));
  const std::string x = values.Floats(values.instruction(i).operands(0), layout);
  std::string y;
  switch (unary.op()) {
    case packed::Unary::RELU: y = graph.Node("Relu", {x}, values.Hint(i, "relu")); break;
    case packed::Unary::LEAKY_RELU:
      y = graph.Node("LeakyRelu", {x}, values.Hint(i, "leaky_relu"), {FloatAttribute("alpha", unary.parameter())});
      break;
    case packed::Unary::HARDTANH:
      y = graph.Node("Clip", {x, graph.Scalar(-1), graph.Scalar(1)}, values.Hint(i, "hardtanh"));
      break;
    case packed::Unary::SIGMOID: y = graph.Node("Sigmoid", {x}, values.Hint(i, "sigmoid")); break;
    case packed::Unary::TANH: y = graph.Node("Tanh", {x}, values.Hint(i, "tanh")); break;
    default: break;  // The program has been checked.
  }
  values.SetFloats(i + 1, layout, y);
}

// c[n, i] + (p - i) * (c[n, i + 1] - c[n, i]): the coefficients and their differences are looked up in tables of all
// channels.
void AddSpline(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::Spline& spline = values.instruction(i).spline();
  const ImageLayout layout = values.LayoutOf(values.instruction(i).operands(0));
  const Shape shape = ShapeOf(values.model().blob(spline.coefficients()));
  const SplineGrid grid{.knots = shape.cols(), .range = spline.range()};
  const int64_t channels = shape.dim(0), knots = grid.knots;
  const absl::Span<const float> c = values.model().floats(spline.coefficients());
  std::vector<float> differences;
  for (int64_t j = 0; j < channels * knots; ++j) {
    differences.push_back(j % knots + 1 < knots ? c[j + 1] - c[j] : 0.0f);
  }
  std::vector<int64_t> rows;
  for (int64_t n = 0; n < channels; ++n) rows.push_back(n * knots);

  const std::string hint = values.Hint(i, "spline");
  const std::string x = values.Floats(values.instruction(i).operands(0), layout);
  const std::string steps = graph.Node("Mul", {x, graph.Scalar(grid.inverse_step())}, hint + "/steps");
  const std::string p = graph.Node("Add", {steps, graph.Scalar(static_cast<float>(knots / 2))}, hint + "/place");
  const std::string whole = graph.Node("Floor", {p}, hint + "/floor");
  const std::string interval =
      graph.Node("Clip", {whole, graph.Scalar(0), graph.Scalar(static_cast<float>(knots - 2))}, hint + "/interval");
  const std::string t = graph.Node("Sub", {p, interval}, hint + "/rest");
  const std::string column = graph.Cast(interval, onnx::TensorProto::INT64, hint + "/column");
  const std::string row = graph.Int64s(hint + "/rows", values.ChannelShape(channels, i + 1, layout), rows);
  const std::string index = graph.Node("Add", {column, row}, hint + "/index");
  const auto look_up = [&](const char* what, absl::Span<const float> table) {
    const std::string name = graph.Floats(absl::StrCat(hint, "/", what), {channels * knots}, table);
    return graph.Node("Gather", {name, index}, absl::StrCat(hint, "/one_of_", what), {IntAttribute("axis", 0)});
  };
  const std::string left = look_up("coefficients", c), slope = look_up("differences", differences);
  const std::string rise = graph.Node("Mul", {t, slope}, hint + "/rise");
  values.SetFloats(i + 1, layout, graph.Node("Add", {left, rise}, hint));
}

absl::Status AddRound(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const std::string& text = values.instruction(i).round().format();
  BITGRAD_ASSIGN_OR_RETURN(const NumberFormat format, ParseNumberFormat(text));
  const ImageLayout layout = values.LayoutOf(values.instruction(i).operands(0));
  const std::string x = values.Floats(values.instruction(i).operands(0), layout);
  const std::string hint = values.Hint(i, "round");
  std::string y = x;
  if (format.kind == NumberFormatKind::kFixed && format.bits <= 24) {
    const int n = format.bits - 1;
    const float most = std::ldexp(1.0f, n) - 1;
    y = graph.Node("Mul", {y, graph.Scalar(std::ldexp(1.0f, n - format.range))}, hint + "/scaled");
    y = graph.Node("Round", {y}, hint + "/whole");
    y = graph.Node("Clip", {y, graph.Scalar(-most), graph.Scalar(most)}, hint + "/clipped");
    y = graph.Node("Mul", {y, graph.Scalar(std::ldexp(1.0f, format.range - n))}, hint);
  } else if (format.kind == NumberFormatKind::kHalf) {
    y = graph.Cast(graph.Cast(x, onnx::TensorProto::FLOAT16, hint + "/half"), onnx::TensorProto::FLOAT, hint);
  } else if (!format.is_float()) {
    return values.Refuse(i, absl::StrCat("rounding to '", text, "'"),
                         "no dialect can: half and fixed(2 to 24 bits, range) are rounded exactly");
  }
  values.SetFloats(i + 1, layout, y);
  return absl::OkStatus();
}

void AddBinary(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const Instruction& instruction = values.instruction(i);
  const packed::Binary& binary = instruction.binary();
  const int a = instruction.operands(0);
  ImageLayout layout = values.LayoutOf(a);
  std::string b;
  if (binary.has_constant()) {
    const absl::Span<const float> constant = values.model().floats(binary.constant());
    const PackedValue& value = values.model().value(i + 1);
    if (static_cast<int64_t>(constant.size()) == value.example.cols()) {
      b = values.PerChannel(values.Hint(i, "constant"), constant, i + 1, layout);
    } else {
      layout = kLast;
      const absl::Span<const int64_t> dims = value.example.dims();
      b = graph.Floats(values.Hint(i, "constant"), {dims.begin(), dims.end()}, constant);
    }
  } else {
    if (values.LayoutOf(instruction.operands(1)) != kLast) layout = values.LayoutOf(instruction.operands(1));
    b = values.Floats(instruction.operands(1), layout);
  }
  const char* op = binary.op() == packed::Binary::ADD ? "Add" : binary.op() == packed::Binary::SUB ? "Sub" : "Mul";
  values.SetFloats(i + 1, layout, graph.Node(op, {values.Floats(a, layout), b}, values.Hint(i, op)));
}

void AddConcat(OnnxValues& values, int i) {
  const Instruction& instruction = values.instruction(i);
  const ImageLayout layout = values.LayoutOf(instruction.operands(0));
  std::vector<std::string> parts;
  for (const int operand : instruction.operands()) parts.push_back(values.Floats(operand, layout));
  const int64_t axis = layout == kLast ? -1 : 1;
  values.SetFloats(i + 1, layout,
                   values.graph().Node("Concat", parts, values.Hint(i, "concat"), {IntAttribute("axis", axis)}));
}

void AddReshape(OnnxValues& values, int i) {
  const int operand = values.instruction(i).operands(0);
  std::vector<int64_t> shape = {-1};  // the batch
  for (const int64_t extent : values.instruction(i).reshape().shape()) shape.push_back(extent);
  const std::string y = values.graph().Node("Reshape", {values.Terms(operand, kLast), values.graph().Index(shape)},
                                            values.Hint(i, "reshape"));
  if (values.model().value(i + 1).is_coded()) {
    values.SetCodes(i + 1, kLast, y);
  } else {
    values.SetFloats(i + 1, kLast, y);
  }
}

void AddSliceColumns(OnnxValues& values, int i) {
  OnnxGraph& graph = values.graph();
  const packed::SliceColumns& slice = values.instruction(i).slice_columns();
  const std::string x = values.Floats(values.instruction(i).operands(0), kLast);
  values.SetFloats(
      i + 1, kLast,
      graph.Node("Slice",
                 {x, graph.Index({slice.begin()}), graph.Index({slice.begin() + slice.size()}), graph.Index({-1})},
                 values.Hint(i, "slice")));
}

}  // namespace

absl::Status AddOnnxElementwise(OnnxValues& values, int i) {
  switch (values.instruction(i).kind_case()) {
    case Instruction::kBatchNorm: AddBatchNorm(values, i); break;
    case Instruction::kUnary: AddUnary(values, i); break;
    case Instruction::kSpline: AddSpline(values, i); break;
    case Instruction::kRound: return AddRound(values, i);
    case Instruction::kBinary: AddBinary(values, i); break;
    case Instruction::kConcat: AddConcat(values, i); break;
    case Instruction::kReshape: AddReshape(values, i); break;
    case Instruction::kSliceColumns: AddSliceColumns(values, i); break;
    default: return values.Refuse(i, "an instruction that it does not know", "use a newer bitgrad");
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
