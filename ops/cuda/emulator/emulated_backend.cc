// Replaces the GPU with the emulator in every test that links this file.

#include <cstring>
#include <deque>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/cuda_backend.h"
#include "bitgrad/ops/cuda/emulator/emulator.h"
#include "bitgrad/ops/cuda/kernel_table.h"

namespace bitgrad {
namespace {

class EmulatedStream final : public DeviceStream {
 public:
  void* Allocate(size_t bytes) override { return cuda_emulator::AllocateDeviceMemory(bytes); }
  void Deallocate(void* block, size_t bytes) override { cuda_emulator::FreeDeviceMemory(block, bytes); }
  void Zero(void* block, size_t bytes) override {
    cuda_emulator::Enqueue([=] {
      const cuda_emulator::DeviceMemoryAccess access;
      std::memset(block, 0, bytes);
    });
  }
  void Copy(void* to, const void* from, size_t bytes) override {
    cuda_emulator::Enqueue([=] { CopyNow(to, from, bytes); });
  }
  Device device() const override { return Device::kCuda; }
  void Upload(void* device, const void* host, size_t bytes) override { Transfer(device, host, bytes); }
  void Download(void* host, const void* device, size_t bytes) override { Transfer(host, device, bytes); }
  absl::Status Synchronize() override {
    BITGRAD_CHECK(!cuda_emulator::IsRecording());
    return absl::OkStatus();
  }
  void* handle() override { return nullptr; }

  absl::Status BeginRecording() override {
    cuda_emulator::BeginRecording();
    return absl::OkStatus();
  }
  absl::StatusOr<std::unique_ptr<Recording>> EndRecording() override {
    return std::make_unique<EmulatedRecording>(cuda_emulator::EndRecording());
  }
  absl::StatusOr<std::unique_ptr<Feed>> NewFeed(void* block, size_t bytes) override {
    return std::make_unique<EmulatedFeed>(block, bytes);
  }
  absl::StatusOr<std::unique_ptr<Readback>> NewReadback(const void* block, size_t bytes) override {
    return std::make_unique<EmulatedReadback>(block, bytes);
  }

 private:
  static void CopyNow(void* to, const void* from, size_t bytes) {
    const cuda_emulator::DeviceMemoryAccess access;
    std::memcpy(to, from, bytes);
  }
  static void Transfer(void* to, const void* from, size_t bytes) {
    BITGRAD_CHECK(!cuda_emulator::IsRecording());  // a later run of the recorded work must not depend on host memory
    CopyNow(to, from, bytes);
  }

  class EmulatedRecording final : public Recording {
   public:
    explicit EmulatedRecording(cuda_emulator::Recording work) : work_(std::move(work)) {}
    void Enqueue() override {
      for (const std::function<void()>& work : work_) work();
    }

   private:
    const cuda_emulator::Recording work_;
  };

  class EmulatedFeed final : public Feed {
   public:
    EmulatedFeed(void* block, size_t bytes) : block_(block), bytes_(bytes) {}
    void Send(const void* host) override { Transfer(block_, host, bytes_); }

   private:
    void* const block_;
    const size_t bytes_;
  };

  class EmulatedReadback final : public Readback {
   public:
    EmulatedReadback(const void* block, size_t bytes) : block_(block), bytes_(bytes) {}
    void Enqueue() override {
      BITGRAD_CHECK(unread_.size() < kReadbacks);
      Transfer(unread_.emplace_back(bytes_).data(), block_, bytes_);
    }
    const void* Next() override {
      BITGRAD_CHECK(!unread_.empty());
      last_ = std::move(unread_.front());
      unread_.pop_front();
      return last_.data();
    }

   private:
    const void* const block_;
    const size_t bytes_;
    std::deque<std::vector<char>> unread_;
    std::vector<char> last_;
  };
};

const CudaBackend kEmulator = {
    cuda_emulated::CudaKernels, [] { return absl::OkStatus(); },
    []() -> absl::StatusOr<std::unique_ptr<DeviceStream>> { return std::make_unique<EmulatedStream>(); }};

[[maybe_unused]] const bool replaced = (ReplaceCudaBackend(&kEmulator), true);

}  // namespace
}  // namespace bitgrad
