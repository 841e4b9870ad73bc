// How the CPU's kernel has the weights of products of fixed-point codes (shift_product.cc).

#ifndef BITGRAD_OPS_CPU_SHIFT_FILTERS_H_
#define BITGRAD_OPS_CPU_SHIFT_FILTERS_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/kernels/shift_product.h"

namespace bitgrad::cpu {

// Rows of a linear layer that are multiplied together, and what batches of it are taken for beforehand.
inline constexpr int64_t kShiftLinearRows = 96;

class ShiftPanels final : public ShiftFilters {
 public:
  explicit ShiftPanels(const ShiftWeights& weights);

  // A run of filters that the kernel multiplies at once, `vectors` vectors of lanes.
  struct Panel {
    int64_t group;  // of channels
    int64_t first;  // filter, of all groups
    int64_t filters;
    int vectors;
    int64_t offset;  // of its weights in panels
    int64_t terms;   // of its filters in terms and flips
  };

  ConvGeometry geometry;  // of a linear layer: rows are pixels
  bool is_linear;
  uint8_t border = 0;             // the stored code of 0
  std::vector<int64_t> segments;  // where each run of a patch begins in the padded image, from its pixel on
  int64_t segment_size = 0;       // bytes of a run
  int64_t steps = 0;              // of four bytes each, in a run
  std::vector<Panel> panels;
  Tensor weights;              // int32, of four bytes each
  Tensor terms;                // int32: bias + x_least * (sum of the filter's weights)
  std::vector<uint8_t> flips;  // levels or 0 for each filter; empty: none
};

// The lanes of a vector of this machine, and the most vectors of filters in a panel.
struct ShiftPanelSizes {
  int64_t lanes = 1, vectors = 1;
};
ShiftPanelSizes ShiftPanelSizesHere();

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SHIFT_FILTERS_H_
