// plane_gemm and int8_gemm against codes multiplied one by one: exact for every pair of encodings.

#include "bitgrad/tests/reference/coded_gemm.h"

#include <array>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/kernels/code_array.h"
#include "bitgrad/tests/ops/kernels/dot_outputs.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

constexpr Encoding kBinary{EncodingKind::kBinary, 1};
constexpr Encoding kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }
constexpr Encoding Unsigned(int bits) { return {EncodingKind::kUnsigned, bits}; }
constexpr Encoding TwosComplement(int bits) { return {EncodingKind::kTwosComplement, bits}; }
constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }
constexpr Encoding LogNonzero(int bits) { return {EncodingKind::kLogNonzero, bits}; }

constexpr Encoding kEncodings[] = {kBinary,           kTernary,          Symmetric(2),     Symmetric(3),
                                   Symmetric(7),      Symmetric(8),      Unsigned(1),      Unsigned(2),
                                   Unsigned(3),       Unsigned(4),       Unsigned(8),      TwosComplement(1),
                                   TwosComplement(2), TwosComplement(4), TwosComplement(8)};

using Extents3 = std::array<int64_t, 3>;  // m, n, k

class CodedGemmTest : public KernelTest {
 protected:
  void ExpectExact(Random& random, const Encoding& a_encoding, const Encoding& b_encoding, const Extents3& s,
                   int64_t gap_of_codes) {
    const auto [m, n, k] = s;
    if (!DotIsExact(a_encoding, b_encoding, k)) return;
    SCOPED_TRACE(testing::Message() << Name(a_encoding.kind) << a_encoding.bits << " x " << Name(b_encoding.kind)
                                    << b_encoding.bits << ", m " << m << ", n " << n << ", k " << k << ", gap "
                                    << gap_of_codes);
    const bool extreme = random.Below(2) == 0;
    const CodeArray a(*this, random, a_encoding, m, k, gap_of_codes, extreme);
    const CodeArray b(*this, random, b_encoding, n, k, gap_of_codes, extreme);
    std::vector<int32_t> dots;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        dots.push_back(
            static_cast<int32_t>(reference::CodedDot(a_encoding, a.initial(), i, b_encoding, b.initial(), j)));
      }
    }
    const auto check = [&, m = m, n = n](const char* kernel, const auto& multiply) {
      SCOPED_TRACE(kernel);
      ExpectDotOutputs(
          *this, random, m, n, m, dots, [&](const auto& f) { Run(f); }, multiply);
    };
    check("plane_gemm", [&](ExecContext& x, const Kernels& kernels, const DotOutput& out) {
      kernels.plane_gemm(x, a.planes(x), b.planes(x), out);
    });
    check("int8_gemm", [&](ExecContext& x, const Kernels& kernels, const DotOutput& out) {
      kernels.int8_gemm(x, a.bytes(x), b.planes(x), out);
    });
  }
};

// Every size as each of the extents, with rows around the tile of 6, columns around groups of 64, and K around words
// and blocks of 32.
TEST_P(CodedGemmTest, EverySizeIsExact) {
  constexpr int64_t kSizes[] = {0, 1, 2, 3, 31, 32, 33, 63, 64, 65, 127, 129, 1000};
  constexpr int kCount = std::size(kSizes);
  std::vector<Extents3> shapes = {{13, 66, 95}};
  for (int i = 0; i < kCount; ++i) {
    for (const int step : {1, 3}) {
      const Extents3 s = {kSizes[i], kSizes[(i * 5 + step) % kCount], kSizes[(i * 8 + 2 * step) % kCount]};
      // At most one extent of 1000, because the reference is slow.
      if (s[0] * s[1] * s[2] < 3'000'000) shapes.push_back(s);
    }
  }
  Random random(1);
  for (const Extents3& shape : shapes) {
    ExpectExact(random, Symmetric(8), kBinary, shape, 5);
    ExpectExact(random, kTernary, kTernary, shape, 5);
    ExpectExact(random, Unsigned(2), Symmetric(3), shape, 5);
  }
}

TEST_P(CodedGemmTest, EveryPairOfEncodingsIsExact) {
  Random random(2);
  for (const Encoding& a : kEncodings) {
    for (const Encoding& b : kEncodings) {
      if (!GetParam().slow) ExpectExact(random, a, b, {7, 67, 129}, 5);
      ExpectExact(random, a, b, {2, 5, 258}, 5);
    }
  }
}

