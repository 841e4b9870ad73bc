#include "bitgrad/runtime/elementwise_step.h"

#include "bitgrad/core/number_format.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

using packed::Instruction;

void RunBatchNorm(const Instruction& instruction, int result, Frame& frame) {
  const packed::BatchNorm& batch_norm = instruction.batch_norm();
  const ModelBlobs& blobs = frame.blobs();
  frame.kernels().batch_norm_eval(frame.context(), frame.floats(instruction.operands(0)),
                                  blobs.floats(batch_norm.mean()), blobs.floats(batch_norm.inv_std()),
                                  blobs.floats(batch_norm.gamma()), blobs.floats(batch_norm.beta()),
                                  frame.NewFloats(result));
}

void RunUnary(const Instruction& instruction, int result, Frame& frame) {
  const ConstMatrixView<float> x = frame.floats(instruction.operands(0));
  frame.kernels().unary_forward(frame.context(), static_cast<Unary>(instruction.unary().op()),
                                instruction.unary().parameter(), x.data, frame.NewFloats(result).data, x.size());
}

void RunRound(const Instruction& instruction, int result, Frame& frame) {
  const NumberFormat format = *ParseNumberFormat(instruction.round().format());  // which was checked
  const ConstMatrixView<float> x = frame.floats(instruction.operands(0));
  frame.kernels().round_numbers(frame.context(),
                                {.kind = format.kind, .bits = format.bits, .fixed_range = format.range}, x.data,
                                frame.NewFloats(result).data, x.size());
}

void RunBinary(const PackedModel& model, const Instruction& instruction, int result, Frame& frame) {
  const packed::Binary& binary = instruction.binary();
  const auto op = static_cast<Binary>(binary.op());
  const ConstMatrixView<float> a = frame.floats(instruction.operands(0));
  const MatrixView<float> y = frame.NewFloats(result);
  if (!binary.has_constant()) {
    frame.kernels().binary_forward(frame.context(), op, a, frame.floats(instruction.operands(1)), y);
    return;
  }
  // The matrix has a row for each repetition of the constant: for each example, or for each position in an example.
  const int64_t cols = ShapeOf(model.blob(binary.constant())).num_elements();
  const int64_t rows = a.size() / cols;
  frame.kernels().binary_forward(frame.context(), op, {a.data, rows, cols},
                                 {frame.blobs().floats(binary.constant()), rows, cols, 0}, {y.data, rows, cols});
}

void RunConcat(const Instruction& instruction, int result, Frame& frame) {
  const MatrixView<float> y = frame.NewFloats(result);
  int64_t begin = 0;
  for (const int operand : instruction.operands()) {
    const ConstMatrixView<float> x = frame.floats(operand);
    frame.kernels().copy_matrix(frame.context(), x, {y.data + begin, x.rows, x.cols, y.cols});
    begin += x.cols;
  }
}

}  // namespace

void RunElementwiseStep(const PackedModel& model, int i, Frame& frame) {
  const Instruction& instruction = model.header().instructions(i);
  const int result = i + 1;
  switch (instruction.kind_case()) {
    case Instruction::kBatchNorm: return RunBatchNorm(instruction, result, frame);
    case Instruction::kUnary: return RunUnary(instruction, result, frame);
    case Instruction::kRound: return RunRound(instruction, result, frame);
    case Instruction::kBinary: return RunBinary(model, instruction, result, frame);
    case Instruction::kConcat: return RunConcat(instruction, result, frame);
    case Instruction::kReshape: return frame.Alias(result, instruction.operands(0));
    case Instruction::kQuantize:
    case Instruction::kLinear:
    case Instruction::kConv2D:
    case Instruction::kMaxPool:
    case Instruction::kAveragePool:
    case Instruction::KIND_NOT_SET: break;
  }
}

}  // namespace bitgrad
