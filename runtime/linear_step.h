// LinearStep: a linear instruction, made ready to run: its weights in the form that its kernels take.
// Few-bit weights stay the file's bits wherever sums are integers.

#ifndef BITGRAD_RUNTIME_LINEAR_STEP_H_
#define BITGRAD_RUNTIME_LINEAR_STEP_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/bit_matrix.h"
#include "core/tensor.h"
#include "core/view.h"
#include "ops/kernels/coded_gemm.h"
#include "ops/quantizers/quantizer.h"
#include "runtime/frame.h"
#include "runtime/packed_model.h"

namespace bitgrad {

class LinearStep {
 public:
  // REQUIRES: instruction `i` is linear; the model outlives the step.
  LinearStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame);

 private:
  void RunIntegers(Frame& frame);
  void RunFloats(Frame& frame);

  // The input as binary codes: the value's own bits, or packed into bits_.
  ConstBitMatrixView InputBits(Frame& frame);
  // The input's codes as bytes: the pixels themselves where each is its own code, or in codes_.
  ConstMatrixView<uint8_t> InputCodes(Frame& frame);
  // What the float GEMM multiplies.
  ConstMatrixView<float> InputTerms(Frame& frame);

  // Where the value goes.
  DotOutput Output(Frame& frame);

  int operand_;  // value id
  bool operand_is_bits_;
  int result_;
  bool in_integers_;
  Quantizer quantizer_;
  float scale_;
  int64_t out_;
  int64_t in_;
  ConstPlanesView packed_weights_;       // for integers: the file's own bits
  Tensor weights_;                       // for the float GEMM: codes, or floats
  ConstMatrixView<float> weight_terms_;  // weights_, or the file's own floats

  bool has_threshold_;
  absl::Span<const int32_t> thresholds_;
  std::vector<uint8_t> flips_;

  std::array<uint8_t, 256> pixel_codes_ = {};  // pixel -> c
  bool pixels_are_codes_ = true;               // pixel_codes_[p] == p
  Tensor codes_;
  Tensor terms_;
  BitMatrix bits_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_LINEAR_STEP_H_
