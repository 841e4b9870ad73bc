// Kernels that process four elements per thread. Elements are numbered i * cols + j; quad q consists of the elements 4q
// .. 4q + 3. A quad takes one access of 16 bytes where rows follow each other without gaps, one block of random numbers
// (core/rng.h), and one division to find (i, j).

#ifndef BITGRAD_OPS_CUDA_QUADS_H_
#define BITGRAD_OPS_CUDA_QUADS_H_

#include <cstdint>

#include "bitgrad/core/view.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

struct Quad {
  int64_t first;  // the number of the first element
  int64_t i, j;   // the row and column of that element
  int size;       // 4, or less for the last quad
};

template <typename T>
struct alignas(4 * sizeof(T)) FourOf {
  T value[4];
};

// Whether the quads of a view are contiguous and aligned for a single access.
template <typename T>
bool HasWholeQuads(const MatrixView<T>& x) {
  return x.contiguous() && reinterpret_cast<uintptr_t>(x.data) % (4 * sizeof(T)) == 0;
}

inline LaunchShape OverQuads(int64_t rows, int64_t cols) { return OverElements((rows * cols + 3) / 4); }

// Calls f(quad) for this thread's share of the quads.
template <typename F>
__device__ void ForEachQuad(int64_t rows, int64_t cols, const F& f) {
  const int64_t count = rows * cols;
  ForEachElement((count + 3) / 4, [&](int64_t q) {
    const int64_t first = 4 * q;
    const int64_t i =
        count < (int64_t{1} << 31) ? static_cast<uint32_t>(first) / static_cast<uint32_t>(cols) : first / cols;
    f(Quad{first, i, first - i * cols, count - first < 4 ? static_cast<int>(count - first) : 4});
  });
}

// Calls f(k, i, j) for the elements of a quad.
template <typename F>
__device__ void ForEachOfQuad(const Quad& quad, int64_t cols, const F& f) {
  int64_t i = quad.i, j = quad.j;
#pragma unroll
  for (int k = 0; k < 4; ++k) {
    if (k < quad.size) f(k, i, j);
    if (++j == cols) {
      j = 0;
      ++i;
    }
  }
}

// `whole` is HasWholeQuads(x). Elements after the last one are 0.
template <typename T>
__device__ FourOf<T> LoadQuad(const MatrixView<const T>& x, const Quad& quad, bool whole) {
  if (whole && quad.size == 4) return *reinterpret_cast<const FourOf<T>*>(x.data + quad.first);
  FourOf<T> four = {};
  ForEachOfQuad(quad, x.cols, [&](int k, int64_t i, int64_t j) { four.value[k] = x.at(i, j); });
  return four;
}

template <typename T>
__device__ void StoreQuad(const FourOf<T>& four, const MatrixView<T>& y, const Quad& quad, bool whole) {
  if (whole && quad.size == 4) {
    *reinterpret_cast<FourOf<T>*>(y.data + quad.first) = four;
  } else {
    ForEachOfQuad(quad, y.cols, [&](int k, int64_t i, int64_t j) { y.at(i, j) = four.value[k]; });
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_QUADS_H_
