#include "bitgrad/runtime/elementwise_step.h"

#include <cstdint>
#include <vector>

#include "bitgrad/core/number_format.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// A step with one operand.
class UnaryStep : public Step {
 public:
  UnaryStep(const Instruction& instruction, int i) : operand_(instruction.operands(0)), result_(i + 1) {}

 protected:
  const int operand_;
  const int result_;
};

class BatchNormStep final : public UnaryStep {
 public:
  BatchNormStep(const Instruction& instruction, int i, Frame& frame)
      : UnaryStep(instruction, i),
        mean_(frame.blobs().floats(instruction.batch_norm().mean())),
        inv_std_(frame.blobs().floats(instruction.batch_norm().inv_std())),
        gamma_(frame.blobs().floats(instruction.batch_norm().gamma())),
        beta_(frame.blobs().floats(instruction.batch_norm().beta())) {}

  void Run(Frame& frame) override {
    frame.kernels().batch_norm_eval(frame.context(), frame.floats(operand_), mean_, inv_std_, gamma_, beta_,
                                    frame.NewFloats(result_));
  }

 private:
  const float *const mean_, *const inv_std_, *const gamma_, *const beta_;
};

class ActivationStep final : public UnaryStep {
 public:
  ActivationStep(const Instruction& instruction, int i)
      : UnaryStep(instruction, i),
        op_(static_cast<Unary>(instruction.unary().op())),
        parameter_(instruction.unary().parameter()) {}

  void Run(Frame& frame) override {
    const ConstMatrixView<float> x = frame.floats(operand_);
    frame.kernels().unary_forward(frame.context(), op_, parameter_, x.data, frame.NewFloats(result_).data, x.size());
  }

 private:
  const Unary op_;
  const float parameter_;
};

class SplineStep final : public UnaryStep {
 public:
  SplineStep(const PackedModel& model, const Instruction& instruction, int i, Frame& frame)
      : UnaryStep(instruction, i),
        grid_{.knots = ShapeOf(model.blob(instruction.spline().coefficients())).cols(),
              .range = instruction.spline().range()},
        channels_(ShapeOf(model.blob(instruction.spline().coefficients())).dim(0)),
        coefficients_(frame.blobs().floats(instruction.spline().coefficients())) {}

  void Run(Frame& frame) override {
    const ConstMatrixView<float> x = frame.floats(operand_);
    const MatrixView<float> y = frame.NewFloats(result_);
    frame.kernels().spline_forward(frame.context(), grid_, {x.data, x.size() / channels_, channels_}, coefficients_,
                                   y.data, nullptr);
  }

 private:
  const SplineGrid grid_;
  const int64_t channels_;
  const float* const coefficients_;
};

class RoundStep final : public UnaryStep {
 public:
  RoundStep(const Instruction& instruction, int i)
      : UnaryStep(instruction, i), format_(*ParseNumberFormat(instruction.round().format())) {}  // which was checked

  void Run(Frame& frame) override {
    const ConstMatrixView<float> x = frame.floats(operand_);
    frame.kernels().round_numbers(frame.context(),
                                  {.kind = format_.kind, .bits = format_.bits, .fixed_range = format_.range}, x.data,
                                  frame.NewFloats(result_).data, x.size());
  }

 private:
  const NumberFormat format_;
};

class BinaryStep final : public UnaryStep {
 public:
  BinaryStep(const PackedModel& model, const Instruction& instruction, int i, Frame& frame)
      : UnaryStep(instruction, i), op_(static_cast<Binary>(instruction.binary().op())) {
    if (!instruction.binary().has_constant()) {
      second_ = instruction.operands(1);
      return;
    }
    constant_ = frame.blobs().floats(instruction.binary().constant());
    cols_ = ShapeOf(model.blob(instruction.binary().constant())).num_elements();
  }

