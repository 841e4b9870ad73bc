// The geometry of the convolutions and poolings of a packed program, checked.

#ifndef BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_
#define BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_

#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// The geometry for a batch of one example of shape [height, width, channels] and, for a convolution, a weight [filters,
// patch]. InvalidArgument where a size is not positive or too large, the kernel is larger than the image with its
// border, or the shapes are inconsistent.
absl::StatusOr<ConvGeometry> GeometryOf(const packed::Conv2d& conv, const Shape& example, const Shape& weight);
// The same of the convolution by whole kernels that has the sums of a tap_conv2d. An error also where its kernel has
// more than 15 taps.
absl::StatusOr<ConvGeometry> GeometryOf(const packed::TapConv2d& conv, const Shape& example);
absl::StatusOr<PoolGeometry> GeometryOf(const packed::Pool& pool, const Shape& example);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_
