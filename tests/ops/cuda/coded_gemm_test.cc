#include <algorithm>
#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaCodedGemmTest = CudaTest;

struct Pair {
  Encoding a, b;
};

std::vector<Pair> Pairs() {
  const Encoding binary{EncodingKind::kBinary, 1}, ternary{EncodingKind::kTernary, 2};
  const Encoding two{EncodingKind::kSymmetric, 2}, eight{EncodingKind::kSymmetric, 8};
  const Encoding unsigned1{EncodingKind::kUnsigned, 1}, unsigned3{EncodingKind::kUnsigned, 3},
      unsigned8{EncodingKind::kUnsigned, 8};
  return {{binary, binary}, {eight, binary},  {unsigned8, binary}, {binary, eight},        {ternary, ternary},
          {two, ternary},   {unsigned3, two}, {unsigned1, binary}, {unsigned8, unsigned8}, {eight, eight}};
}

// Random c in [0, 2^bits), or in 0 .. 2 for ternary codes.
std::vector<uint8_t> Codes(TestRandom& random, const Encoding& encoding, int64_t count) {
  std::vector<uint8_t> codes(count);
  for (uint8_t& c : codes) {
    c = static_cast<uint8_t>(random.Below(encoding.kind == EncodingKind::kTernary ? 3 : 1u << encoding.bits));
  }
  return codes;
}

// The planes of codes [rows, cols] on both sides.
class BothPlanes {
 public:
  BothPlanes(ExecContext& gpu, const Encoding& encoding, const std::vector<uint8_t>& codes, int64_t rows, int64_t cols)
      : encoding_(encoding), rows_(rows), cols_(cols) {
    const int64_t stride = BitMatrix::WordsPerRow(cols);
    for (int p = 0; p < encoding.bits; ++p) {
      std::vector<uint64_t> words(rows * stride, 0);
      for (int64_t i = 0; i < rows; ++i) {
        for (int64_t j = 0; j < cols; ++j) {
          words[i * stride + j / 64] |= uint64_t{codes[i * cols + j]} >> p << 63 >> (63 - j % 64);
        }
      }
      planes_.emplace_back(gpu, std::move(words));
    }
  }
  ConstPlanesView on(const ExecContext& context) {
    ConstPlanesView view = {.encoding = encoding_};
    for (int p = 0; p < encoding_.bits; ++p) {
      view.planes[p] = {planes_[p].on(context), rows_, cols_, BitMatrix::WordsPerRow(cols_)};
    }
    return view;
  }

 private:
  Encoding encoding_;
  int64_t rows_, cols_;
  std::vector<Both<uint64_t>> planes_;
};

struct Extents3 {
  int64_t m, n, k;
};

TEST_F(CudaCodedGemmTest, BothKernelsGiveTheSameAsTheCpu) {
  TestRandom random(1);
  for (const auto& [a, b] : Pairs()) {
    for (const auto& [m, n, k] : std::vector<Extents3>{
             {1, 1, 1}, {3, 33, 31}, {0, 5, 7}, {9, 10, 0}, {65, 66, 100}, {5, 64, 257}, {17, 7, 1030}, {129, 1, 65}}) {
      if (!DotIsExact(a, b, k)) continue;
      SCOPED_TRACE(testing::Message() << Name(a.kind) << a.bits << " x " << Name(b.kind) << b.bits << ", " << m << " x "
                                      << n << " x " << k);
      const std::vector<uint8_t> a_codes = Codes(random, a, m * k), b_codes = Codes(random, b, n * k);
      Both<uint8_t> codes(gpu_, a_codes);
      BothPlanes a_planes(gpu_, a, a_codes, m, k), b_planes(gpu_, b, b_codes, n, k);
      std::vector<int32_t> threshold(n);
      std::vector<uint8_t> flip(n);
      for (int64_t j = 0; j < n; ++j) {
        threshold[j] = static_cast<int32_t>(random.Below(200)) - 100;
        flip[j] = static_cast<uint8_t>(random.Below(2));
      }
      Both<int32_t> thresholds(gpu_, threshold);
      Both<uint8_t> flips(gpu_, flip);
      Both<float> by_planes(gpu_, m * n), by_bytes(gpu_, m * n);
      BothBits bits_by_planes(gpu_, m, n), bits_by_bytes(gpu_, m, n);
      OnBoth([&, a = a, m = m, n = n, k = k](ExecContext& x, const Kernels& kernels) {
        const ConstCodesView bytes = {a, codes.matrix(x, m, k)};
        kernels.plane_gemm(x, a_planes.on(x), b_planes.on(x), {.floats = by_planes.matrix(x, m, n), .scale = 0.3f});
        kernels.int8_gemm(x, bytes, b_planes.on(x), {.floats = by_bytes.matrix(x, m, n), .scale = 0.3f});
        const DotOutput out = {.bits = bits_by_planes.on(x), .threshold = thresholds.on(x), .flip = flips.on(x)};
        kernels.plane_gemm(x, a_planes.on(x), b_planes.on(x), out);
        DotOutput other = out;
        other.bits = bits_by_bytes.on(x);
        kernels.int8_gemm(x, bytes, b_planes.on(x), other);
      });
      ExpectSame(by_planes);
      ExpectSame(by_bytes);
      ExpectSame(bits_by_planes);
      ExpectSame(bits_by_bytes);
    }
  }
}

// Codes whose rows are aligned to 16 bytes are used in place, but only if rows also end on a multiple of 16 bytes, as
// other data may follow them.
TEST_F(CudaCodedGemmTest, AlignedCodes) {
  TestRandom random(2);
  const Encoding unsigned8{EncodingKind::kUnsigned, 8}, binary{EncodingKind::kBinary, 1};
  const int64_t m = 70, n = 33;
  for (const int64_t k : {16, 40, 144}) {
    for (const int64_t stride : {k + 8, k + 16}) {
      SCOPED_TRACE(testing::Message() << "K " << k << ", from row to row " << stride);
      Both<uint8_t> codes(gpu_, Codes(random, unsigned8, m * stride));
      BothPlanes b(gpu_, binary, Codes(random, binary, n * k), n, k);
      Both<float> c(gpu_, m * n);
      OnBoth([&](ExecContext& x, const Kernels& kernels) {
        kernels.int8_gemm(x, {unsigned8, codes.matrix(x, m, k, stride)}, b.on(x), {.floats = c.matrix(x, m, n)});
      });
      ExpectSame(c);
    }
  }
}

}  // namespace
}  // namespace bitgrad
