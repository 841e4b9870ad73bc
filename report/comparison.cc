#include "bitgrad/report/comparison.h"

#include <algorithm>
#include <map>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/checkpoint.h"

namespace bitgrad {
namespace {

double SecondsOf(const ComparedRun& run) {
  double seconds = 0;
  for (const checkpoint::EpochMetrics& epoch : run.record.header.epochs()) seconds += epoch.seconds();
  return seconds;
}

ComparedDataSet DataSetOf(const ComparedRun& run) {
  const checkpoint::Header& header = run.record.header;
  return {header.training_data(), header.validation_data(), header.test_data()};
}

std::string KeyOf(const ComparedDataSet& data) {
  return absl::StrCat(data.training.SerializeAsString(), "|", data.validation.SerializeAsString(), "|",
                      data.test.SerializeAsString());
}

recipe::Recipe WithoutSeed(const ComparedRun& run) {
  recipe::Recipe recipe = run.record.header.recipe();
  recipe.clear_seed();
  return recipe;
}

std::string DirectoryOf(absl::string_view path) {
  const size_t slash = path.rfind('/');
  return slash == absl::string_view::npos ? "" : std::string(path.substr(0, slash + 1));
}

// The folders without the directories that they are all in.
std::vector<std::string> NamesOf(const std::vector<ComparedRun>& runs) {
  std::vector<std::string> names;
  std::string common;
  for (const ComparedRun& run : runs) {
    absl::string_view folder = run.record.folder;
    while (folder.size() > 1 && absl::ConsumeSuffix(&folder, "/")) {
    }
    if (names.empty()) common = DirectoryOf(folder);
    while (folder.substr(0, common.size()) != common) {
      common.pop_back();
      common = DirectoryOf(common);
    }
    names.emplace_back(folder);
  }
  for (std::string& name : names) name = name.substr(common.size());
  return names;
}

template <typename Number>
Spread SpreadOver(const Comparison& comparison, const ComparisonGroup& group, const Number& number) {
  std::vector<double> numbers;
  for (const size_t i : group.runs) numbers.push_back(number(comparison.runs[i]));
  return SpreadOf(numbers);
}

void FillFigures(const Comparison& comparison, ComparisonGroup& group) {
  const auto over_best = [&](const auto& number) {
    return SpreadOver(comparison, group, [&](const ComparedRun& run) {
      const checkpoint::EpochMetrics* const best = BestEpochOf(run);
      return best == nullptr ? std::nan("") : static_cast<double>(number(*best));
    });
  };
  const auto over_frozen = [&](const auto& number) {
    return SpreadOver(comparison, group, [&](const ComparedRun& run) {
      return run.frozen.has_value() ? static_cast<double>(number(*run.frozen)) : std::nan("");
    });
  };
  const MetricDisplay display = group.display;
  group.epochs = SpreadOver(comparison, group, [](const ComparedRun& run) { return run.record.header.epochs_size(); });
  group.best_epoch = over_best([](const checkpoint::EpochMetrics& best) { return best.epoch(); });
  group.valid =
      over_best([display](const checkpoint::EpochMetrics& best) { return Shown(display, best.valid_error()); });
  group.test = over_best([display](const checkpoint::EpochMetrics& best) { return Shown(display, best.test_error()); });
  group.bits = over_frozen([](const FrozenSize& frozen) { return frozen.bits; });
  group.bytes = over_frozen([](const FrozenSize& frozen) { return frozen.bytes; });
  group.seconds = SpreadOver(comparison, group, SecondsOf);
}

absl::optional<size_t> BestOf(const Comparison& comparison) {
  absl::optional<size_t> best;
  for (size_t i = 0; i < comparison.groups.size(); ++i) {
    const ComparisonGroup &group = comparison.groups[i], &first = comparison.groups[0];
    if (group.data_set != first.data_set || group.display != first.display) return absl::nullopt;
    if (std::isnan(group.valid.mean)) continue;
    if (!best.has_value() || group.valid.mean < comparison.groups[*best].valid.mean) best = i;
  }
  return best;
}

}  // namespace

const checkpoint::EpochMetrics* BestEpochOf(const ComparedRun& run) {
  const checkpoint::Header& header = run.record.header;
  const int best = header.progress().best_epoch();
  return best >= 1 && best <= header.epochs_size() ? &header.epochs(best - 1) : nullptr;
}

absl::StatusOr<ComparedRun> LoadComparedRun(const std::string& folder, std::vector<std::string>* warnings) {
  BITGRAD_ASSIGN_OR_RETURN(RunRecord record, LoadRunRecord(folder, warnings));
  ComparedRun run = {.record = std::move(record), .frozen = absl::nullopt};
  if (BestEpochOf(run) == nullptr) return run;
  const absl::StatusOr<Checkpoint> best = Checkpoint::Open(folder + "/best.bgc");
  if (!best.ok()) {
    if (warnings != nullptr) {
      warnings->push_back(absl::StrCat("bits and bytes of '", folder, "' are left out: ", best.status().message()));
    }
    return run;
  }
  const absl::StatusOr<FrozenSize> frozen = FrozenSizeOf(*best);
  if (frozen.ok()) run.frozen = *frozen;
  return run;
}

Spread SpreadOf(absl::Span<const double> numbers) {
  Spread spread;
  double sum = 0, squares = 0;
  for (const double number : numbers) {
    if (!std::isfinite(number)) continue;
    ++spread.count;
    sum += number;
  }
  if (spread.count > 0) spread.mean = sum / spread.count;
  for (const double number : numbers) {
    if (std::isfinite(number)) squares += (number - spread.mean) * (number - spread.mean);
  }
  if (spread.count > 1) spread.deviation = std::sqrt(squares / (spread.count - 1));
  return spread;
}

Comparison Compare(std::vector<ComparedRun> runs) {
  Comparison comparison;
  comparison.runs = std::move(runs);
  comparison.names = NamesOf(comparison.runs);
  std::map<std::string, size_t> data_sets, groups;
  for (size_t i = 0; i < comparison.runs.size(); ++i) {
    const ComparedRun& run = comparison.runs[i];
    ComparedDataSet data = DataSetOf(run);
    const std::string data_key = KeyOf(data);
    const auto [data_set, new_data] = data_sets.emplace(data_key, comparison.data_sets.size());
    if (new_data) comparison.data_sets.push_back(std::move(data));
    const std::string key = absl::StrCat(WithoutSeed(run).SerializeAsString(), "|", data_key);
    const auto [group, new_group] = groups.emplace(key, comparison.groups.size());
    if (new_group) {
      comparison.groups.push_back({.runs = {}, .data_set = data_set->second, .display = run.record.display});
    }
    comparison.groups[group->second].runs.push_back(i);
  }
  std::vector<recipe::Recipe> recipes;
  for (ComparisonGroup& group : comparison.groups) {
    FillFigures(comparison, group);
    recipes.push_back(WithoutSeed(comparison.runs[group.runs[0]]));
  }
  std::vector<const recipe::Recipe*> pointers;
  for (const recipe::Recipe& recipe : recipes) pointers.push_back(&recipe);
  comparison.differences = RecipeDifferences(pointers);
  comparison.best = BestOf(comparison);
  return comparison;
}

size_t BestRunOf(const Comparison& comparison, const ComparisonGroup& group) {
  const auto valid = [&](size_t run) {
    const checkpoint::EpochMetrics* const best = BestEpochOf(comparison.runs[run]);
    return best == nullptr || std::isnan(best->valid_error()) ? HUGE_VAL : best->valid_error();
  };
  return *std::min_element(group.runs.begin(), group.runs.end(),
                           [&](size_t a, size_t b) { return valid(a) < valid(b); });
}

}  // namespace bitgrad
