#include "bitgrad/runtime/tap_planes.h"

#include <algorithm>
#include <cstring>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/tensor.h"

#ifndef BITGRAD_RUNTIME_TAP_PLANES_CONSTANTS_
#define BITGRAD_RUNTIME_TAP_PLANES_CONSTANTS_
namespace bitgrad {
namespace {

// A cache line of floats.
constexpr int64_t kLine = 16;
// Filters that are computed from a block of channels while it is in the first-level cache: each line of it is read some
// twenty times then.
constexpr int64_t kGroup = 64;
// 32 registers hold 12 sums and more; with 16 registers they leave room for the weight and a pixel.
constexpr int64_t kTileVectors = 12;

}  // namespace
}  // namespace bitgrad
#endif  // BITGRAD_RUNTIME_TAP_PLANES_CONSTANTS_

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "runtime/tap_planes.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad {
namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// out[j] += sum over terms of weight * planes[j + offset], for `kVectors` vectors of j.
template <int kVectors>
HWY_INLINE void SumTile(const TapTerm* term, const TapTerm* end, const float* planes, float* out) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  // Named one by one: an array of vectors would not stay in registers on every compiler.
  auto s0 = hn::LoadU(d, out), s1 = s0, s2 = s0, s3 = s0, s4 = s0, s5 = s0, s6 = s0, s7 = s0, s8 = s0, s9 = s0,
       s10 = s0, s11 = s0;
  if constexpr (kVectors > 1) s1 = hn::LoadU(d, out + lanes);
  if constexpr (kVectors > 2) s2 = hn::LoadU(d, out + 2 * lanes);
  if constexpr (kVectors > 3) s3 = hn::LoadU(d, out + 3 * lanes);
  if constexpr (kVectors > 4) s4 = hn::LoadU(d, out + 4 * lanes);
  if constexpr (kVectors > 5) s5 = hn::LoadU(d, out + 5 * lanes);
  if constexpr (kVectors > 6) s6 = hn::LoadU(d, out + 6 * lanes);
  if constexpr (kVectors > 7) s7 = hn::LoadU(d, out + 7 * lanes);
  if constexpr (kVectors > 8) s8 = hn::LoadU(d, out + 8 * lanes);
  if constexpr (kVectors > 9) s9 = hn::LoadU(d, out + 9 * lanes);
  if constexpr (kVectors > 10) s10 = hn::LoadU(d, out + 10 * lanes);
  if constexpr (kVectors > 11) s11 = hn::LoadU(d, out + 11 * lanes);
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

// For kGroup filters, adds to sums [kGroup, stride] what `blocks` blocks of channels give, at `count` places from
// planes on. first_term [blocks, kGroup] and the end. What lies behind `count` up to the next multiple of a vector is
// overwritten.
void SumFilters(int64_t blocks, const int64_t* first_term, const TapTerm* terms, const float* planes, int64_t count,
                int64_t stride, float* sums) {
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(hn::ScalableTag<float>()));
  const int64_t vectors = (count + lanes - 1) / lanes, tiles = (vectors + kTileVectors - 1) / kTileVectors;
  for (int64_t t = 0; t < tiles; ++t) {
    // Tiles of about the same size.
    const int64_t begin = vectors * t / tiles, end = vectors * (t + 1) / tiles;
    for (int64_t b = 0; b < blocks; ++b) {
      for (int64_t f = 0; f < kGroup; ++f) {
        const int64_t first = first_term[b * kGroup + f], last = first_term[b * kGroup + f + 1];
        if (first == last) continue;
        SumVectors(end - begin, terms + first, terms + last, planes + begin * lanes, sums + f * stride + begin * lanes);
      }
    }
  }
}

