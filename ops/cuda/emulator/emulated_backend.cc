// Linked into a test, puts the emulator in the place of the GPU.

#include <cstring>
#include <memory>

#include "ops/cuda/cuda_backend.h"
#include "ops/cuda/emulator/emulator.h"
#include "ops/cuda/kernel_table.h"

namespace bitgrad {
namespace {

class EmulatedStream final : public DeviceStream {
 public:
  void* Allocate(size_t bytes) override { return cuda_emulator::AllocateDeviceMemory(bytes); }
  void Deallocate(void* block, size_t bytes) override { cuda_emulator::FreeDeviceMemory(block, bytes); }
  void Zero(void* block, size_t bytes) override {
    const cuda_emulator::DeviceMemoryAccess access;
    std::memset(block, 0, bytes);
  }
  void Copy(void* to, const void* from, size_t bytes) override {
    const cuda_emulator::DeviceMemoryAccess access;
    std::memcpy(to, from, bytes);
  }
  Device device() const override { return Device::kCuda; }
  void Upload(void* device, const void* host, size_t bytes) override { Copy(device, host, bytes); }
  void Download(void* host, const void* device, size_t bytes) override { Copy(host, device, bytes); }
  absl::Status Synchronize() override { return absl::OkStatus(); }
  void* handle() override { return nullptr; }
};

const CudaBackend kEmulator = {cuda_emulated::CudaKernels, [] { return absl::OkStatus(); },
                               []() -> absl::StatusOr<std::unique_ptr<DeviceStream>> {
                                 return std::make_unique<EmulatedStream>();
                               }};

[[maybe_unused]] const bool replaced = (ReplaceCudaBackend(&kEmulator), true);

}  // namespace
}  // namespace bitgrad
