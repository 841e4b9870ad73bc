#include "bitgrad/runtime/interpreter.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/conv_step.h"
#include "bitgrad/runtime/elementwise_step.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/linear_step.h"
#include "bitgrad/runtime/pool_step.h"
#include "bitgrad/runtime/quantize_step.h"

namespace bitgrad {
namespace {

// How much memory the values of one piece of a batch may take by default.
int64_t PieceBytes(Device device) {
  // Enough rows to keep the cores busy. A larger piece would not fit into the caches.
  if (device == Device::kCpu) return int64_t{32} << 20;
  // Each piece costs two copies that the host waits for and the launches of some dozen kernels: about 0.1 ms (an
  // estimate, not measured), in which a GPU computes several pieces of the CPU's size. So its pieces are larger. With
  // this limit a piece has some 300,000 images for an MNIST net, 20,000 for a CIFAR-10 net, and 40 for a residual net
  // on 224 x 224 pixels, whose last layers, of 7 x 7, need that many to fill a GPU. A GPU with 8 GB has room for it,
  // and no more is allocated than the batch needs.
  return int64_t{2} << 30;
}

int64_t ExamplesPerPiece(const PackedModel& model, int64_t piece_bytes) {
  int64_t bytes = 0;
  for (int id = 0; id <= model.header().instructions_size(); ++id) {
    const PackedValue& value = model.value(id);
    // An element of floats takes a float, and another one where a kernel works on it.
    bytes += value.is_bits() ? value.features() / 8 + 1 : value.is_coded() ? value.features() : 8 * value.features();
  }
  return std::max<int64_t>(1, piece_bytes / bytes);
}

class ProgramInterpreter final : public Interpreter {
 public:
  ProgramInterpreter(const PackedModel& model, ExecContext& context, int64_t piece_bytes)
      : model_(model),
        context_(context),
        frame_(model, context),
        piece_(ExamplesPerPiece(model, piece_bytes)),
        steps_(static_cast<size_t>(model.header().instructions_size())) {
    for (int i = 0; i < model.header().instructions_size(); ++i) {
      const packed::Instruction& instruction = model.header().instructions(i);
      if (instruction.has_linear()) steps_[i] = std::make_unique<LinearStep>(model, i, frame_);
      if (instruction.has_quantize()) steps_[i] = std::make_unique<QuantizeStep>(model, i, frame_);
      if (instruction.has_conv2d()) steps_[i] = std::make_unique<ConvStep>(model, i, frame_);
      if (instruction.has_max_pool() || instruction.has_average_pool()) {
        steps_[i] = std::make_unique<PoolStep>(model, i, frame_);
      }
    }
  }

  absl::StatusOr<Tensor> Run(ConstMatrixView<float> x) override { return RunBatch(x); }

  absl::StatusOr<Tensor> RunPixels(ConstMatrixView<uint8_t> pixels) override {
    if (!model_.header().input().has_pixels()) {
      return absl::FailedPreconditionError(
          absl::StrCat("packed model '", model_.name(),
                       "' was frozen without input.pixels, so it takes floats, not 8-bit pixels; "
                       "give it floats"));
    }
    return RunBatch(pixels);
  }

 private:
  template <typename T>
  absl::StatusOr<Tensor> RunBatch(ConstMatrixView<T> x) {
    const int64_t in = model_.value(0).features();
    if (x.cols != in) {
      return absl::InvalidArgumentError(absl::StrCat("packed model '", model_.name(), "' takes ", in,
                                                     " numbers per example, not ", x.cols,
                                                     "; give it the data it was made for"));
    }
    const int64_t out = model_.result().features();
    Tensor y({x.rows, out}, DType::kFloat32);
    for (int64_t begin = 0; begin < x.rows; begin += piece_) {
      const int64_t rows = std::min(piece_, x.rows - begin);
      frame_.Begin(ConstMatrixView<T>(x.row(begin), rows, x.cols, x.stride));
      RunPiece(y.mutable_data<float>() + begin * out);
    }
    BITGRAD_RETURN_IF_ERROR(context_.status());
    return y;
  }

  // Runs the program on the input that the frame was begun with, and writes the last value, row by row, to y.
  void RunPiece(float* y) {
    for (int i = 0; i < model_.header().instructions_size(); ++i) {
      if (steps_[i] != nullptr) {
        steps_[i]->Run(frame_);
      } else {
        RunElementwiseStep(model_, i, frame_);
      }
    }
    if (context_.device() == Device::kCpu) return WriteResult(y);
    const int64_t count = frame_.batch() * model_.result().features();
    float* const result = GrowBuffer<float>(result_, count, context_);
    WriteResult(result);
    context_.Download(y, result, static_cast<size_t>(count) * sizeof(float));
  }

  // The same with y in memory of the device.
  void WriteResult(float* y) {
    const int count = model_.header().instructions_size();
    const ConstMatrixView<float> result = frame_.floats(count);
    frame_.kernels().copy_matrix(context_, result, {y, result.rows, result.cols});
  }

  const PackedModel& model_;
  ExecContext& context_;
  Frame frame_;
  const int64_t piece_;                       // the most examples of a piece
  std::vector<std::unique_ptr<Step>> steps_;  // of each instruction; null where it needs no preparation
  Tensor result_;                             // the result of a piece, on a device other than the CPU
};

}  // namespace

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::Create(const PackedModel& model, ExecContext& context,
                                                                 const Options& options) {
  BITGRAD_RETURN_IF_ERROR(context.status());
  const int64_t piece_bytes = options.piece_bytes > 0 ? options.piece_bytes : PieceBytes(context.device());
  auto interpreter = std::make_unique<ProgramInterpreter>(model, context, piece_bytes);
  BITGRAD_RETURN_IF_ERROR(context.status());
  return interpreter;
}

}  // namespace bitgrad
