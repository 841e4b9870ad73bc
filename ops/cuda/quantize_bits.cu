// Quantization to bits. Limited by the 4 bytes that are read per element and, where the quantizer is stochastic, also
// by the random numbers, which take some 80 instructions per block of four. A warp draws those of 128 adjacent elements
// together.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/cuda/bit_rows.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/row_numbers.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

constexpr int kPiece = 32 * kGroupsInFlight;  // in elements
static_assert(kPiece == 128, "a block of random numbers per lane");

// Draws the uniform numbers of the elements first .. first + 127 and stores them from u[first % 4] on. All lanes of the
// warp call it.
__device__ void DrawPiece(const RngStream& rng, uint64_t first, float* u) {
  const int lane = threadIdx.x % 32;
  __syncwarp();  // waits until the numbers of the last piece have been read
  const auto draw = [&](int block) {
    const RngBlock words = RandomBlock(rng, first / 4 + block);
    for (int k = 0; k < 4; ++k) u[4 * block + k] = ToUniform(words.word[k]);
  };
  draw(lane);
  if (lane == 0 && first % 4 != 0) draw(32);
  __syncwarp();
}

// A window without words is not written.
template <typename Q>
__global__ void QuantizeBitsKernel(QuantizerArgs args, ConstMatrixView<float> x, RowNumbers numbers,
                                   RngStream given_rng, BitMatrixView bits, BitMatrixView window) {
  const RngStream rng = StepOnDevice(given_rng);
  __shared__ float uniforms[kThreads / 32][kPiece + 4];
  const int lane = threadIdx.x % 32;
  [[maybe_unused]] float* const u = uniforms[threadIdx.x / 32];
  ForEachLine(x.rows, x.cols, [&](int64_t i, int64_t begin) {
    const QuantizerNumbers of_row = numbers.of(i);
    uint64_t code_word = 0, window_word = 0;
    for (int group = 0; group < kLineBits / 32 && begin + group * 32 < x.cols; group += kGroupsInFlight) {
      const int64_t first = begin + group * 32;
      float values[kGroupsInFlight];
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
        const int64_t j = first + k * 32 + lane;
        values[k] = j < x.cols ? x.at(i, j) : 0.0f;
      }
      const uint64_t element = static_cast<uint64_t>(i * x.cols + first);
      if constexpr (Q::kStochastic) DrawPiece(rng, element, u);
#pragma unroll
      for (int k = 0; k < kGroupsInFlight; ++k) {
        const bool inside = first + k * 32 + lane < x.cols;
        const float uniform = Q::kStochastic ? u[element % 4 + k * 32 + lane] : 0.0f;
        const bool bit = inside && Q::Code(values[k], args, of_row, uniform) > 0.0f;
        KeepGroup(group + k, __ballot_sync(0xffffffffu, bit), &code_word);
        if constexpr (Q::kSurrogateIsWindow) {
          const bool in_window = inside && Q::Surrogate(values[k], args, of_row) != 0.0f;
          KeepGroup(group + k, __ballot_sync(0xffffffffu, in_window), &window_word);
        }
      }
    }
    StoreLine(bits, i, begin, code_word);
    if (Q::kSurrogateIsWindow && window.words != nullptr) StoreLine(window, i, begin, window_word);
  });
}

template <typename Q>
void LaunchQuantizeBits(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                        const QuantizerOperands& operands, const RngStream& rng, BitMatrixView bits,
                        BitMatrixView window) {
  Launch(context, "quantize_bits", QuantizeBitsKernel<Q>, OverLines(x.rows, x.cols), quantizer.args(), x,
         RowNumbersOf(quantizer, operands), rng, bits, window);
}

}  // namespace

void QuantizeBits(ExecContext& context, const Quantizer& quantizer, ConstMatrixView<float> x,
                  const QuantizerOperands& operands, const RngStream& rng, BitMatrixView bits, BitMatrixView window) {
  BITGRAD_DCHECK(quantizer.encoding().kind == EncodingKind::kBinary);
  BITGRAD_DCHECK(window.words == nullptr || quantizer.info().surrogate_is_window);
  BITGRAD_DCHECK(bits.rows == x.rows && bits.cols == x.cols);
  if (x.size() == 0) return;
  DispatchQuantizer(quantizer.info(),
                    [&]<typename Q>() { LaunchQuantizeBits<Q>(context, quantizer, x, operands, rng, bits, window); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
