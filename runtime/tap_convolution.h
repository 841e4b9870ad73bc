// TapConvolution: the kernel of a tap_conv2d instruction on the CPU, prepared once. One multiply-accumulate for each
// pair of channels and pixel, where a 3x3 convolution has nine:
//
//   y[n, p, q, o] = sum_i w[o, i] x[n, p stride + r(o, i) - pad, q stride + s(o, i) - pad, i]
//
// in the order of the channels i, in float, 0 outside of the image. So integers whose sums are below 2^24 are exact.

#ifndef BITGRAD_RUNTIME_TAP_CONVOLUTION_H_
#define BITGRAD_RUNTIME_TAP_CONVOLUTION_H_

#include <cstdint>

#include "absl/types/variant.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/runtime/tap_planes.h"
#include "bitgrad/runtime/tap_tables.h"

namespace bitgrad {

class TapConvolution {
 public:
  // w and taps [filters, channels]; a tap from kernel_height * kernel_width on means that the kernel is zero. REQUIRES:
  // the geometry is valid, with one group, no dilation, a border of zeros and at most 15 taps.
  TapConvolution(const ConvGeometry& geometry, const float* w, const uint8_t* taps)
      : kernel_(TapTables::AreFor(geometry) ? Kernel(absl::in_place_type<TapTables>, geometry, w, taps)
                                            : Kernel(absl::in_place_type<TapPlanes>, geometry, w, taps)) {}

  // x [batch, height, width, channels] -> y [batch, out_height, out_width, filters], on the context's threads.
  void Run(ExecContext& context, int64_t batch, const float* x, float* y) const {
    absl::visit([&](const auto& kernel) { kernel.Run(context, batch, x, y); }, kernel_);
  }

 private:
  using Kernel = absl::variant<TapPlanes, TapTables>;
  const Kernel kernel_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_TAP_CONVOLUTION_H_
