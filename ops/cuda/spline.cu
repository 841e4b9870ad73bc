// Linear splines, one for each channel. The tables of coefficients are small and stay in caches, so the limit is the
// memory's: 8 bytes per element forward, 12 backward.
//
// The gradient of the coefficients is a histogram of sums. Each lane of a warp has a column of its own, so that loads
// are of whole lines, and sums for each knot of its channel in shared memory, which no other thread touches: there are
// no atomic additions, and their order is fixed. Where there are few channels, several rows are joined to one, so that
// all lanes have a column. Sums of a lane are of float, as each has few terms; those of lanes and blocks are added up
// in double (column_sums.h).

#include <algorithm>
#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/column_sums.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// The types below are not in an anonymous namespace, because device lambdas cannot capture types from there.
struct SplineSpot {
  int interval;
  float t;
};

struct SplineConstants {
  float inverse_step, middle, last_interval;

  explicit SplineConstants(const SplineGrid& grid)
      : inverse_step(grid.inverse_step()),
        middle(static_cast<float>(grid.knots / 2)),
        last_interval(static_cast<float>(grid.knots - 2)) {}

  __device__ SplineSpot Locate(float x) const {
    const float p = x * inverse_step + middle;
    // NaN is no interval's, and has to have an index all the same.
    const float from_left = p > 0.0f ? p : 0.0f;
    const int interval = static_cast<int>(from_left < last_interval ? from_left : last_interval);
    return {interval, p - static_cast<float>(interval)};
  }
  __device__ float Gradient(float dy, const float* ends) const { return dy * ((ends[1] - ends[0]) * inverse_step); }
};

namespace {

constexpr int kLanes = 32;  // columns of a block, which is one warp

// How a matrix [rows, channels] is cut: into rows of `width` elements, which are `joined` rows of the matrix, and these
// into pieces of `piece_rows` rows.
struct SplinePieces {
  int64_t joined, width, rows, strips, piece_rows, count;

  SplinePieces(int64_t matrix_rows, int64_t channels, int64_t knots)
      : joined(std::max<int64_t>(1, kLanes / channels)),
        width(joined * channels),
        rows((matrix_rows + joined - 1) / joined),
        strips((width + kLanes - 1) / kLanes) {
    // Enough blocks for a large GPU, but of so many rows that writing and reading the sums costs less than a third of
    // what the elements do.
    constexpr int64_t kBlocks = 132 * 16, kMostPieces = 65535;
    const int64_t wanted =
        std::clamp<int64_t>(std::min((kBlocks + strips - 1) / strips, rows / (4 * knots)), 1, kMostPieces);
    piece_rows = std::max<int64_t>(1, (rows + wanted - 1) / wanted);
    count = (rows + piece_rows - 1) / piece_rows;
  }
};

// partials [pieces, 2, knots, width]: for each knot the sums of dy and of dy t over the elements in the interval that
// begins there.
__global__ void __launch_bounds__(kLanes)
    SplineBackwardKernel(SplineConstants constants, int knots, int64_t channels, int64_t elements, int64_t width,
                         int64_t piece_rows, const float* x, const float* coefficients, const float* dy, float* dx,
                         float* partials) {
  BITGRAD_DYNAMIC_SHARED(shared);
  const int lane = static_cast<int>(threadIdx.x);
  const int64_t column = static_cast<int64_t>(blockIdx.x) * kLanes + lane;
  if (column >= width) return;
  float* const sums = reinterpret_cast<float*>(shared) + lane;  // of dy; of dy t behind them
  float* const moments = sums + knots * kLanes;
  for (int k = 0; k < knots; ++k) sums[k * kLanes] = moments[k * kLanes] = 0.0f;
  const float* const table = coefficients + column % channels * knots;
  const int64_t begin = blockIdx.y * piece_rows * width + column;
  const int64_t piece_end = (blockIdx.y + int64_t{1}) * piece_rows * width;
  const int64_t end = piece_end < elements ? piece_end : elements;
#pragma unroll 4
  for (int64_t e = begin; e < end; e += width) {
    const SplineSpot spot = constants.Locate(x[e]);
    const float g = dy[e];
    sums[spot.interval * kLanes] += g;
    moments[spot.interval * kLanes] += g * spot.t;
    if (dx != nullptr) dx[e] = constants.Gradient(g, table + spot.interval);
  }
  float* const to = partials + 2 * blockIdx.y * knots * width + column;
  for (int k = 0; k < knots; ++k) {
    to[k * width] = sums[k * kLanes];
    to[(knots + k) * width] = moments[k * kLanes];
  }
}

}  // namespace

void SplineForward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                   float* y, uint8_t* intervals) {
  const SplineConstants constants(grid);
  const int64_t knots = grid.knots;
  ForCells(context, "spline_forward", x.rows, x.cols, [=] __device__(int64_t i, int64_t n) {
    const int64_t e = i * x.cols + n;
    const SplineSpot spot = constants.Locate(x.data[e]);
    const float* const ends = coefficients + n * knots + spot.interval;
    y[e] = ends[0] + spot.t * (ends[1] - ends[0]);
    if (intervals != nullptr) intervals[e] = static_cast<uint8_t>(spot.interval);
  });
}

void SplineBackward(ExecContext& context, const SplineGrid& grid, ConstMatrixView<float> x, const float* coefficients,
                    const float* dy, float* dx, float* dc) {
  const int64_t knots = grid.knots, channels = x.cols;
  BITGRAD_DCHECK(channels > 0);
  const SplinePieces pieces(x.rows, channels, knots);
  const int64_t width = pieces.width, joined = pieces.joined;
  const Scratch<float> partials(context, pieces.count * 2 * knots * width);
  if (x.rows > 0) {
    const LaunchShape shape = {dim3(static_cast<unsigned>(pieces.strips), static_cast<unsigned>(pieces.count)),
                               dim3(kLanes), 2 * static_cast<size_t>(knots) * kLanes * sizeof(float)};
    Launch(context, "spline_backward", SplineBackwardKernel, shape, SplineConstants(grid), static_cast<int>(knots),
           channels, x.size(), width, pieces.piece_rows, x.data, coefficients, dy, dx, partials.data());
  }
  // dc_i = sum of dy (1 - t) over interval i + sum of dy t over interval i - 1. Rows of the sums are the joined rows of
  // all pieces, columns the channels for each knot.
  const float* const sums = partials.data();
  const int64_t table = knots * width;
  SumColumns<3>(
      context, "spline_backward", pieces.count * joined, knots * channels,
      [=] __device__(int64_t row, int64_t column, double* total) {
        const int64_t piece = row / joined, k = column / channels;
        const float* const at =
            sums + 2 * piece * table + k * width + (row - piece * joined) * channels + column - k * channels;
        total[0] += at[0];
        total[1] += at[table];
        if (k > 0) total[2] += at[table - width];
      },
      [=] __device__(int64_t column, const double* total) {
        const int64_t k = column / channels;
        dc[(column - k * channels) * knots + k] = static_cast<float>(total[0] - total[1] + total[2]);
      });
}

void SplineBackwardInput(ExecContext& context, const SplineGrid& grid, int64_t rows, int64_t channels,
                         const uint8_t* intervals, const float* coefficients, const float* dy, float* dx) {
  const SplineConstants constants(grid);
  const int64_t knots = grid.knots;
  ForCells(context, "spline_backward_input", rows, channels, [=] __device__(int64_t i, int64_t n) {
    const int64_t e = i * channels + n;
    dx[e] = constants.Gradient(dy[e], coefficients + n * knots + intervals[e]);
  });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
