// FrozenNet: a frozen net, ready to be timed on a device. Its answers have been compared with the graph's on the CPU.
// Before it is frozen it sees one batch in training, which gives quantizers and batch norms what they measure.

#ifndef BITGRAD_BENCH_FROZEN_NET_H_
#define BITGRAD_BENCH_FROZEN_NET_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/random_images.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {

class FrozenNet {
 public:
  using Make = std::function<absl::StatusOr<std::unique_ptr<Model>>(ParameterStore& store)>;

  // `exact` says whether the frozen net's logits have to equal the graph's to the last bit. Otherwise they have to be
  // near, because products may be summed in another order for another number of rows, or on another device.
  FrozenNet(const Make& make, int64_t features, int64_t batch, Device device, int threads, bool exact)
      : graph_context_({.threads = threads}),
        context_({.device = device, .threads = threads}),
        input_(batch, features) {
    status_ = Prepare(make, exact);
  }

  // Times Run(), from pixels in the host's memory to logits in the host's memory, with the counters images/s and
  // model_bytes.
  void Time(benchmark::State& state) {
    if (!status_.ok()) {
      state.SkipWithError(std::string(status_.message()).c_str());
      return;
    }
    const double seconds = SecondsPerIteration(state, [&] {
      auto logits = Run();
      benchmark::DoNotOptimize(logits);
    });
    state.counters["images/s"] = static_cast<double>(input_.pixels.shape().dim(0)) / seconds;
    state.counters["model_bytes"] = static_cast<double>(model_->byte_size());
  }

 private:
  absl::StatusOr<Tensor> Run() { return interpreter_->RunPixels(input_.pixels.matrix<uint8_t>()); }

  // The tolerance for float rounding of logits, which batch norm leaves near 1.
  static constexpr float kNear = 1e-3f;
  // The number of images that are compared: of large batches the first and the last ones.
  static constexpr int64_t kChecked = 500;
  // The images of the batch in training.
  static constexpr int64_t kMeasured = 50;

  absl::Status Prepare(const Make& make, bool exact) {
    ParameterStore store(/*seed=*/1);
    BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Model> net, make(store));
    BITGRAD_RETURN_IF_ERROR(store.status());
    BITGRAD_RETURN_IF_ERROR(Measure(*net));
    BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer,
                             Freeze(graph_context_, *net, Images(0, 1), {.name = "net"}));
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(model_, PackedModel::FromBytes("net", bytes));
    BITGRAD_ASSIGN_OR_RETURN(interpreter_, Interpreter::Create(*model_, context_));

    BITGRAD_ASSIGN_OR_RETURN(const Tensor frozen, Run());
    const int64_t batch = frozen.shape().dim(0), count = std::min(batch, kChecked);
    BITGRAD_RETURN_IF_ERROR(Check(*net, frozen, 0, count, exact));
    return Check(*net, frozen, batch - count, count, exact);
  }

  absl::Status Measure(Model& net) {
    const RandomImages batch(kMeasured, input_.images.shape().dim(1));
    Tape tape(graph_context_);
    const Var logits = net.Forward(tape.Input(batch.images.Alias()));
    return tape.Value(logits).status();
  }

  // Some of the images in the form that the graph takes.
  Tensor Images(int64_t begin, int64_t count) const {
    const int64_t features = input_.images.shape().dim(1);
    return Tensor::Of<float>({count, features},
                             input_.images.span<float>().subspan(begin * features, count * features));
  }

  absl::Status Check(Model& net, const Tensor& frozen, int64_t begin, int64_t count, bool exact) {
    BITGRAD_ASSIGN_OR_RETURN(const Tensor graph, Logits(graph_context_, net, Images(begin, count)));
    const float* const logits = frozen.data<float>() + begin * frozen.shape().dim(1);
    float difference = 0;
    for (int64_t i = 0; i < graph.num_elements(); ++i) {
      // Not std::max(difference, ...), which would ignore a NaN.
      const float d = std::fabs(graph.data<float>()[i] - logits[i]);
      if (!(d <= difference)) difference = d;
    }
    if (!(difference <= (exact ? 0.0f : kNear))) {
      return absl::InternalError(absl::StrCat("the frozen net's logits differ from the graph's by ", difference));
    }
    return absl::OkStatus();
  }

  ExecContext graph_context_;  // on the CPU
  ExecContext context_;
  RandomImages input_;
  std::unique_ptr<PackedModel> model_;
  std::unique_ptr<Interpreter> interpreter_;
  absl::Status status_;  // not OK where nothing can be timed
};

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_FROZEN_NET_H_
