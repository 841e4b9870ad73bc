// LayerCurves: a quantity of layers over the epochs, gathered epoch by epoch.

#ifndef BITGRAD_REPORT_LAYER_CURVES_H_
#define BITGRAD_REPORT_LAYER_CURVES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/report/line_plot.h"

namespace bitgrad::report {

class LayerCurves {
 public:
  // There is a curve for each of these layers, in this order, and for others that come.
  explicit LayerCurves(absl::Span<const std::string> layers = {}) {
    for (const std::string& layer : layers) CurveOf(layer);
  }

  // REQUIRES: the epoch is not less than those that were added before.
  void Add(const std::string& layer, int epoch, double value) {
    Series& curve = CurveOf(layer);
    curve.x.push_back(epoch);
    curve.y.push_back(value);
  }

  // A curve for each layer, without points where nothing was added.
  std::vector<Series> Take() && { return std::move(curves_); }

 private:
  Series& CurveOf(const std::string& layer) {
    const auto [known, is_new] = index_.try_emplace(layer, curves_.size());
    if (is_new) curves_.push_back({.name = layer});
    return curves_[known->second];
  }

  std::vector<Series> curves_;
  absl::flat_hash_map<std::string, size_t> index_;
};

// The names of all layers of the run, in the order in which they come first.
std::vector<std::string> LayersOf(const RunRecord& run);

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_LAYER_CURVES_H_
