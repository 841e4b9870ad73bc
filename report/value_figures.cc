#include "bitgrad/report/value_figures.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/types/span.h"
#include "bitgrad/report/layer_curves.h"

namespace bitgrad::report {
namespace {

// The values of a name.
struct Values {
  std::string name;
  checkpoint::ModelValue::Display display = checkpoint::ModelValue::NUMBER;
  LayerCurves curves;
};

// In the order in which names come first.
void Add(const checkpoint::ModelValue& value, const std::string& layer, int epoch, absl::Span<const std::string> layers,
         std::vector<Values>& all) {
  Values* found = nullptr;
  for (Values& values : all) {
    if (values.name == value.name()) found = &values;
  }
  if (found == nullptr) {
    found = &all.emplace_back(Values{.name = value.name(), .display = value.display(), .curves = LayerCurves(layers)});
  }
  const double scale = value.display() == checkpoint::ModelValue::SHARE ? 100 : 1;
  found->curves.Add(layer, epoch, scale * value.value());
}

void AddFigures(std::vector<Values> all, absl::string_view prefix, absl::string_view of, HtmlPage& page) {
  for (Values& values : all) {
    std::string title = absl::StrReplaceAll(values.name, {{"_", " "}});
    const std::string unit = values.display == checkpoint::ModelValue::SHARE    ? " (%)"
                             : values.display == checkpoint::ModelValue::YES_NO ? " (1: yes, 0: no)"
                                                                                : "";
    const LinePlot plot = {.description = absl::StrCat(title, of, " over the epochs"),
                           .x_label = "epoch",
                           .y_label = absl::StrCat(title, unit),
                           .series = std::move(values.curves).Take(),
                           .may_be_logarithmic = true};
    if (!title.empty()) title[0] = absl::ascii_toupper(title[0]);
    AddPlot(absl::StrCat(prefix, values.name), title, plot,
            absl::StrCat("What the model tells", of, ": ", values.name, "."), page);
  }
}

}  // namespace

void AddPlot(absl::string_view name, absl::string_view title, const LinePlot& plot, absl::string_view caption,
             HtmlPage& page) {
  if (HasData(plot)) page.Figure(name, title, ToSvg(plot), caption);
}

void AddModelValues(const RunRecord& run, HtmlPage& page) {
  std::vector<Values> all;
  for (const checkpoint::EpochMetrics& epoch : run.header.epochs()) {
    for (const checkpoint::ModelValue& value : epoch.values()) Add(value, value.name(), epoch.epoch(), {}, all);
  }
  AddFigures(std::move(all), "model-", "", page);
}

void AddLayerValues(const RunRecord& run, HtmlPage& page) {
  const std::vector<std::string> layers = LayersOf(run);
  std::vector<Values> all;
  for (const checkpoint::EpochMetrics& epoch : run.header.epochs()) {
    for (const checkpoint::LayerMetrics& layer : epoch.layers()) {
      for (const checkpoint::ModelValue& value : layer.values()) Add(value, layer.layer(), epoch.epoch(), layers, all);
    }
  }
  AddFigures(std::move(all), "layer-", " of layers", page);
}

}  // namespace bitgrad::report
