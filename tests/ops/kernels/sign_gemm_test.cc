// sign_gemm_f32 and sign_gemm_s8, product by product. On the CPU sums of floats are added up in the order of k; a GPU
// rounds the operand as the context says and adds up in any order.

#include "bitgrad/ops/kernels/sign_gemm.h"

#include <cmath>
#include <cstdint>
#include <iterator>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

struct Extents3 {
  int64_t m, n, k;
};

float SignOf(const BitArray& bits, int64_t i, int64_t j) { return bits.initial(i, j) ? 1.0f : -1.0f; }

class SignGemmTest : public KernelTest {
 protected:
  std::vector<ExecContext::Options> ContextOptions() const override {
    if (GetParam().device == Device::kCpu) return KernelTest::ContextOptions();
    std::vector<ExecContext::Options> options;
    for (const BackwardPrecision precision :
         {BackwardPrecision::kBf16, BackwardPrecision::kBf16x2, BackwardPrecision::kFloat32}) {
      options.push_back({.device = GetParam().device, .backward = precision});
    }
    return options;
  }

  // Every size as each of the extents; shapes that are enough work for two threads, with several blocks of k and of
  // rows; and those around the tiles of a GPU.
  std::vector<Extents3> Products() const {
    constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
    constexpr int kCount = std::size(kSizes);
    std::vector<Extents3> shapes = {{0, 5, 3},     {3, 0, 4},     {5, 7, 0},      {1, 1, 1},
                                    {7, 31, 15},   {10, 33, 31},  {33, 64, 32},   {64, 65, 33},
                                    {65, 127, 63}, {63, 129, 64}, {17, 300, 129}, {50, 64, 513}};
    if (GetParam().device == Device::kCpu) {
      shapes.insert(shapes.end(), {{1100, 130, 9}, {7, 200, 1100}, {13, 97, 320}, {5, 70, 4200}});
    } else {
      shapes.insert(shapes.end(), {{100, 130, 65}, {150, 261, 205}, {1410, 1500, 40}});
    }
    for (int i = 0; i < kCount && !GetParam().slow; ++i) {
      const Extents3 shape = {kSizes[i], kSizes[(i * 5 + 1) % kCount], kSizes[(i * 8 + 2) % kCount]};
      if (shape.m * shape.n * shape.k < 10'000'000) shapes.push_back(shape);
    }
    return shapes;
  }

  // Expects that what the context's kernel has computed is expected(i, j), within tolerance(i, j), and that what lies
  // between rows is as it was. Where the kernel has also summed up the squares, expects their sum.
  template <typename Expected, typename Tolerance>
  void ExpectProduct(const ExecContext& context, const Array<float>& c, const Extents3& s, int64_t stride,
                     const double* squares, const Expected& expected, const Tolerance& tolerance) {
    const std::vector<float> values = c.values(context);
    double sum_of_squares = 0;
    for (int64_t i = 0; i < s.m; ++i) {
      for (int64_t j = 0; j < stride; ++j) {
        const float value = values[i * stride + j];
        if (j >= s.n) {
          ASSERT_TRUE(SameNumber(value, c.initial(i * stride + j))) << "gap of row " << i;
          continue;
        }
        ASSERT_LE(std::fabs(value - expected(i, j)), tolerance(i, j)) << "cell " << i << ", " << j << " is " << value;
        sum_of_squares += double{value} * value;
      }
    }
    // A partial sum of squares has at most 30 roundings.
    if (squares != nullptr) {
      ASSERT_NEAR(*squares, sum_of_squares, 32 * kRoundingError * sum_of_squares);
    }
  }
};

