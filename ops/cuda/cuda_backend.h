// What ops/ knows of the GPU: its table of kernels, whether they can run on this machine, and how contexts get a stream
// to run them on.
//
// A build links either the kernels (linked_backend.cc) or a stub without kernels (linked_backend_stub.cc); a select()
// in BUILD.bazel decides. Tests replace either with an emulator (emulator/emulated_backend.cc).

#ifndef BITGRAD_OPS_CUDA_CUDA_BACKEND_H_
#define BITGRAD_OPS_CUDA_CUDA_BACKEND_H_

#include "absl/status/status.h"
#include "bitgrad/core/device_stream.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

struct CudaBackend {
  const Kernels& (*kernels)();
  // OK where the kernels can run on this machine; otherwise an error that says why not, and what to do.
  absl::Status (*status)();
  DeviceStreamFactory new_stream;
};

const CudaBackend& TheCudaBackend();

// The backend that was linked: the stub's or the GPU's.
const CudaBackend& LinkedCudaBackend();

// Replaces what TheCudaBackend() returns. REQUIRES: nothing has used it yet; call it from a static initializer.
void ReplaceCudaBackend(const CudaBackend* backend);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_BACKEND_H_
