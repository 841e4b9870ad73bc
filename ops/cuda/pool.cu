// Pooling of floats. One thread computes one element, or four channels of it. Adjacent threads have adjacent channels,
// so that whole sectors are read. Limited by memory: each input is read once (where windows overlap, later reads come
// from a cache), and each output is written once.

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/divisor.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/windows.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

using WindowAxis = WindowAxisOf<int>;
using Interval = WindowAxis::Interval;

// Adjacent channels, loaded and stored with one access.
template <typename T, int kChannels>
struct alignas(kChannels * sizeof(T)) ChannelsOf {
  T value[kChannels];
};

template <int kChannels, typename T>
__device__ ChannelsOf<T, kChannels> Load(const T* p) {
  return *reinterpret_cast<const ChannelsOf<T, kChannels>*>(p);
}
template <int kChannels, typename T>
__device__ void Store(const ChannelsOf<T, kChannels>& channels, T* p) {
  *reinterpret_cast<ChannelsOf<T, kChannels>*>(p) = channels;
}

// Maps the number of an element to its position in images [N, extents, C].
struct Places {
  Divisor rows, cols, groups;  // a group has kChannels channels

  struct Place {
    int image, row, col, group;
  };
  __device__ Place At(uint32_t k) const {
    const uint32_t image_row_col = groups.Divide(&k), group = k;
    uint32_t col = image_row_col;
    uint32_t row = cols.Divide(&col);
    const uint32_t image = rows.Divide(&row);
    return {static_cast<int>(image), static_cast<int>(row), static_cast<int>(col), static_cast<int>(group)};
  }
};

struct Pooling {
  WindowAxis height, width;
  int64_t channels;
  Places places;  // of the elements that are written

  // The index of the first channel of a pixel: of x, and of y.
  __device__ int64_t InputAt(int image, int h, int w) const {
    return ((static_cast<int64_t>(image) * height.extent + h) * width.extent + w) * channels;
  }
  __device__ int64_t OutputAt(int image, int p, int q) const {
    return ((static_cast<int64_t>(image) * height.windows + p) * width.windows + q) * channels;
  }
};

// Of equal elements the first stays, and so does the first NaN.
template <int kChannels, bool kWithArgmax>
__global__ void MaxPoolKernel(Pooling pooling, const float* x, int64_t count, float* y, uint8_t* argmax) {
  ForEachElement(count, [&](int64_t k) {
    const auto [image, p, q, group] = pooling.places.At(static_cast<uint32_t>(k));
    const Interval rows = pooling.height.Elements(p), cols = pooling.width.Elements(q);
    const int c = group * kChannels;
    ChannelsOf<float, kChannels> best = Load<kChannels>(x + pooling.InputAt(image, rows.begin, cols.begin) + c);
    int where[kChannels];
    const int first = pooling.height.Offset(p, rows.begin) * pooling.width.kernel + pooling.width.Offset(q, cols.begin);
    for (int k = 0; k < kChannels; ++k) where[k] = first;
    for (int h = rows.begin; h < rows.end; ++h) {
      for (int w = cols.begin; w < cols.end; ++w) {
        const ChannelsOf<float, kChannels> v = Load<kChannels>(x + pooling.InputAt(image, h, w) + c);
        const int index = pooling.height.Offset(p, h) * pooling.width.kernel + pooling.width.Offset(q, w);
#pragma unroll
        for (int k = 0; k < kChannels; ++k) {
          if (!(v.value[k] <= best.value[k]) && best.value[k] == best.value[k]) {
            best.value[k] = v.value[k];
            where[k] = index;
          }
        }
      }
    }
    const int64_t at = pooling.OutputAt(image, p, q) + c;
    Store<kChannels>(best, y + at);
    if constexpr (kWithArgmax) {
      ChannelsOf<uint8_t, kChannels> indices;
      for (int k = 0; k < kChannels; ++k) indices.value[k] = static_cast<uint8_t>(where[k]);
      Store<kChannels>(indices, argmax + at);
    }
  });
}

