// Products by XOR and population count on the CUDA cores, for few rows of a.
//
// A block computes 32 columns of all rows of c. Its warps share the rows of b; each lane compares 16 bytes of K at a
// time with every row of a, and shuffles add up the lanes' counts. Then one warp per row of c stores 32 results, or one
// word of bits.
//
// Limit: reading b. 4096 x 4096 bits are 2 MB, which the L2 cache holds from call to call, so a layer at batch 1 takes
// the latency of a launch and of a few loads: 128 blocks of 8 warps, with four rows of 512 bytes per warp.

#include "bitgrad/ops/cuda/few_rows_gemm.h"

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/levels.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

constexpr int kColumns = 32;  // columns of a block: one word of bits
constexpr int kWarps = 8;

struct StoreFloat {
  MatrixView<float> c;
  ScaleView scale;
  __device__ void operator()(int64_t i, int64_t j0, int lane, int32_t dot) const {
    if (j0 + lane < c.cols) c.at(i, j0 + lane) = static_cast<float>(dot) * scale.at(j0 + lane);
  }
};
struct StoreBits {
  BitMatrixView c;
  const int32_t* threshold;
  const uint8_t* flip;
  __device__ void operator()(int64_t i, int64_t j0, int lane, int32_t dot) const {
    const int64_t j = j0 + lane;
    const bool bit = j < c.cols && (dot >= threshold[j]) != (flip[j] != 0);
    const uint32_t word = __ballot_sync(0xffffffffu, bit);
    if (lane == 0) reinterpret_cast<uint32_t*>(c.row(i))[j0 / 32] = word;
  }
};
struct StoreCodes {
  MatrixView<uint8_t> c;
  Levels levels;
  __device__ void operator()(int64_t i, int64_t j0, int lane, int32_t dot) const {
    if (j0 + lane < c.cols) c.at(i, j0 + lane) = levels.Code(j0 + lane, dot);
  }
};

template <int kRows, typename Store>
__global__ void __launch_bounds__(kWarps * 32) FewRowsKernel(ConstBitMatrixView a, ConstBitMatrixView b, Store store) {
  __shared__ int32_t differing[kRows][kColumns];
  const int lane = static_cast<int>(threadIdx.x) % 32;
  const int warp = static_cast<int>(threadIdx.x) / 32;
  const int64_t j0 = static_cast<int64_t>(blockIdx.x) * kColumns;
  const int64_t words = (a.cols + 127) / 128 * 2;

  for (int column = warp; column < kColumns; column += kWarps) {
    int32_t counts[kRows] = {};
    if (j0 + column < b.rows) {
      const uint64_t* const row = b.row(j0 + column);
      for (int64_t word = lane * 2; word < words; word += 64) {
        const ulonglong2 y = *reinterpret_cast<const ulonglong2*>(row + word);
#pragma unroll
        for (int i = 0; i < kRows; ++i) {
          if (i >= a.rows) break;
          const ulonglong2 x = *reinterpret_cast<const ulonglong2*>(a.row(i) + word);
          counts[i] += __popcll(x.x ^ y.x) + __popcll(x.y ^ y.y);
        }
      }
    }
#pragma unroll
    for (int i = 0; i < kRows; ++i) {
      for (int step = 16; step > 0; step /= 2) counts[i] += __shfl_xor_sync(0xffffffffu, counts[i], step);
      if (lane == 0) differing[i][column] = counts[i];
    }
  }
  __syncthreads();
  for (int64_t i = warp; i < a.rows; i += kWarps) {
    store(i, j0, lane, static_cast<int32_t>(a.cols) - 2 * differing[i][lane]);
  }
}

template <typename Store>
void Multiply(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, int64_t cols, const Store& store) {
  const int64_t blocks = (cols + kColumns - 1) / kColumns;
  if (a.rows == 0 || blocks == 0) return;
  const LaunchShape shape = {dim3(static_cast<unsigned>(blocks)), dim3(kWarps * 32)};
  if (a.rows == 1) {
    Launch(context, "few_rows_gemm", FewRowsKernel<1, Store>, shape, a, b, store);
  } else if (a.rows <= 4) {
    Launch(context, "few_rows_gemm", FewRowsKernel<4, Store>, shape, a, b, store);
  } else {
    Launch(context, "few_rows_gemm", FewRowsKernel<kFewRows, Store>, shape, a, b, store);
  }
}

}  // namespace

void FewRowsGemm(ExecContext& context, ConstBitMatrixView a, ConstBitMatrixView b, const DotOutput& out) {
  if (out.floats.data != nullptr) {
    Multiply(context, a, b, out.floats.cols, StoreFloat{out.floats, out.scale});
  } else if (out.bits.words != nullptr) {
    Multiply(context, a, b, BitMatrix::WordsPerRow(out.bits.cols) * 64, StoreBits{out.bits, out.threshold, out.flip});
  } else {
    Multiply(context, a, b, out.codes.cols, StoreCodes{out.codes, Levels(out)});
  }
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
