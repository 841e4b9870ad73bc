#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/kernels/windows.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/pool.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"

HWY_BEFORE_NAMESPACE();
namespace bitgrad::cpu {

using WindowAxis = WindowAxisOf<int64_t>;
using Interval = WindowAxis::Interval;

namespace HWY_NAMESPACE {

namespace hn = hwy::HWY_NAMESPACE;

// Calls body(d, c) for vectors of channels c .. c + Lanes(d) - 1 that cover [0, channels). The last vector may overlap
// the one before it. REQUIRES: body may run twice for a channel: it reads nothing that it writes.
template <class Body>
HWY_INLINE void ForChannels(int64_t channels, const Body& body) {
  const hn::ScalableTag<float> d;
  const int64_t lanes = static_cast<int64_t>(hn::Lanes(d));
  int64_t c = 0;
  for (; c + lanes <= channels; c += lanes) body(d, c);
  if (c == channels) return;
  if (channels > lanes) {
    body(d, channels - lanes);
  } else {
    for (; c < channels; ++c) body(hn::CappedTag<float, 1>(), c);
  }
}

// Whether v replaces `best`: where v is larger, or where it is the first NaN.
template <class V>
HWY_INLINE auto Beats(V v, V best) {
  return hn::And(hn::Not(hn::Le(v, best)), hn::Eq(best, best));
}

template <class V>
HWY_INLINE void StoreIndices(V indices, uint8_t* argmax) {
  const hn::Rebind<uint8_t, hn::DFromV<V>> du;
  hn::StoreU(hn::DemoteTo(du, indices), du, argmax);
}

// Max pooling, row p of one image's output.
template <bool kWithArgmax>
HWY_INLINE void MaxRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* x, int64_t p,
                       float* y, uint8_t* argmax) {
  const Interval rows = height.Elements(p);
  for (int64_t q = 0; q < width.windows; ++q) {
    const Interval cols = width.Elements(q);
    ForChannels(channels, [&](auto d, int64_t c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      auto best = hn::LoadU(d, x + (rows.begin * width.extent + cols.begin) * channels + c);
      // Unsigned, because windows without argmax may have more elements than int32 can count.
      uint32_t first = static_cast<uint32_t>(height.Offset(p, rows.begin) * width.kernel + width.Offset(q, cols.begin));
      auto where = hn::Set(di, first);
      for (int64_t h = rows.begin; h < rows.end; ++h, first += static_cast<uint32_t>(width.kernel)) {
        const float* const row = x + h * width.extent * channels + c;
        uint32_t index = first;
        for (int64_t w = cols.begin; w < cols.end; ++w, ++index) {
          const auto v = hn::LoadU(d, row + w * channels);
          const auto better = Beats(v, best);
          best = hn::IfThenElse(better, v, best);
          if (kWithArgmax) where = hn::IfThenElse(hn::RebindMask(di, better), hn::Set(di, index), where);
        }
      }
      hn::StoreU(best, d, y + q * channels + c);
      if (kWithArgmax) StoreIndices(where, argmax + q * channels + c);
    });
  }
}

// The same for windows of 2 x 2 that lie inside the image, as most nets' pooling layers have them.
template <bool kWithArgmax>
HWY_INLINE void MaxRow2x2(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* x,
                          int64_t p, float* y, uint8_t* argmax) {
  const int64_t line = width.extent * channels;
  for (int64_t q = 0; q < width.windows; ++q) {
    const float* const window = x + p * height.stride * line + q * width.stride * channels;
    ForChannels(channels, [&](auto d, int64_t c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      const auto v0 = hn::LoadU(d, window + c), v1 = hn::LoadU(d, window + channels + c);
      const auto v2 = hn::LoadU(d, window + line + c), v3 = hn::LoadU(d, window + line + channels + c);
      const auto right0 = Beats(v1, v0), right1 = Beats(v3, v2);
      const auto upper = hn::IfThenElse(right0, v1, v0), lower = hn::IfThenElse(right1, v3, v2);
      const auto below = Beats(lower, upper);
      hn::StoreU(hn::IfThenElse(below, lower, upper), d, y + q * channels + c);
      if (kWithArgmax) {
        const auto where0 = hn::IfThenElseZero(hn::RebindMask(di, right0), hn::Set(di, 1));
        const auto where1 = hn::IfThenElse(hn::RebindMask(di, right1), hn::Set(di, 3), hn::Set(di, 2));
        StoreIndices(hn::IfThenElse(hn::RebindMask(di, below), where1, where0), argmax + q * channels + c);
      }
    });
  }
}

template <bool kWithArgmax>
HWY_INLINE void AnyMaxRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* x,
                          int64_t p, float* y, uint8_t* argmax) {
  if (height.kernel == 2 && width.kernel == 2 && height.AllInside() && width.AllInside()) {
    MaxRow2x2<kWithArgmax>(height, width, channels, x, p, y, argmax);
  } else {
    MaxRow<kWithArgmax>(height, width, channels, x, p, y, argmax);
  }
}

void MaxPoolRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* x, int64_t p,
                float* y, uint8_t* argmax) {
  if (argmax != nullptr) {
    AnyMaxRow<true>(height, width, channels, x, p, y, argmax);
  } else {
    AnyMaxRow<false>(height, width, channels, x, p, y, argmax);
  }
}

// Row h of one image's dx. Each element adds up what it gets from the windows that contain it, so that rows are
// independent and each sum has a fixed order.
void MaxPoolBackwardRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const uint8_t* argmax,
                        const float* dy, int64_t h, float* dx) {
  const Interval ps = height.WindowsOf(h);
  for (int64_t w = 0; w < width.extent; ++w) {
    const Interval qs = width.WindowsOf(w);
    ForChannels(channels, [&](auto d, int64_t c) HWY_ATTR {
      const hn::RebindToSigned<decltype(d)> di;
      const hn::Rebind<uint8_t, decltype(d)> du;
      auto sum = hn::Zero(d);
      for (int64_t p = ps.begin; p < ps.end; ++p) {
        for (int64_t q = qs.begin; q < qs.end; ++q) {
          const int64_t i = (p * width.windows + q) * channels + c;
          const auto index = hn::Set(di, static_cast<int32_t>(height.Offset(p, h) * width.kernel + width.Offset(q, w)));
          const auto chosen = hn::RebindMask(d, hn::Eq(hn::PromoteTo(di, hn::LoadU(du, argmax + i)), index));
          sum = hn::Add(sum, hn::IfThenElseZero(chosen, hn::LoadU(d, dy + i)));
        }
      }
      hn::StoreU(sum, d, dx + w * channels + c);
    });
  }
}

HWY_INLINE float Reciprocal(const Interval& rows, const Interval& cols) {
  return 1.0f / static_cast<float>(rows.size() * cols.size());
}

void AveragePoolRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* x, int64_t p,
                    float* y) {
  const Interval rows = height.Elements(p);
  for (int64_t q = 0; q < width.windows; ++q) {
    const Interval cols = width.Elements(q);
    const float scale = Reciprocal(rows, cols);
    ForChannels(channels, [&](auto d, int64_t c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int64_t h = rows.begin; h < rows.end; ++h) {
        for (int64_t w = cols.begin; w < cols.end; ++w) {
          sum = hn::Add(sum, hn::LoadU(d, x + (h * width.extent + w) * channels + c));
        }
      }
      hn::StoreU(hn::Mul(sum, hn::Set(d, scale)), d, y + q * channels + c);
    });
  }
}

