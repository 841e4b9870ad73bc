#include "bitgrad/models/training/learning_rate_finder.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/parameter_restorer.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr int64_t kWindows = 40;         // w = N / kWindows
constexpr double kBegun = 0.1;           // share of the fall at which learning has begun
constexpr double kRisen = 0.1;           // share of it above the least loss at which training diverges
constexpr double kBelowDivergence = 10;  // how far below that a rate is suggested
constexpr double kLost = 2;              // times S_0
constexpr double kLeastFall = 0.05;      // share of S_0 below which nothing was learned
constexpr int64_t kLeastBatches = 40;

int64_t WindowOf(int64_t batches) { return batches / kWindows; }

double RateOf(const LearningRateRange& range, int64_t batch) {
  const double share = static_cast<double>(batch) / static_cast<double>(range.batches - 1);
  return range.least * std::pow(range.greatest / range.least, share);
}

// The median of values[k - w .. k + w], as far as there are such.
double MedianAround(absl::Span<const double> values, int64_t k, int64_t w) {
  const int64_t begin = std::max<int64_t>(k - w, 0),
                end = std::min<int64_t>(k + w + 1, static_cast<int64_t>(values.size()));
  std::vector<double> sorted(values.begin() + begin, values.begin() + end);
  std::sort(sorted.begin(), sorted.end());
  const size_t middle = sorted.size() / 2;
  return sorted.size() % 2 == 1 ? sorted[middle] : (sorted[middle - 1] + sorted[middle]) / 2;
}

// Some update rules do not take every rate.
absl::Status AtRate(const absl::Status& error, double rate) {
  return absl::Status(error.code(), absl::StrCat(error.message(), "; that was at the learning rate ", rate,
                                                 " of the search: end it at a lower one (--find_greatest)"));
}

// Restores what training changes.
class TrainedParametersRestorer {
 public:
  TrainedParametersRestorer(ExecContext& context, absl::Span<Parameter* const> parameters)
      : restorer_(context, parameters), step_(context.step()), context_(context) {
    // Optimizers write to the values where they are: they get copies.
    for (Parameter* parameter : parameters) parameter->value = parameter->value.Clone(context.lasting_allocator());
  }
  ~TrainedParametersRestorer() { context_.set_step(step_); }

 private:
  const ParameterRestorer restorer_;
  const uint32_t step_;
  ExecContext& context_;
};

}  // namespace

absl::Status LearningRateRange::Check() const {
  if (least > 0 && least < greatest && std::isfinite(greatest) && batches >= kLeastBatches) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("learning rates from ", least, " to ", greatest, " in ", batches,
                                                 " batches: the least has to be above 0 and below the greatest, and "
                                                 "there have to be ",
                                                 kLeastBatches, " batches or more"));
}

absl::StatusOr<LearningRateCurve> ReadLearningRates(absl::Span<const double> rates, absl::Span<const double> losses,
                                                    int64_t batches) {
  const int64_t w = WindowOf(batches), count = static_cast<int64_t>(losses.size());
  if (count <= 4 * w) {
    return absl::FailedPreconditionError(
        absl::StrCat("training diverges after ", count, " of ", batches,
                     " batches, too early to tell rates apart; begin with a lower learning rate"));
  }
  LearningRateCurve curve;
  for (int64_t k = 0; k < count; ++k) {
    const auto i = static_cast<size_t>(k);
    curve.points.push_back({.rate = rates[i], .loss = losses[i], .smoothed = MedianAround(losses, k, w)});
  }
  const auto at = [&](int64_t k) -> const LearningRateCurve::Point& { return curve.points[static_cast<size_t>(k)]; };
  int64_t lowest = 0;  // m
  for (int64_t k = 1; k < count; ++k) {
    if (at(k).smoothed < at(lowest).smoothed) lowest = k;
  }
  const double fall = at(0).smoothed - at(lowest).smoothed;
  curve.lowest = at(lowest).rate;
  const double limit = at(lowest).smoothed + kRisen * fall;
  for (int64_t k = lowest; k < count && !curve.diverges.has_value(); ++k) {
    if (at(k).smoothed > limit) curve.diverges = at(k).rate;
  }
  if (!curve.diverges.has_value() && rates.size() > losses.size()) curve.diverges = rates[losses.size()];

  // All rates are the same factor apart, so that differences of S are its slope.
  double steepest = 0;
  for (int64_t k = 2 * w; k <= lowest && k + 2 * w < count; ++k) {
    const double slope = at(k + 2 * w).smoothed - at(k - 2 * w).smoothed;
    if (slope >= steepest) continue;
    steepest = slope;
    curve.steepest = at(k).rate;
  }
  if (fall < kLeastFall * std::abs(at(0).smoothed) || steepest == 0) {
    return absl::FailedPreconditionError(absl::StrCat("the loss does not fall by 5 % at any learning rate from ",
                                                      rates.front(), " to ", rates.back(),
                                                      "; try other rates, or more batches"));
  }
  int64_t begins = lowest;
  while (begins > 0 && at(begins - 1).smoothed <= at(0).smoothed - kBegun * fall) --begins;
  curve.begins = at(begins).rate;
  curve.suggested =
      std::min(std::sqrt(curve.begins * curve.lowest), curve.diverges.value_or(rates.back()) / kBelowDivergence);
  return curve;
}

