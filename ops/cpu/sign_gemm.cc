// Products of floats or int8 with packed signs.
//
// Threads share the groups of 64 columns of c (one word of each row of b) and the blocks of rows. For a group, the bits
// of some rows of b are expanded into a panel that stays in the first-level cache, and tiles of 6 rows of `a` (packed
// once, k by k) are multiplied with it. With AVX-512 a tile is 6 x 4 vectors: 24 accumulators, 4 vectors of the panel
// and a broadcast element of `a` fill the registers.
//
//   float   The panel holds -1.0 and +1.0. A product is exact, so a fused multiply-add rounds as an add does.
//   int8    With b = {0, 1}, sum a s = 2 sum a b - sum a. The panel holds four k of a column side by side, as VPDPBUSD
//           takes them: 64 multiply-accumulates per instruction. Targets without it multiply the integers as floats,
//           which is exact below 2^24, and as fast as the float product.
//   planes  int8 of two or three bits, where VPOPCNTQ counts the ones of words (sign_planes-inl.h). A word of the panel
//           holds 64 k of a column, and a tile is computed in halves of 6 x 4 vectors of 8 counts.
//
// Limits per cycle and core: two fused multiply-adds or two VPDPBUSD, that is 32 float or 128 int8 MACs (AVX-512), or
// 341 MACs of a plane, whose three instructions share two ports. From one block of k to the next the partial sums are
// stored in c or in scratch, as floats or as the bits of int32.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <type_traits>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/lane_sum.h"
#include "bitgrad/ops/cpu/segments.h"
#include "bitgrad/ops/cpu/sign_problem.h"
#include "bitgrad/ops/kernels/scratch.h"
#include "hwy/cache_control.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/sign_gemm.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "bitgrad/ops/cpu/bits-inl.h"
#include "bitgrad/ops/cpu/sign_arithmetic-inl.h"
#include "bitgrad/ops/cpu/sign_planes-inl.h"

