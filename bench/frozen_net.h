// FrozenNet: a net frozen and ready to be timed, its answers checked.

#ifndef BITGRAD_BENCH_FROZEN_NET_H_
#define BITGRAD_BENCH_FROZEN_NET_H_

#include <cmath>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bench/bench_main.h"
#include "bench/random_images.h"
#include "benchmark/benchmark.h"
#include "core/exec_context.h"
#include "core/status_macros.h"
#include "export/freeze.h"
#include "models/model.h"
#include "models/scope.h"
#include "models/training/evaluate.h"
#include "runtime/interpreter.h"

namespace bitgrad {

class FrozenNet {
 public:
  using Make = std::function<absl::StatusOr<std::unique_ptr<Model>>(ParameterStore& store)>;

  // exact: the frozen net's logits have to be the graph's to the last bit; else near them (their products may be summed in
  // another order for another number of rows).
  FrozenNet(const Make& make, int64_t features, int64_t batch, int threads, bool exact)
      : context_({.threads = threads}), input_(batch, features) {
    status_ = Prepare(make, exact);
  }

  // Times Run(), with the counters images/s and model_bytes.
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

  // Float rounding of logits, which batch norm leaves near 1.
  static constexpr float kNear = 1e-3f;

  absl::Status Prepare(const Make& make, bool exact) {
    ParameterStore store(/*seed=*/1);
    BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Model> net, make(store));
    BITGRAD_RETURN_IF_ERROR(store.status());
    BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, Freeze(context_, *net, input_.images, {.name = "net"}));
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(model_, PackedModel::FromBytes("net", bytes));
    BITGRAD_ASSIGN_OR_RETURN(interpreter_, Interpreter::Create(*model_, context_));

    BITGRAD_ASSIGN_OR_RETURN(const Tensor graph, Logits(context_, *net, input_.images));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor frozen, Run());
    float difference = 0;
    for (int64_t i = 0; i < graph.num_elements(); ++i) {
      // Not std::max(difference, ..), which would pass by a NaN.
      const float d = std::fabs(graph.data<float>()[i] - frozen.data<float>()[i]);
      if (!(d <= difference)) difference = d;
    }
    if (!(difference <= (exact ? 0.0f : kNear))) {
      return absl::InternalError(absl::StrCat("the frozen net's logits differ from the graph's by ", difference));
    }
    return absl::OkStatus();
  }

  ExecContext context_;
  RandomImages input_;
  std::unique_ptr<PackedModel> model_;
  std::unique_ptr<Interpreter> interpreter_;
  absl::Status status_;  // or why nothing can be timed
};

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_FROZEN_NET_H_
