// The geometry of recorded convolutions and poolings.

#ifndef BITGRAD_EXPORT_IMAGE_NODES_H_
#define BITGRAD_EXPORT_IMAGE_NODES_H_

#include "bitgrad/core/shape.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

// The geometry of a conv2d node whose input has shape x and whose weight has shape w.
ConvGeometry ConvGeometryOf(const Tape::Node& node, const Shape& x, const Shape& w);

// The window of a max_pool or average_pool node. The image's extents are not set.
PoolGeometry PoolGeometryOf(const Tape::Node& node);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMAGE_NODES_H_
