#include "bitgrad/export/image_nodes.h"

namespace bitgrad {

ConvGeometry ConvGeometryOf(const Tape::Node& node, const Shape& x, const Shape& w) {
  const auto attribute = [&](const char* name) { return node.descriptor.Get<int64_t>(name, 0); };
  return {.batch = x.dim(0),
          .height = x.dim(1),
          .width = x.dim(2),
          .channels = x.dim(3),
          .filters = w.dim(0),
          .kernel_height = w.dim(1),
          .kernel_width = w.dim(2),
          .stride_height = attribute("stride_height"),
          .stride_width = attribute("stride_width"),
          .pad_height = attribute("pad_height"),
          .pad_width = attribute("pad_width"),
          .dilation_height = attribute("dilation_height"),
          .dilation_width = attribute("dilation_width"),
          .groups = attribute("groups"),
          .padding = static_cast<Padding>(attribute("padding"))};
}

PoolGeometry PoolGeometryOf(const Tape::Node& node) {
  const auto attribute = [&](const char* name) { return node.descriptor.Get<int64_t>(name, 0); };
  return {.kernel_height = attribute("kernel_height"),
          .kernel_width = attribute("kernel_width"),
          .stride_height = attribute("stride_height"),
          .stride_width = attribute("stride_width"),
          .pad_height = attribute("pad_height"),
          .pad_width = attribute("pad_width")};
}

}  // namespace bitgrad
