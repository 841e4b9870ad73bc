#include "bitgrad/runtime/tap_convolution.h"

#include <algorithm>
#include <cstring>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/tensor.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/tap_convolution.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// out[j] = sum over terms of weight * planes[j + offset], for `kVectors` vectors of j.
template <int kVectors>
HWY_INLINE void SumTile(const TapTerm* term, const TapTerm* end, const float* planes, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  // Named one by one: an array of vectors would not stay in registers on every compiler.
  auto s0 = hn::Zero(d), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0, s8 = s0, s9 = s0, s10 = s0,
       s11 = s0;
  for (; term != end; ++term) {
    const auto w = hn::Set(d, term->weight);
    const float* HWY_RESTRICT x = planes + term->offset;
    s0 = hn::MulAdd(w, hn::LoadU(d, x), s0);
    if constexpr (kVectors > 1) s1 = hn::MulAdd(w, hn::LoadU(d, x + lanes), s1);
    if constexpr (kVectors > 2) s2 = hn::MulAdd(w, hn::LoadU(d, x + 2 * lanes), s2);
    if constexpr (kVectors > 3) s3 = hn::MulAdd(w, hn::LoadU(d, x + 3 * lanes), s3);
    if constexpr (kVectors > 4) s4 = hn::MulAdd(w, hn::LoadU(d, x + 4 * lanes), s4);
    if constexpr (kVectors > 5) s5 = hn::MulAdd(w, hn::LoadU(d, x + 5 * lanes), s5);
    if constexpr (kVectors > 6) s6 = hn::MulAdd(w, hn::LoadU(d, x + 6 * lanes), s6);
    if constexpr (kVectors > 7) s7 = hn::MulAdd(w, hn::LoadU(d, x + 7 * lanes), s7);
    if constexpr (kVectors > 8) s8 = hn::MulAdd(w, hn::LoadU(d, x + 8 * lanes), s8);
    if constexpr (kVectors > 9) s9 = hn::MulAdd(w, hn::LoadU(d, x + 9 * lanes), s9);
    if constexpr (kVectors > 10) s10 = hn::MulAdd(w, hn::LoadU(d, x + 10 * lanes), s10);
    if constexpr (kVectors > 11) s11 = hn::MulAdd(w, hn::LoadU(d, x + 11 * lanes), s11);
  }
  hn::StoreU(s0, d, out);
  if constexpr (kVectors > 1) hn::StoreU(s1, d, out + lanes);
  if constexpr (kVectors > 2) hn::StoreU(s2, d, out + 2 * lanes);
  if constexpr (kVectors > 3) hn::StoreU(s3, d, out + 3 * lanes);
  if constexpr (kVectors > 4) hn::StoreU(s4, d, out + 4 * lanes);
  if constexpr (kVectors > 5) hn::StoreU(s5, d, out + 5 * lanes);
  if constexpr (kVectors > 6) hn::StoreU(s6, d, out + 6 * lanes);
  if constexpr (kVectors > 7) hn::StoreU(s7, d, out + 7 * lanes);
  if constexpr (kVectors > 8) hn::StoreU(s8, d, out + 8 * lanes);
  if constexpr (kVectors > 9) hn::StoreU(s9, d, out + 9 * lanes);
  if constexpr (kVectors > 10) hn::StoreU(s10, d, out + 10 * lanes);
  if constexpr (kVectors > 11) hn::StoreU(s11, d, out + 11 * lanes);
}

void SumVectors(int64_t vectors, const TapTerm* term, const TapTerm* end, const float* planes, float* out) {
  switch (vectors) {
    case 1: return SumTile<1>(term, end, planes, out);
    case 2: return SumTile<2>(term, end, planes, out);
    case 3: return SumTile<3>(term, end, planes, out);
    case 4: return SumTile<4>(term, end, planes, out);
    case 5: return SumTile<5>(term, end, planes, out);
    case 6: return SumTile<6>(term, end, planes, out);
    case 7: return SumTile<7>(term, end, planes, out);
    case 8: return SumTile<8>(term, end, planes, out);
    case 9: return SumTile<9>(term, end, planes, out);
    case 10: return SumTile<10>(term, end, planes, out);
    case 11: return SumTile<11>(term, end, planes, out);
    default: return SumTile<12>(term, end, planes, out);
  }
}

