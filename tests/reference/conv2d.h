// Convolution, computed tap by tap (ops/kernels/conv2d.h).

#ifndef BITGRAD_TESTS_REFERENCE_CONV2D_H_
#define BITGRAD_TESTS_REFERENCE_CONV2D_H_

#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::reference {

// xpad of image n at row h and column w (both counted from the image's corner, negative in the border), channel c.
template <typename T>
T PaddedPixel(const ConvGeometry& g, const std::vector<T>& x, T padding, int64_t n, int64_t h, int64_t w, int64_t c) {
  if (h < 0 || h >= g.height || w < 0 || w >= g.width) return padding;
  return x[((n * g.height + h) * g.width + w) * g.channels + c];
}

// The patches of group `group` [N*P*Q, R*S*C/G] of x [N, H, W, C].
template <typename T>
std::vector<T> Patches(const ConvGeometry& g, int64_t group, const std::vector<T>& x, T padding) {
  std::vector<T> patches;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t p = 0; p < g.out_height(); ++p) {
      for (int64_t q = 0; q < g.out_width(); ++q) {
        for (int64_t r = 0; r < g.kernel_height; ++r) {
          for (int64_t s = 0; s < g.kernel_width; ++s) {
            for (int64_t c = 0; c < g.group_channels(); ++c) {
              patches.push_back(
                  PaddedPixel(g, x, padding, n, p * g.stride_height - g.pad_height + r * g.dilation_height,
                              q * g.stride_width - g.pad_width + s * g.dilation_width, group * g.group_channels() + c));
            }
          }
        }
      }
    }
  }
  return patches;
}

// y [N*P*Q, O] from x [N, H, W, C] and w [O, R*S*C/G].
template <typename T>
std::vector<T> Conv2d(const ConvGeometry& g, const std::vector<T>& x, const std::vector<T>& w, T padding) {
  const int64_t k = g.patch_size();
  std::vector<T> y(static_cast<size_t>(g.pixels() * g.filters));
  for (int64_t group = 0; group < g.groups; ++group) {
    const std::vector<T> patches = Patches(g, group, x, padding);
    for (int64_t i = 0; i < g.pixels(); ++i) {
      for (int64_t o = group * g.group_filters(); o < (group + 1) * g.group_filters(); ++o) {
        T sum = 0;
        for (int64_t j = 0; j < k; ++j) sum += patches[i * k + j] * w[o * k + j];
        y[i * g.filters + o] = sum;
      }
    }
  }
  return y;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_CONV2D_H_
