// Batch norm. All of its kernels are limited by memory; bytes per element:
//   statistics       4 read                            one pass: the sums are those of x - x[0] (ops/cpu/batch_norm.cc)
//                    8 read with shifts                the mean, then the variance of it
//   train_backward   8 read, then 8 read, 4 written    the column sums, then dx
//   eval             4 read, 4 written
//   signs            4 read, 1/8 or 1/4 written
// In all of them a thread stays in its column, so that the column's parameters are in registers, and a warp reads 32
// adjacent elements of a row.

#include <algorithm>
#include <cmath>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/column_sums.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// The number of rows that a thread loads before it uses any of them.
constexpr int kBatch = 4;
constexpr int64_t kRowsPerVisit = kTileRows * kBatch;

// Tiles over [rows, cols], enough to fill any GPU. Each tile works down its strip in steps of gridDim.y * kRowsPerVisit
// rows.
LaunchShape OverTiles(int64_t rows, int64_t cols) {
  constexpr int64_t kBlocks = 132 * 16;
  const int64_t strips = Strips(cols);
  const int64_t visits = (rows + kRowsPerVisit - 1) / kRowsPerVisit;
  return {dim3(static_cast<unsigned>(strips),
               static_cast<unsigned>(std::clamp<int64_t>((kBlocks + strips - 1) / strips, 1, visits))),
          dim3(kTileCols, kTileRows)};
}

// Calls visit(first) for this thread's visits to a strip. A visit covers the rows first + k kTileRows, k < kBatch;
// `visit` checks that they exist.
template <typename Visit>
__device__ void ForEachVisit(int64_t rows, const Visit& visit) {
  const int64_t step = gridDim.y * kRowsPerVisit;
  for (int64_t first = blockIdx.y * kRowsPerVisit + threadIdx.y; first < rows; first += step) visit(first);
}

__device__ int64_t TileColumn() { return static_cast<int64_t>(blockIdx.x) * kTileCols + threadIdx.x; }

__global__ void NormalizeKernel(ConstMatrixView<float> x, const float* mean, const float* inv_std, const float* gamma,
                                const float* beta, MatrixView<float> y) {
  const int64_t j = TileColumn();
  if (j >= x.cols) return;
  const float m = mean[j], s = inv_std[j], g = gamma[j], b = beta[j];
  ForEachVisit(x.rows, [&](int64_t first) {
    float v[kBatch];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;
      if (i < x.rows) v[k] = x.at(i, j);
    }
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;
      if (i < x.rows) y.at(i, j) = NormalizedValue(v[k], m, s, g, b);
    }
  });
}

// The strips also cover the padding columns, whose bits are all 0. The 32 bits of a half word are a warp's ballot.
__global__ void NormalizedSignsKernel(ConstMatrixView<float> x, const float* mean, const float* inv_std,
                                      const float* gamma, const float* beta, BitMatrixView bits, BitMatrixView window) {
  const int64_t j = TileColumn();
  const bool inside = j < x.cols;
  const float m = inside ? mean[j] : 0.0f, s = inside ? inv_std[j] : 0.0f;
  const float g = inside ? gamma[j] : 0.0f, b = inside ? beta[j] : 0.0f;
  ForEachVisit(x.rows, [&](int64_t first) {
    float v[kBatch];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;
      v[k] = inside && i < x.rows ? x.at(i, j) : 0.0f;
    }
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;  // the same in the whole warp
      if (i >= x.rows) break;
      const float y = NormalizedValue(v[k], m, s, g, b);
      const unsigned positive = __ballot_sync(0xffffffffu, inside && y >= 0.0f);
      if (threadIdx.x == 0) reinterpret_cast<uint32_t*>(bits.row(i))[blockIdx.x] = positive;
      if (window.words != nullptr) {
        const unsigned passing = __ballot_sync(0xffffffffu, inside && fabsf(y) <= 1.0f);
        if (threadIdx.x == 0) reinterpret_cast<uint32_t*>(window.row(i))[blockIdx.x] = passing;
      }
    }
  });
}

// The coefficients of dx = scale (dy - mean_dy - xhat slope), each [n]. dx may be dy.
struct InputGradient {
  float* scale;
  float* mean_dy;
  float* slope;
};

