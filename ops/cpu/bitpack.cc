#include <algorithm>
#include <atomic>
#include <cstring>

#include "bitgrad/core/check.h"
#include "bitgrad/core/log_code.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/bitpack.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

void PackCodes(const float* codes, int64_t count, int32_t least, int32_t shift, uint8_t* c) {
  for (int64_t j = 0; j < count; ++j) {
    c[j] = static_cast<uint8_t>((static_cast<int32_t>(codes[j]) - least) >> shift);
  }
}

void UnpackCodes(const uint8_t* c, int64_t count, int32_t least, int32_t step, float* codes) {
  for (int64_t j = 0; j < count; ++j) codes[j] = static_cast<float>(least + step * c[j]);
}

void PackLogCodes(const float* codes, int64_t count, LogCodes log_codes, uint8_t* c) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) c[j] = static_cast<uint8_t>(log_codes.Stored(RankOfFloat(codes[j])));
}

void UnpackLogCodes(const uint8_t* c, int64_t count, LogCodes log_codes, float* codes) {
#pragma omp simd
  for (int64_t j = 0; j < count; ++j) codes[j] = FloatOfRank(log_codes.Rank(c[j]));
}

void PackSigns(const float* x, int64_t count, int64_t words, uint64_t* bits, uint64_t* window) {
  PackSignSegment(x, count, words, bits);
  if (window != nullptr) PackWindowSegment(x, count, words, window);  // by now x is in the cache
}

void UnpackSigns(const uint64_t* bits, int64_t count, float* y) { UnpackSignSegment(bits, count, y); }

void MaskByBits(const uint64_t* bits, const float* dy, int64_t count, float* dx) {
  int64_t w = 0;
  for (; (w + 1) * 64 <= count; ++w) MaskWord(bits[w], dy + w * 64, dx + w * 64);
  for (int64_t j = w * 64; j < count; ++j) dx[j] = bits[w] >> j % 64 & 1 ? dy[j] : 0.0f;
}

void PackPlane(const uint8_t* codes, int64_t count, int bit, int64_t words, uint64_t* plane) {
  int64_t w = 0;
  for (; (w + 1) * 64 <= count; ++w) PackByteWord(codes + w * 64, bit, plane + w);
  if (w * 64 < count) {
    uint8_t rest[64] = {};
    std::memcpy(rest, codes + w * 64, count - w * 64);
    PackByteWord(rest, bit, plane + w++);
  }
  std::fill(plane + w, plane + words, uint64_t{0});
}

int64_t CountOnes(const uint64_t* bits, int64_t words) {
  const hn::ScalableTag<uint64_t> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  auto sum = hn::Zero(d);
  int64_t w = 0;
  for (; w + lanes <= words; w += lanes) {
    sum = hn::Add(sum, hn::PopulationCount(hn::LoadU(d, bits + w)));
  }
  int64_t count = static_cast<int64_t>(hn::GetLane(hn::SumOfLanes(d, sum)));
  for (; w < words; ++w) count += std::popcount(bits[w]);
  return count;
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(PackCodes);
HWY_EXPORT(UnpackCodes);
HWY_EXPORT(PackLogCodes);
HWY_EXPORT(UnpackLogCodes);
HWY_EXPORT(PackSigns);
HWY_EXPORT(UnpackSigns);
HWY_EXPORT(MaskByBits);
HWY_EXPORT(PackPlane);
HWY_EXPORT(CountOnes);

}  // namespace

void PackCodes(ExecContext& context, const Encoding& encoding, ConstMatrixView<float> codes, MatrixView<uint8_t> c) {
  BITGRAD_DCHECK(codes.rows == c.rows && codes.cols == c.cols && encoding.bits <= kMaxCodeBits);
  const bool is_log = encoding.is_log(), flat = codes.contiguous() && c.contiguous();
  const int32_t least = is_log ? 0 : static_cast<int32_t>(encoding.least_code());
  const int32_t shift = encoding.code_step() == 2 ? 1 : 0;
  ForEachSegment(context.threads(), c.rows, c.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const float* const in = codes.row(i) + begin;
    uint8_t* const out = c.row(i) + begin;
    if (is_log) {
      HWY_DYNAMIC_DISPATCH(PackLogCodes)(in, end - begin, encoding.log_codes(), out);
    } else {
      HWY_DYNAMIC_DISPATCH(PackCodes)(in, end - begin, least, shift, out);
    }
  });
}

