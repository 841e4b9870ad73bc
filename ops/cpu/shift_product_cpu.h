// The CPU's kernel for ops/kernels/shift_product.h. Apart from the other kernels of this folder, because few programs
// need it.

#ifndef BITGRAD_OPS_CPU_SHIFT_PRODUCT_CPU_H_
#define BITGRAD_OPS_CPU_SHIFT_PRODUCT_CPU_H_

#include <cstdint>

#include "bitgrad/ops/kernels/shift_product.h"

namespace bitgrad::cpu {

bitgrad::ShiftProduct ShiftProduct;

// The lanes of a vector of this machine, and the most vectors of filters in a panel.
struct PanelSizes {
  int64_t lanes = 1, vectors = 1;
};
PanelSizes ShiftPanelSizes();

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_SHIFT_PRODUCT_CPU_H_
