// QuantizerOnDevice: a packed quantizer with its numbers in the memory of a device, ready to quantize.

#ifndef BITGRAD_RUNTIME_QUANTIZER_ON_DEVICE_H_
#define BITGRAD_RUNTIME_QUANTIZER_ON_DEVICE_H_

#include <optional>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

class QuantizerOnDevice {
 public:
  QuantizerOnDevice(const PackedQuantizer& quantizer, ExecContext& context);

  const PackedQuantizer& packed() const { return quantizer_; }
  // values[i, j] = Code(x[i, j]) * scale.
  void Values(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> values) const;
  // codes[i, j] = Code(x[i, j]), as floats. REQUIRES: the encoding is of integers.
  void Codes(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> codes) const;
  // REQUIRES: the encoding is kBinary.
  void Bits(ExecContext& context, ConstMatrixView<float> x, BitMatrixView bits) const;

 private:
  QuantizerOperands operands() const;

  const PackedQuantizer quantizer_;
  Tensor statistic_, variable_, scale_;  // null where there is none
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_QUANTIZER_ON_DEVICE_H_
