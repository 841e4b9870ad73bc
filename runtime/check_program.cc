#include "bitgrad/runtime/check_program.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/kernels/spline_grid.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/check_sequences.h"
#include "bitgrad/runtime/program_checker.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using packed::Instruction;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

// Whether a constant has the shape of a whole example or of its last dimension.
bool IsRowOf(const Shape& constant, const Shape& example) {
  const int64_t count = constant.num_elements();
  return count == example.num_elements() || count == example.cols();
}

template <typename Repeated>
absl::Span<const int64_t> Dims(const Repeated& field) {
  return {field.data(), static_cast<size_t>(field.size())};
}

}  // namespace

absl::StatusOr<Shape> CheckExampleShape(absl::Span<const int64_t> dims) {
  if (dims.empty() || dims.size() > 8) return Error("shape has ", dims.size(), " dimensions, not 1 to 8");
  const Shape shape(dims);
  for (const int64_t extent : dims) {
    if (extent < 1 || extent > kMaxFeatures) {
      return Error("shape ", shape.ToString(), " has an extent that is not in [1, ", kMaxFeatures, "]");
    }
  }
  BITGRAD_RETURN_IF_ERROR(shape.Validate());
  if (shape.num_elements() > kMaxFeatures) {
    return Error("shape ", shape.ToString(), " has more than ", kMaxFeatures, " elements per example");
  }
  return shape;
}

absl::StatusOr<const Blob*> ProgramChecker::UseBlob(const char* field, int id) {
  if (id < 0 || id >= header_.blobs_size()) {
    return Error(field, ": there is no blob ", id, ", the file has ", header_.blobs_size());
  }
  blob_is_used_[id] = true;
  return &header_.blobs(id);
}

absl::Status ProgramChecker::UseBlob(const char* field, int id, Blob::Kind kind, const Shape& shape) {
  BITGRAD_ASSIGN_OR_RETURN(const Blob* blob, UseBlob(field, id));
  if (blob->kind() != kind || ShapeOf(*blob) != shape) {
    return Error(field, ": blob ", id, " (", blob->name(), ") is ", Blob::Kind_Name(blob->kind()), " ",
                 ShapeOf(*blob).ToString(), ", not ", Blob::Kind_Name(kind), " ", shape.ToString());
  }
  return absl::OkStatus();
}

absl::Status ProgramChecker::CheckOperands(const Instruction& instruction) {
  operands_.assign(instruction.operands().begin(), instruction.operands().end());
  for (const int id : operands_) {
    if (id < 0 || id >= static_cast<int>(program_.values.size())) {
      return Error("operands: value ", id, " is not made before it is used");
    }
    if (program_.values[id].is_tokens && !instruction.has_embedding()) {
      return Error("operands: value ", id, " is tokens, which only embedding reads");
    }
  }
  return absl::OkStatus();
}

absl::Status ProgramChecker::CheckOperandCount(int count) const {
  if (static_cast<int>(operands_.size()) == count) return absl::OkStatus();
  return Error("operands: ", operands_.size(), " given, it takes ", count);
}

absl::StatusOr<PackedValue> ProgramChecker::CheckQuantize(const packed::Quantize& quantize) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  BITGRAD_ASSIGN_OR_RETURN(quantizer_, PackedQuantizer::FromProto(quantize));
  PackedValue value = {.example = operand(0).example, .encoding = quantizer_.encoding()};
  if (value.is_coded()) value.scale = quantizer_.value_scale();
  return value;
}

