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
