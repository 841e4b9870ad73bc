// From coded values back to floats. Internal to ops/ and export/.

#ifndef BITGRAD_OPS_DECODE_H_
#define BITGRAD_OPS_DECODE_H_

#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// The codes as floats, without the scale.   [rows, cols] of the matrix
Tensor FloatCodes(ExecContext& context, const CodedTensor& coded);

// The stored codes (core/encoding.h) as bytes, of binary codes too.   uint8 [rows, cols] of the matrix
Tensor StoredCodes(ExecContext& context, const CodedTensor& coded);

// The values: codes times scale.   [rows, cols] of the matrix
Tensor Decode(ExecContext& context, const CodedTensor& coded);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DECODE_H_
