#include "bitgrad/runtime/interpreter.h"

#include <algorithm>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/conv_step.h"
#include "bitgrad/runtime/elementwise_step.h"
#include "bitgrad/runtime/embedding_step.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/linear_step.h"
#include "bitgrad/runtime/pool_step.h"
#include "bitgrad/runtime/quantize_step.h"
#include "bitgrad/runtime/shift_step.h"
#include "bitgrad/runtime/tap_conv_step.h"

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
  int64_t bytes = 4 * model.input().num_elements();
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
      steps_[i] = NewShiftStep(model, i, frame_);
      if (steps_[i] != nullptr) continue;
      if (instruction.has_linear()) steps_[i] = std::make_unique<LinearStep>(model, i, frame_);
      if (instruction.has_quantize()) steps_[i] = std::make_unique<QuantizeStep>(model, i, frame_);
      if (instruction.has_conv2d()) steps_[i] = std::make_unique<ConvStep>(model, i, frame_);
      if (instruction.has_tap_conv2d()) steps_[i] = std::make_unique<TapConvStep>(model, i, frame_);
      if (instruction.has_max_pool() || instruction.has_average_pool()) {
        steps_[i] = std::make_unique<PoolStep>(model, i, frame_);
      }
      if (instruction.has_embedding()) steps_[i] = std::make_unique<EmbeddingStep>(model, i, frame_);
      if (steps_[i] == nullptr) steps_[i] = NewElementwiseStep(model, i, frame_);
    }
  }

  using Interpreter::Run;
  absl::Status Run(ConstMatrixView<float> x, float* results) override { return RunBatch(x, results); }

  using Interpreter::RunPixels;
  absl::Status RunPixels(ConstMatrixView<uint8_t> pixels, float* results) override {
    if (!model_.header().input().has_pixels()) {
      return absl::FailedPreconditionError(
          absl::StrCat("packed model '", model_.name(),
                       "' was frozen without input.pixels, so it takes floats, not 8-bit pixels; "
                       "give it floats"));
    }
    return RunBatch(pixels, results);
  }

  using Interpreter::RunTokens;
  absl::Status RunTokens(ConstMatrixView<int32_t> tokens, float* results) override {
    BITGRAD_RETURN_IF_ERROR(CheckTokens(tokens));
    if (tokens.size() == 0) return context_.status();
    if (const absl::Status status = frame_.states().Begin(tokens.cols); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat("packed model '", model_.name(), "': ", status.message()));
    }
    const ConstMatrixView<int32_t> loaded = LoadTokens(tokens);
    const int phase = frame_.states().phase();
    for (int64_t begin = 0; begin < tokens.cols; begin += piece_) {
      frame_.states().set_phase(phase);
      RunStreams(loaded, begin, std::min(piece_, tokens.cols - begin), results);
    }
    return context_.status();
  }

  void Reset() override { frame_.states().Reset(); }

 private:
  const PackedModel& model() const override { return model_; }

  template <typename T>
  absl::Status RunBatch(ConstMatrixView<T> x, float* results) {
    if (model_.header().input().tokens() > 0) {
      return absl::FailedPreconditionError(
          absl::StrCat("packed model '", model_.name(), "' takes tokens; call RunTokens()"));
    }
    const int64_t in = model_.input().num_elements();
    if (x.cols != in) {
      return absl::InvalidArgumentError(absl::StrCat("packed model '", model_.name(), "' takes ", in,
                                                     " numbers per example, not ", x.cols,
                                                     "; give it the data it was made for"));
    }
    const int64_t out = model_.result().features();
    for (int64_t begin = 0; begin < x.rows; begin += piece_) {
      const int64_t rows = std::min(piece_, x.rows - begin);
      frame_.Begin(ConstMatrixView<T>(x.row(begin), rows, x.cols, x.stride));
      if (model_.time_steps() > 0) BITGRAD_RETURN_IF_ERROR(RunAllStepsButTheLast());
      RunPiece(results + begin * out);
    }
    return context_.status();
  }

  void RunSteps() {
    for (const std::unique_ptr<Step>& step : steps_) step->Run(frame_);
  }

  // From states of zeros on: what the next time step depends on, for the examples that the frame was begun with. Leaves
  // the frame at the beginning of the last time step.
  absl::Status RunAllStepsButTheLast() {
    frame_.states().Reset();
    BITGRAD_RETURN_IF_ERROR(frame_.states().Begin(frame_.batch()));
    for (int64_t t = 1; t < model_.time_steps(); ++t) {
      for (size_t i = 0; i < steps_.size(); ++i) {
        if (model_.runs(static_cast<int>(i)) > 1) steps_[i]->Run(frame_);
      }
      frame_.KeepStates();
      frame_.states().Advance();
      frame_.BeginStep(t);
    }
    return absl::OkStatus();
  }

  // Runs the program on the input that the frame was begun with, and writes the last value, row by row, to y.
  void RunPiece(float* y) {
    RunSteps();
    if (context_.device() == Device::kCpu) return WriteResult(y);
    const int64_t count = frame_.batch() * model_.result().features();
    float* const result = GrowBuffer<float>(result_, count, context_);
    WriteResult(result);
    context_.Download(y, result, static_cast<size_t>(count) * sizeof(float));
  }

  absl::Status CheckTokens(ConstMatrixView<int32_t> tokens) const {
    const int32_t count = model_.header().input().tokens();
    if (count == 0) {
      return absl::FailedPreconditionError(absl::StrCat("packed model '", model_.name(), "' takes no tokens, but ",
                                                        model_.input().num_elements(),
                                                        " numbers per example; call Run() or RunPixels()"));
    }
    for (int64_t t = 0; t < tokens.rows; ++t) {
      for (int64_t stream = 0; stream < tokens.cols; ++stream) {
        const int32_t token = tokens.at(t, stream);
        if (token >= 0 && token < count) continue;
        return absl::InvalidArgumentError(absl::StrCat("packed model '", model_.name(), "': token ", token,
                                                       " (time step ", t, ", stream ", stream, ") is not in 0 .. ",
                                                       count - 1));
      }
    }
    return absl::OkStatus();
  }

  // The tokens in memory that kernels can read, with the same rows.
  ConstMatrixView<int32_t> LoadTokens(ConstMatrixView<int32_t> tokens) {
    if (context_.device() == Device::kCpu) return tokens;
    const size_t row_bytes = static_cast<size_t>(tokens.cols) * sizeof(int32_t);
    int32_t* const to = GrowBuffer<int32_t>(tokens_, tokens.size(), context_);
    if (tokens.contiguous()) {
      context_.Upload(to, tokens.data, row_bytes * static_cast<size_t>(tokens.rows));
    } else {
      for (int64_t t = 0; t < tokens.rows; ++t) context_.Upload(to + t * tokens.cols, tokens.row(t), row_bytes);
    }
    return {to, tokens.rows, tokens.cols};
  }

  // Runs the time steps of the streams begin .. begin + rows - 1, whose states are where those before have left them.
  void RunStreams(ConstMatrixView<int32_t> tokens, int64_t begin, int64_t rows, float* results) {
    const int64_t out = model_.result().features(), streams = tokens.cols;
    const bool is_host = context_.device() == Device::kCpu;
    // Results wait on the device until there are as many as a piece has.
    const int64_t most = std::max<int64_t>(1, piece_ / rows);
    for (int64_t first = 0; first < tokens.rows; first += most) {
      const int64_t count = std::min(most, tokens.rows - first);
      float* const waiting = is_host ? nullptr : GrowBuffer<float>(result_, count * rows * out, context_);
      for (int64_t t = first; t < first + count; ++t) {
        frame_.Begin(tokens.row(t) + begin, begin, rows);
        RunSteps();
        WriteResult(is_host ? results + (t * streams + begin) * out : waiting + (t - first) * rows * out);
        frame_.KeepStates();
        frame_.states().Advance();
      }
      if (is_host) continue;
      const size_t step_bytes = static_cast<size_t>(rows * out) * sizeof(float);
      if (rows == streams) {
        context_.Download(results + first * rows * out, waiting, step_bytes * static_cast<size_t>(count));
        continue;
      }
      for (int64_t t = first; t < first + count; ++t) {
        context_.Download(results + (t * streams + begin) * out, waiting + (t - first) * rows * out, step_bytes);
      }
    }
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
  std::vector<std::unique_ptr<Step>> steps_;  // of each instruction
  // On a device other than the CPU: the results of a piece, and the tokens of a run.
  Tensor result_, tokens_;
};

}  // namespace

