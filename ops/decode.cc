#include "bitgrad/ops/decode.h"

#include "bitgrad/ops/dispatch.h"

namespace bitgrad {

Tensor FloatCodes(ExecContext& context, const CodedTensor& coded) {
  Tensor codes(coded.matrix, DType::kFloat32, context.allocator());
  const Kernels& kernels = KernelsFor(context.device());
  if (coded.is_binary()) {
    kernels.unpack_signs(context, coded.bits->view(), codes.mutable_matrix<float>());
  } else {
    kernels.unpack_codes(context, coded.encoding, coded.codes.matrix<uint8_t>(), codes.mutable_matrix<float>());
  }
  return codes;
}

Tensor StoredCodes(ExecContext& context, const CodedTensor& coded) {
  if (!coded.is_binary()) return coded.codes.Alias();
  const Tensor codes = FloatCodes(context, coded);
  Tensor stored(coded.matrix, DType::kUint8, context.allocator());
  KernelsFor(context.device())
      .pack_codes(context, coded.encoding, codes.matrix<float>(), stored.mutable_matrix<uint8_t>());
  return stored;
}

Tensor Decode(ExecContext& context, const CodedTensor& coded) {
  Tensor values = FloatCodes(context, coded);
  const Kernels& kernels = KernelsFor(context.device());
  float* const data = values.mutable_data<float>();
  if (coded.scale.is_null()) {
    if (coded.factor != 1.0f) {
      kernels.scale_f32(context, coded.factor, data, /*accumulate=*/false, data, values.num_elements());
    }
  } else {
    kernels.scale_rows(context, coded.scale_view(), values.matrix<float>(), values.mutable_matrix<float>());
  }
  return values;
}

}  // namespace bitgrad