// to[c, r] = from[r, c]
void Transpose(int64_t rows, int64_t cols, const float* from, int64_t from_stride, float* to, int64_t to_stride) {
  int64_t r = 0;
#if HWY_TARGET != HWY_SCALAR
  const hn::FixedTag<float, 4> d;
  for (; r + 4 <= rows; r += 4) {
    const float* const x = from + r * from_stride;
    int64_t c = 0;
    for (; c + 4 <= cols; c += 4) {
      const auto r0 = hn::LoadU(d, x + c), r1 = hn::LoadU(d, x + from_stride + c);
      const auto r2 = hn::LoadU(d, x + 2 * from_stride + c), r3 = hn::LoadU(d, x + 3 * from_stride + c);
      const auto low0 = hn::InterleaveLower(d, r0, r1), low2 = hn::InterleaveLower(d, r2, r3);
      const auto high0 = hn::InterleaveUpper(d, r0, r1), high2 = hn::InterleaveUpper(d, r2, r3);
      float* const y = to + c * to_stride + r;
      hn::StoreU(hn::ConcatLowerLower(d, low2, low0), d, y);
      hn::StoreU(hn::ConcatUpperUpper(d, low2, low0), d, y + to_stride);
      hn::StoreU(hn::ConcatLowerLower(d, high2, high0), d, y + 2 * to_stride);
      hn::StoreU(hn::ConcatUpperUpper(d, high2, high0), d, y + 3 * to_stride);
    }
    for (; c < cols; ++c) {
      for (int64_t k = 0; k < 4; ++k) to[c * to_stride + r + k] = x[k * from_stride + c];
    }
  }
#endif
  for (; r < rows; ++r) {
    for (int64_t c = 0; c < cols; ++c) to[c * to_stride + r] = from[r * from_stride + c];
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad {
namespace {

HWY_EXPORT(SumFilters);
HWY_EXPORT(Transpose);

// Floats of the planes of a block of rows: half of a second-level cache of 1 MiB.
constexpr int64_t kPlaneFloats = 128 * 1024;
// Floats that a tile of sums reads of a block of channels: half of a first-level cache of 48 KiB.
constexpr int64_t kTileFloats = 6 * 1024;
// Reads and writes behind the last place, of whole vectors: no vector has more floats.
constexpr int64_t kSlack = 64;

int64_t RoundUp(int64_t n, int64_t multiple) { return (n + multiple - 1) / multiple * multiple; }

// Rows of whole vectors of 16 floats or, where a quarter of that would be in vain, of 8; else of what there is.
int64_t PlaneWidth(int64_t out_width) {
  for (const int64_t vector : {16, 8}) {
    const int64_t width = RoundUp(out_width, vector);
    if (4 * (width - out_width) <= width) return width;
  }
  return out_width;
}

}  // namespace

TapPlanes::TapPlanes(const ConvGeometry& geometry, const float* w, const uint8_t* taps)
    : geometry_(geometry),
      phase_rows_(std::min(geometry.stride_height, geometry.kernel_height)),
      plane_width_(PlaneWidth(geometry.out_width())),
      reach_rows_((geometry.kernel_height - 1) / geometry.stride_height) {
  const ConvGeometry& g = geometry_;
  const int64_t planes_of_channel = phase_rows_ * g.kernel_width, planes = g.channels * planes_of_channel;
  // As many rows as fit, in blocks of about the same size.
  const int64_t room = kPlaneFloats / (planes * plane_width_) - reach_rows_;
  const int64_t most = std::clamp<int64_t>(room, 1, g.out_height());
  const int64_t blocks = (g.out_height() + most - 1) / most;
  block_.rows = (g.out_height() + blocks - 1) / blocks;
  block_.plane_rows = block_.rows + reach_rows_;
  // Planes begin with a cache line, as rows do where the width allows it.
  plane_size_ = RoundUp(block_.plane_rows * plane_width_, kLine);
  plane_floats_ = planes * plane_size_ + kSlack;
  sum_stride_ = RoundUp(block_.rows * plane_width_ + kSlack, kLine);
  // With vectors of 16 floats.
  const int64_t read_of_plane = kTileVectors * 16 + (reach_rows_ + 1) * plane_width_;
  const int64_t block_channels =
      std::clamp<int64_t>(kTileFloats / (read_of_plane * planes_of_channel), 4, g.channels + 4);
  channel_blocks_ = (g.channels + block_channels - 1) / block_channels;
  first_term_.push_back(0);
  for (int64_t group = 0; group < g.filters; group += kGroup) {
    for (int64_t block = 0; block < channel_blocks_; ++block) {
      for (int64_t o = group; o < group + kGroup; ++o) {
        const int64_t end = o < g.filters ? std::min(g.channels, (block + 1) * block_channels) : 0;
        for (int64_t i = block * block_channels; i < end; ++i) {
          const int64_t tap = taps[o * g.channels + i];
          const float weight = w[o * g.channels + i];
          if (tap >= g.kernel_height * g.kernel_width || weight == 0) continue;
          const int64_t r = tap / g.kernel_width, s = tap % g.kernel_width;
          const int64_t plane = i * planes_of_channel + (r % g.stride_height) * g.kernel_width + s;
          const int64_t offset = plane * plane_size_ + r / g.stride_height * plane_width_;
          terms_.push_back({weight, static_cast<int32_t>(offset)});
        }
        first_term_.push_back(static_cast<int64_t>(terms_.size()));
      }
    }
  }
}

void TapPlanes::RunBlock(const float* x, float* y, int64_t first_row, int64_t rows, float* planes, float* sums) const {
  const ConvGeometry& g = geometry_;
  const int64_t width = plane_width_, out_width = g.out_width(), planes_of_channel = phase_rows_ * g.kernel_width;
  const int64_t step = g.stride_width * g.channels;
  for (int64_t k = 0; k < planes_of_channel; ++k) {
    // Columns of the plane that lie inside of the image.
    const int64_t shift = k % g.kernel_width - g.pad_width;
    const int64_t begin = std::clamp<int64_t>((-shift + g.stride_width - 1) / g.stride_width, 0, width);
    const int64_t last = g.width - 1 - shift;  // counted in pixels of the image; negative: there is none
    const int64_t end = last < 0 ? begin : std::clamp<int64_t>(last / g.stride_width + 1, begin, width);
    for (int64_t u = 0; u < rows + reach_rows_; ++u) {
      const int64_t row = (first_row + u) * g.stride_height + k / g.kernel_width - g.pad_height;
      float* const to = planes + k * plane_size_ + u * width;
      const bool is_inside = row >= 0 && row < g.height;
      const int64_t zeros = is_inside ? begin : width;
      for (int64_t i = 0; zeros > 0 && i < g.channels; ++i) {
        std::fill_n(to + i * planes_of_channel * plane_size_, zeros, 0.0f);
      }
      if (!is_inside) continue;
      for (int64_t i = 0; end < width && i < g.channels; ++i) {
        std::fill_n(to + i * planes_of_channel * plane_size_ + end, width - end, 0.0f);
      }
      HWY_DYNAMIC_DISPATCH(Transpose)
      (end - begin, g.channels, x + (row * g.width + shift) * g.channels + begin * step, step, to + begin,
       planes_of_channel * plane_size_);
    }
  }
  for (int64_t o = 0; o < g.filters; o += kGroup) {
    std::fill_n(sums, std::min(kGroup, g.filters - o) * sum_stride_, 0.0f);
    HWY_DYNAMIC_DISPATCH(SumFilters)
    (channel_blocks_, first_term_.data() + o / kGroup * channel_blocks_ * kGroup, terms_.data(), planes, rows * width,
     sum_stride_, sums);
    for (int64_t p = 0; p < rows; ++p) {
      HWY_DYNAMIC_DISPATCH(Transpose)
      (std::min(kGroup, g.filters - o), out_width, sums + p * width, sum_stride_,
       y + (first_row + p) * out_width * g.filters + o, g.filters);
    }
  }
}

void TapPlanes::Run(ExecContext& context, int64_t batch, const float* x, float* y) const {
  const ConvGeometry& g = geometry_;
  const int64_t blocks = (g.out_height() + block_.rows - 1) / block_.rows;
  const int64_t image = g.height * g.width * g.channels, result = g.out_height() * g.out_width() * g.filters;
  const int64_t pieces = batch * blocks, workers = std::min<int64_t>(context.threads(), pieces);
  if (pieces == 0) return;
  const int64_t size = plane_floats_ + std::min(kGroup, g.filters) * sum_stride_;
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