__global__ void InputGradientKernel(ConstMatrixView<float> x, ConstMatrixView<float> dy, const float* mean,
                                    const float* inv_std, BatchNormArithmetic arithmetic, InputGradient of,
                                    MatrixView<float> dx) {
  const int64_t j = TileColumn();
  if (j >= x.cols) return;
  const float m = mean[j], s = inv_std[j], scale = of.scale[j], mean_dy = of.mean_dy[j], slope = of.slope[j];
  ForEachVisit(x.rows, [&](int64_t first) {
    float v[kBatch], g[kBatch];
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;
      if (i < x.rows) {
        v[k] = x.at(i, j);
        g[k] = dy.at(i, j);
      }
    }
#pragma unroll
    for (int k = 0; k < kBatch; ++k) {
      const int64_t i = first + k * kTileRows;
      if (i < x.rows) {
        const float xhat = NormalizedForGradient(v[k], m, s, arithmetic);
        dx.at(i, j) = scale * (g[k] - mean_dy - xhat * slope);
      }
    }
  });
}

}  // namespace

void BatchNormStatistics(ExecContext& context, ConstMatrixView<float> x, float epsilon, EpsilonPlacement placement,
                         BatchNormArithmetic arithmetic, float* mean, float* variance, float* inv_std) {
  BITGRAD_DCHECK(x.rows > 0);
  const double rows = static_cast<double>(x.rows);
  SumColumns<2>(
      context, "batch_norm_statistics", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j, double* sums) {
        const double d = static_cast<double>(x.at(i, j)) - x.at(0, j);
        sums[0] += d;
        sums[1] += d * d;
      },
      [=] __device__(int64_t j, const double* sums) {
        const double d = sums[0] / rows;
        const double v = sums[1] / rows - d * d;
        mean[j] = static_cast<float>(x.at(0, j) + d);
        variance[j] = static_cast<float>(v < 0.0 ? 0.0 : v);
        inv_std[j] = InverseStd(variance[j], epsilon, placement);
      });
  if (arithmetic == BatchNormArithmetic::kExact) return;
  SumColumns<1>(
      context, "batch_norm_statistics", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j, double* sums) {
        const float c = x.at(i, j) - mean[j];
        sums[0] += static_cast<double>(c) * SignedNearestPower(c);
      },
      [=] __device__(int64_t j, const double* sums) {
        variance[j] = static_cast<float>(sums[0] / rows);
        inv_std[j] = InverseStd(variance[j], epsilon, placement);
      });
}

void BatchNormTrainBackward(ExecContext& context, ConstMatrixView<float> x, ConstMatrixView<float> dy,
                            const float* gamma, const float* mean, const float* variance, const float* inv_std,
                            EpsilonPlacement placement, BatchNormArithmetic arithmetic, MatrixView<float> dx,
                            float* dgamma, float* dbeta) {
  BITGRAD_DCHECK(x.rows > 0 && x.rows == dy.rows && x.cols == dy.cols);
  if (x.cols == 0) return;
  const double rows = static_cast<double>(x.rows);
  const Scratch<float> scratch(context, 3 * x.cols);
  const InputGradient of = {scratch.data(), scratch.data() + x.cols, scratch.data() + 2 * x.cols};
  SumColumns<2>(
      context, "batch_norm_train_backward", x.rows, x.cols,
      [=] __device__(int64_t i, int64_t j, double* sums) {
        const float xhat = NormalizedForGradient(x.at(i, j), mean[j], inv_std[j], arithmetic);
        const float g = dy.at(i, j);
        sums[0] += g;
        sums[1] += static_cast<double>(g) * xhat;
      },
      [=] __device__(int64_t j, const double* sums) {
        double kappa = 1.0;
        if (placement == EpsilonPlacement::kOutsideRoot) {
          kappa = variance[j] == 0.0f ? 0.0 : 1.0 / (std::sqrt(static_cast<double>(variance[j])) * inv_std[j]);
        }
        dbeta[j] = static_cast<float>(sums[0]);
        dgamma[j] = static_cast<float>(sums[1]);
        of.scale[j] = gamma[j] * inv_std[j];
        of.mean_dy[j] = static_cast<float>(sums[0] / rows);
        of.slope[j] = static_cast<float>(kappa * sums[1] / rows);
      });
  Launch(context, "batch_norm_train_backward", InputGradientKernel, OverTiles(x.rows, x.cols), x, dy, mean, inv_std,
         arithmetic, of, dx);
}

void BatchNormEval(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                   const float* gamma, const float* beta, MatrixView<float> y) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  if (x.size() == 0) return;
  Launch(context, "batch_norm_eval", NormalizeKernel, OverTiles(x.rows, x.cols), x, mean, inv_std, gamma, beta, y);
}

void BatchNormSigns(ExecContext& context, ConstMatrixView<float> x, const float* mean, const float* inv_std,
                    const float* gamma, const float* beta, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(x.rows == bits.rows && x.cols == bits.cols);
  if (x.size() == 0) return;
  Launch(context, "batch_norm_signs", NormalizedSignsKernel, OverTiles(x.rows, 64 * BitMatrix::WordsPerRow(x.cols)), x,
         mean, inv_std, gamma, beta, bits, window);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
