// Warnings that help: what in a run's metrics and diagnostics says that training goes wrong, and what to do about it.
//
//   for (const RunWarning& warning : WarningsOf(run, run.header.epochs_size() - 1)) std::puts(warning.text.c_str());

#ifndef BITGRAD_MODELS_DIAGNOSTICS_WARNINGS_H_
#define BITGRAD_MODELS_DIAGNOSTICS_WARNINGS_H_

#include <cstdio>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "bitgrad/models/diagnostics/run_observer.h"
#include "bitgrad/models/diagnostics/run_record.h"

namespace bitgrad {

// A rule by which a run is judged: an epoch of it deserves the warning where a number is beyond the threshold.
struct WarningRule {
  const char* name;  // also the heading of docs/training_tips.md that says more
  double threshold;
  const char* reason;  // why the threshold is there
};

// All of them: the one place where thresholds are.
absl::Span<const WarningRule> AllWarningRules();

struct RunWarning {
  const WarningRule* rule;
  std::string layer;  // empty: of the whole run
  std::string text;   // one line: what is wrong, how much, what to do, where to read on
};

// What the epoch of that index (from 0, of run.header.epochs) deserves. What was not measured is no reason to warn.
std::vector<RunWarning> WarningsOf(const RunRecord& run, int index);

// Prints a run's warnings after each epoch, each rule once for each layer.
class WarningPrinter final : public RunObserver {
 public:
  const char* name() const override { return "warnings"; }
  // What a resumed run was warned of already is not said again.
  absl::Status Begin(const RunRecord& run, std::FILE* log) override;
  absl::Status EpochFinished(const RunRecord& run, std::FILE* log) override;

 private:
  // Whether this was not said before.
  bool IsNew(const RunWarning& warning);
  std::set<std::pair<const WarningRule*, std::string>> said_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DIAGNOSTICS_WARNINGS_H_