TEST_P(SignGemmTest, Floats) {
  Random random(1);
  for (const Extents3& s : Products()) {
    for (const int variant : {0, 1, 2, 3}) {
      const bool transpose = variant % 2 != 0;
      // Rows of c that are aligned to 16 bytes, and that are not; and a scale in the device's memory.
      const bool aligned = variant >= 2, scale_on_device = (variant + s.k) % 3 == 0;
      // The large tile of a GPU is used for all variants alike, and takes the emulator long.
      if (s.m > 1000 && GetParam().device != Device::kCpu && variant != 3) continue;
      if (aligned && GetParam().device == Device::kCpu && variant != 2) continue;
      const int64_t stride = aligned ? s.n / 4 * 4 + 4 : s.n + 1;
      SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k << (transpose ? " transposed" : "")
                                      << ", from row to row " << stride);
      const int64_t rows = transpose ? s.k : s.m, cols = transpose ? s.m : s.k;
      const Array<float> a(*this, RandomVector(random, rows * (cols + 3)));
      const BitArray b = BitArray::OfRandomBits(*this, random, s.k, s.n);
      const Array<float> c(*this, s.m * stride), factor(*this, std::vector<float>{1.5f});
      const float scale = scale_on_device ? 0.5f * 1.5f : 0.75f;
      const auto at = [&](int64_t i, int64_t l) {
        return a.initial(transpose ? l * (cols + 3) + i : i * (cols + 3) + l);
      };
      std::vector<double> magnitudes(s.m, 0.0);  // of the rows of a
      for (int64_t i = 0; i < s.m; ++i) {
        for (int64_t l = 0; l < s.k; ++l) magnitudes[i] += std::fabs(at(i, l));
      }
      const bool sums_squares = GetParam().device == Device::kCpu;
      Run([&](ExecContext& x, const Kernels& kernels) {
        double squares = -1;
        kernels.sign_gemm_f32(x, transpose, scale_on_device ? ScaleView(0.5f, factor.on(x), 0) : ScaleView(0.75f),
                              a.matrix(x, rows, cols, cols + 3), b.on(x), c.matrix(x, s.m, s.n, stride),
                              sums_squares ? &squares : nullptr);
        ASSERT_TRUE(x.Synchronize().ok()) << x.status();
        if (x.device() == Device::kCpu) {
          ExpectProduct(
              x, c, s, stride, sums_squares ? &squares : nullptr,
              [&](int64_t i, int64_t j) {
                float sum = 0;
                for (int64_t l = 0; l < s.k; ++l) sum += at(i, l) * SignOf(b, l, j);
                return sum * scale;
              },
              [](int64_t, int64_t) { return 0.0; });
          return;
        }
        // The error of the operand's bf16 pieces (what is left of a number after subtracting them), and as many
        // roundings, or truncations, which are twice as large, as there are terms. In memory each piece has its own
        // sum; scaling it and adding it to the others are two more roundings, of the size of the largest sum.
        const double kept = std::ldexp(1.0, -8 * static_cast<int>(x.backward_precision()));
        ExpectProduct(
            x, c, s, stride, nullptr,
            [&](int64_t i, int64_t j) {
              double sum = 0;
              for (int64_t l = 0; l < s.k; ++l) sum += double{at(i, l)} * SignOf(b, l, j);
              return sum * scale;
            },
            [&](int64_t i, int64_t) {
              const double roundings = 2 * kRoundingError * static_cast<double>(3 * s.k + 2 + 2);
              return scale * magnitudes[i] * (kept + roundings);
            });
      });
      if (HasFailure()) return;
    }
  }
}

// With codes of every size for which a kernel may have a way of its own.
TEST_P(SignGemmTest, BytesAreExact) {
  Random random(2);
  for (const int max_code : {1, 3, 7, 128}) {
    for (const Extents3& s : Products()) {
      // Kernels of a GPU do not look at the size of codes, and the emulator takes long.
      if (GetParam().device != Device::kCpu && max_code != 128) continue;
      SCOPED_TRACE(testing::Message() << s.m << " x " << s.n << " x " << s.k << ", codes up to " << max_code);
      std::vector<int8_t> codes(s.m * (s.k + 3));
      for (int8_t& code : codes) {
        code = static_cast<int8_t>(static_cast<int>(random.Below(2 * max_code + (max_code < 128))) - max_code);
      }
      const Array<int8_t> a(*this, codes);
      const Array<float> scale(*this, RandomVector(random, s.m)), c(*this, s.m * (s.n + 2));
      const BitArray b = BitArray::OfRandomBits(*this, random, s.k, s.n);
      const bool sums_squares = GetParam().device == Device::kCpu;
      Run([&](ExecContext& x, const Kernels& kernels) {
        double squares = -1;
        kernels.sign_gemm_s8(x, scale.on(x), a.matrix(x, s.m, s.k, s.k + 3), max_code, b.on(x),
                             c.matrix(x, s.m, s.n, s.n + 2), sums_squares ? &squares : nullptr);
        ASSERT_TRUE(x.Synchronize().ok()) << x.status();
        ExpectProduct(
            x, c, s, s.n + 2, sums_squares ? &squares : nullptr,
            [&](int64_t i, int64_t j) {
              int64_t sum = 0;
              for (int64_t l = 0; l < s.k; ++l) sum += codes[i * (s.k + 3) + l] * (b.initial(l, j) ? 1 : -1);
              return static_cast<float>(sum) * scale.initial(i);
            },
            [](int64_t, int64_t) { return 0.0; });
      });
      if (HasFailure()) return;
    }
  }
}

