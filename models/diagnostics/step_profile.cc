#include "bitgrad/models/diagnostics/step_profile.h"

#include <algorithm>
#include <functional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/step_observer.h"
#include "bitgrad/models/training/training_step.h"

namespace bitgrad {
namespace {

// From which share of a step on its time tells more of other processes than of its ops.
constexpr double kBusy = 0.1;

class Observer final : public StepObserver {
 public:
  Observer(ExecContext& context, const Optimizer& optimizer) : timeline_(context), optimizer_(optimizer) {}

  void Begin(Tape& tape) override { timeline_.Begin(tape); }
  void BeforeUpdate(absl::Span<Parameter* const> parameters) override {
    update_operations_ = 0;
    for (const Parameter* parameter : parameters) {
      if (!parameter->trainable || parameter->gradient.is_null()) continue;
      update_operations_ += OperationsOf(optimizer_.ArithmeticOf(*parameter));
    }
    timeline_.BeginUpdate();
  }
  void AfterUpdate(absl::Span<Parameter* const> /*parameters*/) override { timeline_.EndUpdate(); }

  void Describe(ProfiledStep& step) const {
    step.spans.assign(timeline_.spans().begin(), timeline_.spans().end());
    step.spans.back().operations = update_operations_;
    step.overhead = timeline_.overhead_seconds();
  }