// Around the tiles of a GPU, with rows of codes that follow each other.
TEST_P(CodedGemmTest, RowsWithoutGaps) {
  const std::pair<Encoding, Encoding> pairs[] = {
      {kBinary, kBinary},         {Symmetric(8), kBinary},     {Unsigned(8), kBinary},      {kBinary, Symmetric(8)},
      {kTernary, kTernary},       {Symmetric(2), kTernary},    {Unsigned(3), Symmetric(2)}, {Unsigned(1), kBinary},
      {Unsigned(8), Unsigned(8)}, {Symmetric(8), Symmetric(8)}};
  Random random(3);
  for (const auto& [a, b] : pairs) {
    for (const Extents3& shape : std::vector<Extents3>{
             {1, 1, 1}, {3, 33, 31}, {0, 5, 7}, {9, 10, 0}, {65, 66, 100}, {5, 64, 257}, {17, 7, 1030}, {129, 1, 65}}) {
      ExpectExact(random, a, b, shape, 0);
    }
  }
}

// A GPU uses codes in place whose rows are aligned to 16 bytes, but only if rows also end on a multiple of 16 bytes, as
// other data may follow them.
TEST_P(CodedGemmTest, AlignedCodes) {
  Random random(4);
  for (const int64_t k : {16, 40, 144}) {
    for (const int64_t gap : {8, 16}) ExpectExact(random, Unsigned(8), kBinary, {70, 33, k}, gap);
  }
}

// int8_gemm with logarithmic codes on one side or on both: floats of sums of any size, and thresholds where those are
// exact.
class LogarithmicCodesTest : public KernelTest {
 protected:
  void ExpectExact(Random& random, const CodeArray& a, const CodeArray& b) {
    const int64_t m = a.initial().rows, n = b.initial().rows, k = b.initial().cols;
    SCOPED_TRACE(testing::Message() << Name(a.encoding().kind) << a.encoding().bits << " x " << Name(b.encoding().kind)
                                    << b.encoding().bits << ", m " << m << ", n " << n << ", k " << k);
    std::vector<int64_t> dots;
    for (int64_t i = 0; i < m; ++i) {
      for (int64_t j = 0; j < n; ++j) {
        dots.push_back(reference::CodedDot(a.encoding(), a.initial(), i, b.encoding(), b.initial(), j));
      }
    }
    if (DotIsExact(a.encoding(), b.encoding(), k)) {
      ExpectDotOutputs(
          *this, random, m, n, m, std::vector<int32_t>(dots.begin(), dots.end()), [&](const auto& f) { Run(f); },
          [&](ExecContext& x, const Kernels& kernels, const DotOutput& out) {
            kernels.int8_gemm(x, a.bytes(x), b.planes(x), out);
          });
      return;
    }
    const Array<float> y(*this, m * n), scale(*this, RandomVector(random, n, -2, 2));
    Run([&](ExecContext& x, const Kernels& kernels) {
      kernels.int8_gemm(x, a.bytes(x), b.planes(x),
                        {.floats = y.matrix(x, m, n, n), .scale = ScaleView(1.0f, scale.on(x), 1)});
    });
    ExpectMatrix(y, m, n, n,
                 [&](int64_t i, int64_t j) { return static_cast<float>(dots[i * n + j]) * scale.initial(j); });
  }
};

constexpr Encoding kLogEncodings[] = {Log(3),        Log(4),        Log(5),        Log(6),       LogNonzero(2),
                                      LogNonzero(3), LogNonzero(4), LogNonzero(5), LogNonzero(6)};

// Pairs of encodings of which one at least is logarithmic, and that are integers at all.
std::vector<std::pair<Encoding, Encoding>> LogPairs() {
  std::vector<std::pair<Encoding, Encoding>> pairs;
  const auto add = [&](const Encoding& a, const Encoding& b) {
    if (LogSumsOf(a, b, 1) != LogSums::kTooLarge) pairs.emplace_back(a, b);
  };
  for (const Encoding& log : kLogEncodings) {
    for (const Encoding& other : kEncodings) {
      add(log, other);
      add(other, log);
    }
    for (const Encoding& other : kLogEncodings) add(log, other);
  }
  return pairs;
}

