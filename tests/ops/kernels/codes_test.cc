#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"
#include "bitgrad/tests/reference/coded_gemm.h"

namespace bitgrad {
namespace {

using CodesTest = KernelTest;

constexpr Encoding kEncodings[] = {{EncodingKind::kBinary, 1},
                                   {EncodingKind::kTernary, 2},
                                   {EncodingKind::kSymmetric, 2},
                                   {EncodingKind::kSymmetric, 5},
                                   {EncodingKind::kSymmetric, 8},
                                   {EncodingKind::kUnsigned, 1},
                                   {EncodingKind::kUnsigned, 8},
                                   {EncodingKind::kSigned, 8},
                                   {EncodingKind::kTwosComplement, 1},
                                   {EncodingKind::kTwosComplement, 4},
                                   {EncodingKind::kTwosComplement, 8},
                                   {EncodingKind::kLog, 3},
                                   {EncodingKind::kLog, 5},
                                   {EncodingKind::kLog, 7},
                                   {EncodingKind::kLogNonzero, 2},
                                   {EncodingKind::kLogNonzero, 3},
                                   {EncodingKind::kLogNonzero, 6}};

// Stored codes c of the encoding.
std::vector<uint8_t> RandomCodes(Random& random, const Encoding& encoding, int64_t count) {
  const int64_t codes = encoding.is_affine()
                            ? (encoding.max_code() - encoding.least_code()) / encoding.code_step() + 1
                            : (int64_t{1} << encoding.bits) - (encoding.kind == EncodingKind::kLog ? 1 : 0);
  return RandomBytes(random, count, static_cast<uint32_t>(codes));
}

float CodeOf(const Encoding& encoding, uint8_t c) { return static_cast<float>(reference::Code(encoding, c)); }

std::vector<float> CodesOf(const Encoding& encoding, const std::vector<uint8_t>& stored) {
  std::vector<float> values;
  for (const uint8_t c : stored) values.push_back(CodeOf(encoding, c));
  return values;
}

TEST_P(CodesTest, PacksAndUnpacks) {
  Random random(1);
  for (const Encoding& encoding : kEncodings) {
    for (const auto& [m, n] : Shapes()) {
      // From one row to the next: without gaps, and with.
      for (const int64_t gap : {0, 1, 4}) {
        SCOPED_TRACE(testing::Message() << Name(encoding.kind) << " of " << encoding.bits << " bits, " << m << " x "
                                        << n << ", gap " << gap);
        const int64_t stride = n + gap;
        const Array<uint8_t> stored(*this, RandomCodes(random, encoding, m * stride)), packed(*this, m * stride);
        const Array<float> codes(*this, CodesOf(encoding, stored.initial())), unpacked(*this, m * stride);
        Run([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.pack_codes(c, encoding, codes.matrix(c, m, n, stride), packed.matrix(c, m, n, stride));
          k.unpack_codes(c, encoding, stored.matrix(c, m, n, stride), unpacked.matrix(c, m, n, stride));
        });
        ExpectMatrix(packed, m, n, stride, [&](int64_t i, int64_t j) { return stored.initial(i * stride + j); });
        ExpectMatrix(unpacked, m, n, stride, [&](int64_t i, int64_t j) { return codes.initial(i * stride + j); });
      }
    }
  }
}

// Views that begin anywhere in memory.
TEST_P(CodesTest, TakesAnyAlignment) {
  Random random(2);
  constexpr int64_t kRows = 10, kCols = 100, kCount = kRows * kCols;
  const Encoding encoding = {EncodingKind::kUnsigned, 8};
  for (const int64_t offset : {1, 2, 3, 4}) {
    SCOPED_TRACE(offset);
    const Array<uint8_t> stored(*this, RandomCodes(random, encoding, kCount + 8)), packed(*this, kCount + 8);
    const Array<float> codes(*this, CodesOf(encoding, stored.initial())), unpacked(*this, kCount + 8);
    Run([&](ExecContext& c, const Kernels& k) {
      k.pack_codes(c, encoding, {codes.on(c) + offset, kRows, kCols}, {packed.on(c) + 4, kRows, kCols});
      k.unpack_codes(c, encoding, {stored.on(c) + 4, kRows, kCols}, {unpacked.on(c) + offset, kRows, kCols});
    });
    const auto inside = [](int64_t i, int64_t begin) { return i >= begin && i < begin + kCount; };
    ExpectValues(packed, [&](int64_t i) { return inside(i, 4) ? stored.initial(i - 4 + offset) : packed.initial(i); });
    ExpectValues(unpacked, [&](int64_t i) {
      return inside(i, offset) ? CodeOf(encoding, stored.initial(i - offset + 4)) : unpacked.initial(i);
    });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(CodesTest);

}  // namespace
}  // namespace bitgrad
