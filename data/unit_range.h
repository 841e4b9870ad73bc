// UnitRange: pixels in [0, 1], y = (x + 1) / 2, as nets without batch norm and with dropout on their input want them:
// the background is 0, as what dropout leaves is.

#ifndef BITGRAD_DATA_UNIT_RANGE_H_
#define BITGRAD_DATA_UNIT_RANGE_H_

#include "bitgrad/data/preprocessing.h"

namespace bitgrad {

class UnitRange final : public PreprocessingStep {
 public:
  void Apply(MatrixView<float> images) const override {
    for (int64_t i = 0; i < images.rows; ++i) {
      float* const x = images.row(i);
      for (int64_t j = 0; j < images.cols; ++j) x[j] = (x[j] + 1.0f) * 0.5f;
    }
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_UNIT_RANGE_H_