absl::StatusOr<Tensor> Interpreter::Run(ConstMatrixView<float> x) {
  Tensor results({x.rows, model().result().features()}, DType::kFloat32);
  BITGRAD_RETURN_IF_ERROR(Run(x, results.mutable_data<float>()));
  return results;
}

absl::StatusOr<Tensor> Interpreter::RunPixels(ConstMatrixView<uint8_t> pixels) {
  Tensor results({pixels.rows, model().result().features()}, DType::kFloat32);
  BITGRAD_RETURN_IF_ERROR(RunPixels(pixels, results.mutable_data<float>()));
  return results;
}

absl::StatusOr<Tensor> Interpreter::RunTokens(ConstMatrixView<int32_t> tokens) {
  Tensor results({tokens.size(), model().result().features()}, DType::kFloat32);
  BITGRAD_RETURN_IF_ERROR(RunTokens(tokens, results.mutable_data<float>()));
  return results;
}

absl::StatusOr<std::unique_ptr<Interpreter>> Interpreter::Create(const PackedModel& model, ExecContext& context,
                                                                 const Options& options) {
  BITGRAD_RETURN_IF_ERROR(context.status());
  const int64_t piece_bytes = options.piece_bytes > 0 ? options.piece_bytes : PieceBytes(context.device());
  auto interpreter = std::make_unique<ProgramInterpreter>(model, context, piece_bytes);
  BITGRAD_RETURN_IF_ERROR(context.status());
  return interpreter;
}

}  // namespace bitgrad