// Every code times every code.
TEST_P(LogarithmicCodesTest, EveryProductOfTwoCodes) {
  const auto all_codes = [](const Encoding& encoding) {
    std::vector<uint8_t> all;
    for (int64_t c = 0; c <= encoding.largest_stored(); ++c) all.push_back(static_cast<uint8_t>(c));
    return all;
  };
  Random random(8);
  for (const auto& [a_encoding, b_encoding] : LogPairs()) {
    const std::vector<uint8_t> a = all_codes(a_encoding), b = all_codes(b_encoding);
    const auto rows = [](const std::vector<uint8_t>& codes) { return static_cast<int64_t>(codes.size()); };
    // Emulated, eight bits have too many.
    if (GetParam().slow && rows(a) * rows(b) > 4096) continue;
    ExpectExact(random, CodeArray(*this, a_encoding, rows(a), 1, 1, a), CodeArray(*this, b_encoding, rows(b), 1, 1, b));
    if (HasFailure()) return;
  }
}

// Sizes around tiles, words and blocks.
TEST_P(LogarithmicCodesTest, EveryWindowIsExact) {
  Random random(5);
  std::vector<Extents3> shapes = {{2, 5, 258}, {1, 64, 31}, {13, 66, 95}, {0, 5, 7}, {9, 10, 0}, {6, 1, 33}};
  if (!GetParam().slow) shapes.insert(shapes.end(), {{7, 67, 129}, {65, 3, 64}, {12, 130, 1030}});
  size_t turn = 0;
  for (const auto& [a_encoding, b_encoding] : LogPairs()) {
    for (const auto& [m, n, k] : shapes) {
      // Pairs take turns at the sizes, because the reference is slow: each has every fourth of them.
      if (turn++ % 4 != 0) continue;
      if (LogSumsOf(a_encoding, b_encoding, k) == LogSums::kTooLarge) continue;
      const bool extreme = random.Below(2) == 0;
      const CodeArray a(*this, random, a_encoding, m, k, k % 3, extreme);
      const CodeArray b(*this, random, b_encoding, n, k, 0, extreme);
      ExpectExact(random, a, b);
      if (HasFailure()) return;
    }
  }
}

// The largest sums, at the longest K of int32 and of int64 and one beyond.
TEST_P(LogarithmicCodesTest, LargestSums) {
  Random random(6);
  for (const auto& [a_encoding, b_encoding] : LogPairs()) {
    // Of the others those with the largest codes, with negative ones and without, and signs.
    const auto is_tested = [](const Encoding& e) {
      return e.is_log() || e.bits == 8 || e.kind == EncodingKind::kBinary;
    };
    if (!is_tested(a_encoding) || !is_tested(b_encoding)) continue;
    const int64_t of_one = a_encoding.max_code() * b_encoding.max_code();
    const int64_t digits = (int64_t{1} << 23) >> (a_encoding.is_log() ? 8 : a_encoding.bits);
    for (const int64_t limit : {kMaxExactFloatInteger, int64_t{INT32_MAX} / 2, INT64_MAX}) {
      for (const int64_t k : {limit / of_one, limit / of_one + 1, digits}) {
        if (k > (GetParam().slow ? 2000 : 40000)) continue;
        if (k == 0 || LogSumsOf(a_encoding, b_encoding, k) == LogSums::kTooLarge) continue;
        for (const int sign : {0, 1}) {
          const auto a_code = static_cast<uint8_t>(sign == 0 ? 0 : a_encoding.largest_stored());
          const auto b_code = static_cast<uint8_t>(sign == 0 ? 0 : b_encoding.largest_stored());
          const CodeArray a(*this, a_encoding, 1, k, k, std::vector<uint8_t>(k, a_code));
          const CodeArray b(*this, b_encoding, 2, k, k, std::vector<uint8_t>(2 * k, b_code));
          ExpectExact(random, a, b);
          if (HasFailure()) return;
        }
      }
    }
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(CodedGemmTest);
BITGRAD_INSTANTIATE_ON_DEVICES(LogarithmicCodesTest);

}  // namespace
}  // namespace bitgrad