HWY_BEFORE_NAMESPACE();
#if HWY_TARGET <= HWY_AVX3_DL && HWY_ARCH_X86
// Every CPU of this target has AVX512_VNNI (Highway checks for it), but Highway 1.0.3 does not enable it in the
// compiler.
#pragma GCC target("avx512vnni")
#endif
namespace bitgrad::cpu {
namespace HWY_NAMESPACE {

// Calls body(arithmetic) with the arithmetic for `a`.
template <typename Body>
HWY_INLINE void WithArithmetic(const SignProblem& p, const Body& body) {
  if (p.a_s8.data == nullptr) return body(FloatArithmetic(p));
  switch (PlanesOf(p)) {
    case 0: return body(Int8Arithmetic(p));
    case 1: return body(PlaneArithmetic<1>(p));
    default: return body(PlaneArithmetic<2>(p));
  }
}

template <typename T>
constexpr int64_t Steps(int64_t k) {
  return (k + T::kStep - 1) / T::kStep;
}

// The beginning of tile `tile` of `a`. The last tile may have fewer rows.
template <typename T>
typename T::A* TileOf(const SignProblem& p, int64_t tile) {
  return static_cast<typename T::A*>(p.tiles) + tile * kSignTileRows * Steps<T>(p.k()) * T::kRow;
}

void PackTiles(const SignProblem& p, int64_t begin, int64_t end) {
  WithArithmetic(p, [&]<typename T>(const T& arithmetic) {
    for (int64_t tile = begin; tile < end; ++tile) {
      const int64_t row = tile * kSignTileRows;
      arithmetic.Pack(row, std::min(kSignTileRows, p.m() - row), TileOf<T>(p, tile));
    }
  });
}

// Adds `steps` steps of k to the sums of kRows rows and kWidth columns. The sums start from the partial sums at `c`,
// or from zero where these are the `first` steps. After the `last` steps the results are stored, bypassing the cache
// where `past_cache`, and the sum of their squares is returned; before, the partial sums are stored and the return
// value is 0.
template <typename T, int kRows>
HWY_NOINLINE float Tile(const T& t, const typename T::A* a, const typename T::B* panel, int64_t steps, int64_t row,
                        bool first, bool last, bool past_cache, float* c, int64_t stride) {
  typename T::Sum sum[kRows][kVectors];
  T::Sums(a, panel, steps, first ? nullptr : c, stride, sum);
  const FloatTag d;
  Floats squares[kVectors];
  for (int v = 0; v < kVectors; ++v) squares[v] = hn::Zero(d);
#pragma GCC unroll 8
  for (int r = 0; r < kRows; ++r) {
#pragma GCC unroll 8
    for (int v = 0; v < kVectors; ++v) {
      float* out = c + r * stride + v * kLanes;
      if (!last) {
        T::StorePartial(sum[r][v], out);
        continue;
      }
      const Floats result = t.Result(row + r, sum[r][v]);
      squares[v] = hn::MulAdd(result, result, squares[v]);
      if (past_cache) {
        hn::Stream(result, d, out);
      } else {
        hn::StoreU(result, d, out);
      }
    }
  }
  for (int v = 1; v < kVectors; ++v) squares[0] = hn::Add(squares[0], squares[v]);
  return hn::GetLane(hn::SumOfLanes(d, squares[0]));
}

// Multiplies one block of rows with one group. `sums` has room for the block's rows, 64 columns each. Returns the sum
// of the squares of the results.
template <typename T>
double MultiplyBlock(const SignProblem& p, const T& arithmetic, int64_t group, int64_t block, float* sums) {
  static constexpr decltype(&Tile<T, 1>) kTiles[kSignTileRows] = {Tile<T, 1>, Tile<T, 2>, Tile<T, 3>,
                                                                  Tile<T, 4>, Tile<T, 5>, Tile<T, 6>};
  alignas(64) typename T::B panel[Steps<T>(T::kBlock) * T::kColumn * kSignGroup];
  const int64_t row_begin = block * kSignBlockTiles * kSignTileRows;
  const int64_t row_end = std::min(p.m(), row_begin + kSignBlockTiles * kSignTileRows);
  const int64_t column = group * kSignGroup;
  const int64_t columns = std::min(kSignGroup, p.c.cols - column);
  // The tile writes straight into c where there are no partial sums to store and all 64 columns exist.
  const bool direct = columns == kSignGroup && p.k() <= T::kBlock;
  float* const out = direct ? p.c.row(row_begin) + column : sums;
  const int64_t stride = direct ? p.c.stride : kSignGroup;
  double squares = 0;
  int64_t k = 0;
  do {
    const int64_t count = std::min(T::kBlock, p.k() - k);
    const int64_t steps = Steps<T>(count);
    arithmetic.Expand(group, k, count, panel);
    for (int64_t row = row_begin; row < row_end; row += kSignTileRows) {
      const int64_t rows = std::min(kSignTileRows, row_end - row);
      const auto* a = TileOf<T>(p, row / kSignTileRows) + Steps<T>(k) * T::kRow * rows;
      for (int64_t begin = 0; begin < columns; begin += kWidth) {
        const float tile_squares =
            kTiles[rows - 1](arithmetic, a, panel + begin * steps * T::kColumn, steps, row, k == 0, k + count == p.k(),
                             direct && p.past_cache, out + (row - row_begin) * stride + begin, stride);
        if (direct) squares += tile_squares;
      }
    }
    k += count;
  } while (k < p.k());
  for (int64_t row = row_begin; row < row_end && !direct; ++row) {
    float* const c = p.c.row(row) + column;
    std::copy_n(sums + (row - row_begin) * kSignGroup, columns, c);
    if (p.wants_squares) squares += LaneSum(columns, [c](int64_t j) { return static_cast<double>(c[j]) * c[j]; });
  }
  return squares;
}

// Multiplies units [begin, end), which are (group, block of rows) pairs. `sums` is the thread's own scratch.
void Multiply(const SignProblem& p, int64_t begin, int64_t end, float* sums) {
  WithArithmetic(p, [&](const auto& arithmetic) {
    for (int64_t unit = begin; unit < end; ++unit) {
      p.squares[unit] = MultiplyBlock(p, arithmetic, unit / p.blocks(), unit % p.blocks(), sums);
    }
  });
  hwy::FlushStream();  // because the next reader may be another thread
}

}  // namespace HWY_NAMESPACE
}  // namespace bitgrad::cpu
HWY_AFTER_NAMESPACE();

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(PackTiles);
HWY_EXPORT(Multiply);

