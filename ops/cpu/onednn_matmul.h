// c = a b^T in float, by oneDNN's matmul primitive.

#ifndef BITGRAD_OPS_CPU_ONEDNN_MATMUL_H_
#define BITGRAD_OPS_CPU_ONEDNN_MATMUL_H_

#include <cstddef>
#include <cstdint>
#include <unordered_map>

#include "bitgrad/ops/cpu/onednn.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad::cpu {

// a [m, k], b [n, k], c [m, n] with rows `a_stride`, `b_stride` and `c_stride` elements apart, each at least as many as
// a row has. oneDNN makes the primitive for the number of threads that OpenMP has at that time (OmpThreads, onednn.h),
// and it has to be executed with the same number. All members may throw dnnl::error.
class OneDnnMatmul {
 public:
  // Where oneDNN keeps the scratchpad itself (library), its primitives share one that stays. Kernels leave it
  // there: its size jumps with the number of rows, which a prediction of a step's memory from a few examples
  // (models/training/step_memory.h) could not follow. Tests provide it (user), to guard it.
  OneDnnMatmul(int64_t m, int64_t n, int64_t k, int64_t a_stride, int64_t b_stride, int64_t c_stride,
               dnnl::scratchpad_mode mode)
      : a_({m, k}, dnnl::memory::data_type::f32, {a_stride, 1}),
        b_({k, n}, dnnl::memory::data_type::f32, {1, b_stride}),
        c_({m, n}, dnnl::memory::data_type::f32, {c_stride, 1}) {
    dnnl::primitive_attr attributes;
    attributes.set_scratchpad_mode(mode);
    const dnnl::matmul::primitive_desc product(dnnl::matmul::desc(a_, b_, c_), attributes, OneDnnEngine());
    scratchpad_ = product.scratchpad_desc();
    product_ = dnnl::matmul(product);
  }

  // Memory that the caller provides to Execute(), aligned to 64 bytes; 0 where oneDNN keeps it.
  size_t scratchpad_bytes() const { return scratchpad_.get_size(); }

  void Execute(const float* a, const float* b, float* c, void* scratchpad) const {
    const auto at = [](const dnnl::memory::desc& desc, const void* data) {
      return dnnl::memory(desc, OneDnnEngine(), const_cast<void*>(data));
    };
    dnnl::stream stream(OneDnnEngine());
    std::unordered_map<int, dnnl::memory> arguments = {
        {DNNL_ARG_SRC, at(a_, a)}, {DNNL_ARG_WEIGHTS, at(b_, b)}, {DNNL_ARG_DST, at(c_, c)}};
    if (scratchpad != nullptr) arguments.insert({DNNL_ARG_SCRATCHPAD, at(scratchpad_, scratchpad)});
    product_.execute(stream, arguments);
    stream.wait();
  }

 private:
  dnnl::memory::desc a_, b_, c_, scratchpad_;
  dnnl::matmul product_;
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_ONEDNN_MATMUL_H_