// Each element adds up what it gets from the windows that contain it, so that each sum has a fixed order.
template <int kChannels>
__global__ void MaxPoolBackwardKernel(Pooling pooling, const uint8_t* argmax, const float* dy, int64_t count,
                                      float* dx) {
  ForEachElement(count, [&](int64_t k) {
    const auto [image, h, w, group] = pooling.places.At(static_cast<uint32_t>(k));
    const Interval ps = pooling.height.WindowsOf(h), qs = pooling.width.WindowsOf(w);
    const int c = group * kChannels;
    ChannelsOf<float, kChannels> sum = {};
    for (int p = ps.begin; p < ps.end; ++p) {
      for (int q = qs.begin; q < qs.end; ++q) {
        const int64_t at = pooling.OutputAt(image, p, q) + c;
        const ChannelsOf<uint8_t, kChannels> indices = Load<kChannels>(argmax + at);
        const ChannelsOf<float, kChannels> gradient = Load<kChannels>(dy + at);
        const int index = pooling.height.Offset(p, h) * pooling.width.kernel + pooling.width.Offset(q, w);
#pragma unroll
        for (int k = 0; k < kChannels; ++k) sum.value[k] += indices.value[k] == index ? gradient.value[k] : 0.0f;
      }
    }
    Store<kChannels>(sum, dx + pooling.InputAt(image, h, w) + c);
  });
}

__device__ float Reciprocal(const Interval& rows, const Interval& cols) {
  return 1.0f / static_cast<float>(static_cast<int64_t>(rows.size()) * cols.size());
}

template <int kChannels>
__global__ void AveragePoolKernel(Pooling pooling, const float* x, int64_t count, float* y) {
  ForEachElement(count, [&](int64_t k) {
    const auto [image, p, q, group] = pooling.places.At(static_cast<uint32_t>(k));
    const Interval rows = pooling.height.Elements(p), cols = pooling.width.Elements(q);
    const int c = group * kChannels;
    ChannelsOf<float, kChannels> sum = {};
    for (int h = rows.begin; h < rows.end; ++h) {
      for (int w = cols.begin; w < cols.end; ++w) {
        const ChannelsOf<float, kChannels> v = Load<kChannels>(x + pooling.InputAt(image, h, w) + c);
#pragma unroll
        for (int k = 0; k < kChannels; ++k) sum.value[k] += v.value[k];
      }
    }
    const float scale = Reciprocal(rows, cols);
#pragma unroll
    for (int k = 0; k < kChannels; ++k) sum.value[k] *= scale;
    Store<kChannels>(sum, y + pooling.OutputAt(image, p, q) + c);
  });
}

template <int kChannels>
__global__ void AveragePoolBackwardKernel(Pooling pooling, const float* dy, int64_t count, float* dx) {
  ForEachElement(count, [&](int64_t k) {
    const auto [image, h, w, group] = pooling.places.At(static_cast<uint32_t>(k));
    const Interval ps = pooling.height.WindowsOf(h), qs = pooling.width.WindowsOf(w);
    const int c = group * kChannels;
    ChannelsOf<float, kChannels> sum = {};
    for (int p = ps.begin; p < ps.end; ++p) {
      const Interval rows = pooling.height.Elements(p);
      for (int q = qs.begin; q < qs.end; ++q) {
        const float scale = Reciprocal(rows, pooling.width.Elements(q));
        const ChannelsOf<float, kChannels> gradient = Load<kChannels>(dy + pooling.OutputAt(image, p, q) + c);
#pragma unroll
        for (int k = 0; k < kChannels; ++k) sum.value[k] += gradient.value[k] * scale;
      }
    }
    Store<kChannels>(sum, dx + pooling.InputAt(image, h, w) + c);
  });
}

bool Aligned(const void* p) { return reinterpret_cast<uintptr_t>(p) % 16 == 0; }
// For loads of four indices at once.
bool AlignedIndices(const uint8_t* p) { return reinterpret_cast<uintptr_t>(p) % 4 == 0; }

