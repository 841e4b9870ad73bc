#include "bitgrad/ops/cuda/row_sums.h"

#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// One warp per row; a lane loads 16 bytes at a time. Limited by reading the operand, which the product then finds in
// the L2 cache.
template <bool kBits>
__global__ void SumRowsKernel(TensorOperand operand, int planes, int64_t row_bytes, int32_t* sums) {
  const int64_t row = static_cast<int64_t>(blockIdx.x) * (blockDim.x / 32) + threadIdx.x / 32;
  if (row >= operand.rows) return;
  const int lane = static_cast<int>(threadIdx.x) % 32;
  int32_t sum = 0;
  for (int p = 0; p < planes; ++p) {
    const unsigned char* const data = operand.planes[p] + row * operand.stride;
    int32_t of_plane = 0;
    for (int64_t byte = lane * 16; byte < row_bytes; byte += 32 * 16) {
      const uint4 x = *reinterpret_cast<const uint4*>(data + byte);
      if constexpr (kBits) {
        of_plane += __popc(x.x) + __popc(x.y) + __popc(x.z) + __popc(x.w);
      } else {
        constexpr unsigned kOnes = 0x01010101u;
        of_plane +=
            static_cast<int32_t>(__dp4a(x.x, kOnes, __dp4a(x.y, kOnes, __dp4a(x.z, kOnes, __dp4a(x.w, kOnes, 0u)))));
      }
    }
    sum += of_plane * (1 << p);
  }
  for (int step = 16; step > 0; step /= 2) sum += __shfl_xor_sync(0xffffffffu, sum, step);
  if (lane == 0) sums[row] = sum;
}

template <bool kBits>
void SumRowsOf(ExecContext& context, const TensorOperand& operand, int planes, int64_t row_bytes, int32_t* sums) {
  if (operand.rows == 0) return;
  constexpr int kRowsOfBlock = kThreads / 32;
  const auto blocks = static_cast<unsigned>((operand.rows + kRowsOfBlock - 1) / kRowsOfBlock);
  Launch(context, "row_sums", SumRowsKernel<kBits>, {dim3(blocks), dim3(kThreads)}, operand, planes, row_bytes, sums);
}

}  // namespace

void SumBitRows(ExecContext& context, const TensorOperand& operand, int planes, int64_t row_bytes, int32_t* sums) {
  SumRowsOf<true>(context, operand, planes, row_bytes, sums);
}

void SumByteRows(ExecContext& context, const TensorOperand& operand, int64_t row_bytes, int32_t* sums) {
  SumRowsOf<false>(context, operand, 1, row_bytes, sums);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
