// Geometry of the convolutions and poolings of a packed program, checked.

#ifndef BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_
#define BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_

#include "absl/status/statusor.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

// For a batch of one example of shape [height, width, channels] and a weight [filters, patch]. InvalidArgument where
// sizes make no sense, the kernel is larger than the padded image, or shapes do not go together.
absl::StatusOr<ConvGeometry> GeometryOf(const packed::Conv2d& conv, const Shape& example, const Shape& weight);
absl::StatusOr<PoolGeometry> GeometryOf(const packed::Pool& pool, const Shape& example);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_IMAGE_GEOMETRY_H_
