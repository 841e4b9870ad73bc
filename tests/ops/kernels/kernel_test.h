// One set of cases for a kernel, run on every device: on each instruction set of the CPU, with one thread and with two,
// on the emulated GPU and on a GPU. The results are compared with an obvious computation (tests/reference).
//
//   class ScaleTest : public KernelTest {};
//   TEST_P(ScaleTest, Scales) {
//     Array<float> x(*this, RandomVector(random_, n)), y(*this, n);
//     Run([&](ExecContext& c, const Kernels& k) { k.scale_f32(c, 0.3f, x.on(c), false, y.on(c), n); });
//     ExpectValues(y, [&](int64_t i) { return 0.3f * x.initial(i); });
//   }
//   BITGRAD_INSTANTIATE_ON_DEVICES(ScaleTest);

#ifndef BITGRAD_TESTS_OPS_KERNELS_KERNEL_TEST_H_
#define BITGRAD_TESTS_OPS_KERNELS_KERNEL_TEST_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <iterator>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/kernels.h"
#include "gtest/gtest.h"

namespace bitgrad {

// Half a unit in the last place: what one rounding may lose, relative to the result.
inline constexpr double kRoundingError = 0x1p-24;

// Where a test computes.
struct Place {
  std::string name;
  Device device;
  const Kernels* kernels;
  absl::Status status;  // why kernels cannot run here: the tests are skipped
  // Whether large cases take too long: an emulator computes thread by thread.
  bool slow;
  // Makes kernels use this place's instruction set until the next call.
  std::function<void()> enter;
};

// The places of the device that the test is built for: on_cpu.cc, on_gpu.cc or on_emulator.cc.
std::vector<Place> Places();

// A sequence of random numbers that its seed, printed where a test fails, repeats.
class Random {
 public:
  explicit Random(uint64_t seed) : rng_{.seed = seed, .purpose = RngPurpose::kTest} {}

  float Uniform(float low, float high) { return low + (high - low) * bitgrad::Uniform(rng_, next_++); }
  uint32_t Below(uint32_t n) { return UniformBelow(rng_, next_++, n); }

 private:
  RngStream rng_;
  uint64_t next_ = 0;
};

class KernelTest : public testing::TestWithParam<Place> {
 public:
  // The contexts in which every case runs.
  const std::vector<std::unique_ptr<ExecContext>>& contexts() const { return contexts_; }

 protected:
  void SetUp() override {
    if (!GetParam().status.ok()) GTEST_SKIP() << GetParam().status.message();
    GetParam().enter();
    for (const ExecContext::Options& options : ContextOptions()) {
      contexts_.push_back(std::make_unique<ExecContext>(options));
    }
  }

  // The contexts' options: one thread and two on the CPU; the threads of other devices are no option of the context.
  virtual std::vector<ExecContext::Options> ContextOptions() const {
    const Device device = GetParam().device;
    std::vector<ExecContext::Options> options = {{.device = device, .threads = 1}};
    if (device == Device::kCpu) options.push_back({.device = device, .threads = 2});
    return options;
  }

  // Calls f in each context.
  template <typename F>
  void Run(const F& f) {
    for (const auto& context : contexts_) {
      f(*context, *GetParam().kernels);
      ASSERT_TRUE(context->Synchronize().ok()) << context->status();
    }
  }

  // The sizes that hurt: around vectors, words, cache lines and blocks, and one that is enough work for two threads.
  std::vector<int64_t> Counts() const {
    std::vector<int64_t> counts = {0,  1,  2,  3,   5,   15,  16,  17,  31,   32,  33,
                                   63, 64, 65, 127, 129, 255, 256, 257, 1000, 4099};
    if (!GetParam().slow) counts.push_back(40001);
    return counts;
  }
  // Such sizes as numbers of rows and of columns, with different partners.
  std::vector<std::pair<int64_t, int64_t>> Shapes() const {
    constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
    constexpr int kCount = std::size(kSizes);
    std::vector<std::pair<int64_t, int64_t>> shapes = {{257, 3}, {130, 129}, {5, 31}, {7, 64}, {64, 127}};
    for (int i = 0; i < kCount; ++i) {
      shapes.push_back({kSizes[i], kSizes[(i * 5 + 3) % kCount]});
      shapes.push_back({kSizes[i], kSizes[(i * 8 + 6) % kCount]});
    }
    shapes.push_back({1000, 129});
    shapes.push_back({1, 40000});
    // Rows around those of several lines of bits.
    for (const int64_t cols : {0, 128, 511, 512, 513, 1024, 1537}) shapes.push_back({3, cols});
    if (GetParam().slow) std::erase_if(shapes, [](const auto& shape) { return shape.first * shape.second > 20000; });
    return shapes;
  }

