// Quantizing an operand of a linear op or a convolution: into codes for the kernel that the encoding allows, and into
// what the backward pass needs. Internal to ops/.

#ifndef BITGRAD_OPS_QUANTIZE_OPERAND_H_
#define BITGRAD_OPS_QUANTIZE_OPERAND_H_

#include <memory>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/descriptor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/ops/pending_batch_norm.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// The quantizer's statistic of x, [1] or [rows]; null for Statistic::kNone.
Tensor ComputeStatistic(ExecContext& context, const Quantizer& quantizer, const Tensor& x);
inline const float* StatisticData(const Tensor& statistic) {
  return statistic.is_null() ? nullptr : statistic.data<float>();
}

// value = codes * scale, times the statistic where `scale_on_device`. Binary codes are in `bits`, all others in
// `codes`.
struct QuantizedOperand {
  Encoding encoding;
  float scale = 1.0f;
  bool scale_on_device = false;  // the statistic is the scale, and the host does not wait for a GPU to learn it
  Tensor statistic;
  Tensor codes;  // uint8, stored codes (ops/kernels/coded_gemm.h); float32, the values, where the encoding is float
  std::shared_ptr<const BitMatrix> bits;
};

// The scale of a product of codes. Where the host knows it, the kernel of the product multiplies the sums with it
// (for_kernel()). Where a factor is on the device, the kernel is given 1, and Finish() multiplies the product in a pass
// of its own. The result has the same bits either way: sums of codes are exact, so both round once, in this
// multiplication.
class ProductScale {
 public:
  explicit ProductScale(const QuantizedOperand& a) : ProductScale(a, QuantizedOperand()) {}
  // REQUIRES: one of the scales at most is on the device.
  ProductScale(const QuantizedOperand& a, const QuantizedOperand& b);

  float for_kernel() const { return on_device_ == nullptr ? scale_ : 1.0f; }
  // Does what is left to do after a kernel that was given for_kernel().
  void Finish(ExecContext& context, Tensor& y) const;
  // Multiplies y with the whole scale, for kernels that take none.
  void Apply(ExecContext& context, Tensor& y) const;

 private:
  float scale_;
  const float* on_device_;
};

// The surrogate derivative of a quantized operand: what the gradient with respect to the quantized values is multiplied
// with, element by element, to become the gradient with respect to the real ones.
class Surrogate {
 public:
  Surrogate() = default;  // is 1 everywhere: the gradient passes unchanged

  // dx = dq * Surrogate(x), in place where dq is not shared.
  Tensor Apply(ExecContext& context, Tensor dq) const;
  bool passes() const { return window_.is_null() && x_.is_null(); }
  // The mask 1{|x| <= 1}; null unless the surrogate is a window.
  const BitMatrix& window() const { return window_; }

 private:
  friend QuantizedOperand QuantizeOperand(ExecContext&, const Quantizer&, QuantizerRole, const Tensor&,
                                          const RngStream&, Surrogate*, Parameter*);
  friend QuantizedOperand QuantizePending(ExecContext&, const Quantizer&, const PendingBatchNorm&, const Shape&,
                                          Surrogate*);
  Quantizer quantizer_;
  BitMatrix window_;
  Tensor x_;
  Tensor statistic_;
};

// Quantizes x, seen as [rows, cols]. Where `surrogate` is not null, also stores there what the backward pass needs:
// nothing for a weight whose gradient passes unchanged, a mask of bits for a window, otherwise x itself (aliased).
// `parameter` is the one whose value x is, or null. Where a weight's parameter carries its signs (Parameter::signs)
// they are used; where it carries none, a pass with `surrogate` leaves them with the parameter, and the optimizer keeps
// them up to date from then on.
QuantizedOperand QuantizeOperand(ExecContext& context, const Quantizer& quantizer, QuantizerRole role, const Tensor& x,
                                 const RngStream& rng, Surrogate* surrogate, Parameter* parameter = nullptr);

// The same for an activation that is the pending output of batch norm, without computing that. REQUIRES:
// NeedsOnlySigns(quantizer).
QuantizedOperand QuantizePending(ExecContext& context, const Quantizer& quantizer, const PendingBatchNorm& x,
                                 const Shape& shape, Surrogate* surrogate);
// Whether forward and backward pass need nothing of an activation but its signs and its window.
bool NeedsOnlySigns(const Quantizer& quantizer);

// The operand's codes as floats: the values themselves where the encoding is float.
Tensor FloatCodes(ExecContext& context, const QuantizedOperand& operand, const Shape& shape);

// Counts the arithmetic of `macs` multiply-accumulates between operands of these encodings.
ArithmeticCounts CountDot(const Encoding& a, const Encoding& b, int64_t macs);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZE_OPERAND_H_
