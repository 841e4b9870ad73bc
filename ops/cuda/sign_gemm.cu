// Products of floats, or of bytes, with packed signs on tensor cores: the backward pass of a binary layer.
//
// +-1 is exact in bf16 and in a byte, so the signs lose nothing. A float is represented as the sum of up to three bf16
// pieces (8 bits of mantissa each, 24 together). With one piece, a product has the operand's rounding to bf16; with
// three pieces it is not rounded. The accumulators are float32 (ExecContext::Options::backward).
//
// The signs stay packed until they are in registers: a lane reads the words of its rows of b and makes its fragments of
// +-1 from their bits. Expanding them in memory first would write and read 16 times the bytes that are read here; for a
// 4096 x 4096 layer at batch 100 that alone costs more than the product.
//
// a is read with ordinary loads, because its rows need not be aligned. While one slice is multiplied, the next is split
// into pieces and stored in shared memory. a^T keeps its layout there and is transposed by the matrix loads.
//
// Limits (H200): dx at batch 100, and dw, are limited by latency and by the 64 MB of dw. In large products mma.sync
// reaches about 0.6 of the bf16 peak, and a warp tile of 64 x 32 makes 8 registers of signs (40 instructions) for 16
// products per piece. Where all extents are large enough, another kernel multiplies the floats
// (sign_gemm_in_memory.cu).

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/mma.h"
#include "bitgrad/ops/cuda/sign_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

struct SignOperands {
  ConstBitMatrixView b;  // [K, n]
  MatrixView<float> c;
  int64_t inner;  // K, the inner dimension
};

// ---- Floats: kPieces bf16 pieces each. A slice is 32 values of k.

template <int kPieces_, bool kTransposed_>
struct FloatRows {
  static constexpr int kPieces = kPieces_;
  static constexpr bool kTransposed = kTransposed_;
  static constexpr int kSlice = 32;  // values of k in a slice
  static constexpr int kStep = 16;   // values of k in one instruction
  using Element = uint16_t;
  using Sum = float;
  using Loaded = float;

  ConstMatrixView<float> a;  // [m, K], or [K, m]
  ScaleView scale;           // one number

  __device__ __forceinline__ float Load(int64_t row, int64_t k) const {
    return kTransposed ? a.at(k, row) : a.at(row, k);
  }
  static __device__ __forceinline__ void Split(float x, Element (&pieces)[kPieces]) {
#pragma unroll
    for (int p = 0; p < kPieces; ++p) {
      pieces[p] = ToBf16(x);
      x -= __uint_as_float(static_cast<uint32_t>(pieces[p]) << 16);
    }
  }
  __device__ __forceinline__ float ScaleOf(int64_t) const { return scale.at(0); }

  // The words that a lane needs are those of rows 2q, 2q + 1, 2q + 8 and 2q + 9; Signs() makes b's fragment from their
  // bit `bit`.
  static constexpr int kWords = 4;
  static __device__ __forceinline__ int RowOfWord(int q, int w) { return 2 * q + w % 2 + w / 2 * 8; }
  static __device__ __forceinline__ void Signs(const uint32_t (&words)[kWords], int bit, uint32_t (&b)[2]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      const uint32_t low = words[2 * r] >> bit & 1;
      const uint32_t high = words[2 * r + 1] >> bit & 1;
      b[r] = 0xbf80bf80u ^ (low << 15 | high << 31);
    }
  }
  static __device__ __forceinline__ void Multiply(Sum (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaBf16(c, a, b);
  }
};

// ---- Signed bytes. A slice is 32 values of k.

struct ByteRows {
  static constexpr int kPieces = 1;
  static constexpr bool kTransposed = false;
  static constexpr int kSlice = 32;
  static constexpr int kStep = 32;
  using Element = uint8_t;
  using Sum = int32_t;
  using Loaded = int8_t;

  ConstMatrixView<int8_t> a;
  const float* scales;

  __device__ __forceinline__ int8_t Load(int64_t row, int64_t k) const { return a.at(row, k); }
  static __device__ __forceinline__ void Split(int8_t x, Element (&pieces)[1]) { pieces[0] = static_cast<uint8_t>(x); }
  __device__ __forceinline__ float ScaleOf(int64_t row) const { return scales[row]; }

