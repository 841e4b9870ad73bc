#include "bitgrad/models/diagnostics/chrome_trace.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/json_quoted.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

constexpr int kTrainingThread = 1;
constexpr int kFirstDataThread = 2;

// Appends events, of which the times count from `origin` seconds. They are rounded to nanoseconds before durations are
// taken, so that what lies within something else does so in the file, too.
class Events {
 public:
  explicit Events(double origin) : origin_(origin) {}

  // `arguments`: members of a JSON object, or nothing.
  void Complete(int thread, absl::string_view name, absl::string_view category, double begin, double end,
                absl::string_view arguments = "") {
    const int64_t from = Nanoseconds(begin), to = Nanoseconds(end);
    Append(absl::StrFormat(R"({"ph":"X","pid":1,"tid":%d,"name":%s,"cat":"%s","ts":%s,"dur":%s,"args":{%s}})", thread,
                           JsonQuoted(name), category, Microseconds(from), Microseconds(to - from), arguments));
  }
  void Counter(absl::string_view name, double at, int64_t bytes) {
    Append(absl::StrFormat(R"({"ph":"C","pid":1,"name":%s,"ts":%s,"args":{"bytes":%d}})", JsonQuoted(name),
                           Microseconds(Nanoseconds(at)), bytes));
  }
  // "process_name", "thread_name"
  void Name(absl::string_view what, int thread, absl::string_view name) {
    Append(absl::StrFormat(R"({"ph":"M","pid":1,"tid":%d,"name":"%s","args":{"name":%s}})", thread, what,
                           JsonQuoted(name)));
  }
  std::string Finish() && { return absl::StrCat("{\"displayTimeUnit\":\"ms\",\"traceEvents\":[", text_, "\n]}\n"); }

 private:
  int64_t Nanoseconds(double seconds) const { return std::llround(1e9 * (seconds - origin_)); }
  static std::string Microseconds(int64_t nanoseconds) {
    return absl::StrFormat("%d.%03d", nanoseconds / 1000, nanoseconds % 1000);
  }
  void Append(absl::string_view event) { absl::StrAppend(&text_, text_.empty() ? "\n" : ",\n", event); }

  const double origin_;
  std::string text_;
};

// From the first span of the phase to the last one.
void AppendPhase(const ProfiledStep& step, diagnostics::Part::Phase phase, const char* name, Events& events) {
  const OpSpan *first = nullptr, *last = nullptr;
  for (const OpSpan& span : step.spans) {
    if (span.phase != phase) continue;
    if (first == nullptr) first = &span;
    last = &span;
  }
  if (first == nullptr) return;
  const std::string operations =
      phase == diagnostics::Part::UPDATE ? absl::StrCat("\"operations\":", last->operations) : "";
  events.Complete(kTrainingThread, name, "phase", first->begin, last->end, operations);
  if (phase == diagnostics::Part::UPDATE) return;
  for (const OpSpan& span : step.spans) {
    if (span.phase != phase) continue;
    const std::string arguments =
        absl::StrCat("\"op\":", JsonQuoted(span.op), ",\"layer\":", JsonQuoted(span.layer), ",\"node\":", span.node,
                     ",\"operations\":", span.operations, ",\"held_bytes\":", span.held_bytes);
    events.Complete(kTrainingThread,
                    span.layer.empty() ? std::string(span.op) : absl::StrCat(span.layer, ": ", span.op), name,
                    span.begin, span.end, arguments);
  }
}

}  // namespace

std::string ChromeTrace(const StepProfile& profile, absl::string_view title) {
  const double begin = profile.steps.front().begin;
  double origin = begin;
  int threads = 0;
  for (const PreparedBatch& batch : profile.prepared) {
    if (batch.end < begin) continue;
    origin = std::min(origin, batch.begin);
    threads = std::max(threads, batch.thread + 1);
  }
  Events events(origin);
  events.Name("process_name", kTrainingThread, title);
  events.Name("thread_name", kTrainingThread, "training");
  for (int i = 0; i < threads; ++i) events.Name("thread_name", kFirstDataThread + i, absl::StrCat("batches ", i + 1));
  for (size_t i = 0; i < profile.steps.size(); ++i) {
    const ProfiledStep& step = profile.steps[i];
    events.Complete(kTrainingThread, absl::StrCat("step ", i + 1), "step", step.begin, step.end);
    events.Complete(kTrainingThread, "wait for the batch", "phase", step.begin, step.got_batch);
    AppendPhase(step, diagnostics::Part::FORWARD, "forward", events);
    AppendPhase(step, diagnostics::Part::BACKWARD, "backward", events);
    AppendPhase(step, diagnostics::Part::UPDATE, "update", events);
    int64_t live = -1;
    for (const OpSpan& span : step.spans) {
      if (span.live_bytes != live) events.Counter("live memory", span.end, span.live_bytes);
      live = span.live_bytes;
    }
  }
  for (const PreparedBatch& batch : profile.prepared) {
    if (batch.end < begin) continue;
    events.Complete(kFirstDataThread + batch.thread, absl::StrCat("batch ", batch.index), "data", batch.begin,
                    batch.end, absl::StrCat("\"epoch\":", batch.epoch));
  }
  return std::move(events).Finish();
}

absl::Status WriteChromeTrace(const StepProfile& profile, absl::string_view title, const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(ChromeTrace(profile, title)));
  return file.Commit();
}

}  // namespace bitgrad