// Row h of one image's dx, in the same way as MaxPoolBackwardRow().
void AveragePoolBackwardRow(const WindowAxis& height, const WindowAxis& width, int64_t channels, const float* dy,
                            int64_t h, float* dx) {
  const Interval ps = height.WindowsOf(h);
  for (int64_t w = 0; w < width.extent; ++w) {
    const Interval qs = width.WindowsOf(w);
    ForChannels(channels, [&](auto d, int64_t c) HWY_ATTR {
      auto sum = hn::Zero(d);
      for (int64_t p = ps.begin; p < ps.end; ++p) {
        const Interval rows = height.Elements(p);
        for (int64_t q = qs.begin; q < qs.end; ++q) {
          const auto scale = hn::Set(d, Reciprocal(rows, width.Elements(q)));
          sum = hn::Add(sum, hn::Mul(hn::LoadU(d, dy + (p * width.windows + q) * channels + c), scale));
        }
      }
      hn::StoreU(sum, d, dx + w * channels + c);
    });
  }
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(MaxPoolRow);
HWY_EXPORT(MaxPoolBackwardRow);
HWY_EXPORT(AveragePoolRow);
HWY_EXPORT(AveragePoolBackwardRow);

// Calls body(n, p) for each row p of each image n of the output.
template <typename Body>
void ForEachOutputRow(ExecContext& context, const PoolGeometry& g, const Body& body) {
  const int64_t windows = g.out_height();
  ParallelFor(context.threads(), g.batch * windows, RowGrain(g.kernel_height * g.width * g.channels),
              [&](int64_t begin, int64_t end) {
                for (int64_t i = begin; i < end; ++i) body(i / windows, i % windows);
              });
}

// Calls body(n, h) for each row h of each image n of the input.
template <typename Body>
void ForEachInputRow(ExecContext& context, const PoolGeometry& g, const Body& body) {
  ParallelFor(context.threads(), g.batch * g.height, RowGrain(g.width * g.channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) body(i / g.height, i % g.height);
  });
}

}  // namespace

void MaxPoolForward(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y, uint8_t* argmax) {
  CheckPoolGeometry(geometry);
  BITGRAD_DCHECK(argmax == nullptr || geometry.kernel_height * geometry.kernel_width <= 256);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t image = geometry.height * geometry.width * geometry.channels;
  const int64_t row = width.windows * geometry.channels;
  ForEachOutputRow(context, geometry, [&](int64_t n, int64_t p) {
    const int64_t at = (n * height.windows + p) * row;
    HWY_DYNAMIC_DISPATCH(MaxPoolRow)
    (height, width, geometry.channels, x + n * image, p, y + at, argmax == nullptr ? nullptr : argmax + at);
  });
}

void MaxPoolBackward(ExecContext& context, const PoolGeometry& geometry, const uint8_t* argmax, const float* dy,
                     float* dx) {
  CheckPoolGeometry(geometry);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t out_image = height.windows * width.windows * geometry.channels;
  const int64_t row = geometry.width * geometry.channels;
  ForEachInputRow(context, geometry, [&](int64_t n, int64_t h) {
    HWY_DYNAMIC_DISPATCH(MaxPoolBackwardRow)
    (height, width, geometry.channels, argmax + n * out_image, dy + n * out_image, h,
     dx + (n * geometry.height + h) * row);
  });
}

void AveragePoolForward(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y) {
  CheckPoolGeometry(geometry);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t image = geometry.height * geometry.width * geometry.channels;
  const int64_t row = width.windows * geometry.channels;
  ForEachOutputRow(context, geometry, [&](int64_t n, int64_t p) {
    HWY_DYNAMIC_DISPATCH(AveragePoolRow)
    (height, width, geometry.channels, x + n * image, p, y + (n * height.windows + p) * row);
  });
}

void AveragePoolBackward(ExecContext& context, const PoolGeometry& geometry, const float* dy, float* dx) {
  CheckPoolGeometry(geometry);
  const WindowAxis height = HeightAxis<int64_t>(geometry), width = WidthAxis<int64_t>(geometry);
  const int64_t out_image = height.windows * width.windows * geometry.channels;
  const int64_t row = geometry.width * geometry.channels;
  ForEachInputRow(context, geometry, [&](int64_t n, int64_t h) {
    HWY_DYNAMIC_DISPATCH(AveragePoolBackwardRow)
    (height, width, geometry.channels, dy + n * out_image, h, dx + (n * geometry.height + h) * row);
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