absl::StatusOr<PackedValue> ProgramChecker::CheckBatchNorm(const packed::BatchNorm& batch_norm) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  const PackedValue& x = operand(0);
  const Shape features({x.example.cols()});
  BITGRAD_RETURN_IF_ERROR(UseBlob("batch_norm.mean", batch_norm.mean(), Blob::FLOAT32, features));
  BITGRAD_RETURN_IF_ERROR(UseBlob("batch_norm.inv_std", batch_norm.inv_std(), Blob::FLOAT32, features));
  BITGRAD_RETURN_IF_ERROR(UseBlob("batch_norm.gamma", batch_norm.gamma(), Blob::FLOAT32, features));
  BITGRAD_RETURN_IF_ERROR(UseBlob("batch_norm.beta", batch_norm.beta(), Blob::FLOAT32, features));
  return PackedValue{.example = x.example};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckUnary(const packed::Unary& unary) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  if (!packed::Unary::Op_IsValid(unary.op()) || unary.op() == packed::Unary::UNSPECIFIED) {
    return Error("unary.op: ", static_cast<int>(unary.op()), " is unknown");
  }
  if (!std::isfinite(unary.parameter())) return Error("unary.parameter is not finite");
  return PackedValue{.example = operand(0).example};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckRound(const packed::Round& round) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  const absl::StatusOr<NumberFormat> format = ParseNumberFormat(round.format());
  if (!format.ok()) return Error("round.format: ", format.status().message());
  if (format->kind == NumberFormatKind::kDynamicFixed) {
    return Error("round.format: '", round.format(), "' has no range; a packed model's is fixed");
  }
  return PackedValue{.example = operand(0).example};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckSpline(const packed::Spline& spline) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  const Shape& x = operand(0).example;
  BITGRAD_ASSIGN_OR_RETURN(const Blob* coefficients, UseBlob("spline.coefficients", spline.coefficients()));
  const Shape table = ShapeOf(*coefficients);
  if (coefficients->kind() != Blob::FLOAT32 || table.rank() != 2 || table.dim(0) != x.cols()) {
    return Error("spline.coefficients: blob ", spline.coefficients(), " (", coefficients->name(), ") is ",
                 Blob::Kind_Name(coefficients->kind()), " ", table.ToString(), ", not FLOAT32 [", x.cols(), ", knots]");
  }
  const SplineGrid grid = {.knots = table.cols(), .range = spline.range()};
  if (const absl::Status status = grid.status(); !status.ok()) return Error("spline: ", status.message());
  return PackedValue{.example = x};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckBinary(const packed::Binary& binary) {
  if (!packed::Binary::Op_IsValid(binary.op()) || binary.op() == packed::Binary::UNSPECIFIED) {
    return Error("binary.op: ", static_cast<int>(binary.op()), " is unknown");
  }
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(binary.has_constant() ? 1 : 2));
  const PackedValue& a = operand(0);
  if (!binary.has_constant()) {
    if (a.example != operand(1).example) {
      return Error("operands: shapes ", a.example.ToString(), " and ", operand(1).example.ToString(), " differ");
    }
    return PackedValue{.example = a.example};
  }
  BITGRAD_ASSIGN_OR_RETURN(const Blob* constant, UseBlob("binary.constant", binary.constant()));
  if (constant->kind() != Blob::FLOAT32 || !IsRowOf(ShapeOf(*constant), a.example)) {
    return Error("binary.constant: blob ", binary.constant(), " (", constant->name(), ") is ",
                 Blob::Kind_Name(constant->kind()), " ", ShapeOf(*constant).ToString(),
                 ", not the floats of an example of shape ", a.example.ToString(), " or of its last dimension");
  }
  return PackedValue{.example = a.example};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckConcat() {
  if (operands_.empty()) return Error("operands: none given, concat takes at least 1");
  const Shape& first = operand(0).example;
  int64_t cols = 0;
  for (size_t i = 0; i < operands_.size(); ++i) {
    const Shape& shape = operand(static_cast<int>(i)).example;
    if (shape.rank() != first.rank() || shape.dims().first(shape.rank() - 1) != first.dims().first(first.rank() - 1)) {
      return Error("operands: shapes ", first.ToString(), " and ", shape.ToString(),
                   " differ before the last dimension");
    }
    cols += shape.cols();
    if (cols > kMaxFeatures) return Error("operands: together more than ", kMaxFeatures, " columns");
  }
  std::vector<int64_t> dims(first.dims().begin(), first.dims().end());
  dims.back() = cols;
  BITGRAD_ASSIGN_OR_RETURN(Shape shape, CheckExampleShape(dims));
  return PackedValue{.example = shape};
}

absl::StatusOr<PackedValue> ProgramChecker::CheckReshape(const packed::Reshape& reshape) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  absl::StatusOr<Shape> shape = CheckExampleShape(Dims(reshape.shape()));
  if (!shape.ok()) return Error("reshape.shape: ", shape.status().message());
  if (shape->num_elements() != operand(0).features()) {
    return Error("reshape.shape: ", shape->ToString(), " has not the elements of ", operand(0).example.ToString());
  }
  const PackedValue& x = operand(0);
  return PackedValue{.example = *std::move(shape), .encoding = x.encoding, .scale = x.scale};
}