  static constexpr int kWords = 8;
  static __device__ __forceinline__ int RowOfWord(int q, int w) { return 4 * q + w % 4 + w / 4 * 16; }
  static __device__ __forceinline__ void Signs(const uint32_t (&words)[kWords], int bit, uint32_t (&b)[2]) {
#pragma unroll
    for (int r = 0; r < 2; ++r) {
      uint32_t bits = 0;
#pragma unroll
      for (int i = 0; i < 4; ++i) bits |= (words[4 * r + i] >> bit & 1) << 8 * i;
      b[r] = ~(bits * 0xfe);  // in each byte 1 where the bit is 1, else -1
    }
  }
  static __device__ __forceinline__ void Multiply(Sum (&c)[4], const uint32_t (&a)[4], const uint32_t (&b)[2]) {
    MmaS8(c, a, b);
  }
};

// ---- The kernel

template <int kRows_, int kCols_, int kWarpRows_>
struct SignTile {
  static constexpr int kRows = kRows_, kCols = kCols_, kWarpRows = kWarpRows_, kWarpCols = 32;
  static constexpr int kThreads = kRows / kWarpRows * (kCols / kWarpCols) * 32;
};
using LargeSignTile = SignTile<128, 128, 64>;
using SmallSignTile = SignTile<64, 64, 32>;

template <typename Tile, typename Rows>
struct SignShared {
  // A row takes 16 bytes more than it needs, so that the eight rows of a matrix load lie in different banks.
  static constexpr int kRowBytes =
      (Rows::kTransposed ? Tile::kRows : Rows::kSlice) * static_cast<int>(sizeof(typename Rows::Element)) + 16;
  static constexpr int kRowCount = Rows::kTransposed ? Rows::kSlice : Tile::kRows;
  static constexpr int kPieceBytes = kRowBytes * kRowCount;
  static constexpr int kSignWords = Tile::kCols / 32;  // 32-bit words in a row of b
  struct Stage {
    alignas(16) unsigned char a[Rows::kPieces][kPieceBytes];
    alignas(16) uint32_t signs[Rows::kSlice][kSignWords];
  };
  Stage stages[2];
};

// The elements that a thread moves from global to shared memory, by way of registers.
template <typename Tile, typename Rows>
struct InFlight {
  static constexpr int kLoads = Tile::kRows * Rows::kSlice / Tile::kThreads;
  static constexpr int kWords = (Rows::kSlice * (Tile::kCols / 32) + Tile::kThreads - 1) / Tile::kThreads;
  typename Rows::Loaded a[kLoads];
  uint32_t signs[kWords];

  // The row, and the k, of the i-th element within a slice. Adjacent threads have elements that are adjacent in memory.
  static __device__ __forceinline__ int RowOf(int i) {
    return Rows::kTransposed ? (i * Tile::kThreads + static_cast<int>(threadIdx.x)) % Tile::kRows
                             : (i * Tile::kThreads + static_cast<int>(threadIdx.x)) / Rows::kSlice;
  }
  static __device__ __forceinline__ int InnerOf(int i) {
    return Rows::kTransposed ? (i * Tile::kThreads + static_cast<int>(threadIdx.x)) / Tile::kRows
                             : (i * Tile::kThreads + static_cast<int>(threadIdx.x)) % Rows::kSlice;
  }

