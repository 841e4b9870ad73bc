#include "bitgrad/ops/cuda/cuda_transfers.h"

#include <cstring>

#include "bitgrad/ops/cuda/cuda_status.h"

namespace bitgrad {
namespace {

// Page-locked memory of the host; null where the allocation failed.
class PinnedBuffer {
 public:
  PinnedBuffer() = default;
  ~PinnedBuffer() { cudaFreeHost(data_); }
  PinnedBuffer(const PinnedBuffer&) = delete;
  PinnedBuffer& operator=(const PinnedBuffer&) = delete;
  absl::Status Allocate(size_t bytes) { return CudaStatus(cudaMallocHost(&data_, bytes), "cudaMallocHost"); }
  void* data() const { return data_; }

 private:
  void* data_ = nullptr;
};

// A point in a stream. An event that was never recorded counts as reached.
class Event {
 public:
  Event() = default;
  ~Event() {
    if (event_ != nullptr) cudaEventDestroy(event_);
  }
  Event(const Event&) = delete;
  Event& operator=(const Event&) = delete;
  absl::Status Create() {
    return CudaStatus(cudaEventCreateWithFlags(&event_, cudaEventDisableTiming), "cudaEventCreate");
  }
  cudaEvent_t get() const { return event_; }

 private:
  cudaEvent_t event_ = nullptr;
};

// The bytes travel from the host to pinned memory, by a copy stream to a staging block, and by the owner's stream to
// the block. The block itself may still be in use by earlier work, so it is the copy to the staging block that overlaps
// with that work. The second copy, on the GPU, takes next to no time.
class CudaFeed final : public DeviceStream::Feed {
 public:
  CudaFeed(CudaStream& owner, cudaStream_t stream, void* block, size_t bytes)
      : owner_(owner), stream_(stream), block_(block), bytes_(bytes) {}
  ~CudaFeed() override {
    if (copies_ != nullptr) {
      cudaStreamSynchronize(copies_);
      cudaStreamDestroy(copies_);
    }
    cudaStreamSynchronize(stream_);
    cudaFree(staging_);
  }

  absl::Status Create() {
    if (absl::Status error = pinned_.Allocate(bytes_); !error.ok()) return error;
    BITGRAD_RETURN_IF_CUDA_ERROR(cudaMalloc(&staging_, bytes_));
    BITGRAD_RETURN_IF_CUDA_ERROR(cudaStreamCreateWithFlags(&copies_, cudaStreamNonBlocking));
    if (absl::Status error = uploaded_.Create(); !error.ok()) return error;
    return consumed_.Create();
  }

  void Send(const void* host) override {
    if (bytes_ == 0) return;
    Keep(cudaEventSynchronize(uploaded_.get()), "cudaEventSynchronize");  // the pinned buffer has been read
    std::memcpy(pinned_.data(), host, bytes_);
    Keep(cudaStreamWaitEvent(copies_, consumed_.get()), "cudaStreamWaitEvent");  // the staging block has been read
    Keep(cudaMemcpyAsync(staging_, pinned_.data(), bytes_, cudaMemcpyHostToDevice, copies_),
         "cudaMemcpyAsync to the GPU");
    Keep(cudaEventRecord(uploaded_.get(), copies_), "cudaEventRecord");
    Keep(cudaStreamWaitEvent(stream_, uploaded_.get()), "cudaStreamWaitEvent");
    Keep(cudaMemcpyAsync(block_, staging_, bytes_, cudaMemcpyDeviceToDevice, stream_), "cudaMemcpyAsync");
    Keep(cudaEventRecord(consumed_.get(), stream_), "cudaEventRecord");
  }

 private:
  void Keep(cudaError_t error, const char* what) { owner_.Keep(CudaStatus(error, what)); }

  CudaStream& owner_;
  const cudaStream_t stream_;
  void* const block_;
  const size_t bytes_;
  cudaStream_t copies_ = nullptr;
  PinnedBuffer pinned_;
  void* staging_ = nullptr;
  Event uploaded_, consumed_;
};

class CudaReadback final : public DeviceStream::Readback {
 public:
  CudaReadback(CudaStream& owner, cudaStream_t stream, const void* block, size_t bytes)
      : owner_(owner), stream_(stream), block_(block), bytes_(bytes) {}
  ~CudaReadback() override { cudaStreamSynchronize(stream_); }

  absl::Status Create() {
    for (int i = 0; i < kBuffers; ++i) {
      if (absl::Status error = buffers_[i].Allocate(bytes_); !error.ok()) return error;
      if (absl::Status error = arrived_[i].Create(); !error.ok()) return error;
    }
    return absl::OkStatus();
  }

  void Enqueue() override {
    const int i = enqueued_++ % kBuffers;
    Keep(cudaMemcpyAsync(buffers_[i].data(), block_, bytes_, cudaMemcpyDeviceToHost, stream_),
         "cudaMemcpyAsync from the GPU");
    Keep(cudaEventRecord(arrived_[i].get(), stream_), "cudaEventRecord");
  }

  const void* Next() override {
    const int i = read_++ % kBuffers;
    Keep(cudaEventSynchronize(arrived_[i].get()), "cudaEventSynchronize");
    return buffers_[i].data();
  }

 private:
  // One more than the number of unread copies, because the one that was read last stays valid until the next is read.
  static constexpr int kBuffers = DeviceStream::kReadbacks + 1;
  void Keep(cudaError_t error, const char* what) { owner_.Keep(CudaStatus(error, what)); }

  CudaStream& owner_;
  const cudaStream_t stream_;
  const void* const block_;
  const size_t bytes_;
  PinnedBuffer buffers_[kBuffers];
  Event arrived_[kBuffers];
  int enqueued_ = 0;
  int read_ = 0;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceStream::Feed>> NewCudaFeed(CudaStream& owner, cudaStream_t stream, void* block,
                                                                size_t bytes) {
  auto feed = std::make_unique<CudaFeed>(owner, stream, block, bytes);
  if (absl::Status error = feed->Create(); !error.ok()) return error;
  return feed;
}

absl::StatusOr<std::unique_ptr<DeviceStream::Readback>> NewCudaReadback(CudaStream& owner, cudaStream_t stream,
                                                                        const void* block, size_t bytes) {
  auto readback = std::make_unique<CudaReadback>(owner, stream, block, bytes);
  if (absl::Status error = readback->Create(); !error.ok()) return error;
  return readback;
}

}  // namespace bitgrad