 private:
  std::vector<std::unique_ptr<ExecContext>> contexts_;
};

#define BITGRAD_INSTANTIATE_ON_DEVICES(test_class)                          \
  INSTANTIATE_TEST_SUITE_P(Places, test_class, testing::ValuesIn(Places()), \
                           [](const testing::TestParamInfo<Place>& info) { return info.param.name; })

// An array that each context has for itself, with the same contents at first.
template <typename T>
class Array {
 public:
  // Of bytes 0xa5, for results.
  Array(const KernelTest& test, int64_t count) : Array(test, Garbage(count)) {}
  Array(const KernelTest& test, std::vector<T> values) : initial_(std::move(values)) {
    for (const auto& context : test.contexts()) {
      T* const block = static_cast<T*>(context->allocator().Allocate(std::max<size_t>(1, bytes())));
      context->Upload(block, initial_.data(), bytes());
      blocks_.push_back({context.get(), block});
    }
  }
  ~Array() {
    for (const auto& [context, block] : blocks_) context->allocator().Deallocate(block, std::max<size_t>(1, bytes()));
  }
  Array(Array&&) = default;
  Array& operator=(Array&&) = delete;

  int64_t count() const { return static_cast<int64_t>(initial_.size()); }
  const std::vector<T>& initial() const { return initial_; }
  T initial(int64_t i) const { return initial_[i]; }

  // Where the context computes.
  T* on(const ExecContext& context) const {
    for (const auto& [known, block] : blocks_) {
      if (known == &context) return block;
    }
    ADD_FAILURE() << "the context is not of this test";
    return nullptr;
  }
  MatrixView<T> matrix(const ExecContext& context, int64_t rows, int64_t cols, int64_t stride) const {
    return {on(context), rows, cols, stride};
  }

  // What is there now. Expects the same bits in every context.
  std::vector<T> values() const {
    std::vector<T> first;
    for (size_t k = 0; k < blocks_.size(); ++k) {
      std::vector<T> values = this->values(*blocks_[k].first);
      if (k == 0) {
        first = std::move(values);
      } else {
        EXPECT_TRUE(bytes() == 0 || std::memcmp(first.data(), values.data(), bytes()) == 0)
            << "the result depends on the number of threads";
      }
    }
    return first;
  }
  // What is there now in one context, for results that may depend on the number of threads.
  std::vector<T> values(const ExecContext& context) const {
    std::vector<T> values(initial_.size());
    for (const auto& [known, block] : blocks_) {
      if (known == &context) known->Download(values.data(), block, bytes());
    }
    return values;
  }

 private:
  static std::vector<T> Garbage(int64_t count) {
    std::vector<T> values(count);
    if (count > 0) std::memset(values.data(), 0xa5, count * sizeof(T));
    return values;
  }
  size_t bytes() const { return initial_.size() * sizeof(T); }

  std::vector<T> initial_;
  std::vector<std::pair<ExecContext*, T*>> blocks_;
};

// A bit matrix that each context has for itself; filled with ones, padding too, for results.
class BitArray {
 public:
  BitArray(const KernelTest& test, int64_t rows, int64_t cols)
      : BitArray(test, rows, cols, std::vector<uint64_t>(rows * BitMatrix::WordsPerRow(cols), ~uint64_t{0})) {}
  BitArray(const KernelTest& test, int64_t rows, int64_t cols, std::vector<uint64_t> words)
      : rows_(rows), cols_(cols), words_(test, std::move(words)) {}
  static BitArray OfRandomBits(const KernelTest& test, Random& random, int64_t rows, int64_t cols) {
    std::vector<uint64_t> words(rows * BitMatrix::WordsPerRow(cols), 0);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        words[i * BitMatrix::WordsPerRow(cols) + j / 64] |= uint64_t{random.Below(2)} << (j % 64);
      }
    }
    return BitArray(test, rows, cols, std::move(words));
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  bool initial(int64_t i, int64_t j) const { return BitOf(words_.initial(), i, j); }
  ConstBitMatrixView initial() const { return {words_.initial().data(), rows_, cols_, BitMatrix::WordsPerRow(cols_)}; }
  BitMatrixView on(const ExecContext& context) const {
    return {words_.on(context), rows_, cols_, BitMatrix::WordsPerRow(cols_)};
  }
  std::vector<uint64_t> words() const { return words_.values(); }
  bool BitOf(const std::vector<uint64_t>& words, int64_t i, int64_t j) const {
    return (words[i * BitMatrix::WordsPerRow(cols_) + j / 64] >> (j % 64) & 1) != 0;
  }

 private:
  int64_t rows_, cols_;
  Array<uint64_t> words_;
};

// ---- Values to compute with.

inline std::vector<float> RandomVector(Random& random, int64_t count, float low = -2, float high = 2) {
  std::vector<float> values(count);
  for (float& value : values) value = random.Uniform(low, high);
  return values;
}

inline std::vector<uint8_t> RandomBytes(Random& random, int64_t count, uint32_t below = 256) {
  std::vector<uint8_t> values(count);
  for (uint8_t& value : values) value = static_cast<uint8_t>(random.Below(below));
  return values;
}

