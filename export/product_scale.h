// The scale that a product's sums are multiplied with, as the packed model stores it.

#ifndef BITGRAD_EXPORT_PRODUCT_SCALE_H_
#define BITGRAD_EXPORT_PRODUCT_SCALE_H_

#include <cstdint>
#include <vector>

#include "bitgrad/core/scale_view.h"
#include "bitgrad/export/program.h"

namespace bitgrad {

// scale, or scale * scales[o] for output o where there are any.
struct PackedScale {
  float scale = 1.0f;
  std::vector<float> scales;

  ScaleView view() const { return scales.empty() ? ScaleView(scale) : ScaleView(scale, scales.data(), 1); }
};

// REQUIRES: value i is a product whose second operand is known.
PackedScale ScaleOfProduct(const program::Program& program, int i);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_PRODUCT_SCALE_H_
