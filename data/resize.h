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
// the triangle filter: bilinear interpolation where the image gets larger; where it gets smaller as much wider, so that
// every pixel counts. Rows first, in float, one rounding to nearest in the end. REQUIRES: size > 0, an image with
// pixels.
Image ResizeAndCrop(const Image& image, int64_t size);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_RESIZE_H_
