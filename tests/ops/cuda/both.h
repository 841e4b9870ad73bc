// The CPU's kernels have been tested against references, and the GPU's are compared with them, on arrays that exist on
// both sides:
//
//   class ScaleTest : public CudaTest {};
//   Both<float> x = Uniform(random, n), y = Both<float>(gpu_, n);
//   OnBoth([&](ExecContext& c, const Kernels& k) { k.scale_f32(c, 0.3f, x.on(c), false, y.on(c), n); });
//   ExpectSame(y);
//
// Every such test is built twice: for the GPU, where it skips with a reason if there is none, and with the emulator.

#ifndef BITGRAD_TESTS_OPS_CUDA_BOTH_H_
#define BITGRAD_TESTS_OPS_CUDA_BOTH_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <utility>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {

// An array on the host and its copy on the device, which start with the same contents.
template <typename T>
class Both {
 public:
  // Filled with bytes 0xa5, for outputs.
  Both(ExecContext& gpu, int64_t count) : Both(gpu, Garbage(count)) {}
  Both(ExecContext& gpu, std::vector<T> values)
      : gpu_(&gpu),
        host_(std::move(values)),
        device_(static_cast<T*>(gpu.allocator().Allocate(std::max<size_t>(1, bytes())))) {
    gpu.Upload(device_, host_.data(), bytes());
  }
  ~Both() {
    if (device_ != nullptr) gpu_->allocator().Deallocate(device_, std::max<size_t>(1, bytes()));
  }
  Both(Both&& other) noexcept
      : gpu_(other.gpu_), host_(std::move(other.host_)), device_(std::exchange(other.device_, nullptr)) {}
  Both& operator=(Both&&) = delete;

  int64_t count() const { return static_cast<int64_t>(host_.size()); }
  // The pointer for the context's device.
  T* on(const ExecContext& context) { return context.device() == Device::kCpu ? host_.data() : device_; }
  MatrixView<T> matrix(const ExecContext& context, int64_t rows, int64_t cols) { return {on(context), rows, cols}; }
  MatrixView<T> matrix(const ExecContext& context, int64_t rows, int64_t cols, int64_t stride) {
    return {on(context), rows, cols, stride};
  }

  const std::vector<T>& of_host() const { return host_; }
  std::vector<T> of_device() const {
    std::vector<T> values(host_.size());
    gpu_->Download(values.data(), device_, bytes());
    return values;
  }

 private:
  static std::vector<T> Garbage(int64_t count) {
    std::vector<T> values(count);
    std::memset(values.data(), 0xa5, count * sizeof(T));
    return values;
  }
  size_t bytes() const { return host_.size() * sizeof(T); }

  ExecContext* gpu_;
  std::vector<T> host_;
  T* device_;
};

// A bit matrix on both sides. For outputs it is filled with ones, padding included.
class BothBits {
 public:
  BothBits(ExecContext& gpu, int64_t rows, int64_t cols)
      : BothBits(gpu, rows, cols, std::vector<uint64_t>(rows * BitMatrix::WordsPerRow(cols), ~uint64_t{0})) {}
  BothBits(ExecContext& gpu, int64_t rows, int64_t cols, std::vector<uint64_t> words)
      : rows_(rows), cols_(cols), words_(gpu, std::move(words)) {}
  static BothBits Random(ExecContext& gpu, TestRandom& random, int64_t rows, int64_t cols) {
    std::vector<uint64_t> words(rows * BitMatrix::WordsPerRow(cols), 0);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        words[i * BitMatrix::WordsPerRow(cols) + j / 64] |= uint64_t{random.Below(2)} << (j % 64);
      }
    }
    return BothBits(gpu, rows, cols, std::move(words));
  }

  BitMatrixView on(const ExecContext& context) {
    return {words_.on(context), rows_, cols_, BitMatrix::WordsPerRow(cols_)};
  }
  Both<uint64_t>& words() { return words_; }

 private:
  int64_t rows_, cols_;
  Both<uint64_t> words_;
};

class CudaTest : public testing::Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = DeviceStatus(Device::kCuda); !status.ok()) GTEST_SKIP() << status.message();
  }

  // Calls f for the CPU, then for the GPU.
  void OnBoth(const std::function<void(ExecContext&, const Kernels&)>& f) {
    f(cpu_, KernelsFor(Device::kCpu));
    f(gpu_, KernelsFor(Device::kCuda));
    ASSERT_TRUE(cpu_.status().ok()) << cpu_.status();
    ASSERT_TRUE(gpu_.Synchronize().ok()) << gpu_.status();
  }

  Both<float> Uniform(TestRandom& random, int64_t count, float low = -2, float high = 2) {
    std::vector<float> values(count);
    for (float& value : values) value = random.Uniform(low, high);
    return Both<float>(gpu_, std::move(values));
  }
  BothBits Bits(TestRandom& random, int64_t rows, int64_t cols) { return BothBits::Random(gpu_, random, rows, cols); }

  ExecContext cpu_{{.threads = 1}};
  ExecContext gpu_{{.device = Device::kCuda}};
};

// Expects the same bytes on both sides (NaNs included).
template <typename T>
void ExpectSame(const Both<T>& both) {
  const std::vector<T> device = both.of_device();
  for (size_t i = 0; i < device.size(); ++i) {
    ASSERT_EQ(std::memcmp(&both.of_host()[i], &device[i], sizeof(T)), 0)
        << "element " << i << " of " << device.size() << ": CPU " << both.of_host()[i] << ", GPU " << device[i];
  }
}
inline void ExpectSame(BothBits& both) { ExpectSame(both.words()); }

// Expects that the sides differ by at most `relative` times the CPU's value, plus `absolute`; and NaN where the CPU has
// one.
inline void ExpectClose(const Both<float>& both, double relative, double absolute = 0) {
  const std::vector<float> device = both.of_device();
  for (size_t i = 0; i < device.size(); ++i) {
    const double a = both.of_host()[i], b = device[i];
    if (std::isnan(a)) {
      ASSERT_TRUE(std::isnan(b)) << "element " << i << " of " << device.size() << ": CPU NaN, GPU " << b;
    } else if (a != b) {
      ASSERT_LE(std::fabs(a - b), relative * std::fabs(a) + absolute)
          << "element " << i << " of " << device.size() << ": CPU " << a << ", GPU " << b;
    }
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_CUDA_BOTH_H_