// For each of `filters` filters, sums over `count` places from planes on. sums [filters, stride]; what lies behind
// `count` up to the next multiple of a vector is overwritten.
void SumFilters(int64_t filters, const int64_t* first_term, const TapTerm* terms, const float* planes, int64_t count,
                int64_t stride, float* sums) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  // 32 registers hold 12 sums and more; with 16 registers 12 sums leave room for the weight and a pixel.
  constexpr int64_t kMostVectors = 12;
  const int64_t vectors = (count + lanes - 1) / lanes, tiles = (vectors + kMostVectors - 1) / kMostVectors;
  for (int64_t t = 0; t < tiles; ++t) {
    // Tiles of about the same size.
    const int64_t begin = vectors * t / tiles, end = vectors * (t + 1) / tiles;
    for (int64_t o = 0; o < filters; ++o) {
      SumVectors(end - begin, terms + first_term[o], terms + first_term[o + 1], planes + begin * lanes,
                 sums + o * stride + begin * lanes);
    }
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad {
namespace {

HWY_EXPORT(SumFilters);

// Filters whose sums are turned from planes into pixels at a time, and channels the other way round: one cache line.
constexpr int64_t kLine = 16;
// Floats of the planes of a block of rows: half of a small second-level cache.
constexpr int64_t kPlaneFloats = 96 * 1024;
// Reads and writes behind the last place, of whole vectors: no vector has more floats.
constexpr int64_t kSlack = 64;

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

}  // namespace

TapConvolution::TapConvolution(const ConvGeometry& geometry, const float* w, const uint8_t* taps)
    : geometry_(geometry),
      phase_rows_(std::min(geometry.stride_height, geometry.kernel_height)),
      phase_cols_(std::min(geometry.stride_width, geometry.kernel_width)),
      plane_width_(geometry.out_width() + (geometry.kernel_width - 1) / geometry.stride_width),
      reach_rows_((geometry.kernel_height - 1) / geometry.stride_height) {
  const ConvGeometry& g = geometry_;
  const int64_t planes = g.channels * phase_rows_ * phase_cols_;
  // As many rows as fit, in blocks of about the same size.
  const int64_t room = kPlaneFloats / (planes * plane_width_) - reach_rows_;
  const int64_t most = std::clamp<int64_t>(room, 1, g.out_height());
  const int64_t blocks = (g.out_height() + most - 1) / most;
  block_.rows = (g.out_height() + blocks - 1) / blocks;
  block_.plane_rows = block_.rows + reach_rows_;
  plane_size_ = block_.plane_rows * plane_width_;
  plane_floats_ = planes * plane_size_ + kSlack;
  sum_floats_ = std::min(kLine, g.filters) * RoundUp(block_.rows * plane_width_ + kSlack, kLine);
  first_term_.push_back(0);
  for (int64_t o = 0; o < g.filters; ++o) {
    for (int64_t i = 0; i < g.channels; ++i) {
      const int64_t tap = taps[o * g.channels + i];
      const float weight = w[o * g.channels + i];
      if (tap >= g.kernel_height * g.kernel_width || weight == 0) continue;
      const int64_t r = tap / g.kernel_width, s = tap % g.kernel_width;
      const int64_t phase = (r % g.stride_height) * phase_cols_ + s % g.stride_width;
      const int64_t offset = (i * phase_rows_ * phase_cols_ + phase) * plane_size_ +
                             (r / g.stride_height) * plane_width_ + s / g.stride_width;
      terms_.push_back({weight, static_cast<int32_t>(offset)});
    }
    first_term_.push_back(static_cast<int64_t>(terms_.size()));
  }
}

void TapConvolution::RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, float* planes,
                              float* sums) const {
  const ConvGeometry& g = geometry_;
  const int64_t phases = phase_rows_ * phase_cols_, width = plane_width_;
  for (int64_t phase = 0; phase < phases; ++phase) {
    for (int64_t u = 0; u < rows + reach_rows_; ++u) {
      const int64_t row = (first_row + u) * g.stride_height + phase / phase_cols_ - g.pad_height;
      float* const to = planes + phase * plane_size_ + u * width;
      if (row < 0 || row >= g.height) {
        for (int64_t i = 0; i < g.channels; ++i) std::fill_n(to + i * phases * plane_size_, width, 0.0f);
        continue;
      }
      // Columns of the plane that lie inside of the image.
      const int64_t shift = phase % phase_cols_ - g.pad_width;
      const int64_t begin = std::clamp<int64_t>((-shift + g.stride_width - 1) / g.stride_width, 0, width);
      const int64_t last = g.width - 1 - shift;  // counted in pixels of the image; negative: there is none
      const int64_t end = last < 0 ? begin : std::clamp<int64_t>(last / g.stride_width + 1, begin, width);
      const float* const from = x + (row * g.width + shift) * g.channels;
      const int64_t step = g.stride_width * g.channels;
      for (int64_t i0 = 0; i0 < g.channels; i0 += kLine) {
        const int64_t i1 = std::min(g.channels, i0 + kLine);
        for (int64_t i = i0; i < i1; ++i) {
          float* const plane = to + i * phases * plane_size_;
          std::fill_n(plane, begin, 0.0f);
          for (int64_t v = begin; v < end; ++v) plane[v] = from[v * step + i];
          std::fill_n(plane + end, width - end, 0.0f);
        }
      }
    }
  }
  const int64_t out_width = g.out_width(), stride = sum_floats_ / std::min(kLine, g.filters);
  for (int64_t o = 0; o < g.filters; o += kLine) {
    const int64_t filters = std::min(kLine, g.filters - o);
    HWY_DYNAMIC_DISPATCH(SumFilters)
    (filters, first_term_.data() + o, terms_.data(), planes, rows * width, stride, sums);
    for (int64_t p = 0; p < rows; ++p) {
      float* const to = y + ((first_row + p) * out_width) * g.filters + o;
      const float* const from = sums + p * width;
      if (filters == kLine) {
        for (int64_t q = 0; q < out_width; ++q) {
          for (int64_t f = 0; f < kLine; ++f) to[q * g.filters + f] = from[f * stride + q];
        }
        continue;
      }
      for (int64_t q = 0; q < out_width; ++q) {
        for (int64_t f = 0; f < filters; ++f) to[q * g.filters + f] = from[f * stride + q];
      }
    }
  }
}

void TapConvolution::Run(ExecContext& context, int64_t batch, const float* x, float* y) const {
  const ConvGeometry& g = geometry_;
  const int64_t blocks = (g.out_height() + block_.rows - 1) / block_.rows;
  const int64_t image = g.height * g.width * g.channels, result = g.out_height() * g.out_width() * g.filters;
  const int64_t pieces = batch * blocks, workers = std::min<int64_t>(context.threads(), pieces);
  if (pieces == 0) return;
  const int64_t size = plane_floats_ + sum_floats_;
  Tensor memory({workers, size}, DType::kFloat32, context.allocator());
  float* const all_planes = memory.mutable_data<float>();
  ParallelFor(context.threads(), workers, 1, [&](int64_t first, int64_t last) {
    for (int64_t worker = first; worker < last; ++worker) {
      float* const planes = all_planes + worker * size;
      for (int64_t b = pieces * worker / workers; b < pieces * (worker + 1) / workers; ++b) {
        const int64_t n = b / blocks, row = b % blocks * block_.rows;
        RunBlock(x + n * image, y + n * result, row, std::min(block_.rows, g.out_height() - row), planes,
                 planes + plane_floats_);
      }
    }
  });
}

}  // namespace bitgrad

#endif  // HWY_ONCE
