// Images of any size made square, of one size.

#ifndef BITGRAD_DATA_RESIZE_H_
#define BITGRAD_DATA_RESIZE_H_

#include <cstdint>

#include "bitgrad/data/image.h"

namespace bitgrad {

// Resizes the image so that its shorter side has `size` pixels, in proportion (the longer side to nearest), and takes
// the central size x size pixels. Along each axis, n pixels becoming m,
//
//   y[i] = sum_j w_ij x[j] / sum_j w_ij,   w_ij = max(0, 1 - |j - u_i| / f)
//   u_i = (i + 1/2) n / m - 1/2,           f = max(1, n / m)
//
// the triangle filter. Where the image gets larger this is bilinear interpolation; where it gets smaller, the filter is
// wider by the same factor, so that every pixel counts. Pixels are first combined within rows, then rows, in float,
// with one rounding to nearest at the end. REQUIRES: size > 0, an image with pixels.
Image ResizeAndCrop(const Image& image, int64_t size);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_RESIZE_H_
