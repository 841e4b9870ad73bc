// QuantizeStep: a quantize instruction, prepared for running. Where its encoding is of integers it is done when a
// product or somebody else reads the codes, in the form in which they are read. 8-bit pixels are converted to codes by
// a table of 256 entries.

#ifndef BITGRAD_RUNTIME_QUANTIZE_STEP_H_
#define BITGRAD_RUNTIME_QUANTIZE_STEP_H_

#include <cstdint>

#include "bitgrad/core/tensor.h"
#include "bitgrad/core/view.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/quantizer_on_device.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

class QuantizeStep final : public Step, private CodeSource {
 public:
  // REQUIRES: instruction `i` is quantize; the model and the frame outlive the step.
  QuantizeStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  void MakeCodes(Frame& frame, MatrixView<uint8_t> codes) override;
  void MakeBits(Frame& frame, BitMatrixView bits) override;
  void MakeTerms(Frame& frame, MatrixView<float> terms) override;
  // The operand's floats in rows of `cols` elements.
  ConstMatrixView<float> Floats(Frame& frame, int64_t cols) const;

  const int operand_;  // value id
  const int result_;
  const QuantizerOnDevice quantizer_;
  Tensor pixel_codes_;             // the c of each pixel, on the device; null where the quantizer has no integer codes
  bool pixels_are_codes_ = false;  // whether the c of each pixel p is p itself
  Tensor terms_, codes_;           // buffers
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_QUANTIZE_STEP_H_
