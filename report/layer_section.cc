// What layers are like over the epochs.

#include <algorithm>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "bitgrad/report/layer_curves.h"
#include "bitgrad/report/ridgeline.h"
#include "bitgrad/report/sections.h"
#include "bitgrad/report/value_figures.h"

namespace bitgrad::report {
namespace {

// A quantity of a layer; nothing where it was not measured.
template <typename Layer>
struct Quantity {
  const char* name;
  const char* title;
  const char* axis;
  const char* caption;
  double scale;  // 100 for shares
  bool (Layer::*has)() const;
  double (Layer::*value)() const;
};

using Metrics = checkpoint::LayerMetrics;
constexpr Quantity<Metrics> kMetrics[] = {
    {"sign-flips", "Signs that flip", "weights per step (%)",
     "The weights whose sign changed in a training step, on average over the epoch's steps.", 100,
     &Metrics::has_sign_flips, &Metrics::sign_flips},
    {"at-clip", "Weights at the clip", "latent weights (%)",
     "The latent weights that lie at a bound of the optimizer's clip after the epoch. They come back only when "
     "gradients "
     "push them inwards for long.",
     100, &Metrics::has_at_clip, &Metrics::at_clip},
    {"inside-window", "Activations inside the window", "activations (%)",
     "The activations where the straight-through estimator lets gradients pass, on average over the epoch's steps.",
     100, &Metrics::has_inside_window, &Metrics::inside_window},
};

using Observed = diagnostics::Layer;
constexpr Quantity<Observed> kObserved[] = {
    {"flipped-back", "Signs that flip back", "flips (%)",
     "Of the signs that changed in a step, those that had changed within the 16 steps before, too: weights that swing "
     "around 0. Of a sample of the weights.",
     100, &Observed::has_flipped_back, &Observed::flipped_back},
    {"gradient-norm", "Norms of gradients", "norm",
     "The Euclidean norm of the gradient of the layer's weights, root mean square over every 32nd step of the epoch.",
     1, &Observed::has_gradient_norm, &Observed::gradient_norm},
    {"constant-channels", "Constant channels", "channels (%)",
     "The channels of quantizers and activations that have one value for all examples and positions of the first "
     "validation batch: they say nothing.",
     100, &Observed::has_constant_channels, &Observed::constant_channels},
    {"dead-channels", "Dead channels", "channels (%)",
     "The channels that are 0 for all examples and positions of the first validation batch.", 100,
     &Observed::has_dead_channels, &Observed::dead_channels},
};

template <typename Epochs, typename Layer>
void AddQuantity(const Epochs& epochs, absl::Span<const std::string> layers, const Quantity<Layer>& quantity,
                 HtmlPage& page) {
  LayerCurves curves(layers);
  for (const auto& epoch : epochs) {
    for (const Layer& layer : epoch.layers()) {
      if ((layer.*quantity.has)()) {
        curves.Add(layer.layer(), epoch.epoch(), quantity.scale * (layer.*quantity.value)());
      }
    }
  }
  AddPlot(quantity.name, quantity.title,
          {.description = absl::StrCat(quantity.title, ": a curve for each layer"),
           .x_label = "epoch",
           .y_label = quantity.axis,
           .series = std::move(curves).Take(),
           .may_be_logarithmic = true},
          quantity.caption, page);
}

}  // namespace

std::vector<std::string> LayersOf(const RunRecord& run) {
  std::vector<std::string> layers;
  absl::flat_hash_set<std::string> known;
  const auto add = [&](const auto& epochs) {
    for (const auto& epoch : epochs) {
      for (const auto& layer : epoch.layers()) {
        if (known.insert(layer.layer()).second) layers.push_back(layer.layer());
      }
    }
  };
  add(run.header.epochs());
  add(run.diagnostics);
  return layers;
}

void AddLayers(const RunRecord& run, HtmlPage& page) {
  const std::vector<std::string> layers = LayersOf(run);
  page.BeginSection("Layers");
  for (const Quantity<Metrics>& quantity : kMetrics) AddQuantity(run.header.epochs(), layers, quantity, page);
  for (const Quantity<Observed>& quantity : kObserved) AddQuantity(run.diagnostics, layers, quantity, page);
  AddLayerValues(run, page);
}

void AddWeights(const RunRecord& run, HtmlPage& page) {
  page.BeginSection("Latent weights");
  std::vector<std::pair<std::string, Ridgeline>> layers;
  for (const diagnostics::Epoch& epoch : run.diagnostics) {
    for (const diagnostics::Layer& layer : epoch.layers()) {
      if (!layer.has_weights()) continue;
      auto known = std::find_if(layers.begin(), layers.end(), [&](const auto& l) { return l.first == layer.layer(); });
      if (known == layers.end()) {
        known = layers.insert(
            layers.end(),
            {layer.layer(),
             {.description = "Histograms of latent weights", .x_label = "latent weight", .y_label = "epoch"}});
      }
      known->second.rows.push_back({.name = absl::StrCat(epoch.epoch()),
                                    .low = layer.weights().low(),
                                    .high = layer.weights().high(),
                                    .counts = {layer.weights().counts().begin(), layer.weights().counts().end()}});
    }
  }
  bool first = true;
  for (const auto& [layer, plot] : layers) {
    if (!HasData(plot)) continue;
    page.Figure(
        absl::StrCat("weights-", layer), layer, ToSvg(plot),
        first ? "Histograms after the epochs. Heights are roots of densities, so that rare values are seen beside "
                "many at the clip."
              : "");
    first = false;
  }
}

}  // namespace bitgrad::report
