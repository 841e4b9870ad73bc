// LayerCurves: a quantity of layers over the epochs, gathered epoch by epoch.

#ifndef BITGRAD_REPORT_LAYER_CURVES_H_
#define BITGRAD_REPORT_LAYER_CURVES_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "bitgrad/report/line_plot.h"

namespace bitgrad::report {

class LayerCurves {
 public:
  // REQUIRES: the epoch is not less than those that were added before.
  void Add(const std::string& layer, int epoch, double value) {
    const auto [known, is_new] = index_.try_emplace(layer, curves_.size());
    if (is_new) curves_.push_back({.name = layer});
    curves_[known->second].x.push_back(epoch);
    curves_[known->second].y.push_back(value);
  }

  // A curve for each layer, in the order in which layers came first: a layer may come later, or not in every epoch.
  std::vector<Series> Take() && { return std::move(curves_); }

 private:
  std::vector<Series> curves_;
  absl::flat_hash_map<std::string, size_t> index_;
};

}  // namespace bitgrad::report

#endif  // BITGRAD_REPORT_LAYER_CURVES_H_