// The values at which comparisons change their minds.
inline std::vector<float> BoundaryValues() {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values = {nan, -nan};
  for (const float v : {0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::min(), 0.5f,
                        std::nextafter(0.5f, 0.0f), std::nextafter(0.5f, 1.0f), 1.0f, std::nextafter(1.0f, 0.0f),
                        std::nextafter(1.0f, 2.0f), 2.0f, std::numeric_limits<float>::max(), inf}) {
    values.push_back(v);
    values.push_back(-v);
  }
  return values;
}

// Random floats among boundary values.
inline std::vector<float> HardVector(Random& random, int64_t count) {
  static const std::vector<float> boundary = BoundaryValues();
  std::vector<float> values(count);
  for (float& value : values) {
    value =
        random.Below(3) == 0 ? boundary[random.Below(static_cast<uint32_t>(boundary.size()))] : random.Uniform(-2, 2);
  }
  return values;
}

// ---- Comparisons. (An EXPECT per element would take longer than all kernels together.)

// The same bits, so that 0.0 differs from -0.0; a NaN may be any NaN, since the bits of one that is computed depend on
// the processor.
inline bool SameNumber(float a, float b) {
  return std::memcmp(&a, &b, sizeof(a)) == 0 || (std::isnan(a) && std::isnan(b));
}
template <typename T>
bool SameNumber(const T& a, const T& b) {
  return std::memcmp(&a, &b, sizeof(T)) == 0;
}

// array[i] is expected(i) for i < count; what lies behind is as it was.
template <typename T, typename Expected>
void ExpectValues(const Array<T>& array, int64_t count, const Expected& expected) {
  const std::vector<T> values = array.values();
  for (int64_t i = 0; i < array.count(); ++i) {
    const T right = i < count ? static_cast<T>(expected(i)) : array.initial(i);
    if (SameNumber(values[i], right)) continue;
    ADD_FAILURE() << "element " << i << " of " << count << " is " << +values[i] << ", not " << +right;
    return;
  }
}
template <typename T, typename Expected>
void ExpectValues(const Array<T>& array, const Expected& expected) {
  ExpectValues(array, array.count(), expected);
}

// Element (i, j) of the matrix [rows, cols] with `stride` elements from row to row is expected(i, j); what lies between
// rows is as it was.
template <typename T, typename Expected>
void ExpectMatrix(const Array<T>& array, int64_t rows, int64_t cols, int64_t stride, const Expected& expected) {
  ExpectValues(array, rows * stride, [&](int64_t k) {
    const int64_t i = k / stride, j = k % stride;
    return j < cols ? static_cast<T>(expected(i, j)) : array.initial(k);
  });
}

// Bit (i, j) is expected(i, j), and the padding is zero.
template <typename Expected>
void ExpectBits(const BitArray& bits, const Expected& expected) {
  const std::vector<uint64_t> words = bits.words();
  for (int64_t i = 0; i < bits.rows(); ++i) {
    for (int64_t j = 0; j < BitMatrix::WordsPerRow(bits.cols()) * 64; ++j) {
      const bool right = j < bits.cols() && expected(i, j);
      if (bits.BitOf(words, i, j) == right) continue;
      ADD_FAILURE() << "bit (" << i << ", " << j << ") of " << bits.rows() << " x " << bits.cols() << " is not "
                    << right;
      return;
    }
  }
}

// |array[i] - expected(i)| <= tolerance(i) for i < count; NaN is near NaN alone.
template <typename T, typename Expected, typename Tolerance>
void ExpectNear(const Array<T>& array, int64_t count, const Expected& expected, const Tolerance& tolerance) {
  const std::vector<T> values = array.values();
  for (int64_t i = 0; i < count; ++i) {
    const double value = values[i], right = expected(i);
    if (value == right || (std::isnan(value) && std::isnan(right)) || std::fabs(value - right) <= tolerance(i))
      continue;
    ADD_FAILURE() << "element " << i << " of " << count << " is " << value << ", not " << right << ": error "
                  << std::fabs(value - right) << " is over " << tolerance(i);
    return;
  }
}

// |element (i, j) - expected(i, j)| <= tolerance(i, j) in the matrix [rows, cols] with `stride` elements from row to
// row; NaN is near NaN alone, and 0.0 equals -0.0. What lies between rows is as it was.
template <typename T, typename Expected, typename Tolerance>
void ExpectMatrixNear(const Array<T>& array, int64_t rows, int64_t cols, int64_t stride, const Expected& expected,
                      const Tolerance& tolerance) {
  ExpectNear(
      array, rows * stride,
      [&](int64_t k) {
        const int64_t i = k / stride, j = k % stride;
        return j < cols ? static_cast<double>(expected(i, j)) : static_cast<double>(array.initial(k));
      },
      [&](int64_t k) { return k % stride < cols ? static_cast<double>(tolerance(k / stride, k % stride)) : 0.0; });
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_KERNELS_KERNEL_TEST_H_