// The instructions of check_sequences.h.
absl::StatusOr<PackedValue> ProgramChecker::CheckTokensAndStates(const Instruction& instruction) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(instruction.has_state() ? 0 : 1));
  if (instruction.has_state()) return CheckState(header_, instruction.state());
  if (instruction.has_slice_columns()) return CheckSliceColumns(instruction.slice_columns(), operand(0));
  BITGRAD_ASSIGN_OR_RETURN(const Blob* table, UseBlob("embedding.table", instruction.embedding().table()));
  return CheckEmbedding(header_, instruction.embedding(), *table, operand(0));
}

absl::StatusOr<PackedValue> ProgramChecker::CheckFixedPointInput(const packed::FixedPoint& fixed_point) {
  BITGRAD_RETURN_IF_ERROR(CheckOperandCount(1));
  if (fixed_point.has_mean() && fixed_point.has_inv_std()) {
    BITGRAD_ASSIGN_OR_RETURN(const Blob* mean, UseBlob("fixed_point.mean", fixed_point.mean()));
    const Shape channels({mean->shape_size() == 1 ? mean->shape(0) : 0});
    BITGRAD_RETURN_IF_ERROR(UseBlob("fixed_point.mean", fixed_point.mean(), Blob::FLOAT32, channels));
    BITGRAD_RETURN_IF_ERROR(UseBlob("fixed_point.inv_std", fixed_point.inv_std(), Blob::FLOAT32, channels));
    if (operand(0).example.cols() % channels.dim(0) != 0) {
      return Error("fixed_point.mean: ", channels.dim(0), " channels do not divide examples of shape ",
                   operand(0).example.ToString());
    }
  }
  return CheckFixedPoint(fixed_point, operand(0));
}

absl::StatusOr<PackedValue> ProgramChecker::CheckShifts(const Instruction& instruction) {
  if (instruction.has_fixed_point()) return CheckFixedPointInput(instruction.fixed_point());
  if (instruction.has_shift_add()) {
    BITGRAD_RETURN_IF_ERROR(CheckOperandCount(2));
    return CheckShiftAdd(instruction.shift_add(), operand(0), operand(1));
  }
  BITGRAD_ASSIGN_OR_RETURN(const PackedValue concatenated, CheckConcat());
  std::vector<const PackedValue*> operands;
  for (size_t k = 0; k < operands_.size(); ++k) operands.push_back(&operand(static_cast<int>(k)));
  return CheckShiftConcat(instruction.shift_concat(), concatenated.example, operands);
}

absl::StatusOr<PackedValue> ProgramChecker::CheckInstruction(const Instruction& instruction) {
  quantizer_ = PackedQuantizer();
  BITGRAD_RETURN_IF_ERROR(CheckOperands(instruction));
  switch (instruction.kind_case()) {
    case Instruction::kLinear: return CheckLinear(instruction.linear());
    case Instruction::kConv2D: return CheckConv2d(instruction.conv2d());
    case Instruction::kTapConv2D: return CheckTapConv2d(instruction.tap_conv2d());
    case Instruction::kMaxPool: return CheckPool(true, instruction.max_pool());
    case Instruction::kAveragePool: return CheckPool(false, instruction.average_pool());
    case Instruction::kBatchNorm: return CheckBatchNorm(instruction.batch_norm());
    case Instruction::kUnary: return CheckUnary(instruction.unary());
    case Instruction::kRound: return CheckRound(instruction.round());
    case Instruction::kSpline: return CheckSpline(instruction.spline());
    case Instruction::kBinary: return CheckBinary(instruction.binary());
    case Instruction::kQuantize: return CheckQuantize(instruction.quantize());
    case Instruction::kConcat: return CheckConcat();
    case Instruction::kReshape: return CheckReshape(instruction.reshape());
    case Instruction::kEmbedding:
    case Instruction::kSliceColumns:
    case Instruction::kState: return CheckTokensAndStates(instruction);
    case Instruction::kShiftAdd:
    case Instruction::kShiftConcat:
    case Instruction::kFixedPoint: return CheckShifts(instruction);
    case Instruction::KIND_NOT_SET: break;
  }
  return Error("its kind is unknown");
}

