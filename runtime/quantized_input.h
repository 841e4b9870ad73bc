// QuantizedInput: what a linear or a convolution multiplies its weights with: the value of another instruction through
// the input quantizer, as bits, as stored codes or as floats, whichever the kernel takes. Pixels become codes by a
// table.

#ifndef BITGRAD_RUNTIME_QUANTIZED_INPUT_H_
#define BITGRAD_RUNTIME_QUANTIZED_INPUT_H_

#include <cstdint>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

class QuantizedInput {
 public:
  // Of the first operand of instruction i, seen as a matrix of `cols` columns.
  QuantizedInput(const PackedModel& model, int i, int64_t cols, Frame& frame);

  const Quantizer& quantizer() const { return quantizer_; }

  // The views hold until the next call. Bits: REQUIRES a binary quantizer; codes: one of integers.
  ConstBitMatrixView Bits(Frame& frame);
  ConstMatrixView<uint8_t> Codes(Frame& frame);
  // Codes as floats; the values themselves where the quantizer is the identity.
  ConstMatrixView<float> Terms(Frame& frame);

 private:
  ConstMatrixView<float> Floats(Frame& frame) const;

  int operand_;  // value id
  bool is_bits_;
  int64_t cols_;
  Quantizer quantizer_;
  Tensor pixel_codes_;             // pixel -> c, on the device; null where there are no codes
  bool pixels_are_codes_ = false;  // the c of pixel p is p
  Tensor codes_;
  Tensor terms_;
  BitMatrix bits_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_QUANTIZED_INPUT_H_
