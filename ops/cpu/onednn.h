// What all calls of oneDNN share: its engine, and a scope that sets its number of threads.

#ifndef BITGRAD_OPS_CPU_ONEDNN_H_
#define BITGRAD_OPS_CPU_ONEDNN_H_

#include "omp.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad::cpu {

// oneDNN runs on OpenMP's threads and uses as many as the calling thread's setting says: `threads`, in this scope.
class OmpThreads {
 public:
  explicit OmpThreads(int threads) : before_(omp_get_max_threads()) { omp_set_num_threads(threads); }
  OmpThreads(const OmpThreads&) = delete;
  OmpThreads& operator=(const OmpThreads&) = delete;
  ~OmpThreads() { omp_set_num_threads(before_); }

 private:
  const int before_;
};

inline const dnnl::engine& OneDnnEngine() {
  static const dnnl::engine* const engine = new dnnl::engine(dnnl::engine::kind::cpu, 0);
  return *engine;
}

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_ONEDNN_H_
