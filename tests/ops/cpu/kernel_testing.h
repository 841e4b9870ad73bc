// Helpers of the kernel tests: a fixture that runs every test on each instruction set of the machine, random operands,
// matrices with gaps between rows, and sizes around those at which kernels change what they do.

#ifndef BITGRAD_TESTS_OPS_CPU_KERNEL_TESTING_H_
#define BITGRAD_TESTS_OPS_CPU_KERNEL_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/cpu/cpu_kernels.h"
#include "gtest/gtest.h"
#include "hwy/highway.h"

namespace bitgrad {

inline constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
inline constexpr float kEpsilon = 0x1p-24f;  // half a unit in the last place: the largest error of one rounding

using Extents = std::pair<int64_t, int64_t>;

// Every size of kSizes as the number of rows and as the number of columns, with different partners; and [1000, 129],
// which is enough work for two threads.
inline std::vector<Extents> MatrixShapes() {
  constexpr int kCount = std::size(kSizes);
  std::vector<Extents> shapes;
  for (int i = 0; i < kCount; ++i) {
    shapes.push_back({kSizes[i], kSizes[(i * 5 + 3) % kCount]});
    shapes.push_back({kSizes[i], kSizes[(i * 8 + 6) % kCount]});
  }
  shapes.push_back({1000, 129});
  shapes.push_back({1, 40000});
  return shapes;
}

// A random sequence. The same seed, which a failing test prints, gives the same sequence.
class Random {
 public:
  explicit Random(uint64_t seed) : rng_{.seed = seed} {}

  float Uniform(float low, float high) { return low + (high - low) * bitgrad::Uniform(rng_, next_++); }
  uint32_t Below(uint32_t n) { return UniformBelow(rng_, next_++, n); }
  uint64_t Word() {
    const uint64_t high = RandomWord(rng_, next_++);
    return high << 32 | RandomWord(rng_, next_++);
  }
  std::string ToString() const { return "seed " + std::to_string(rng_.seed); }

 private:
  RngStream rng_;
  uint64_t next_ = 0;
};

#define BITGRAD_TRACE_SEED(random) SCOPED_TRACE((random).ToString())

// A matrix with `gap` elements between its rows; no kernel may change these.
template <typename T>
class TestMatrix {
 public:
  TestMatrix(int64_t rows, int64_t cols, int64_t gap = 0)
      : rows_(rows), cols_(cols), gap_(gap), values_(rows * (cols + gap), Garbage()) {}

  template <typename Draw>
  static TestMatrix Of(int64_t rows, int64_t cols, int64_t gap, const Draw& draw) {
    TestMatrix matrix(rows, cols, gap);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) matrix.view().at(i, j) = draw();
    }
    return matrix;
  }

  int64_t rows() const { return rows_; }
  int64_t cols() const { return cols_; }
  MatrixView<T> view() { return {values_.data(), rows_, cols_, cols_ + gap_}; }
  ConstMatrixView<T> view() const { return {values_.data(), rows_, cols_, cols_ + gap_}; }
  T at(int64_t i, int64_t j) const { return values_[i * (cols_ + gap_) + j]; }
  const std::vector<T>& values() const { return values_; }

  void ExpectGapsUntouched() const {
    const T garbage = Garbage();
    for (int64_t i = 0; i < rows_; ++i) {
      for (int64_t j = cols_; j < cols_ + gap_; ++j) {
        const T value = at(i, j);
        ASSERT_EQ(std::memcmp(&value, &garbage, sizeof(T)), 0) << "gap of row " << i;
      }
    }
  }

 private:
  static T Garbage() {
    T value;
    std::memset(&value, 0xAB, sizeof(T));
    return value;
  }

  int64_t rows_, cols_, gap_;
  std::vector<T> values_;
};

inline TestMatrix<float> RandomFloats(Random& random, int64_t rows, int64_t cols, int64_t gap = 0, float low = -2.0f,
                                      float high = 2.0f) {
  return TestMatrix<float>::Of(rows, cols, gap, [&] { return random.Uniform(low, high); });
}

inline std::vector<float> RandomVector(Random& random, int64_t count, float low = -2.0f, float high = 2.0f) {
  return RandomFloats(random, 1, count, 0, low, high).values();
}

// The values at and next to which comparisons change their result, and special values.
inline std::vector<float> BoundaryValues() {
  const float inf = std::numeric_limits<float>::infinity();
  const float nan = std::numeric_limits<float>::quiet_NaN();
  std::vector<float> values = {nan, -nan};
  for (float v : {0.0f, std::numeric_limits<float>::denorm_min(), std::numeric_limits<float>::min(), 0.5f,
                  std::nextafter(0.5f, 0.0f), std::nextafter(0.5f, 1.0f), 1.0f, std::nextafter(1.0f, 0.0f),
                  std::nextafter(1.0f, 2.0f), 2.0f, std::numeric_limits<float>::max(), inf}) {
    values.push_back(v);
    values.push_back(-v);
  }
  return values;
}

