// ProductOutput: what a linear or conv2d instruction makes of its sums, prepared for running: floats, by one scale or
// one for each output, or codes, by thresholds.

#ifndef BITGRAD_RUNTIME_PRODUCT_OUTPUT_H_
#define BITGRAD_RUNTIME_PRODUCT_OUTPUT_H_

#include <cstdint>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/coded_gemm.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class ProductOutput {
 public:
  // `product` is the packed::Linear or packed::Conv2d of instruction i, with `out` outputs. REQUIRES: model and frame
  // outlive this.
  template <typename Product>
  ProductOutput(const PackedModel& model, int i, const Product& product, int64_t out, Frame& frame)
      : ProductOutput(model, i, product.scale(), product.has_scales() ? product.scales() : -1,
                      product.has_threshold() ? &product.threshold() : nullptr, out, frame) {}
  // A tap_conv2d has no threshold.
  ProductOutput(const PackedModel& model, int i, const packed::TapConv2d& product, int64_t out, Frame& frame)
      : ProductOutput(model, i, product.scale(), product.has_scales() ? product.scales() : -1, nullptr, out, frame) {}

  // The output transform, with the buffer for the instruction's value. Bits lie in rows of `bit_cols` elements.
  DotOutput New(Frame& frame, int64_t bit_cols) const;
  // Multiplies float sums y [.., out] with the scale, in place.
  void Scale(Frame& frame, MatrixView<float> y) const;

 private:
  ProductOutput(const PackedModel& model, int i, float scale, int scales, const packed::Threshold* threshold,
                int64_t out, Frame& frame);

  const int result_;
  const Encoding encoding_;  // of the value; kFloat where there is no threshold
  ScaleView scale_;
  const int32_t* thresholds_ = nullptr;
  Tensor flips_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PRODUCT_OUTPUT_H_
