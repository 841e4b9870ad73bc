// A float convolution, or one of its gradients, as oneDNN computes it: the primitives for one geometry, the memory that
// they need besides the operands, and what has to be done around them.

#ifndef BITGRAD_OPS_CPU_ONEDNN_CONV_H_
#define BITGRAD_OPS_CPU_ONEDNN_CONV_H_

#include <cstddef>

#include "bitgrad/ops/kernels/conv2d.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad::cpu {

enum class ConvPass : int { kForward, kBackwardInput, kBackwardWeight };

// oneDNN makes its primitives for the number of threads that OpenMP has at that time (OmpThreads, onednn.h), and they
// have to be executed with the same number. All members may throw dnnl::error.
class OneDnnConv {
 public:
  OneDnnConv(ConvPass pass, const ConvGeometry& geometry);

  // The caller provides this memory, aligned to 64 bytes; it is free again when Execute() returns.
  struct WorkspaceBytes {
    size_t scratchpad;          // of the convolution
    size_t reorder_scratchpad;  // of the copy from or to `filters`
    size_t filters;             // the filters in the layout that the convolution wants; 0: it takes them as they are
    size_t pixels;              // the pixels that the filters touch, gathered; 0: it takes x as it is
  };
  struct Workspace {
    void* scratchpad;
    void* reorder_scratchpad;
    void* filters;
    void* pixels;
  };
  WorkspaceBytes workspace_bytes() const;

  // The pass determines which of x, w and y is written: y forward, else the gradient that takes the place of x or of w;
  // in both backward passes y is the gradient that arrives.
  void Execute(int threads, const float* x, const float* w, const float* y, const Workspace& workspace) const;

 private:
  const ConvPass pass_;
  const bool gathers_;
  const ConvGeometry whole_;     // what the caller asked for
  const ConvGeometry computed_;  // what oneDNN computes: the same, or stride 1 over the gathered pixels
  dnnl::primitive convolution_;
  dnnl::memory::desc x_, w_, y_;
  dnnl::memory::desc inner_w_;  // w_ in the layout that the convolution wants
  dnnl::primitive reorder_;  // w_ to inner_w_, in ConvPass::kBackwardWeight the other way; null where they are the same
  dnnl::memory::desc scratchpad_, reorder_scratchpad_;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_ONEDNN_CONV_H_