absl::StatusOr<LearningRateCurve> FindLearningRate(ExecContext& context, Model& model, ParameterStore& store,
                                                   const Task& task, const BatchLoader& loader,
                                                   std::unique_ptr<Optimizer> optimizer,
                                                   const LearningRateRange& range) {
  BITGRAD_RETURN_IF_ERROR(range.Check());
  const TrainedParametersRestorer restorer(context, store.parameters());
  TrainingStep step(context, model, task, store.parameters(), *optimizer);
  const int64_t w = WindowOf(range.batches);
  std::vector<double> rates, losses;
  bool ended = false;
  for (int64_t epoch = 0; !ended; ++epoch) {
    EpochBatches batches = loader.Epoch(epoch);
    for (const Batch& batch : batches) {
      store.SetScalars(context, {.batch = batch.index, .batches = loader.batches_per_epoch()});
      rates.push_back(RateOf(range, static_cast<int64_t>(rates.size())));
      if (const absl::Status status = step.Enqueue(batch, rates.back()); !status.ok()) {
        return rates.size() == 1 ? status : AtRate(status, rates.back());
      }
      const absl::StatusOr<StepResult> result = step.Finish();
      if (!result.ok() && !absl::IsOutOfRange(result.status())) return result.status();
      ended = !result.ok();
      if (ended) break;
      losses.push_back(result->loss);
      const auto last = static_cast<int64_t>(losses.size()) - 1;
      ended = last + 1 == range.batches || MedianAround(losses, last, w) > kLost * MedianAround(losses, 0, w);
      if (ended) break;
    }
    BITGRAD_RETURN_IF_ERROR(batches.status());
  }
  return ReadLearningRates(rates, losses, range.batches);
}

absl::StatusOr<LearningRateCurve> FindLearningRate(const recipe::Recipe& recipe,
                                                   const LearningRateFinderOptions& options) {
  BITGRAD_RETURN_IF_ERROR(options.range.Check());
  BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(options.device));
  BITGRAD_RETURN_IF_ERROR(CheckDataFields(recipe));
  if (recipe.has_coordinate_descent()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe '", recipe.name(),
                                                   "' is trained by coordinate descent, which has no learning rate; "
                                                   "choose a recipe with an optimizer"));
  }
  ExecContext context({.device = options.device, .threads = options.threads, .seed = recipe.seed()});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads() + options.data_workers));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  const recipe::Recipe& first = phases[static_cast<size_t>(PhaseAt(phases, 0))].recipe;
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<Optimizer> optimizer, OptimizerOf(first.optimizer(), context));
  BITGRAD_ASSIGN_OR_RETURN(const auto data, LoadTrainingData(recipe, {.data_dir = options.data_dir,
                                                                      .threads = context.threads(),
                                                                      .workers = options.data_workers}));
  data->Print(options.log);
  BITGRAD_RETURN_IF_ERROR(data->Fit(context.threads(), options.log));
  const DataKind kind = data->kind();
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, MakeModel(recipe, kind.image, kind.classes));
  BITGRAD_RETURN_IF_ERROR(optimizer->CheckRules(bundle.store->parameters()));
  MoveToDevice(context, *bundle.store);
  return FindLearningRate(context, *bundle.model, *bundle.store, *data->TaskOf(first), data->training(),
                          std::move(optimizer), options.range);
}

std::string LearningRateTable(const LearningRateCurve& curve, int64_t most) {
  constexpr int kWidth = 50;
  const auto count = static_cast<int64_t>(curve.points.size());
  const int64_t lines = std::min(most, count);
  double low = curve.points[0].smoothed, high = low;
  for (const LearningRateCurve::Point& point : curve.points) {
    low = std::min(low, point.smoothed);
    high = std::max(high, point.smoothed);
  }
  std::string table = absl::StrFormat("%10s  %10s  %10s\n", "rate", "loss", "smoothed");
  int64_t next = 0;  // the first batch that no line has shown yet
  for (int64_t line = 0; line < lines; ++line) {
    const int64_t k = line * (count - 1) / std::max<int64_t>(lines - 1, 1);
    const LearningRateCurve::Point& point = curve.points[static_cast<size_t>(k)];
    const double share = high > low ? (point.smoothed - low) / (high - low) : 0;
    std::string marks;
    for (; next <= k; ++next) {
      const double rate = curve.points[static_cast<size_t>(next)].rate;
      const double before = next > 0 ? curve.points[static_cast<size_t>(next) - 1].rate : 0;
      for (const auto& [found, name] :
           {std::pair{absl::make_optional(curve.begins), "learning begins"},
            std::pair{absl::make_optional(curve.steepest), "steepest"},
            std::pair{absl::make_optional(curve.suggested), "suggested"},
            std::pair{absl::make_optional(curve.lowest), "least loss"}, std::pair{curve.diverges, "diverges"}}) {
        if (found.has_value() && *found > before && *found <= rate) absl::StrAppend(&marks, "  ", name);
      }
    }
    absl::StrAppendFormat(&table, "%10.3g  %10.4g  %10.4g  %s%s\n", point.rate, point.loss, point.smoothed,
                          std::string(static_cast<size_t>(std::lround(kWidth * share)), '#'), marks);
  }
  return table;
}

}  // namespace bitgrad
