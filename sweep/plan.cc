#include "bitgrad/sweep/plan.h"

#include <cmath>
#include <cstdint>
#include <random>
#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/recipe_text.h"

namespace bitgrad {
namespace {

// More trials than anybody means.
constexpr int64_t kMostTrials = 100000;

template <typename... What>
absl::Status SweepError(const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat(what...));
}

const sweep::Range& RangeOf(const sweep::Field& field) {
  return field.has_log_uniform() ? field.log_uniform() : field.uniform();
}

std::string NumberText(const sweep::Range& range, double number) {
  return range.whole() ? absl::StrFormat("%.0f", std::round(number)) : absl::StrFormat("%.6g", number);
}

// The number of the range at `place` in [0, 1].
double NumberAt(const sweep::Field& field, double place) {
  const sweep::Range& range = RangeOf(field);
  if (place >= 1) return range.high();
  if (field.has_log_uniform()) return range.low() * std::pow(range.high() / range.low(), place);
  return range.low() + place * (range.high() - range.low());
}

absl::Status CheckRange(const sweep::Field& field, bool is_grid) {
  const sweep::Range& range = RangeOf(field);
  const auto error = [&](const auto&... what) { return SweepError("field '", field.name(), "': ", what...); };
  if (!std::isfinite(range.low()) || !std::isfinite(range.high()) || !(range.low() < range.high())) {
    return error("the range from ", range.low(), " to ", range.high(), " is none; low has to be less than high");
  }
  if (field.has_log_uniform() && !(range.low() > 0)) {
    return error("low is ", range.low(), "; the numbers of log_uniform have to be positive");
  }
  if (is_grid && range.values() < 2) {
    return error("a range of a grid needs a number of values, values: 3 for one, 2 at least; it has ", range.values());
  }
  if (!is_grid && range.values() != 0) {
    return error("values: ", range.values(), " is for grids; what is drawn at random has none, leave it out");
  }
  return absl::OkStatus();
}

absl::Status CheckField(const sweep::Sweep& sweep, const sweep::Field& field) {
  if (field.name().empty()) return SweepError("a field has no name; write name: \"optimizer.learning_rate\"");
  const auto error = [&](const auto&... what) { return SweepError("field '", field.name(), "' ", what...); };
  const bool has_range = field.range_case() != sweep::Field::RANGE_NOT_SET;
  if (field.value_size() == 0 && !has_range) {
    return error("has nothing to try; give it some value: \"...\", or a range, uniform or log_uniform");
  }
  if (field.value_size() > 0 && has_range) return error("has values and a range; leave out one of them");
  if (field.name() == "seed") return error("is none to sweep over; write seed: 1 seed: 2 in the sweep itself");
  if (field.name() == "epochs" && sweep.has_halving()) {
    return error("cannot be swept over with halving, which chooses epochs itself; leave out one of them");
  }
  return has_range ? CheckRange(field, !sweep.has_random()) : absl::OkStatus();
}

absl::Status CheckSweep(const sweep::Sweep& sweep, const recipe::Recipe& base) {
  if (sweep.field_size() == 0 && sweep.seed_size() == 0) {
    return SweepError("there is nothing to try; add field { name: \"optimizer.learning_rate\" value: \"0.01\" ... }");
  }
  std::set<std::string> names;
  for (const sweep::Field& field : sweep.field()) {
    BITGRAD_RETURN_IF_ERROR(CheckField(sweep, field));
    if (!names.insert(field.name()).second) return SweepError("field '", field.name(), "' is named twice");
  }
  std::set<uint64_t> seeds;
  for (const uint64_t seed : sweep.seed()) {
    if (!seeds.insert(seed).second) return SweepError("seed ", seed, " is there twice");
  }
  if (sweep.has_random() && (sweep.random().trials() < 1 || sweep.random().trials() > kMostTrials)) {
    return SweepError("random.trials is ", sweep.random().trials(), "; it has to be in 1 .. ", kMostTrials);
  }
  if (sweep.has_random() && sweep.field_size() == 0) return SweepError("there are no fields to draw at random");
  if (!sweep.has_halving()) return absl::OkStatus();
  const sweep::Halving& halving = sweep.halving();
  if (halving.min_epochs() < 1 || halving.min_epochs() > base.epochs()) {
    return SweepError("halving.min_epochs is ", halving.min_epochs(), "; it has to be in 1 .. ", base.epochs(),
                      ", the recipe's epochs");
  }
  if (halving.factor() != 0 && halving.factor() < 2) {
    return SweepError("halving.factor is ", halving.factor(), "; it has to be 2 at least");
  }
  return absl::OkStatus();
}

std::vector<std::string> GridValues(const sweep::Field& field) {
  if (field.value_size() > 0) return {field.value().begin(), field.value().end()};
  std::vector<std::string> values;
  const int count = RangeOf(field).values();
  for (int i = 0; i < count; ++i) {
    const std::string value = NumberText(RangeOf(field), NumberAt(field, static_cast<double>(i) / (count - 1)));
    // Numbers that are rounded may be the same.
    if (values.empty() || values.back() != value) values.push_back(value);
  }
  return values;
}

// The values of all fields for each configuration.
using Values = std::vector<std::string>;

absl::StatusOr<std::vector<Values>> Grid(const sweep::Sweep& sweep) {
  std::vector<Values> configurations = {{}};
  for (const sweep::Field& field : sweep.field()) {
    const std::vector<std::string> values = GridValues(field);
    if (configurations.size() * values.size() > kMostTrials) {
      return SweepError("the grid has more than ", kMostTrials, " configurations; try fewer values, or some at random");
    }
    std::vector<Values> longer;
    for (const Values& begin : configurations) {
      for (const std::string& value : values) longer.emplace_back(begin).push_back(value);
    }
    configurations = std::move(longer);
  }
  return configurations;
}

// Draws of different configurations. The numbers of std::mt19937_64 are the same everywhere; those of the library's
// distributions are not, so they are made here.
absl::StatusOr<std::vector<Values>> Draw(const sweep::Sweep& sweep) {
  std::mt19937_64 words(sweep.random().seed());
  const auto uniform = [&] { return static_cast<double>(words() >> 11) * 0x1p-53; };
  const auto draw = [&](const sweep::Field& field) -> std::string {
    const double place = uniform();
    if (field.value_size() > 0) return field.value(static_cast<int>(place * field.value_size()));
    const sweep::Range& range = RangeOf(field);
    // Every whole number is as probable as the others.
    if (range.whole() && field.has_uniform()) {
      const double low = std::ceil(range.low()), count = std::floor(range.high()) - low + 1;
      return NumberText(range, low + std::floor(place * count));
    }
    return NumberText(range, NumberAt(field, place));
  };
  const auto trials = static_cast<size_t>(sweep.random().trials());
  std::vector<Values> configurations;
  std::set<Values> known;
  // Where there are few configurations, draws repeat them.
  const size_t most_repeats = 1000 + 100 * trials;
  for (size_t repeats = 0; configurations.size() < trials && repeats < most_repeats;) {
    Values values;
    for (const sweep::Field& field : sweep.field()) values.push_back(draw(field));
    if (known.insert(values).second) {
      configurations.push_back(std::move(values));
    } else {
      ++repeats;
    }
  }
  if (configurations.size() < trials) {
    return SweepError("random.trials is ", trials, ", but the fields have only ", configurations.size(),
                      " different combinations of values; ask for as many, or leave out random for the grid of all");
  }
  return configurations;
}

}  // namespace