// Results that are larger than the cache, which the CPU's stores bypass.
TEST_P(SignGemmTest, LargeResults) {
  if (GetParam().device != Device::kCpu) GTEST_SKIP() << "a GPU's stores do not depend on the size of the result";
  Random random(3);
  const Extents3 s = {2050, 2112, 3};
  const Array<float> a(*this, RandomVector(random, s.m * s.k)), scale(*this, RandomVector(random, s.m));
  std::vector<int8_t> codes(s.m * s.k);
  for (int8_t& code : codes) code = static_cast<int8_t>(random.Below(256));
  const Array<int8_t> a8(*this, codes);
  const BitArray b = BitArray::OfRandomBits(*this, random, s.k, s.n);
  const Array<float> c(*this, s.m * s.n), c8(*this, s.m * s.n);
  Run([&](ExecContext& x, const Kernels& kernels) {
    kernels.sign_gemm_f32(x, false, 1.0f, a.matrix(x, s.m, s.k, s.k), b.on(x), c.matrix(x, s.m, s.n, s.n), nullptr);
    kernels.sign_gemm_s8(x, scale.on(x), a8.matrix(x, s.m, s.k, s.k), 128, b.on(x), c8.matrix(x, s.m, s.n, s.n),
                         nullptr);
  });
  ExpectMatrix(c, s.m, s.n, s.n, [&](int64_t i, int64_t j) {
    float sum = 0;
    for (int64_t l = 0; l < s.k; ++l) sum += a.initial(i * s.k + l) * SignOf(b, l, j);
    return sum;
  });
  ExpectMatrix(c8, s.m, s.n, s.n, [&](int64_t i, int64_t j) {
    int sum = 0;
    for (int64_t l = 0; l < s.k; ++l) sum += codes[i * s.k + l] * (b.initial(l, j) ? 1 : -1);
    return static_cast<float>(sum) * scale.initial(i);
  });
}

TEST_P(SignGemmTest, LargeResultsDoNotDependOnTheBound) {
  if (GetParam().device != Device::kCpu) GTEST_SKIP() << "a GPU's kernels do not look at the size of codes";
  Random random(4);
  const Extents3 s = {2050, 2112, 70};
  std::vector<int8_t> codes(s.m * s.k);
  for (int8_t& code : codes) code = static_cast<int8_t>(static_cast<int>(random.Below(3)) - 1);
  const Array<int8_t> a(*this, codes);
  const Array<float> scale(*this, RandomVector(random, s.m)), small(*this, s.m * s.n), any(*this, s.m * s.n);
  const BitArray b = BitArray::OfRandomBits(*this, random, s.k, s.n);
  Run([&](ExecContext& x, const Kernels& kernels) {
    const auto a_on = a.matrix(x, s.m, s.k, s.k);
    kernels.sign_gemm_s8(x, scale.on(x), a_on, 1, b.on(x), small.matrix(x, s.m, s.n, s.n), nullptr);
    kernels.sign_gemm_s8(x, scale.on(x), a_on, 128, b.on(x), any.matrix(x, s.m, s.n, s.n), nullptr);
    ASSERT_TRUE(small.values(x) == any.values(x));
  });
}

// The longest inner dimension with the largest codes: sums just below 2^24.
TEST_P(SignGemmTest, BytesAreExactAtTheLongestSum) {
  const int64_t k = kMaxSignGemmS8Inner, words = BitMatrix::WordsPerRow(2);
  std::vector<uint64_t> bits(k * words, 0);
  for (int64_t l = 0; l < k; ++l) bits[l * words] = l == 0 ? 3 : 1;
  const BitArray b(*this, k, 2, std::move(bits));
  const Array<int8_t> a(*this, std::vector<int8_t>(k, -128));
  const Array<float> scale(*this, std::vector<float>{1}), c(*this, 2);
  Run([&](ExecContext& x, const Kernels& kernels) {
    kernels.sign_gemm_s8(x, scale.on(x), a.matrix(x, 1, k, k), 128, b.on(x), c.matrix(x, 1, 2, 2), nullptr);
  });
  ExpectValues(c, [&](int64_t j) { return j == 0 ? -128.0f * k : 128.0f * (k - 2); });
}

BITGRAD_INSTANTIATE_ON_DEVICES(SignGemmTest);

}  // namespace
}  // namespace bitgrad
