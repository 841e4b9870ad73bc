// QuantizedInput: the left operand of the product that a linear or conv2d instruction computes. It takes the value of
// another instruction, applies the input quantizer to it, and gives the result in the form that the kernel takes: bits,
// stored codes (the c of core/encoding.h), or codes as floats. 8-bit pixels are converted to codes by a table of 256
// entries.

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
  // For the first operand of instruction i, read as a matrix with `cols` columns.
  QuantizedInput(const PackedModel& model, int i, int64_t cols, Frame& frame);

  const Quantizer& quantizer() const { return quantizer_; }

  // The views are valid until the next call of any of the three. REQUIRES: the quantizer is binary, for Bits(), and
  // its codes are integers, for Codes().
  ConstBitMatrixView Bits(Frame& frame);
  ConstMatrixView<uint8_t> Codes(Frame& frame);
  // The codes as floats or, where the quantizer is the identity, the values themselves.
  ConstMatrixView<float> Terms(Frame& frame);

 private:
  ConstMatrixView<float> Floats(Frame& frame) const;

  int operand_;  // value id
  bool is_bits_;
  int64_t cols_;
  Quantizer quantizer_;
  Tensor pixel_codes_;             // the c of each pixel, on the device; null where the quantizer has no integer codes
  bool pixels_are_codes_ = false;  // whether the c of each pixel p is p itself
  Tensor codes_;
  Tensor terms_;
  BitMatrix bits_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_QUANTIZED_INPUT_H_
