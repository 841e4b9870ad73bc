// Conversions of codes between floats and the bytes that products of codes take (core/encoding.h). Limited by memory, 5
// bytes per element. A thread converts four elements, with accesses of 16 and of 4 bytes.

#include <cstdint>

#include "bitgrad/core/check.h"
#include "bitgrad/core/log_code.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/quads.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

// y[i, j] = f(x[i, j])
template <typename T, typename U, typename F>
__global__ void MapQuadsKernel(MatrixView<const T> x, bool whole_x, MatrixView<U> y, bool whole_y, F f) {
  ForEachQuad(x.rows, x.cols, [&](const Quad& quad) {
    const FourOf<T> in = LoadQuad(x, quad, whole_x);
    FourOf<U> out;
#pragma unroll
    for (int k = 0; k < 4; ++k) out.value[k] = f(in.value[k]);
    StoreQuad(out, y, quad, whole_y);
  });
}

template <typename T, typename U, typename F>
void MapQuads(ExecContext& context, const char* name, MatrixView<const T> x, MatrixView<U> y, const F& f) {
  BITGRAD_DCHECK(x.rows == y.rows && x.cols == y.cols);
  if (x.size() == 0) return;
  Launch(context, name, MapQuadsKernel<T, U, F>, OverQuads(x.rows, x.cols), x, HasWholeQuads(x), y, HasWholeQuads(y),
         f);
}

}  // namespace

void PackCodes(ExecContext& context, const Encoding& encoding, ConstMatrixView<float> codes, MatrixView<uint8_t> c) {
  BITGRAD_DCHECK(encoding.is_integer() && encoding.bits <= kMaxCodeBits);
  if (encoding.is_log()) {
    const LogCodes log_codes = encoding.log_codes();
    return MapQuads(context, "pack_codes", codes, c,
                    [=] __device__(float code) { return static_cast<uint8_t>(log_codes.Stored(RankOfFloat(code))); });
  }
  const int32_t least = static_cast<int32_t>(encoding.least_code());
  const int shift = encoding.code_step() == 2 ? 1 : 0;
  MapQuads(context, "pack_codes", codes, c,
           [=] __device__(float code) { return static_cast<uint8_t>((static_cast<int32_t>(code) - least) >> shift); });
}

void UnpackCodes(ExecContext& context, const Encoding& encoding, ConstMatrixView<uint8_t> c, MatrixView<float> codes) {
  BITGRAD_DCHECK(encoding.is_integer() && encoding.bits <= kMaxCodeBits);
  if (encoding.is_log()) {
    const LogCodes log_codes = encoding.log_codes();
    return MapQuads(context, "unpack_codes", c, codes,
                    [=] __device__(uint8_t stored) { return FloatOfRank(log_codes.Rank(stored)); });
  }
  const int32_t least = static_cast<int32_t>(encoding.least_code());
  const int32_t step = static_cast<int32_t>(encoding.code_step());
  MapQuads(context, "unpack_codes", c, codes,
           [=] __device__(uint8_t stored) { return static_cast<float>(least + step * stored); });
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
