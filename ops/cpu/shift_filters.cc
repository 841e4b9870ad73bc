#include "bitgrad/ops/cpu/shift_filters.h"

#include <algorithm>
#include <memory>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad::cpu {
namespace {

// Rows of a linear layer are pixels of one row of an image.
ConvGeometry LinearGeometry(const ConstMatrixView<int8_t>& w) {
  return {.batch = 1,
          .height = 1,
          .width = kShiftLinearRows,
          .channels = w.cols,
          .filters = w.rows,
          .kernel_height = 1,
          .kernel_width = 1};
}

// The cycles of a step of a tile, roughly: the products, their latency, and the loads of weights from the second-level
// cache.
double StepCycles(int64_t rows, int64_t vectors) {
  return std::max({0.5 * static_cast<double>(rows * vectors), 5.0, 2.0 * static_cast<double>(vectors)});
}

double RowCycles(int64_t pixels, int64_t filters, int64_t lanes, int64_t vectors) {
  const int64_t most = vectors <= 2 ? 12 : vectors == 3 ? 8 : 6;
  double cycles = 0;
  for (int64_t left = (filters + lanes - 1) / lanes; left > 0; left -= vectors) {
    for (int64_t q = 0; q < pixels; q += most) {
      cycles += StepCycles(std::min(most, pixels - q), std::min(left, vectors));
    }
  }
  return cycles;
}

}  // namespace

ShiftPanels::ShiftPanels(const ShiftWeights& given)
    : geometry(given.geometry.value_or(LinearGeometry(given.w))), is_linear(!given.geometry.has_value()) {
  const ConvGeometry& g = geometry;
  const ConstMatrixView<int8_t>& w = given.w;
  BITGRAD_DCHECK(w.rows == g.filters && w.cols == g.patch_size() && g.padding == Padding::kZero);
  border = static_cast<uint8_t>(-given.x_least);
  // A row of a patch is one run where its taps lie side by side.
  const bool is_run = g.groups == 1 && g.dilation_width == 1;
  const int64_t width = g.width + 2 * g.pad_width, runs = is_run ? 1 : g.kernel_width;
  segment_size = g.group_channels() * (is_run ? g.kernel_width : 1);
  steps = (segment_size + 3) / 4;
  for (int64_t r = 0; r < g.kernel_height; ++r) {
    for (int64_t s = 0; s < runs; ++s) {
      segments.push_back((r * g.dilation_height * width + s * g.dilation_width) * g.channels);
    }
  }

  const ShiftPanelSizes sizes = ShiftPanelSizesHere();
  const int64_t lanes = sizes.lanes, group_filters = g.group_filters();
  int64_t best = 1;
  for (int64_t v = 2; v <= sizes.vectors; ++v) {
    if (RowCycles(g.out_width(), group_filters, lanes, v) < RowCycles(g.out_width(), group_filters, lanes, best)) {
      best = v;
    }
  }
  int64_t offset = 0, term = 0;
  const int64_t all_steps = steps * static_cast<int64_t>(segments.size());
  for (int64_t group = 0; group < g.groups; ++group) {
    for (int64_t o = 0; o < group_filters; o += best * lanes) {
      const int64_t count = std::min(best * lanes, group_filters - o);
      const int64_t vectors = (count + lanes - 1) / lanes;
      panels.push_back({group, group * group_filters + o, count, static_cast<int>(vectors), offset, term});
      offset += all_steps * vectors * lanes;
      term += vectors * lanes;
    }
  }
  weights = Tensor::Zeros({offset}, DType::kInt32);
  terms = Tensor::Zeros({term}, DType::kInt32);
  if (!given.flips.empty()) flips.assign(static_cast<size_t>(term) + 64, 0);
  for (const Panel& panel : panels) {
    auto* const bytes = reinterpret_cast<int8_t*>(weights.mutable_data<int32_t>() + panel.offset);
    const int64_t columns = panel.vectors * lanes;
    for (int64_t j = 0; j < panel.filters; ++j) {
      const int8_t* const from = w.row(panel.first + j);
      int64_t sum = 0;
      for (int64_t k = 0; k < w.cols; ++k) {
        const int64_t segment = k / segment_size, place = k % segment_size;
        bytes[((segment * steps + place / 4) * columns + j) * 4 + place % 4] = from[k];
        sum += from[k];
      }
      const int32_t added = given.bias.empty() ? 0 : given.bias[panel.first + j];
      terms.mutable_data<int32_t>()[panel.terms + j] = static_cast<int32_t>(added + given.x_least * sum);
      if (!given.flips.empty() && given.flips[panel.first + j] != 0)
        flips[panel.terms + j] = static_cast<uint8_t>(given.levels);
    }
  }
}

void ArrangeShiftFilters(ExecContext&, const ShiftWeights& weights, std::unique_ptr<const ShiftFilters>* filters) {
  *filters = std::make_unique<ShiftPanels>(weights);
}

}  // namespace bitgrad::cpu