  __device__ __forceinline__ void Load(const SignOperands& x, const Rows& rows, int64_t row0, int64_t col0,
                                       int64_t k0) {
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      const int64_t row = row0 + RowOf(i);
      const int64_t k = k0 + InnerOf(i);
      a[i] = row < x.c.rows && k < x.inner ? rows.Load(row, k) : typename Rows::Loaded{0};
    }
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const int word = i * Tile::kThreads + static_cast<int>(threadIdx.x);
      const int64_t k = k0 + word / (Tile::kCols / 32);
      const int64_t column = col0 / 32 + word % (Tile::kCols / 32);
      signs[i] = word < Rows::kSlice * (Tile::kCols / 32) && k < x.inner && column < x.b.stride * 2
                     ? reinterpret_cast<const uint32_t*>(x.b.row(k))[column]
                     : 0;
    }
  }

  __device__ __forceinline__ void Store(typename SignShared<Tile, Rows>::Stage& stage) const {
    using Element = typename Rows::Element;
#pragma unroll
    for (int i = 0; i < kLoads; ++i) {
      Element pieces[Rows::kPieces];
      Rows::Split(a[i], pieces);
      const int r = Rows::kTransposed ? InnerOf(i) : RowOf(i);
      const int c = Rows::kTransposed ? RowOf(i) : InnerOf(i);
#pragma unroll
      for (int p = 0; p < Rows::kPieces; ++p) {
        reinterpret_cast<Element*>(stage.a[p] + r * SignShared<Tile, Rows>::kRowBytes)[c] = pieces[p];
      }
    }
#pragma unroll
    for (int i = 0; i < kWords; ++i) {
      const int word = i * Tile::kThreads + static_cast<int>(threadIdx.x);
      if (word < Rows::kSlice * (Tile::kCols / 32))
        stage.signs[word / (Tile::kCols / 32)][word % (Tile::kCols / 32)] = signs[i];
    }
  }
};

template <typename Tile, typename Rows>
__global__ void __launch_bounds__(Tile::kThreads) SignGemmKernel(SignOperands x, Rows rows) {
  using Shared = SignShared<Tile, Rows>;
  BITGRAD_DYNAMIC_SHARED(memory);
  Shared& shared = *reinterpret_cast<Shared*>(memory);
  constexpr int kRowTiles = Tile::kWarpRows / 16, kColTiles = Tile::kWarpCols / 8;

  const int64_t row0 = static_cast<int64_t>(blockIdx.y) * Tile::kRows;
  const int64_t col0 = static_cast<int64_t>(blockIdx.x) * Tile::kCols;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  constexpr int kWarpColumns = Tile::kCols / Tile::kWarpCols;
  const int warp_row = warp / kWarpColumns * Tile::kWarpRows;
  const int warp_col = warp % kWarpColumns * Tile::kWarpCols;

  typename Rows::Sum sums[kRowTiles][kColTiles][4] = {};
  InFlight<Tile, Rows> next;
  next.Load(x, rows, row0, col0, 0);
  next.Store(shared.stages[0]);
  __syncthreads();

  const int slices = static_cast<int>((x.inner + Rows::kSlice - 1) / Rows::kSlice);
  for (int slice = 0; slice < slices; ++slice) {
    if (slice + 1 < slices) next.Load(x, rows, row0, col0, static_cast<int64_t>(slice + 1) * Rows::kSlice);
    const typename Shared::Stage& stage = shared.stages[slice % 2];
#pragma unroll
    for (int step = 0; step < Rows::kSlice / Rows::kStep; ++step) {
      uint32_t words[Rows::kWords];
#pragma unroll
      for (int w = 0; w < Rows::kWords; ++w) {
        words[w] = stage.signs[step * Rows::kStep + Rows::RowOfWord(lane % 4, w)][warp_col / 32] >> lane / 4;
      }
      uint32_t b[kColTiles][2];
#pragma unroll
      for (int t = 0; t < kColTiles; ++t) Rows::Signs(words, 8 * t, b[t]);
#pragma unroll
      for (int p = 0; p < Rows::kPieces; ++p) {
#pragma unroll
        for (int i = 0; i < kRowTiles; ++i) {
          uint32_t a[4];
          if constexpr (Rows::kTransposed) {
            const int k = step * 16 + lane % 8 + lane / 16 * 8;
            const int r = warp_row + 16 * i + lane / 8 % 2 * 8;
            LoadTransposed(a, stage.a[p] + k * Shared::kRowBytes + r * 2);
          } else {
            const int r = warp_row + 16 * i + lane % 16;
            LoadMatrices(a, stage.a[p] + r * Shared::kRowBytes + step * 32 + lane / 16 * 16);
          }
#pragma unroll
          for (int t = 0; t < kColTiles; ++t) Rows::Multiply(sums[i][t], a, b[t]);
        }
      }
    }
    if (slice + 1 < slices) next.Store(shared.stages[(slice + 1) % 2]);
    __syncthreads();
  }

#pragma unroll
  for (int half = 0; half < 2 * kRowTiles; ++half) {
    const int64_t i = row0 + warp_row + 8 * half + lane / 4;
    if (i >= x.c.rows) continue;
    const float scale = rows.ScaleOf(i);
    const int64_t j0 = col0 + warp_col;
#pragma unroll
    for (int t = 0; t < kColTiles; ++t) {
#pragma unroll
      for (int k = 0; k < 2; ++k) {
        const int bit = 8 * t + lane % 4 * 2 + k;
        if (j0 + bit >= x.c.cols) continue;
        const float sum = static_cast<float>(sums[half / 2][t][half % 2 * 2 + k]);
        x.c.at(i, j0 + bit) = scale * sum;
      }
    }
  }
}

