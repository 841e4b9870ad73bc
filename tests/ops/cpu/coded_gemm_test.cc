// plane_gemm and int8_gemm against codes multiplied one by one: exact for every pair of encodings, on every instruction
// set.

#include <algorithm>
#include <array>
#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/cpu/kernel_testing.h"
#include "bitgrad/tests/reference/coded_gemm.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kBinary{EncodingKind::kBinary, 1};
constexpr Encoding kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }
constexpr Encoding Unsigned(int bits) { return {EncodingKind::kUnsigned, bits}; }

constexpr Encoding kEncodings[] = {kBinary,      kTernary,    Symmetric(2), Symmetric(3), Symmetric(7),
                                   Symmetric(8), Unsigned(1), Unsigned(2),  Unsigned(4),  Unsigned(8)};

// Random codes, as bytes and as planes. With `extreme` they are mostly the least and the largest code, with which sums
// of bytes would overflow.
struct Operand {
  Operand(Random& random, const Encoding& encoding, int64_t rows, int64_t cols, bool extreme)
      : encoding(encoding), codes(TestMatrix<uint8_t>::Of(rows, cols, 5, [&] {
          // A ternary code is stored as 0, 1 or 2.
          const uint32_t count = encoding.kind == EncodingKind::kTernary ? 3 : 1u << encoding.bits;
          const uint32_t c = random.Below(count);
          return static_cast<uint8_t>(extreme && random.Below(8) != 0 ? (c % 4 == 0 ? 0 : count - 1) : c);
        })) {
    for (int p = 0; p < encoding.bits; ++p) {
      bits.push_back(BitMatrix::Zeros(rows, cols));
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < cols; ++j) {
          bits[p].mutable_view().row(i)[j / 64] |= uint64_t{codes.at(i, j) >> p & 1u} << j % 64;
        }
      }
    }
  }
  ConstPlanesView planes() const {
    ConstPlanesView view{.encoding = encoding};
    for (int p = 0; p < encoding.bits; ++p) view.planes[p] = bits[p].view();
    return view;
  }
  ConstCodesView bytes() const { return {encoding, codes.view()}; }

  Encoding encoding;
  TestMatrix<uint8_t> codes;
  std::vector<BitMatrix> bits;
};

using Extents3 = std::array<int64_t, 3>;  // m, n, k

// Every size as each of the extents, with rows around the tile of 6, columns around groups of 64, and K around words
// and blocks of 32.
std::vector<Extents3> Shapes() {
  constexpr int kCount = std::size(kSizes);
  std::vector<Extents3> shapes;
  for (int i = 0; i < kCount; ++i) {
    for (int step : {1, 3}) {
      const Extents3 s = {kSizes[i], kSizes[(i * 5 + step) % kCount], kSizes[(i * 8 + 2 * step) % kCount]};
      // At most one extent of 1000, because the reference is slow.
      if (s[0] * s[1] * s[2] < 3'000'000) shapes.push_back(s);
    }
  }
  shapes.push_back({13, 66, 95});
  return shapes;
}

class CodedGemmTest : public CpuKernelTest {
 protected:
  // Runs both kernels into `out` and expects the same result from each.
  template <typename Check>
  void Multiply(const Operand& a, const Operand& b, const Check& check) {
    for (ExecContext* context : {&one_, &two_}) {
      SCOPED_TRACE(context == &one_ ? "one thread" : "two threads");
      check("plane_gemm", [&](const DotOutput& out) { kernels_.plane_gemm(*context, a.planes(), b.planes(), out); });
      check("int8_gemm", [&](const DotOutput& out) { kernels_.int8_gemm(*context, a.bytes(), b.planes(), out); });
      ASSERT_TRUE(context->status().ok());
    }
  }

  void ExpectExact(Random& random, const Encoding& a_encoding, const Encoding& b_encoding, const Extents3& s) {
    const auto [m, n, k] = s;
    if (!DotIsExact(a_encoding, b_encoding, k)) return;
    SCOPED_TRACE(testing::Message() << Name(a_encoding.kind) << a_encoding.bits << " x " << Name(b_encoding.kind)
                                    << b_encoding.bits << ", m " << m << ", n " << n << ", k " << k);
    const bool extreme = random.Below(2) == 0;
    const Operand a(random, a_encoding, m, k, extreme), b(random, b_encoding, n, k, extreme);
    TestMatrix<int64_t> dots(m, n);
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        dots.view().at(i, j) = reference::CodedDot(a_encoding, a.codes.view(), i, b_encoding, b.codes.view(), j);
      }
    }
    std::vector<int32_t> threshold(n);
    std::vector<uint8_t> flip(n);
    for (int64_t j = 0; j < n; ++j) {
      // Mostly a value that occurs in the column, so that the case of equality is tested; and the limits of int32.
      const uint32_t draw = random.Below(8);
      threshold[j] = draw == 0   ? INT32_MIN
                     : draw == 1 ? INT32_MAX
                     : m > 0     ? static_cast<int32_t>(dots.at(random.Below(static_cast<uint32_t>(m)), j))
                                 : 0;
      flip[j] = static_cast<uint8_t>(random.Below(2));
    }
    Multiply(a, b, [&](const char* kernel, const auto& run) {
      SCOPED_TRACE(kernel);
      TestMatrix<float> floats(m, n, 3);
      run({.floats = floats.view(), .scale = 0.37f});
      floats.ExpectGapsUntouched();
      ExpectSame(
          m, n, [&](int64_t i, int64_t j) { return floats.at(i, j); },
          [&](int64_t i, int64_t j) { return static_cast<float>(dots.at(i, j)) * 0.37f; });
      BitMatrix bits = GarbageBits(m, n);
      run({.bits = bits.mutable_view(), .threshold = threshold.data(), .flip = flip.data()});
      ExpectBits(bits, [&](int64_t i, int64_t j) { return (dots.at(i, j) >= threshold[j]) != (flip[j] != 0); });
    });
  }
};

TEST_P(CodedGemmTest, EverySizeIsExact) {
  Random random(1);
  BITGRAD_TRACE_SEED(random);
  for (const Extents3& shape : Shapes()) {
    ExpectExact(random, Symmetric(8), kBinary, shape);
    ExpectExact(random, kTernary, kTernary, shape);
    ExpectExact(random, Unsigned(2), Symmetric(3), shape);
  }
}

TEST_P(CodedGemmTest, EveryPairOfEncodingsIsExact) {
  Random random(2);
  BITGRAD_TRACE_SEED(random);
  for (const Encoding& a : kEncodings) {
    for (const Encoding& b : kEncodings) {
      ExpectExact(random, a, b, {7, 67, 129});
      ExpectExact(random, a, b, {2, 5, 258});
    }
  }
}

BITGRAD_INSTANTIATE_FOR_TARGETS(CodedGemmTest);

}  // namespace
}  // namespace bitgrad
