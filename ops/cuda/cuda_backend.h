// What ops/ knows of the GPU: its table of kernels, whether they can run here, and the streams that contexts run them
// on.
//
// A build links either the kernels (linked_backend.cc) or a stub that says that there are none
// (linked_backend_stub.cc); which, is one select() in BUILD.bazel. Tests put an emulator in their place
// (emulator/emulated_backend.cc).

#ifndef BITGRAD_OPS_CUDA_CUDA_BACKEND_H_
#define BITGRAD_OPS_CUDA_CUDA_BACKEND_H_

#include "absl/status/status.h"
#include "bitgrad/core/device_stream.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

struct CudaBackend {
  const Kernels& (*kernels)();
  // OK where kernels can run on a GPU here; otherwise why not, and what to do.
  absl::Status (*status)();
  DeviceStreamFactory new_stream;
};

const CudaBackend& TheCudaBackend();

// Of the linked backend: the stub's or the GPU's.
const CudaBackend& LinkedCudaBackend();

// From now on TheCudaBackend(). Before anything else uses it, as from a static initializer.
void ReplaceCudaBackend(const CudaBackend* backend);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_CUDA_CUDA_BACKEND_H_
