// Pooling by a function, of what there is no kernel for: for calibration (export/joint_search.cc).

#ifndef BITGRAD_EXPORT_POOLED_H_
#define BITGRAD_EXPORT_POOLED_H_

#include <algorithm>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

// The results of a pool's windows, image by image: finish(sum) after sum = start(channel) and reduce(sum, element,
// channel) for each element that lies in the image.
template <typename T, typename Sum, typename Start, typename Reduce, typename Finish>
std::vector<T> Pooled(const PoolGeometry& g, int64_t images, const std::vector<T>& x, const Start& start,
                      const Reduce& reduce, const Finish& finish) {
  std::vector<T> y;
  y.reserve(static_cast<size_t>(images * g.out_height() * g.out_width() * g.channels));
  for (int64_t n = 0; n < images; ++n) {
    for (int64_t p = 0; p < g.out_height(); ++p) {
      for (int64_t q = 0; q < g.out_width(); ++q) {
        const int64_t top = p * g.stride_height - g.pad_height, left = q * g.stride_width - g.pad_width;
        for (int64_t c = 0; c < g.channels; ++c) {
          Sum sum = start(c);
          for (int64_t h = std::max<int64_t>(0, top); h < std::min(g.height, top + g.kernel_height); ++h) {
            for (int64_t w = std::max<int64_t>(0, left); w < std::min(g.width, left + g.kernel_width); ++w) {
              reduce(sum, x[((n * g.height + h) * g.width + w) * g.channels + c], c);
            }
          }
          y.push_back(finish(sum));
        }
      }
    }
  }
  return y;
}

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_POOLED_H_
