// Pooling, computed window by window. Sums are float, in the order that ops/kernels/pool.h defines.

#ifndef BITGRAD_TESTS_REFERENCE_POOL_H_
#define BITGRAD_TESTS_REFERENCE_POOL_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/tests/reference/coded_gemm.h"

namespace bitgrad::reference {

// Calls body(iy, ix, index) for the elements x[ix] of every window y[iy]: windows in the order of y, elements row by
// row. `index` is the element's position in the window, where elements outside the image count as well.
template <typename Body>
void ForEachPoolElement(const PoolGeometry& g, const Body& body) {
  int64_t iy = 0;
  for (int64_t n = 0; n < g.batch; ++n) {
    for (int64_t p = 0; p < g.out_height(); ++p) {
      for (int64_t q = 0; q < g.out_width(); ++q) {
        for (int64_t c = 0; c < g.channels; ++c, ++iy) {
          for (int64_t r = 0; r < g.kernel_height; ++r) {
            for (int64_t s = 0; s < g.kernel_width; ++s) {
              const int64_t h = p * g.stride_height + r - g.pad_height, w = q * g.stride_width + s - g.pad_width;
              if (h < 0 || h >= g.height || w < 0 || w >= g.width) continue;
              body(iy, ((n * g.height + h) * g.width + w) * g.channels + c, r * g.kernel_width + s);
            }
          }
        }
      }
    }
  }
}

struct MaxPool {
  std::vector<float> y;
  std::vector<uint8_t> argmax;
};

inline MaxPool MaxPoolForward(const PoolGeometry& g, const std::vector<float>& x) {
  const int64_t size = g.pixels() * g.channels;
  MaxPool result{std::vector<float>(size), std::vector<uint8_t>(size)};
  std::vector<bool> seen(size, false);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t index) {
    float& y = result.y[iy];
    const bool better = !seen[iy] || x[ix] > y || (std::isnan(x[ix]) && !std::isnan(y));
    if (!better) return;
    seen[iy] = true;
    y = x[ix];
    result.argmax[iy] = static_cast<uint8_t>(index);
  });
  return result;
}

inline std::vector<float> MaxPoolBackward(const PoolGeometry& g, const std::vector<uint8_t>& argmax,
                                          const std::vector<float>& dy) {
  std::vector<float> dx(g.batch * g.height * g.width * g.channels, 0.0f);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t index) {
    if (argmax[iy] == index) dx[ix] += dy[iy];
  });
  return dx;
}

// The number of elements in each window.
inline std::vector<float> PoolCounts(const PoolGeometry& g) {
  std::vector<float> counts(g.pixels() * g.channels, 0.0f);
  ForEachPoolElement(g, [&](int64_t iy, int64_t, int64_t) { counts[iy] += 1; });
  return counts;
}

inline std::vector<float> AveragePoolForward(const PoolGeometry& g, const std::vector<float>& x) {
  std::vector<float> y(g.pixels() * g.channels, 0.0f);
  const std::vector<float> counts = PoolCounts(g);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) { y[iy] += x[ix]; });
  for (size_t i = 0; i < y.size(); ++i) y[i] *= 1 / counts[i];
  return y;
}

inline std::vector<float> AveragePoolBackward(const PoolGeometry& g, const std::vector<float>& dy) {
  std::vector<float> dx(g.batch * g.height * g.width * g.channels, 0.0f);
  const std::vector<float> counts = PoolCounts(g);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) { dx[ix] += dy[iy] * (1 / counts[iy]); });
  return dx;
}

// y[n][i] is bit i of output image n.
inline std::vector<std::vector<bool>> MaxPoolBits(const PoolGeometry& g, ConstBitMatrixView x, const uint8_t* flip) {
  const int64_t image = g.height * g.width * g.channels, out_image = g.out_height() * g.out_width() * g.channels;
  std::vector<std::vector<bool>> y(g.batch, std::vector<bool>(out_image, false));
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) {
    if (x.bit(ix / image, ix % image)) y[iy / out_image][iy % out_image] = true;
  });
  for (std::vector<bool>& bits : y) {
    for (int64_t i = 0; flip != nullptr && i < out_image; ++i) bits[i] = bits[i] != (flip[i % g.channels] != 0);
  }
  return y;
}

// The largest stored code of each window.
inline std::vector<uint8_t> MaxPoolCodes(const PoolGeometry& g, const std::vector<uint8_t>& x) {
  std::vector<uint8_t> y(g.pixels() * g.channels, 0);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) { y[iy] = std::max(y[iy], x[ix]); });
  return y;
}

// The sum of each window's codes.
inline std::vector<int64_t> SumPoolCodes(const PoolGeometry& g, const Encoding& encoding,
                                         const std::vector<uint8_t>& x) {
  std::vector<int64_t> y(g.pixels() * g.channels, 0);
  ForEachPoolElement(g, [&](int64_t iy, int64_t ix, int64_t) { y[iy] += Code(encoding, x[ix]); });
  return y;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_POOL_H_
