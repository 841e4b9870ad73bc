// LinearStep: a linear instruction, made ready to run: its kernel chosen, its weights in that
// kernel's form.

#ifndef BITGRAD_RUNTIME_LINEAR_STEP_H_
#define BITGRAD_RUNTIME_LINEAR_STEP_H_

#include <array>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "core/bit_matrix.h"
#include "core/tensor.h"
#include "core/view.h"
#include "ops/quantizers/quantizer.h"
#include "runtime/frame.h"
#include "runtime/kernel_choice.h"
#include "runtime/packed_model.h"

namespace bitgrad {

class LinearStep {
 public:
  // REQUIRES: instruction `i` is linear; the model outlives the step.
  LinearStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame);

 private:
  void RunPackedBits(Frame& frame);
  void RunBitPlanes(Frame& frame);
  void RunGemm(Frame& frame);

  // The input as bits; as bit planes; as what the float GEMM multiplies.
  ConstBitMatrixView InputBits(Frame& frame);
  int64_t InputPlanes(Frame& frame);  // into planes_; returns the number of rows
  ConstMatrixView<float> InputTerms(Frame& frame);
  // codes_ = the planes' bits of each element of the input.
  ConstMatrixView<uint8_t> PlaneCodes(Frame& frame);

  // The value from exact sums [rows, out]: bits or scaled floats.
  void Finish(Frame& frame, ConstMatrixView<int32_t> sums);

  int operand_;  // value id
  bool operand_is_bits_;
  int result_;
  LinearKernel kernel_;
  Quantizer quantizer_;
  float scale_;
  int64_t out_;
  int64_t in_;
  ConstBitMatrixView packed_weights_;    // for the packed kernels: the file's own bits
  Tensor weights_;                       // for the float GEMM: codes, or floats
  ConstMatrixView<float> weight_terms_;  // weights_, or the file's own floats

  bool has_threshold_;
  absl::Span<const int32_t> thresholds_;
  std::vector<uint8_t> flips_;

  std::array<uint8_t, 256> pixel_codes_ = {};  // pixel -> bits of the planes
  Tensor codes_;
  Tensor terms_;
  Tensor products_;
  Tensor sums_;
  std::vector<BitMatrix> planes_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_LINEAR_STEP_H_
