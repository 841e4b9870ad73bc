// A training step of 784-W-W-W-10: forward, backward and update, binarized against the same net in float.
//
//   ./bazelw run //bench:training_step -- --benchmark_repetitions=5
//   ./bazelw run //bench:cuda_training_step             the same with --device=cuda
//
// Names: MODE/width:W/batch:B/threads:T. The modes are the rows of kModes; Float is the baseline. Widths are 1024 and
// 4096, the batch is 100, with one thread and with two. With --sweep widths are 256..4096 at batch 100, and
// batches 10..1000 at width 1024.
//
// A step is what training does with a batch: the model's forward pass, squared hinge, the backward pass, and Adam with
// the clip of latent weights. Data are random, so reading a data set is not timed. Before anything is timed, nine steps
// on one batch have to lower its loss.
//
// On a GPU steps run as the trainer's do (models/training/training_step.h): recorded, one step ahead of the host, each
// with the upload of its batch and the download of its measurements. With --eager they are enqueued kernel by kernel,
// and the host waits for each step. A part's time then ends when the host has enqueued it, so only steps/s is the GPU's
// time.
//
// Counters: steps/s, and the milliseconds of a step's parts: forward_ms, backward_ms and update_ms. held_bytes is how
// much more the context's memory holds between forward and backward than before the step: values kept for the backward
// pass, but no float weights. peak_bytes is the most that it holds during a step, gradients of weights included.

#include <chrono>
#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/bench/mlp_nets.h"
#include "bitgrad/bench/random_images.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/optim/adam.h"

ABSL_FLAG(bool, sweep, false, "Times more widths and batch sizes, for plots.");
ABSL_FLAG(std::string, device, "cpu", "cpu or cuda.");
ABSL_FLAG(bool, eager, false, "On a GPU: steps are not recorded.");

namespace bitgrad {
namespace {

struct Mode {
  const char* name;
  MlpOptions (*net)(int64_t width);
  double learning_rate;
};

constexpr Mode kModes[] = {
    {"Float", FloatMlp, 1e-3},
    {"Binary", BinaryMlp, 3e-3},                // exact gradients
    {"Binary8", BinaryMlp8BitGradients, 3e-3},  // 8-bit gradients
    {"BinaryFixedScale", FixedScaleMlp, 3e-3},  // sign(scale=0.5)
    {"BinaryLearnedScale", LearnedScaleMlp, 3e-3},
    {"Fixed2", Fixed2Mlp, 3e-3},  // 2 bits with fixed steps
    {"Lsq2", Lsq2Mlp, 3e-3},      // 2 bits with learned steps
};

struct Size {
  int64_t width;
  int64_t batch;
  int threads;
  Device device;
};

class Training {
 public:
  Training(const Mode& mode, const Size& size)
      : context_({.device = size.device, .threads = size.threads}),
        images_(std::move(RandomImages(size.batch, kFeatures).images)),
        labels_({size.batch}, DType::kInt32),
        model_(store_.Root(), mode.net(size.width)) {
    const RngStream rng{.seed = 3, .stream = 1};
    for (int64_t i = 0; i < size.batch; ++i) {
      labels_.mutable_data<int32_t>()[i] = static_cast<int32_t>(UniformBelow(rng, static_cast<uint64_t>(i), kClasses));
    }
    status_ = Prepare(mode);
  }

  // Not OK where nothing can be timed.
  const absl::Status& status() const { return status_; }

  // The seconds that steps since ForgetTimes() have taken, by part.
  struct Seconds {
    double forward = 0, backward = 0, update = 0;
  };
  const Seconds& seconds() const { return seconds_; }
  void ForgetTimes() { seconds_ = {}; }
  // Measured in the last step.
  int64_t held_bytes() const { return held_bytes_; }
  int64_t peak_bytes() const { return static_cast<int64_t>(context_.allocator().peak_bytes()); }

  // Runs a step and returns the loss before its update; for recorded steps, the loss of the step before.
  absl::StatusOr<float> Step() {
    if (recorded_ != nullptr) {
      BITGRAD_RETURN_IF_ERROR(
          recorded_->Enqueue({.images = images_.Alias(), .labels = labels_.Alias()}, optimizer_->learning_rate()));
      if (recorded_->unfinished() < DeviceStream::kReadbacks) return loss_;
      BITGRAD_ASSIGN_OR_RETURN(const StepResult result, recorded_->Finish());
      return loss_ = result.loss;
    }
    const int64_t before = LiveBytes();
    const auto start = Clock::now();
    Tape tape(context_);
    const Var loss = SquaredHinge(model_.Forward(tape.Input(ToDevice(context_, images_))), labels_);
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(loss));
    const float result = ToHost(context_, *value).data<float>()[0];
    const auto forward = Clock::now();
    held_bytes_ = LiveBytes() - before;
    BITGRAD_RETURN_IF_ERROR(tape.Backward(loss));
    const auto backward = Clock::now();
    BITGRAD_RETURN_IF_ERROR(optimizer_->Step(store_.parameters()));
    const auto update = Clock::now();
    seconds_.forward += std::chrono::duration<double>(forward - start).count();
    seconds_.backward += std::chrono::duration<double>(backward - forward).count();
    seconds_.update += std::chrono::duration<double>(update - backward).count();
    return result;
  }

