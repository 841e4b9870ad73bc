// What is done to each element, and what only moves elements.

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

using packed::Instruction;

int64_t Cols(const CEmitter& c, int id) { return c.model().value(id).example.cols(); }

absl::Status EmitUnary(CEmitter& c, int i, int operand) {
  const packed::Unary& unary = c.model().header().instructions(i).unary();
  std::string kernel, parameter;
  switch (unary.op()) {
    case packed::Unary::RELU: kernel = "relu"; break;
    case packed::Unary::LEAKY_RELU:
      kernel = "leaky_relu";
      parameter = FloatLiteral(unary.parameter()) + ", ";
      break;
    case packed::Unary::HARDTANH: kernel = "hardtanh"; break;
    case packed::Unary::SIGMOID: kernel = "sigmoid"; break;
    case packed::Unary::TANH: kernel = "tanh"; break;
    default: return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": unary op is unknown"));
  }
  c.Begin(i, kernel);
  const std::string from = c.Use(operand, Form::kFloats);
  c.Call(kernel,
         absl::StrCat(c.model().value(i + 1).features(), ", ", parameter, from, ", ", c.MakeOver(i + 1, {from})));
  return absl::OkStatus();
}

absl::Status EmitBinary(CEmitter& c, int i) {
  const Instruction& instruction = c.model().header().instructions(i);
  const packed::Binary& binary = instruction.binary();
  std::string kernel;
  switch (binary.op()) {
    case packed::Binary::ADD: kernel = "add_floats"; break;
    case packed::Binary::SUB: kernel = "sub_floats"; break;
    case packed::Binary::MUL: kernel = "mul_floats"; break;
    default: return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": binary op is unknown"));
  }
  const int64_t n = c.model().value(i + 1).features();
  c.Begin(i, kernel);
  const std::string a = c.Use(instruction.operands(0), Form::kFloats);
  std::string b;
  int64_t m = n;
  if (binary.has_constant()) {
    b = c.Floats(binary.constant(), "constant");
    m = ShapeOf(c.model().blob(binary.constant())).num_elements();
  } else {
    b = c.Use(instruction.operands(1), Form::kFloats);
  }
  c.Call(kernel, absl::StrCat(n, ", ", m, ", ", a, ", ", b, ", ", c.MakeOver(i + 1, {a, b})));
  return absl::OkStatus();
}

absl::Status EmitRound(CEmitter& c, int i, int operand) {
  const NumberFormat format = *ParseNumberFormat(c.model().header().instructions(i).round().format());  // was checked
  c.Begin(i, absl::StrCat("round to ", ToString(format)));
  const int64_t n = c.model().value(i + 1).features();
  const std::string from = c.Use(operand, Form::kFloats);
  switch (format.kind) {
    case NumberFormatKind::kHalf:
      c.Call("round_half", absl::StrCat(n, ", ", from, ", ", c.MakeOver(i + 1, {from})));
      return absl::OkStatus();
    case NumberFormatKind::kBfloat16:
      c.Call("round_bfloat16", absl::StrCat(n, ", ", from, ", ", c.MakeOver(i + 1, {from})));
      return absl::OkStatus();
    case NumberFormatKind::kFixed: {
      const int bits = format.bits - 1;
      const float most = std::ldexp(1.0f, bits) - 1.0f;
      c.Call("round_fixed", absl::StrCat(n, ", ", FloatLiteral(std::ldexp(1.0f, bits - format.range)), ", ",
                                         FloatLiteral(std::ldexp(1.0f, format.range - bits)), ", ", FloatLiteral(most),
                                         ", ", from, ", ", c.MakeOver(i + 1, {from})));
      return absl::OkStatus();
    }
    default:
      return absl::UnimplementedError(absl::StrCat(InstructionText(c.model(), i), ": numbers of the format '",
                                                   ToString(format), "' are not written as C; use half, bfloat16 or ",
                                                   "fixed"));
  }
}