// Random floats with boundary values among them.
inline TestMatrix<float> HardFloats(Random& random, int64_t rows, int64_t cols, int64_t gap = 0) {
  const std::vector<float> boundary = BoundaryValues();
  return TestMatrix<float>::Of(rows, cols, gap, [&] {
    return random.Below(3) == 0 ? boundary[random.Below(static_cast<uint32_t>(boundary.size()))]
                                : random.Uniform(-2, 2);
  });
}

// A valid bit matrix: random bits, zero padding.
inline BitMatrix RandomBits(Random& random, int64_t rows, int64_t cols) {
  BitMatrix bits = BitMatrix::Zeros(rows, cols);
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t w = 0; w < (cols + 63) / 64; ++w) {
      const int64_t valid = std::min<int64_t>(64, cols - w * 64);
      bits.mutable_view().row(i)[w] = random.Word() >> (64 - valid);
    }
  }
  return bits;
}

// A matrix for a kernel to fill: it has random bits in every word, padding included.
inline BitMatrix GarbageBits(int64_t rows, int64_t cols) {
  Random random(99);
  BitMatrix bits(rows, cols);
  for (int64_t w = 0; w < rows * BitMatrix::WordsPerRow(cols); ++w) {
    bits.mutable_view().words[w] = random.Word();
  }
  return bits;
}

inline void ExpectPaddingZero(const BitMatrix& bits) {
  for (int64_t i = 0; i < bits.rows(); ++i) {
    for (int64_t j = bits.cols(); j < BitMatrix::WordsPerRow(bits.cols()) * 64; ++j) {
      if (bits.view().bit(i, j)) {
        ADD_FAILURE() << "padding bit " << j << " of row " << i << " is set";
        return;
      }
    }
  }
}

// Expects bits[i, j] == expected(i, j) everywhere, and padding bits of zero.
template <typename Expected>
void ExpectBits(const BitMatrix& bits, const Expected& expected) {
  for (int64_t i = 0; i < bits.rows(); ++i) {
    for (int64_t j = 0; j < bits.cols(); ++j) {
      if (bits.view().bit(i, j) != expected(i, j)) {
        ADD_FAILURE() << "bit (" << i << ", " << j << ") is not " << expected(i, j);
        return;
      }
    }
  }
  ExpectPaddingZero(bits);
}

// Whether the values are equal or both NaN: what an exact kernel has to achieve.
inline bool SameValue(float a, float b) { return a == b || (a != a && b != b); }

// Expects, for all of [m, n], that actual(i, j) equals expected(i, j), or that both are NaN. (One EXPECT per element
// would take longer than all kernels together.)
template <typename Actual, typename Expected>
void ExpectSame(int64_t m, int64_t n, const Actual& actual, const Expected& expected) {
  for (int64_t i = 0; i < m; ++i) {
    for (int64_t j = 0; j < n; ++j) {
      if (SameValue(actual(i, j), expected(i, j))) continue;
      ADD_FAILURE() << "element (" << i << ", " << j << ") is " << actual(i, j) << ", not " << expected(i, j);
      return;
    }
  }
}

// Expects |actual(i) - expected(i)| <= tolerance(i) for i < count; a NaN fails.
template <typename Actual, typename Expected, typename Tolerance>
void ExpectNear(int64_t count, const Actual& actual, const Expected& expected, const Tolerance& tolerance) {
  for (int64_t i = 0; i < count; ++i) {
    const double error = std::fabs(static_cast<double>(actual(i)) - static_cast<double>(expected(i)));
    if (error <= tolerance(i)) continue;
    ADD_FAILURE() << "element " << i << " is " << actual(i) << ", not " << expected(i) << ": error " << error
                  << " is over " << tolerance(i);
    return;
  }
}

template <typename T>
std::vector<uint8_t> BytesOf(const std::vector<T>& values) {
  std::vector<uint8_t> bytes(values.size() * sizeof(T));
  if (!bytes.empty()) std::memcpy(bytes.data(), values.data(), bytes.size());
  return bytes;
}

// Runs a test once for each instruction set that was compiled and that the machine has.
class CpuKernelTest : public testing::TestWithParam<int64_t> {
 protected:
  void SetUp() override { hwy::SetSupportedTargetsForTest(GetParam()); }
  void TearDown() override { hwy::SetSupportedTargetsForTest(0); }

  // Calls compute(context), which returns its outputs in a vector, on one thread and on two. Expects the same bits from
  // both, and returns them.
  template <typename Compute>
  auto OnOneAndTwoThreads(const Compute& compute) {
    auto one = compute(one_);
    auto two = compute(two_);
    EXPECT_EQ(BytesOf(one), BytesOf(two)) << "results depend on the number of threads";
    EXPECT_TRUE(one_.status().ok() && two_.status().ok());
    return one;
  }

  const Kernels& kernels_ = CpuKernels();
  ExecContext one_{{.threads = 1}};
  ExecContext two_{{.threads = 2}};
};

#define BITGRAD_INSTANTIATE_FOR_TARGETS(test_class)                                \
  INSTANTIATE_TEST_SUITE_P(                                                        \
      Targets, test_class, testing::ValuesIn(hwy::SupportedAndGeneratedTargets()), \
      [](const testing::TestParamInfo<int64_t>& info) { return std::string(hwy::TargetName(info.param)); })

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_CPU_KERNEL_TESTING_H_