// Calls launch.operator()<kChannels>(pooling, first image, threads) for ranges of images that are small enough for
// 32-bit element numbers. The elements are those of x (`of_x`) or of y. `whole` says whether all arrays are aligned for
// four channels at a time.
template <typename F>
void ForImages(const PoolGeometry& g, bool of_x, bool whole, const F& launch) {
  CheckPoolGeometry(g);
  const int64_t rows = of_x ? g.height : g.out_height(), cols = of_x ? g.width : g.out_width();
  if (g.batch * g.channels == 0) return;
  const auto run = [&]<int kChannels>() {
    const int64_t groups = g.channels / kChannels, image = rows * cols * groups;
    BITGRAD_CHECK(image < kMostDividends);
    const Pooling pooling = {
        HeightAxis<int>(g), WidthAxis<int>(g), g.channels, {Divisor(rows), Divisor(cols), Divisor(groups)}};
    const int64_t images = std::min(g.batch, (kMostDividends - 1) / image);
    for (int64_t n = 0; n < g.batch; n += images) {
      launch.template operator()<kChannels>(pooling, n, std::min(images, g.batch - n) * image);
    }
  };
  if (whole && g.channels % 4 == 0) {
    run.template operator()<4>();
  } else {
    run.template operator()<1>();
  }
}

int64_t InputImage(const PoolGeometry& g) { return g.height * g.width * g.channels; }
int64_t OutputImage(const PoolGeometry& g) { return g.out_height() * g.out_width() * g.channels; }

}  // namespace

void MaxPoolForward(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y, uint8_t* argmax) {
  BITGRAD_DCHECK(argmax == nullptr || geometry.kernel_height * geometry.kernel_width <= 256);
  const int64_t from = InputImage(geometry), to = OutputImage(geometry);
  ForImages(geometry, /*of_x=*/false, Aligned(x) && Aligned(y) && AlignedIndices(argmax),
            [&]<int kChannels>(const Pooling& pooling, int64_t n, int64_t count) {
              if (argmax == nullptr) {
                Launch(context, "max_pool_forward", MaxPoolKernel<kChannels, false>, OverElements(count), pooling,
                       x + n * from, count, y + n * to, nullptr);
              } else {
                Launch(context, "max_pool_forward", MaxPoolKernel<kChannels, true>, OverElements(count), pooling,
                       x + n * from, count, y + n * to, argmax + n * to);
              }
            });
}

void MaxPoolBackward(ExecContext& context, const PoolGeometry& geometry, const uint8_t* argmax, const float* dy,
                     float* dx) {
  const int64_t from = OutputImage(geometry), to = InputImage(geometry);
  ForImages(geometry, /*of_x=*/true, Aligned(dy) && Aligned(dx) && AlignedIndices(argmax),
            [&]<int kChannels>(const Pooling& pooling, int64_t n, int64_t count) {
              Launch(context, "max_pool_backward", MaxPoolBackwardKernel<kChannels>, OverElements(count), pooling,
                     argmax + n * from, dy + n * from, count, dx + n * to);
            });
}

void AveragePoolForward(ExecContext& context, const PoolGeometry& geometry, const float* x, float* y) {
  const int64_t from = InputImage(geometry), to = OutputImage(geometry);
  ForImages(geometry, /*of_x=*/false, Aligned(x) && Aligned(y),
            [&]<int kChannels>(const Pooling& pooling, int64_t n, int64_t count) {
              Launch(context, "average_pool_forward", AveragePoolKernel<kChannels>, OverElements(count), pooling,
                     x + n * from, count, y + n * to);
            });
}

void AveragePoolBackward(ExecContext& context, const PoolGeometry& geometry, const float* dy, float* dx) {
  const int64_t from = OutputImage(geometry), to = InputImage(geometry);
  ForImages(geometry, /*of_x=*/true, Aligned(dy) && Aligned(dx),
            [&]<int kChannels>(const Pooling& pooling, int64_t n, int64_t count) {
              Launch(context, "average_pool_backward", AveragePoolBackwardKernel<kChannels>, OverElements(count),
                     pooling, dy + n * from, count, dx + n * to);
            });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