void EmitEmbedding(CEmitter& c, int i) {
  const PackedModel& model = c.model();
  const packed::Embedding& embedding = model.header().instructions(i).embedding();
  const packed::Blob& table = model.blob(embedding.table());
  const int64_t tokens = model.header().input().tokens(), width = embedding.width();
  c.Begin(i, absl::StrCat("row of a table [", tokens, ", ", width, "] of ", EncodingText(EncodingOf(table))));
  if (table.kind() == packed::Blob::FLOAT32) {
    return c.SetFloats(i + 1, absl::StrCat("(", c.Floats(embedding.table(), "table"), " + token * ", width, ")"));
  }
  // The planes, each with all rows one behind the other.
  const int planes = PlaneCount(table);
  const int64_t words = (tokens * width + 31) / 32;
  std::vector<uint32_t> array(static_cast<size_t>(planes * words));
  for (int plane = 0; plane < planes; ++plane) {
    const ConstBitMatrixView bits = model.plane(embedding.table(), plane);
    for (int64_t j = 0; j < tokens * width; ++j) {
      array[plane * words + j / 32] |= static_cast<uint32_t>(bits.bit(j / bits.cols, j % bits.cols)) << (j % 32);
    }
  }
  const std::string name =
      c.arrays().Add(c.layer() + "_table", c.layer() + ": table, planes of bits", absl::MakeConstSpan(array));
  if (model.value(i + 1).is_bits()) {
    return c.Call("embed_bits", absl::StrCat("token, ", width, ", ", name, ", ", c.Make(i + 1, Form::kBits)));
  }
  c.Call("embed_codes",
         absl::StrCat("token, ", width, ", ", planes, ", ", words, ", ", name, ", ", c.Make(i + 1, Form::kCodes)));
}

void EmitState(CEmitter& c, int i) {
  const packed::Header& header = c.model().header();
  const int slot = header.instructions(i).state().slot();
  const int64_t width = header.states(slot).width();
  c.Begin(i, absl::StrCat("state ", header.states(slot).name()));
  // Another state may become what this one was, so it is read before any state is written.
  c.Call("copy_columns",
         absl::StrCat("1, ", width, ", ", width, ", state->s", slot, ", ", width, ", ", c.Make(i + 1, Form::kFloats)));
}

}  // namespace

