#include "bitgrad/runtime/latency.h"

#include <pthread.h>
#include <sched.h>
#include <unistd.h>

#include <algorithm>
#include <barrier>
#include <chrono>
#include <cmath>
#include <deque>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <thread>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

using Clock = std::chrono::steady_clock;

double SecondsSince(Clock::time_point start) { return std::chrono::duration<double>(Clock::now() - start).count(); }

std::vector<int> AllowedCores() {
  cpu_set_t set;
  std::vector<int> cores;
  if (sched_getaffinity(0, sizeof set, &set) == 0) {
    for (int core = 0; core < CPU_SETSIZE; ++core) {
      if (CPU_ISSET(core, &set)) cores.push_back(core);
    }
  }
  return cores;
}

// Keeps the calling thread, and those that OpenMP starts for it, on these cores. Returns whether it could be done.
bool Pin(absl::Span<const int> cores) {
  cpu_set_t set;
  CPU_ZERO(&set);
  for (const int core : cores) CPU_SET(core, &set);
  return pthread_setaffinity_np(pthread_self(), sizeof set, &set) == 0;
}

// An interpreter with an input and a place for its results.
class Runner {
 public:
  static absl::StatusOr<std::unique_ptr<Runner>> Create(const PackedModel& model, const LatencyOptions& options) {
    std::unique_ptr<Runner> runner(new Runner(model, options));
    BITGRAD_ASSIGN_OR_RETURN(runner->interpreter_, Interpreter::Create(model, runner->context_));
    return runner;
  }

  // Runs the model once; adds the seconds that it took to `record`.
  absl::Status Run(std::deque<double>& record) {
    float* const results = results_.mutable_data<float>();
    const Clock::time_point start = Clock::now();
    absl::Status status;
    switch (x_.dtype()) {
      case DType::kInt32: status = interpreter_->RunTokens(x_.matrix<int32_t>(), results); break;
      case DType::kUint8: status = interpreter_->RunPixels(x_.matrix<uint8_t>(), results); break;
      default: status = interpreter_->Run(x_.matrix<float>(), results); break;
    }
    record.push_back(SecondsSince(start));
    return status;
  }

  absl::Status WarmUp(int runs) {
    std::deque<double> ignored;
    for (int i = 0; i < runs; ++i) BITGRAD_RETURN_IF_ERROR(Run(ignored));
    return absl::OkStatus();
  }

 private:
  Runner(const PackedModel& model, const LatencyOptions& options)
      : context_({.threads = options.threads}),
        x_(RandomInput(model, options.batch)),
        results_({options.batch, model.result().features()}, DType::kFloat32) {}

  static Tensor RandomInput(const PackedModel& model, int64_t batch) {
    const packed::Input& input = model.header().input();
    std::mt19937 random(1);
    if (input.tokens() > 0) {
      Tensor tokens({1, batch}, DType::kInt32);
      for (int64_t i = 0; i < batch; ++i) {
        tokens.mutable_data<int32_t>()[i] = static_cast<int32_t>(random() % static_cast<uint32_t>(input.tokens()));
      }
      return tokens;
    }
    const int64_t features = model.input().num_elements();
    Tensor x({batch, features}, input.has_pixels() ? DType::kUint8 : DType::kFloat32);
    for (int64_t i = 0; i < batch * features; ++i) {
      if (input.has_pixels()) {
        x.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(random());
      } else {
        x.mutable_data<float>()[i] = static_cast<float>(random()) * 0x1p-31f - 1.0f;
      }
    }
    return x;
  }

  ExecContext context_;
  const Tensor x_;
  Tensor results_;
  std::unique_ptr<Interpreter> interpreter_;
};

// The threads of the load, their records and how it went, one of each for each thread.
struct Load {
  explicit Load(int count) : records(count), statuses(count), is_pinned(count, 0), ends(count) {}
  std::vector<std::deque<double>> records;
  std::vector<absl::Status> statuses;
  std::vector<char> is_pinned;
  std::vector<Clock::time_point> ends;
};