  void Run(Frame& frame) override {
    const ConstMatrixView<float> a = frame.floats(operand_);
    if (constant_ == nullptr) {
      const ConstMatrixView<float> b = frame.floats(second_);
      frame.kernels().binary_forward(frame.context(), op_, a, b, frame.NewFloats(result_));
      return;
    }
    // The matrix has a row for each repetition of the constant: for each example, or for each position in an example.
    const int64_t rows = a.size() / cols_;
    frame.kernels().binary_forward(frame.context(), op_, {a.data, rows, cols_}, {constant_, rows, cols_, 0},
                                   {frame.NewFloats(result_).data, rows, cols_});
  }

 private:
  const Binary op_;
  int second_ = -1;                  // the second operand, or
  const float* constant_ = nullptr;  // the constant
  int64_t cols_ = 0;
};

class ConcatStep final : public Step {
 public:
  ConcatStep(const Instruction& instruction, int i)
      : operands_(instruction.operands().begin(), instruction.operands().end()), result_(i + 1) {}

  void Run(Frame& frame) override {
    const MatrixView<float> y = frame.NewFloats(result_);
    int64_t begin = 0;
    for (const int operand : operands_) {
      const ConstMatrixView<float> x = frame.floats(operand);
      frame.kernels().copy_matrix(frame.context(), x, {y.data + begin, x.rows, x.cols, y.cols});
      begin += x.cols;
    }
  }

 private:
  const std::vector<int> operands_;
  const int result_;
};

class ReshapeStep final : public UnaryStep {
 public:
  using UnaryStep::UnaryStep;
  void Run(Frame& frame) override { frame.Alias(result_, operand_); }
};

class SliceColumnsStep final : public UnaryStep {
 public:
  SliceColumnsStep(const Instruction& instruction, int i)
      : UnaryStep(instruction, i), begin_(instruction.slice_columns().begin()) {}

  void Run(Frame& frame) override {
    const ConstMatrixView<float> x = frame.floats(operand_);
    // Those of one row lie side by side. Kernels of a GPU may want multiples of 16 bytes.
    if (x.rows == 1 && (begin_ % 4 == 0 || frame.context().device() == Device::kCpu)) {
      return frame.SetFloats(result_, x.data + begin_);
    }
    const MatrixView<float> y = frame.NewFloats(result_);
    frame.kernels().copy_matrix(frame.context(), {x.data + begin_, x.rows, y.cols, x.cols}, y);
  }

 private:
  const int64_t begin_;
};

class StateStep final : public Step {
 public:
  StateStep(const Instruction& instruction, int i) : slot_(instruction.state().slot()), result_(i + 1) {}

  void Run(Frame& frame) override { frame.SetFloats(result_, frame.state(slot_)); }

 private:
  const int slot_;
  const int result_;
};

}  // namespace

std::unique_ptr<Step> NewElementwiseStep(const PackedModel& model, int i, Frame& frame) {
  const Instruction& instruction = model.header().instructions(i);
  switch (instruction.kind_case()) {
    case Instruction::kBatchNorm: return std::make_unique<BatchNormStep>(instruction, i, frame);
    case Instruction::kUnary: return std::make_unique<ActivationStep>(instruction, i);
    case Instruction::kSpline: return std::make_unique<SplineStep>(model, instruction, i, frame);
    case Instruction::kRound: return std::make_unique<RoundStep>(instruction, i);
    case Instruction::kBinary: return std::make_unique<BinaryStep>(model, instruction, i, frame);
    case Instruction::kConcat: return std::make_unique<ConcatStep>(instruction, i);
    case Instruction::kReshape: return std::make_unique<ReshapeStep>(instruction, i);
    case Instruction::kSliceColumns: return std::make_unique<SliceColumnsStep>(instruction, i);
    case Instruction::kState: return std::make_unique<StateStep>(instruction, i);
    case Instruction::kQuantize:
    case Instruction::kLinear:
    case Instruction::kConv2D:
    case Instruction::kTapConv2D:
    case Instruction::kMaxPool:
    case Instruction::kAveragePool:
    case Instruction::kEmbedding:
    case Instruction::kShiftAdd:
    case Instruction::kShiftConcat:
    case Instruction::kFixedPoint:
    case Instruction::KIND_NOT_SET: break;
  }
  return nullptr;
}

}  // namespace bitgrad