 private:
  StepTimeline timeline_;
  const Optimizer& optimizer_;
  int64_t update_operations_ = 0;
};

double Median(std::vector<double> values) {
  const auto middle = values.begin() + static_cast<std::ptrdiff_t>(values.size() / 2);
  std::nth_element(values.begin(), middle, values.end());
  if (values.size() % 2 == 1) return *middle;
  return (*middle + *std::max_element(values.begin(), middle)) / 2;
}

// Ops are the same in all steps, but for what a model decides anew in each; a step without the op counts as 0.
std::vector<ProfileRow> RowsOf(const std::vector<ProfiledStep>& steps) {
  std::vector<ProfileRow> rows;
  std::vector<std::vector<double>> seconds, bytes;
  for (size_t i = 0; i < steps.size(); ++i) {
    for (const OpSpan& span : steps[i].spans) {
      auto row = std::find_if(rows.begin(), rows.end(), [&](const ProfileRow& known) {
        return known.phase == span.phase && known.op == span.op && known.layer == span.layer;
      });
      const auto at = static_cast<size_t>(row - rows.begin());
      if (row == rows.end()) {
        row = rows.insert(row, {.phase = span.phase, .layer = span.layer, .op = std::string(span.op)});
        seconds.emplace_back(steps.size());
        bytes.emplace_back(steps.size());
      }
      seconds[at][i] += span.seconds();
      bytes[at][i] += static_cast<double>(span.held_bytes);
      if (i + 1 < steps.size()) continue;
      ++row->calls;
      row->operations += span.operations;
    }
  }
  for (size_t k = 0; k < rows.size(); ++k) {
    rows[k].seconds = Median(seconds[k]);
    rows[k].held_bytes = static_cast<int64_t>(Median(bytes[k]));
  }
  std::stable_sort(rows.begin(), rows.end(),
                   [](const ProfileRow& a, const ProfileRow& b) { return a.seconds > b.seconds; });
  return rows;
}

const char* NameOf(diagnostics::Part::Phase phase) {
  switch (phase) {
    case diagnostics::Part::FORWARD: return "forward";
    case diagnostics::Part::BACKWARD: return "backward";
    default: return "update";
  }
}

}  // namespace

double ProfiledStep::seconds_of(diagnostics::Part::Phase phase) const {
  double sum = 0;
  for (const OpSpan& span : spans) {
    if (span.phase == phase) sum += span.seconds();
  }
  return sum;
}

double ProfiledStep::not_attributed() const {
  double rest = end - got_batch - overhead;
  for (const OpSpan& span : spans) rest -= span.seconds();
  return rest;
}

absl::StatusOr<StepProfile> ProfileSteps(ExecContext& context, Model& model, ParameterStore& store, const Task& task,
                                         const BatchLoader& loader, Optimizer& optimizer,
                                         const ProfileOptions& options) {
  Observer observer(context, optimizer);
  TrainingStep step(context, model, task, store.parameters(), optimizer);
  step.set_observer(&observer);
  const double learning_rate = optimizer.learning_rate();
  StepProfile profile;
  int64_t done = -options.warm_up;
  for (int64_t epoch = 0; done < options.steps; ++epoch) {
    EpochBatches batches = loader.Epoch(epoch);
    while (done < options.steps) {
      ProfiledStep profiled;
      profiled.begin = MonotonicSeconds();
      const Batch* const batch = batches.Next();
      profiled.got_batch = MonotonicSeconds();
      if (batch == nullptr) break;
      store.SetScalars(context, {.batch = batch->index, .batches = loader.batches_per_epoch()});
      BITGRAD_RETURN_IF_ERROR(step.Enqueue(*batch, learning_rate));
      BITGRAD_RETURN_IF_ERROR(step.Finish().status());
      profiled.end = MonotonicSeconds();
      if (done++ < 0) continue;
      observer.Describe(profiled);
      profile.steps.push_back(std::move(profiled));
    }
    BITGRAD_RETURN_IF_ERROR(batches.status());
  }
  const auto median = [&](const std::function<double(const ProfiledStep&)>& of) {
    std::vector<double> values;
    for (const ProfiledStep& profiled : profile.steps) values.push_back(of(profiled));
    return Median(std::move(values));
  };
  const auto phase = [&](diagnostics::Part::Phase of) {
    return median([of](const ProfiledStep& profiled) { return profiled.seconds_of(of); });
  };
  profile.rows = RowsOf(profile.steps);
  profile.step = median([](const ProfiledStep& profiled) { return profiled.seconds(); });
  profile.wait = median([](const ProfiledStep& profiled) { return profiled.got_batch - profiled.begin; });
  profile.forward = phase(diagnostics::Part::FORWARD);
  profile.backward = phase(diagnostics::Part::BACKWARD);
  profile.update = phase(diagnostics::Part::UPDATE);
  profile.overhead = median([](const ProfiledStep& profiled) { return profiled.overhead; });
  profile.not_attributed = median([](const ProfiledStep& profiled) { return profiled.not_attributed(); });
  profile.peak_bytes = static_cast<int64_t>(step.peak_bytes());
  return profile;
}

std::string ProfileTable(const StepProfile& profile, int64_t most) {
  const size_t shown = most == 0 ? profile.rows.size() : std::min(profile.rows.size(), static_cast<size_t>(most));
  size_t width = 24;
  for (size_t i = 0; i < shown; ++i) width = std::max(width, profile.rows[i].layer.size());
  const int columns = static_cast<int>(width);
  std::string table = absl::StrFormat("%9s  %6s  %-8s  %-*s  %-18s  %5s  %10s  %9s  %7s\n", "ms", "share", "pass",
                                      columns, "layer", "op", "calls", "held kB", "Mop", "Gop/s");
  double sum = 0;
  const auto append = [&](const ProfileRow& row, absl::string_view pass, absl::string_view layer) {
    sum += row.seconds;
    const auto operations = static_cast<double>(row.operations);
    absl::StrAppendFormat(
        &table, "%9.3f  %5.1f%%  %-8s  %-*s  %-18s  %5d  %10.1f  %9.3f  %7s\n", 1e3 * row.seconds,
        100 * row.seconds / profile.step, pass, columns, layer, row.op, row.calls,
        1e-3 * static_cast<double>(row.held_bytes), 1e-6 * operations,
        row.operations > 0 && row.seconds > 0 ? absl::StrFormat("%7.2f", 1e-9 * operations / row.seconds) : "");
  };
  const auto append_time = [&](double seconds, absl::string_view what) {
    absl::StrAppendFormat(&table, "%9.3f  %5.1f%%  %s\n", 1e3 * seconds, 100 * seconds / profile.step, what);
  };
  ProfileRow others;
  for (size_t i = 0; i < profile.rows.size(); ++i) {
    const ProfileRow& row = profile.rows[i];
    if (i < shown) {
      append(row, NameOf(row.phase), row.layer.empty() ? "(no layer)" : row.layer);
      continue;
    }
    others.calls += row.calls;
    others.seconds += row.seconds;
    others.held_bytes += row.held_bytes;
    others.operations += row.operations;
  }
  if (shown < profile.rows.size()) append(others, "", absl::StrCat("(", profile.rows.size() - shown, " further rows)"));
  for (const auto& [seconds, what] :
       {std::pair{profile.wait, "waiting for the batch"}, std::pair{profile.overhead, "measuring"},
        std::pair{profile.not_attributed, "not attributed"}}) {
    append_time(seconds, what);
    sum += seconds;
  }
  const bool is_busy = profile.step - sum > kBusy * profile.step;
  append_time(profile.step - sum,
              is_busy ? "irregular: other processes keep the machine busy, measure again without them" : "irregular");
  append_time(profile.step, "a step");
  return table;
}

}  // namespace bitgrad
