#include "bitgrad/ops/cuda/cuda_backend.h"

namespace bitgrad {
namespace {

const CudaBackend* replacement = nullptr;

// ExecContext is in core/, which cannot depend on this folder, so the stream factory is registered from here.
[[maybe_unused]] const bool registered = [] {
  SetDeviceStreamFactory(Device::kCuda, [] { return TheCudaBackend().new_stream(); });
  return true;
}();

}  // namespace

const CudaBackend& TheCudaBackend() { return replacement != nullptr ? *replacement : LinkedCudaBackend(); }

void ReplaceCudaBackend(const CudaBackend* backend) { replacement = backend; }

}  // namespace bitgrad