void UnpackCodes(ExecContext& context, const Encoding& encoding, ConstMatrixView<uint8_t> c, MatrixView<float> codes) {
  BITGRAD_DCHECK(codes.rows == c.rows && codes.cols == c.cols && encoding.bits <= kMaxCodeBits);
  const bool is_log = encoding.is_log(), flat = codes.contiguous() && c.contiguous();
  const int32_t least = is_log ? 0 : static_cast<int32_t>(encoding.least_code());
  const int32_t step = static_cast<int32_t>(encoding.code_step());
  ForEachSegment(context.threads(), c.rows, c.cols, flat, [&](int64_t i, int64_t begin, int64_t end) {
    const uint8_t* const in = c.row(i) + begin;
    float* const out = codes.row(i) + begin;
    if (is_log) {
      HWY_DYNAMIC_DISPATCH(UnpackLogCodes)(in, end - begin, encoding.log_codes(), out);
    } else {
      HWY_DYNAMIC_DISPATCH(UnpackCodes)(in, end - begin, least, step, out);
    }
  });
}

void PackSigns(ExecContext& context, ConstMatrixView<float> x, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(bits.rows == x.rows && bits.cols == x.cols);
  ForEachBitSegment(context.threads(), x.rows, x.cols, [&](const BitSegment& s) {
    HWY_DYNAMIC_DISPATCH(PackSigns)
    (x.row(s.row) + s.begin, s.size(), s.words, bits.row(s.row) + s.word(),
     window.words == nullptr ? nullptr : window.row(s.row) + s.word());
  });
}

void UnpackSigns(ExecContext& context, ConstBitMatrixView bits, MatrixView<float> y) {
  BITGRAD_DCHECK(bits.rows == y.rows && bits.cols == y.cols);
  ForEachBitSegment(context.threads(), y.rows, y.cols, [&](const BitSegment& s) {
    HWY_DYNAMIC_DISPATCH(UnpackSigns)(bits.row(s.row) + s.word(), s.size(), y.row(s.row) + s.begin);
  });
}

void MaskByBits(ExecContext& context, ConstBitMatrixView mask, ConstMatrixView<float> dy, MatrixView<float> dx) {
  BITGRAD_DCHECK(mask.rows == dy.rows && mask.cols == dy.cols);
  ForEachBitSegment(context.threads(), dy.rows, dy.cols, [&](const BitSegment& s) {
    HWY_DYNAMIC_DISPATCH(MaskByBits)
    (mask.row(s.row) + s.word(), dy.row(s.row) + s.begin, s.size(), dx.row(s.row) + s.begin);
  });
}

void PackPlanes(ExecContext& context, ConstMatrixView<uint8_t> codes, int count, const BitMatrixView* planes) {
  ForEachBitSegment(context.threads(), codes.rows, codes.cols, [&](const BitSegment& s) {
    for (int b = 0; b < count; ++b) {
      HWY_DYNAMIC_DISPATCH(PackPlane)
      (codes.row(s.row) + s.begin, s.size(), b, s.words, planes[b].row(s.row) + s.word());
    }
  });
}

void CountOnes(ExecContext& context, ConstBitMatrixView bits, int64_t* count) {
  std::atomic<int64_t> total = 0;
  ForEachBitSegment(context.threads(), bits.rows, bits.cols, [&](const BitSegment& s) {
    total += HWY_DYNAMIC_DISPATCH(CountOnes)(bits.row(s.row) + s.word(), (s.size() + 63) / 64);
  });
  *count = total;
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