absl::StatusOr<sweep::Sweep> LoadSweep(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(ResolvePath(path)));
  const auto bytes = file.bytes();
  sweep::Sweep sweep;
  BITGRAD_RETURN_IF_ERROR(ParseText(absl::StrCat("sweep '", path, "'"),
                                    {reinterpret_cast<const char*>(bytes.data()), bytes.size()}, sweep));
  return sweep;
}

absl::StatusOr<recipe::Recipe> BaseRecipe(const sweep::Sweep& sweep) {
  BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe,
                           LoadRecipe(sweep.recipe().empty() ? "digits_bnn_mlp" : sweep.recipe()));
  for (const std::string& assignment : sweep.set()) BITGRAD_RETURN_IF_ERROR(SetField(assignment, recipe));
  return recipe;
}

absl::StatusOr<std::vector<Trial>> PlanTrials(const sweep::Sweep& sweep, const recipe::Recipe& base) {
  BITGRAD_RETURN_IF_ERROR(CheckSweep(sweep, base));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<Values> configurations, sweep.has_random() ? Draw(sweep) : Grid(sweep));
  const auto width = static_cast<int>(absl::StrCat(configurations.size()).size());
  std::vector<Trial> trials;
  for (size_t i = 0; i < configurations.size(); ++i) {
    Trial trial = {.name = absl::StrFormat("trial_%0*d", width, i + 1), .configuration = static_cast<int>(i)};
    trial.recipe = base;
    for (int field = 0; field < sweep.field_size(); ++field) {
      trial.assignments.push_back(
          absl::StrCat(sweep.field(field).name(), "=", configurations[i][static_cast<size_t>(field)]));
      if (const absl::Status set = SetField(trial.assignments.back(), trial.recipe); !set.ok()) {
        return SweepError(set.message());
      }
    }
    if (sweep.seed_size() == 0) trials.push_back(trial);
    for (const uint64_t seed : sweep.seed()) {
      trials.push_back(trial);
      absl::StrAppend(&trials.back().name, "_seed_", seed);
      trials.back().recipe.set_seed(seed);
    }
  }
  return trials;
}

}  // namespace bitgrad