absl::Status ProgramChecker::CheckHead() {
  absl::StatusOr<Shape> shape = CheckExampleShape(Dims(header_.input().shape()));
  if (!shape.ok()) return Error("input.shape: ", shape.status().message());
  BITGRAD_RETURN_IF_ERROR(CheckInputOfTokens(header_.input()));
  program_.values.push_back({.example = *std::move(shape), .is_tokens = header_.input().tokens() > 0});
  BITGRAD_RETURN_IF_ERROR(CheckTimeSteps(header_));
  BITGRAD_RETURN_IF_ERROR(CheckStateSlots(header_));
  if (header_.input().has_pixels()) {
    const packed::PixelMapping& pixels = header_.input().pixels();
    // The mapping is monotone: where the values of the smallest and the largest pixel are finite, all are.
    if (!std::isfinite(pixels.multiplier()) || !std::isfinite(pixels.offset()) || !std::isfinite(pixels.divisor()) ||
        !std::isfinite(pixels.offset() / pixels.divisor()) ||
        !std::isfinite((pixels.multiplier() * 255.0f + pixels.offset()) / pixels.divisor())) {
      return Error("input.pixels: the value of a pixel is not finite");
    }
  }
  if (header_.float_parameter_bytes() < 0) return Error("float_parameter_bytes is negative");
  if (header_.parameter_count() < 0) return Error("parameter_count is negative");
  if (header_.instructions_size() == 0) return Error("instructions: there are none");
  for (int i = 0; i < header_.blobs_size(); ++i) {
    const absl::Status status = CheckBlobDescriptor(header_.blobs(i));
    if (!status.ok()) return Error("blob ", i, " (", header_.blobs(i).name(), "): ", status.message());
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckedProgram> ProgramChecker::Run() {
  BITGRAD_RETURN_IF_ERROR(CheckHead());
  const int64_t steps = std::max(1, header_.input().time_steps());
  int64_t example_bytes = program_.values[0].features() * 4 * steps;
  for (int i = 0; i < header_.instructions_size(); ++i) {
    const Instruction& instruction = header_.instructions(i);
    absl::StatusOr<PackedValue> value = CheckInstruction(instruction);
    if (value.ok()) {
      example_bytes += value->features() * (value->is_coded() ? 1 : 4) * steps;
      if (example_bytes > kMaxExampleBytes) {
        value = Error("its value brings the memory of one example over ", kMaxExampleBytes, " bytes");
      }
    }
    if (!value.ok()) {
      return Error("instruction ", i, " (", instruction.layer(), "): ", value.status().message());
    }
    program_.values.push_back(*std::move(value));
    program_.quantizers.push_back(quantizer_);
  }
  for (int i = 0; i < header_.blobs_size(); ++i) {
    if (!blob_is_used_[i]) return Error("blob ", i, " (", header_.blobs(i).name(), ") is used by no instruction");
  }
  const int64_t features = program_.values.back().features();
  if (header_.class_count() < 0 || (header_.class_count() > 0 && header_.class_count() != features)) {
    return Error("class_count is ", header_.class_count(), ", the last value has ", features, " features");
  }
  BITGRAD_RETURN_IF_ERROR(CheckNextValues(header_, program_.values));
  program_.runs = RunsOfInstructions(header_);
  BITGRAD_RETURN_IF_ERROR(CheckVocabulary(header_));
  BITGRAD_RETURN_IF_ERROR(CheckData());
  return std::move(program_);
}

// What the header says of the data that the model was made from.
absl::Status ProgramChecker::CheckData() const {
  if (header_.class_names_size() != 0 && header_.class_names_size() != header_.class_count()) {
    return Error("there are ", header_.class_names_size(), " class_names for ", header_.class_count(), " classes");
  }
  for (const fingerprint::DataSet* data : {&header_.training_data(), &header_.test_data()}) {
    const bool is_present = data == &header_.training_data() ? header_.has_training_data() : header_.has_test_data();
    if (!is_present) continue;
    if (header_.input().tokens() > 0) {
      if (data->tokens() >= 1 && data->classes() == header_.class_count() && data->image_shape_size() == 0) continue;
      return Error("the fingerprint of data set '", data->name(), "' is not of a text of ", header_.class_count(),
                   " different tokens");
    }
    int64_t values = data->image_shape_size() == 3 ? 1 : 0;
    for (const int64_t extent : data->image_shape()) {
      // The product of two numbers up to kMaxFeatures has an int64.
      values = extent < 1 || extent > kMaxFeatures || values > kMaxFeatures ? 0 : values * extent;
    }
    const int64_t features = program_.values[0].features() * std::max(1, header_.input().time_steps());
    if (values != features || data->classes() != header_.class_count() || data->images() < 1) {
      return Error("the fingerprint of data set '", data->name(), "' is not of images like the model's input, in ",
                   header_.class_count(), " classes");
    }
  }
  return absl::OkStatus();
}

absl::StatusOr<CheckedProgram> CheckProgram(const Header& header) { return ProgramChecker(header).Run(); }

}  // namespace bitgrad