template <typename Tile, typename Rows>
void LaunchTile(ExecContext& context, const char* name, const SignOperands& x, const Rows& rows) {
  const LaunchShape shape = {dim3(static_cast<unsigned>((x.c.cols + Tile::kCols - 1) / Tile::kCols),
                                  static_cast<unsigned>((x.c.rows + Tile::kRows - 1) / Tile::kRows)),
                             dim3(Tile::kThreads), sizeof(SignShared<Tile, Rows>)};
  Launch(context, name, SignGemmKernel<Tile, Rows>, shape, x, rows);
}

template <typename Rows>
void Multiply(ExecContext& context, const char* name, const SignOperands& x, const Rows& rows) {
  if (x.c.rows == 0 || x.c.cols == 0) return;
  // The large tile is used where it gives work to every multiprocessor of a large GPU. With three pieces it would need
  // too many registers.
  if constexpr (Rows::kPieces < 3) {
    if (((x.c.rows + 127) / 128) * ((x.c.cols + 127) / 128) >= 132)
      return LaunchTile<LargeSignTile>(context, name, x, rows);
  }
  LaunchTile<SmallSignTile>(context, name, x, rows);
}

template <int kPieces>
void MultiplyFloats(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                    const SignOperands& x) {
  if (transpose_a) {
    Multiply(context, "sign_gemm_f32", x, FloatRows<kPieces, true>{a, scale});
  } else {
    Multiply(context, "sign_gemm_f32", x, FloatRows<kPieces, false>{a, scale});
  }
}

}  // namespace

void SignGemmInRegisters(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                         ConstBitMatrixView b, MatrixView<float> c) {
  const SignOperands x = {b, c, b.rows};
  switch (context.backward_precision()) {
    case BackwardPrecision::kBf16: return MultiplyFloats<1>(context, transpose_a, scale, a, x);
    case BackwardPrecision::kBf16x2: return MultiplyFloats<2>(context, transpose_a, scale, a, x);
    case BackwardPrecision::kFloat32: return MultiplyFloats<3>(context, transpose_a, scale, a, x);
  }
}

void SignGemmF32(ExecContext& context, bool transpose_a, const ScaleView& scale, ConstMatrixView<float> a,
                 ConstBitMatrixView b, MatrixView<float> c, double* squares) {
  BITGRAD_DCHECK(squares == nullptr && scale.is_uniform());
  BITGRAD_DCHECK(c.cols == b.cols && c.rows == (transpose_a ? a.cols : a.rows) &&
                 b.rows == (transpose_a ? a.rows : a.cols));
  if (IsFasterInMemory(context.backward_precision(), b.rows, c)) {
    SignGemmInMemory(context, transpose_a, scale, a, b, c);
  } else {
    SignGemmInRegisters(context, transpose_a, scale, a, b, c);
  }
}

void SignGemmS8(ExecContext& context, const float* scale, ConstMatrixView<int8_t> a, int /*max_code*/,
                ConstBitMatrixView b, MatrixView<float> c, double* squares) {
  BITGRAD_DCHECK(squares == nullptr);
  BITGRAD_DCHECK(c.cols == b.cols && c.rows == a.rows && b.rows == a.cols && a.cols <= kMaxSignGemmS8Inner);
  Multiply(context, "sign_gemm_s8", SignOperands{b, c, b.rows}, ByteRows{a, scale});
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
