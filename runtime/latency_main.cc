// latency: how long single runs of a packed model take, in percentiles, on one interpreter or on several side by side.

#include <cstdint>
#include <cstdio>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/latency.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "", "Packed model file, as freeze writes it, or zoo:NAME.");
ABSL_FLAG(int, threads, 1, "Number of threads of an interpreter; 0 means one per core.");
ABSL_FLAG(double, seconds, 2, "For how long warm runs are recorded, and cold ones again.");
ABSL_FLAG(int, batch, 1, "Images of a run; of a model of tokens, streams.");
ABSL_FLAG(int, load, 1, "Interpreters that run side by side without a pause, each called by a thread of its own.");

namespace bitgrad {
namespace {

// Fewer runs than this leave little to a 99th percentile.
constexpr size_t kFewRuns = 100;

absl::StatusOr<LatencyOptions> ReadOptions() {
  const int threads = absl::GetFlag(FLAGS_threads), load = absl::GetFlag(FLAGS_load),
            batch = absl::GetFlag(FLAGS_batch);
  const double seconds = absl::GetFlag(FLAGS_seconds);
  if (threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  if (batch < 1) return absl::InvalidArgumentError(absl::StrCat("--batch=", batch, " is not positive; try 1"));
  if (!(seconds > 0 && seconds <= 3600)) {
    return absl::InvalidArgumentError(absl::StrCat("--seconds=", seconds, " is not in (0, 3600]; try 2"));
  }
  const int used = threads > 0 ? threads : ExecContext().threads();
  if (load < 1 || load > ExecContext::kMaxThreads / used) {
    return absl::InvalidArgumentError(absl::StrCat("--load=", load, " is not in 1 .. ", ExecContext::kMaxThreads / used,
                                                   ", with ", used, " threads for each interpreter; try 1"));
  }
  return LatencyOptions{.threads = used, .load = load, .batch = batch, .seconds = seconds};
}

void PrintRow(const char* what, const std::vector<double>& sorted) {
  std::printf("%-5s %9zu %11.1f %11.1f %11.1f %11.1f\n", what, sorted.size(), 1e6 * Percentile(sorted, 50),
              1e6 * Percentile(sorted, 90), 1e6 * Percentile(sorted, 99), 1e6 * sorted.back());
}

void PrintSetting(const PackedModel& model, const LatencyOptions& options, const Latencies& found) {
  const packed::Input& input = model.header().input();
  const char* const kind = input.tokens() > 0 ? "a token of each stream" : input.has_pixels() ? "pixels" : "floats";
  std::printf("model: %s, %lld bytes; a run takes %s, batch %lld\n", model.header().name().c_str(),
              static_cast<long long>(model.byte_size()), kind, static_cast<long long>(options.batch));
  const int needed = options.load * options.threads;
  std::printf("load: interpreters=%d threads=%d cores=%d%s\n", options.load, options.threads, found.cores,
              found.is_pinned ? ", threads kept on their cores" : ", threads on any core (they could not be pinned)");
  if (needed > found.cores) {
    std::printf("note: %d threads share %d cores, so a run also waits for others\n", needed, found.cores);
  }
}

absl::Status MeasureAndPrint() {
  const std::string path = absl::GetFlag(FLAGS_model);
  if (path.empty()) return absl::InvalidArgumentError(kNoModelGiven);
  BITGRAD_ASSIGN_OR_RETURN(const LatencyOptions options, ReadOptions());
  const int64_t resident_before = PeakResidentBytes();
  BITGRAD_ASSIGN_OR_RETURN(const auto model, OpenModel(path));
  BITGRAD_ASSIGN_OR_RETURN(const Latencies found, MeasureLatency(*model, options));
  PrintSetting(*model, options, found);
  std::printf("%-5s %9s %11s %11s %11s %11s\n", "", "runs", "p50_us", "p90_us", "p99_us", "most_us");
  PrintRow("warm", found.warm);
  PrintRow("cold", found.cold);
  std::printf("cold: one interpreter alone, each run behind a walk over %lld MiB\n",
              static_cast<long long>(found.walked_bytes >> 20));
  for (const auto& [what, runs] : {std::pair{"warm", &found.warm}, std::pair{"cold", &found.cold}}) {
    if (runs->size() >= kFewRuns) continue;
    std::printf("note: only %zu %s runs, too few for a 99th percentile; give more --seconds\n", runs->size(), what);
  }
  std::printf("peak memory: growth of VmHWM from before the model was opened until all interpreters had warmed up\n");
  std::printf("latency: p50_us=%.1f p90_us=%.1f p99_us=%.1f %s_per_second=%.0f peak_bytes=%lld\n",
              1e6 * Percentile(found.warm, 50), 1e6 * Percentile(found.warm, 90), 1e6 * Percentile(found.warm, 99),
              model->header().input().tokens() > 0 ? "tokens" : "images",
              static_cast<double>(found.warm.size()) * static_cast<double>(options.batch) / found.warm_seconds,
              static_cast<long long>(found.peak_resident_bytes - resident_before));
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Measures how long single runs of a packed model take: percentiles of warm and of "
                                    "cold runs, and the memory.",
                           .more_help = bitgrad::ZooHelp},
                          [] { return bitgrad::MeasureAndPrint(); });
}