// The least number of multiply-accumulates that is worth a thread: they take some ten microseconds.
constexpr int64_t kMacGrain = 1 << 20;
// A result of this size has left the cache before it is read, so stores bypass the cache.
constexpr int64_t kPastCacheBytes = int64_t{16} << 20;

void SignGemm(ExecContext& context, SignProblem p, double* squares) {
  if (squares != nullptr) *squares = 0;
  BITGRAD_DCHECK(p.c.cols == p.b.cols);
  if (p.m() == 0 || p.c.cols == 0) return;
  // Elements are floats, int8 where the instruction set multiplies int8, or bit planes, at most three words for each 64
  // of at least 64. The room for floats is enough for all of them.
  const Scratch<float> tiles(context, p.m() * ((p.k() + 3) / 4 * 4));
  const Scratch<int32_t> row_sums(context, p.m());
  p.tiles = tiles.data();
  p.row_sums = row_sums.data();
  p.wants_squares = squares != nullptr;
  p.past_cache = p.c.stride % 16 == 0 && reinterpret_cast<uintptr_t>(p.c.data) % 64 == 0 &&
                 p.c.size() * static_cast<int64_t>(sizeof(float)) >= kPastCacheBytes;
  ParallelFor(context.threads(), p.tile_count(), std::max<int64_t>(1, RowGrain(p.k()) / kSignTileRows),
              [&](int64_t begin, int64_t end) {
                HWY_DYNAMIC_DISPATCH(PackTiles)
                (p, begin, end);
              });
  const int64_t units = p.groups() * p.blocks();
  const int64_t ranges =
      std::clamp<int64_t>(p.m() * p.c.cols * std::max<int64_t>(1, p.k()) / kMacGrain, 1, context.threads());
  constexpr int64_t kSums = kSignBlockTiles * kSignTileRows * kSignGroup;
  const Scratch<float> sums(context, ranges * kSums);
  const Scratch<double> unit_squares(context, units);
  p.squares = unit_squares.data();
  ParallelFor(context.threads(), ranges, 1, [&](int64_t first, int64_t last) {
    for (int64_t r = first; r < last; ++r) {
      HWY_DYNAMIC_DISPATCH(Multiply)(p, units * r / ranges, units * (r + 1) / ranges, sums.data() + r * kSums);
    }
  });
  for (int64_t unit = 0; unit < units && squares != nullptr; ++unit) *squares += p.squares[unit];
}

}  // namespace

void SignGemmF32(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                 ConstBitMatrixView b, MatrixView<float> c, double* squares) {
  BITGRAD_DCHECK(scale.is_uniform());
  BITGRAD_DCHECK((transpose_a ? a.cols : a.rows) == c.rows && (transpose_a ? a.rows : a.cols) == b.rows);
  SignGemm(context, {.a_f32 = a, .transpose_a = transpose_a, .b = b, .c = c, .scale = scale.at(0)}, squares);
}

void SignGemmS8(ExecContext& context, const float* scale, ConstMatrixView<int8_t> a, int max_code, ConstBitMatrixView b,
                MatrixView<float> c, double* squares) {
  BITGRAD_DCHECK(a.rows == c.rows && a.cols == b.rows && b.rows <= kMaxSignGemmS8Inner);
  SignGemm(context, {.a_s8 = a, .max_code = max_code, .b = b, .c = c, .scales = scale}, squares);
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