 private:
  using Clock = std::chrono::steady_clock;

  int64_t LiveBytes() const { return static_cast<int64_t>(context_.allocator().live_bytes()); }

  // Makes the optimizer and runs steps that have to lower the loss.
  absl::Status Prepare(const Mode& mode) {
    BITGRAD_RETURN_IF_ERROR(store_.status());
    MoveToDevice(context_, store_);
    BITGRAD_ASSIGN_OR_RETURN(
        optimizer_, MakeAdam(context_, {.common = {.learning_rate = mode.learning_rate, .glorot_scale = true}}));
    if (context_.device() != Device::kCpu && !absl::GetFlag(FLAGS_eager)) {
      recorded_ = std::make_unique<TrainingStep>(context_, model_, *task_, store_.parameters(), *optimizer_);
    }
    std::vector<float> losses;
    for (int i = 0; i < 11; ++i) {
      BITGRAD_ASSIGN_OR_RETURN(const float loss, Step());
      losses.push_back(loss);
    }
    if (recorded_ != nullptr && !recorded_->recorded()) return absl::InternalError("the steps are not recorded");
    if (!std::isfinite(losses.back()) || losses.back() >= losses[1]) {
      return absl::InternalError(absl::StrCat("nine steps took the loss from ", losses[1], " to ", losses.back()));
    }
    return absl::OkStatus();
  }

  mutable ExecContext context_;  // const functions only read its allocator's statistics
  Tensor images_, labels_;
  ParameterStore store_{/*seed=*/1};
  Mlp model_;
  std::unique_ptr<Optimizer> optimizer_;
  const std::unique_ptr<Task> task_ = Classification({.features = kFeatures, .classes = kClasses});
  std::unique_ptr<TrainingStep> recorded_;  // used on a GPU
  float loss_ = 0;
  absl::Status status_;
  Seconds seconds_;
  int64_t held_bytes_ = 0;
};

void Run(benchmark::State& state, const std::string& name, const Mode& mode, const Size& size) {
  static Last<Training> last;
  Training& training = last.Get(name, [&] { return std::make_unique<Training>(mode, size); });
  absl::Status status = training.status();
  if (!status.ok()) {
    state.SkipWithError(std::string(status.message()).c_str());
    return;
  }
  training.ForgetTimes();
  const double seconds = SecondsPerIteration(state, [&] {
    if (const auto loss = training.Step(); !loss.ok()) status = loss.status();
  });
  if (!status.ok()) state.SkipWithError(std::string(status.message()).c_str());
  const double ms = 1e3 / static_cast<double>(state.iterations());
  state.counters["steps/s"] = 1 / seconds;
  state.counters["forward_ms"] = training.seconds().forward * ms;
  state.counters["backward_ms"] = training.seconds().backward * ms;
  state.counters["update_ms"] = training.seconds().update * ms;
  state.counters["held_bytes"] = static_cast<double>(training.held_bytes());
  state.counters["peak_bytes"] = static_cast<double>(training.peak_bytes());
}

std::vector<Size> Sizes(Device device, bool sweep) {
  std::vector<Size> sizes;
  for (const int threads : {1, 2}) {
    if (device != Device::kCpu && threads > 1) continue;
    if (sweep) {
      for (const int64_t width : {256, 512, 1024, 2048, 4096}) sizes.push_back({width, 100, threads, device});
      for (const int64_t batch : {10, 30, 300, 1000}) sizes.push_back({1024, batch, threads, device});
    } else {
      for (const int64_t width : {1024, 4096}) sizes.push_back({width, 100, threads, device});
    }
  }
  return sizes;
}

absl::Status Register() {
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  for (const Size& size : Sizes(device, absl::GetFlag(FLAGS_sweep))) {
    for (const Mode& mode : kModes) {
      const std::string name =
          absl::StrCat(mode.name, "/width:", size.width, "/batch:", size.batch, "/threads:", size.threads);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [name, &mode, size](benchmark::State& state) { Run(state, name, mode, size); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