absl::Status EmitElementwise(CEmitter& c, int i) {
  const PackedModel& model = c.model();
  const Instruction& instruction = model.header().instructions(i);
  const int64_t n = model.value(i + 1).features();
  switch (instruction.kind_case()) {
    case Instruction::kUnary: return EmitUnary(c, i, instruction.operands(0));
    case Instruction::kBinary: return EmitBinary(c, i);
    case Instruction::kRound: return EmitRound(c, i, instruction.operands(0));
    case Instruction::kReshape:
      c.Begin(i, absl::StrCat("the same elements as ", ShapeText(model.value(i + 1))));
      c.Alias(i + 1, instruction.operands(0));
      return absl::OkStatus();
    case Instruction::kEmbedding: EmitEmbedding(c, i); return absl::OkStatus();
    case Instruction::kState: EmitState(c, i); return absl::OkStatus();
    case Instruction::kBatchNorm: {
      const packed::BatchNorm& norm = instruction.batch_norm();
      const int64_t cols = Cols(c, i + 1);
      c.Begin(i, "batch norm");
      const std::string vectors =
          absl::StrCat(c.Floats(norm.mean(), "mean"), ", ", c.Floats(norm.inv_std(), "inv_std"), ", ",
                       c.Floats(norm.gamma(), "gamma"), ", ", c.Floats(norm.beta(), "beta"));
      const std::string from = c.Use(instruction.operands(0), Form::kFloats);
      c.Call("batch_norm",
             absl::StrCat(n / cols, ", ", cols, ", ", vectors, ", ", from, ", ", c.MakeOver(i + 1, {from})));
      return absl::OkStatus();
    }
    case Instruction::kSpline: {
      const packed::Spline& spline = instruction.spline();
      const Shape shape = ShapeOf(model.blob(spline.coefficients()));
      c.Begin(i, absl::StrCat("spline of ", shape.cols(), " knots for each channel"));
      const float inverse_step = static_cast<float>(shape.cols() / 2) / spline.range();
      const std::string coefficients = c.Floats(spline.coefficients(), "coefficients");
      const std::string from = c.Use(instruction.operands(0), Form::kFloats);
      c.Call("spline", absl::StrCat(n, ", ", shape.dim(0), ", ", shape.cols(), ", ", FloatLiteral(inverse_step), ", ",
                                    coefficients, ", ", from, ", ", c.MakeOver(i + 1, {from})));
      return absl::OkStatus();
    }
    case Instruction::kConcat: {
      c.Begin(i, "operands side by side");
      const int64_t cols = Cols(c, i + 1);
      std::vector<std::string> from;
      for (const int operand : instruction.operands()) from.push_back(c.Use(operand, Form::kFloats));
      const std::string to = c.Make(i + 1, Form::kFloats);
      int64_t begin = 0;
      for (size_t k = 0; k < from.size(); ++k) {
        const int64_t width = Cols(c, instruction.operands(static_cast<int>(k)));
        c.Call("copy_columns",
               absl::StrCat(n / cols, ", ", width, ", ", width, ", ", from[k], ", ", cols, ", ", to, " + ", begin));
        begin += width;
      }
      return absl::OkStatus();
    }
    case Instruction::kSliceColumns: {
      const packed::SliceColumns& slice = instruction.slice_columns();
      c.Begin(i, absl::StrCat("columns ", slice.begin(), " to ", slice.begin() + slice.size() - 1));
      const std::string from = c.Use(instruction.operands(0), Form::kFloats);
      c.Call("copy_columns",
             absl::StrCat(n / slice.size(), ", ", slice.size(), ", ", Cols(c, instruction.operands(0)), ", ", from,
                          " + ", slice.begin(), ", ", slice.size(), ", ", c.Make(i + 1, Form::kFloats)));
      return absl::OkStatus();
    }
    default: break;
  }
  return absl::UnimplementedError(
      absl::StrCat(InstructionText(model, i), ": this kind of instruction is not written as C"));
}

absl::Status EmitShift(CEmitter& c, int i) {
  const PackedModel& model = c.model();
  const Instruction& instruction = model.header().instructions(i);
  const Encoding& encoding = model.value(i + 1).encoding;
  const int64_t n = model.value(i + 1).features();
  const std::string range = absl::StrCat(encoding.least_code(), ", ", encoding.code(encoding.largest_stored()), ", ");
  const auto least = [&](int operand) { return model.value(operand).encoding.least_code(); };
  if (instruction.has_shift_add()) {
    const packed::ShiftAdd& add = instruction.shift_add();
    const int a = instruction.operands(0), b = instruction.operands(1);
    c.Begin(i, "sum of two values, by shifts");
    const std::string from_a = c.Use(a, Form::kCodes), from_b = c.Use(b, Form::kCodes);
    c.Call("shift_add", absl::StrCat(n, ", ", least(a), ", ", add.left_shifts(0), ", ", least(b), ", ",
                                     add.left_shifts(1), ", ", add.requantize().shift(), ", ", range, from_a, ", ",
                                     from_b, ", ", c.Make(i + 1, Form::kCodes)));
    return absl::OkStatus();
  }
  c.Begin(i, "operands side by side, by shifts");
  const int64_t cols = Cols(c, i + 1);
  std::vector<std::string> from;
  for (const int operand : instruction.operands()) from.push_back(c.Use(operand, Form::kCodes));
  const std::string to = c.Make(i + 1, Form::kCodes);
  int64_t begin = 0;
  for (int k = 0; k < instruction.operands_size(); ++k) {
    const int operand = instruction.operands(k);
    c.Call("shift_columns", absl::StrCat(n / cols, ", ", Cols(c, operand), ", ", least(operand), ", ",
                                         instruction.shift_concat().shifts(k), ", ", range, from[k], ", ", cols, ", ",
                                         to, " + ", begin));
    begin += Cols(c, operand);
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
