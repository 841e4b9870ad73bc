// The report's overview and the curves of the whole run.

#include <cmath>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/report/line_plot.h"
#include "bitgrad/report/markup.h"
#include "bitgrad/report/sections.h"
#include "bitgrad/report/value_figures.h"

namespace bitgrad::report {
namespace {

struct MetricTexts {
  const char* title;
  const char* axis;
  const char* caption;
  const char* tile;  // behind "Validation "
};

MetricTexts TextsOf(MetricDisplay display) {
  switch (display) {
    case MetricDisplay::kPerplexity:
      return {"Perplexity", "perplexity",
              "The exponential of the mean negative log-likelihood of a word. Training: while the epoch trained, with "
              "dropout; validation and test: after the epoch.",
              "perplexity"};
    case MetricDisplay::kBitsPerCharacter:
      return {"Bits per character", "bits per character",
              "The mean negative log-likelihood of a character, to base 2. Training: while the epoch trained, with "
              "dropout; validation and test: after the epoch.",
              "bits per character"};
    case MetricDisplay::kErrorPercent: break;
  }
  return {"Errors", "wrong answers (%)",
          "Training: while the epoch trained, with the statistics of batches and with dropout; validation and test: "
          "after the epoch.",
          "error"};
}

double Duration(const RunRecord& run) {
  double seconds = 0;
  for (const checkpoint::EpochMetrics& epoch : run.header.epochs()) {
    if (std::isfinite(epoch.seconds())) seconds += epoch.seconds();
  }
  return seconds;
}

std::string DurationText(double seconds) {
  if (seconds < 100) return absl::StrFormat("%.1f s", seconds);
  if (seconds < 6000) return absl::StrFormat("%.1f min", seconds / 60);
  return absl::StrFormat("%.1f h", seconds / 3600);
}

absl::optional<LinePlot::Mark> BestEpoch(const RunRecord& run) {
  const int best = run.header.progress().best_epoch();
  if (best <= 0 || run.header.epochs_size() < 2) return absl::nullopt;
  return LinePlot::Mark{static_cast<double>(best), "best"};
}

}  // namespace

void AddOverview(const RunRecord& run, HtmlPage& page) {
  const recipe::Recipe& recipe = run.header.recipe();
  page.Markup(absl::StrCat("<h1>", Escaped(recipe.name()), "</h1>\n"));
  if (!recipe.description().empty()) page.Paragraph(recipe.description());
  page.Markup(absl::StrCat("<p class=\"muted\">", Escaped(run.folder), "</p>\n"));
  const int epochs = run.header.epochs_size(), best = run.header.progress().best_epoch();
  if (epochs == 0) {
    page.Paragraph(absl::StrCat("No epoch of ", recipe.epochs(), " is complete yet."));
    return;
  }
  std::string tiles;
  const auto add = [&](absl::string_view name, absl::string_view value) {
    absl::StrAppend(&tiles, "<div><b>", Escaped(value), "</b><span>", Escaped(name), "</span></div>");
  };
  add("Epochs", absl::StrCat(epochs, " of ", recipe.epochs()));
  const bool has_best = best >= 1 && best <= epochs;
  if (has_best) add("Best epoch", absl::StrCat(best));
  const checkpoint::EpochMetrics& shown = run.header.epochs(has_best ? best - 1 : epochs - 1);
  const char* const what = TextsOf(run.display).tile;
  for (const auto& [name, value] :
       {std::pair("Training ", shown.train_error()), std::pair("Validation ", shown.valid_error()),
        std::pair("Test ", shown.test_error())}) {
    if (std::isfinite(value)) add(absl::StrCat(name, what), Format(run.display, value));
  }
  add("Time of training", DurationText(Duration(run)));
  page.Markup(absl::StrCat("<div class=\"tiles\">", tiles, "</div>\n"));
}

void AddProgress(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("Progress");
  const auto& epochs = run.header.epochs();
  const auto curve = [&](const char* name, double scale, double (checkpoint::EpochMetrics::*value)() const) {
    Series series = {.name = name};
    for (const checkpoint::EpochMetrics& epoch : epochs) {
      series.x.push_back(epoch.epoch());
      series.y.push_back(scale * (epoch.*value)());
    }
    return series;
  };
  LinePlot loss = {.description = "The loss over the epochs",
                   .x_label = "epoch",
                   .y_label = "loss",
                   .series = {curve("loss", 1, &checkpoint::EpochMetrics::loss)},
                   .may_be_logarithmic = true};
  Series penalty = {.name = "of it the penalty"};
  for (const checkpoint::EpochMetrics& epoch : epochs) {
    if (!epoch.has_penalty()) continue;
    penalty.x.push_back(epoch.epoch());
    penalty.y.push_back(epoch.penalty());
  }
  if (!penalty.x.empty()) loss.series.push_back(std::move(penalty));
  AddPlot("loss", "Loss", loss, "What training makes small, the mean over the epoch's examples.", page);

  const MetricTexts texts = TextsOf(run.display);
  LinePlot errors = {.description = absl::StrCat(texts.title, " over the epochs"),
                     .x_label = "epoch",
                     .y_label = texts.axis,
                     .series = {curve("training", 1, &checkpoint::EpochMetrics::train_error),
                                curve("validation", 1, &checkpoint::EpochMetrics::valid_error),
                                curve("test", 1, &checkpoint::EpochMetrics::test_error)},
                     .may_be_logarithmic = true,
                     .mark = BestEpoch(run)};
  for (Series& series : errors.series) {
    for (double& y : series.y) y = run.display == MetricDisplay::kErrorPercent ? 100 * y : Shown(run.display, y);
  }
  AddPlot(KeyOf(run.display), texts.title, errors, texts.caption, page);

  AddPlot("learning-rate", "Learning rate",
          {.description = "The learning rate over the epochs",
           .x_label = "epoch",
           .y_label = "learning rate",
           .series = {curve("learning rate", 1, &checkpoint::EpochMetrics::learning_rate)},
           .may_be_logarithmic = true},
          "At the end of each epoch.", page);
  AddModelValues(run, page);
}

}  // namespace bitgrad::report
