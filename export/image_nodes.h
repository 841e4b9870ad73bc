// Geometry of recorded convolutions and poolings.

#ifndef BITGRAD_EXPORT_IMAGE_NODES_H_
#define BITGRAD_EXPORT_IMAGE_NODES_H_

#include "bitgrad/core/shape.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"

namespace bitgrad {

// Of a conv2d node with an input of shape x and a weight of shape w.
ConvGeometry ConvGeometryOf(const Tape::Node& node, const Shape& x, const Shape& w);

// The window of a max_pool or average_pool node; the image's extents are left out.
PoolGeometry PoolGeometryOf(const Tape::Node& node);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMAGE_NODES_H_
