// Convolution of floats and its gradients, computed term by term. y, dx and dw are three sums over the same list of
// products: x[ix] w[iw] is a term of y[iy].

#ifndef BITGRAD_TESTS_REFERENCE_CONV2D_FLOAT_H_
#define BITGRAD_TESTS_REFERENCE_CONV2D_FLOAT_H_

#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/tests/reference/reduce.h"

namespace bitgrad::reference {

// Calls body(ix, iw, iy) for all products. The border is zero and contributes none.
template <typename Body>
void ForEachConvProduct(const ConvGeometry& g, const Body& body) {
  int64_t iy = 0;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t p = 0; p < g.out_height(); ++p) {
      for (int64_t q = 0; q < g.out_width(); ++q) {
        for (int64_t o = 0; o < g.filters; ++o, ++iy) {
          const int64_t first_channel = o / g.group_filters() * g.group_channels();
          for (int64_t r = 0; r < g.kernel_height; ++r) {
            for (int64_t s = 0; s < g.kernel_width; ++s) {
              const int64_t h = p * g.stride_height + r * g.dilation_height - g.pad_height;
              const int64_t w = q * g.stride_width + s * g.dilation_width - g.pad_width;
              if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
              for (int64_t c = 0; c < g.group_channels(); ++c) {
                body(((n * g.height + h) * g.width + w) * g.channels + first_channel + c,
                     ((o * g.kernel_height + r) * g.kernel_width + s) * g.group_channels() + c, iy);
              }
            }
          }
        }
      }
    }
  }
}

inline std::vector<Sum> Conv2d(const ConvGeometry& g, const std::vector<float>& x, const std::vector<float>& w) {
  std::vector<Sum> y(g.pixels() * g.filters);
  ForEachConvProduct(g, [&](int64_t ix, int64_t iw, int64_t iy) { y[iy].Add(double{x[ix]} * w[iw]); });
  return y;
}

inline std::vector<Sum> Conv2dBackwardInput(const ConvGeometry& g, const std::vector<float>& dy,
                                            const std::vector<float>& w) {
  std::vector<Sum> dx(g.batch * g.height * g.width * g.channels);
  ForEachConvProduct(g, [&](int64_t ix, int64_t iw, int64_t iy) { dx[ix].Add(double{dy[iy]} * w[iw]); });
  return dx;
}

inline std::vector<Sum> Conv2dBackwardWeight(const ConvGeometry& g, const std::vector<float>& x,
                                             const std::vector<float>& dy) {
  std::vector<Sum> dw(g.filters * g.patch_size());
  ForEachConvProduct(g, [&](int64_t ix, int64_t iw, int64_t iy) { dw[iw].Add(double{x[ix]} * dy[iy]); });
  return dw;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_CONV2D_FLOAT_H_