absl::Status MeasureWarm(const PackedModel& model, const LatencyOptions& options, absl::Span<const int> cores,
                         Latencies& found) {
  Load load(options.load);
  Clock::time_point start;
  // All threads have warmed up when the first one is recorded, and none stops before the last one has begun.
  const auto begin = [&]() noexcept {
    found.peak_resident_bytes = PeakResidentBytes();
    start = Clock::now();
  };
  std::barrier ready(options.load, begin);
  const auto run = [&](int i) -> absl::Status {
    load.is_pinned[i] = !cores.empty() && Pin(CoresOf(cores, i, options.threads));
    absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(model, options);
    const absl::Status status = runner.ok() ? (*runner)->WarmUp(options.warm_up) : runner.status();
    ready.arrive_and_wait();
    BITGRAD_RETURN_IF_ERROR(status);
    do {
      BITGRAD_RETURN_IF_ERROR((*runner)->Run(load.records[i]));
    } while (SecondsSince(start) < options.seconds);
    load.ends[i] = Clock::now();
    return absl::OkStatus();
  };
  std::vector<std::thread> threads;
  for (int i = 0; i < options.load; ++i) {
    threads.emplace_back([&, i] { load.statuses[i] = run(i); });
  }
  for (std::thread& thread : threads) thread.join();
  for (const absl::Status& status : load.statuses) BITGRAD_RETURN_IF_ERROR(status);
  for (const std::deque<double>& record : load.records) {
    found.warm.insert(found.warm.end(), record.begin(), record.end());
  }
  found.is_pinned = std::count(load.is_pinned.begin(), load.is_pinned.end(), 0) == 0;
  found.warm_seconds =
      std::chrono::duration<double>(*std::max_element(load.ends.begin(), load.ends.end()) - start).count();
  return absl::OkStatus();
}

// More than twice what the last cache holds, where the system says how large that is, and at least 64 MiB.
int64_t BytesToWalk() {
#ifdef _SC_LEVEL3_CACHE_SIZE
  const int64_t last = std::max({int64_t{0}, static_cast<int64_t>(sysconf(_SC_LEVEL2_CACHE_SIZE)),
                                 static_cast<int64_t>(sysconf(_SC_LEVEL3_CACHE_SIZE))});
#else
  const int64_t last = 0;
#endif
  return std::max(2 * last, int64_t{64} << 20);
}

// Reads a byte of each line.
void Walk(const std::vector<uint8_t>& memory) {
  const volatile uint8_t* const bytes = memory.data();
  for (size_t at = 0; at < memory.size(); at += 64) static_cast<void>(bytes[at]);
}

absl::Status MeasureCold(const PackedModel& model, const LatencyOptions& options, absl::Span<const int> cores,
                         Latencies& found) {
  absl::Status status;
  std::deque<double> record;
  const auto run = [&]() -> absl::Status {
    if (!cores.empty()) Pin(CoresOf(cores, 0, options.threads));
    BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Runner> runner, Runner::Create(model, options));
    BITGRAD_RETURN_IF_ERROR(runner->WarmUp(options.warm_up));
    const std::vector<uint8_t> memory(static_cast<size_t>(found.walked_bytes));
    const Clock::time_point start = Clock::now();
    do {
      // Every thread walks, because each core has caches of its own.
      ParallelFor(options.threads, options.threads, 1, [&](int64_t, int64_t) { Walk(memory); });
      BITGRAD_RETURN_IF_ERROR(runner->Run(record));
    } while (SecondsSince(start) < options.seconds);
    return absl::OkStatus();
  };
  std::thread([&] { status = run(); }).join();
  found.cold.assign(record.begin(), record.end());
  return status;
}

}  // namespace

double Percentile(absl::Span<const double> sorted, double p) {
  BITGRAD_DCHECK(!sorted.empty() && p > 0 && p <= 100);
  // The rank of 99 % of 100 samples is 99, though 0.99 * 100 may be a little more in floating point.
  const double rank = std::ceil(p * static_cast<double>(sorted.size()) / 100 - 1e-9);
  return sorted[static_cast<size_t>(std::max(rank, 1.0)) - 1];
}

std::vector<int> CoresOf(absl::Span<const int> allowed, int i, int threads) {
  const size_t count = std::min(allowed.size(), static_cast<size_t>(threads));
  std::vector<int> cores;
  for (size_t k = 0; k < count; ++k) {
    cores.push_back(allowed[(static_cast<size_t>(i) * static_cast<size_t>(threads) + k) % allowed.size()]);
  }
  return cores;
}

int64_t PeakResidentBytes() {
  std::ifstream file("/proc/self/status");
  for (std::string line; std::getline(file, line);) {
    const std::vector<std::string> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t kibibytes;
    if (words.size() >= 2 && words[0] == "VmHWM:" && absl::SimpleAtoi(words[1], &kibibytes)) return kibibytes * 1024;
  }
  return 0;
}

absl::StatusOr<Latencies> MeasureLatency(const PackedModel& model, const LatencyOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckThreads(options.load * options.threads));
  const std::vector<int> cores = AllowedCores();
  Latencies found;
  found.cores = static_cast<int>(cores.size());
  found.walked_bytes = BytesToWalk();
  BITGRAD_RETURN_IF_ERROR(MeasureWarm(model, options, cores, found));
  BITGRAD_RETURN_IF_ERROR(MeasureCold(model, options, cores, found));
  std::sort(found.warm.begin(), found.warm.end());
  std::sort(found.cold.begin(), found.cold.end());
  return found;
}

}  // namespace bitgrad
