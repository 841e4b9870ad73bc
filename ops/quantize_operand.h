// What linear and convolution share: an operand turned into codes, ready for whichever kernel its encoding
// allows, with what backward needs of it. Internal to ops/.

#ifndef BITGRAD_OPS_QUANTIZE_OPERAND_H_
#define BITGRAD_OPS_QUANTIZE_OPERAND_H_

#include <memory>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/descriptor.h"
#include "bitgrad/ops/pending_batch_norm.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// The quantizer's statistic of x, [1] or [rows]; null for Statistic::kNone.
Tensor ComputeStatistic(ExecContext& context, const Quantizer& quantizer, const Tensor& x);
inline const float* StatisticData(const Tensor& statistic) {
  return statistic.is_null() ? nullptr : statistic.data<float>();
}

// value = codes * scale, and * statistic where `scale_on_device`. One of `bits` (binary codes) and `codes` is filled.
struct QuantizedOperand {
  Encoding encoding;
  float scale = 1.0f;
  bool scale_on_device = false;  // the host does not wait to learn it
  Tensor statistic;
  Tensor codes;  // uint8, stored codes (ops/kernels/coded_gemm.h); float32, the values, where the encoding is float
  std::shared_ptr<const BitMatrix> bits;
};

// The scale of a product of codes: what of it the product's kernel is given, and the rest, for afterwards. As codes are
// integers, or their products rounded once before, it does not matter which.
class ProductScale {
 public:
  explicit ProductScale(const QuantizedOperand& a) : ProductScale(a, QuantizedOperand()) {}
  // REQUIRES: one of the scales at most is on the device.
  ProductScale(const QuantizedOperand& a, const QuantizedOperand& b);

  float for_kernel() const { return on_device_ == nullptr ? scale_ : 1.0f; }
  // After a kernel that was given for_kernel().
  void Finish(ExecContext& context, Tensor& y) const;
  // For numbers that no kernel has scaled.
  void Apply(ExecContext& context, Tensor& y) const;

 private:
  float scale_;
  const float* on_device_;
};

// What the gradient of a quantized operand is multiplied with on its way to the real one.
class Surrogate {
 public:
  Surrogate() = default;  // 1: the gradient passes unchanged

  // dx = dq * Surrogate(x), in place where dq is not shared.
  Tensor Apply(ExecContext& context, Tensor dq) const;
  bool passes() const { return window_.is_null() && x_.is_null(); }
  // The mask 1{|x| <= 1}; null unless the surrogate is a window.
  const BitMatrix& window() const { return window_; }

 private:
  friend QuantizedOperand QuantizeOperand(ExecContext&, const Quantizer&, QuantizerRole, const Tensor&,
                                          const RngStream&, Surrogate*);
  friend QuantizedOperand QuantizePending(ExecContext&, const Quantizer&, const PendingBatchNorm&, const Shape&,
                                          Surrogate*);
  Quantizer quantizer_;
  BitMatrix window_;
  Tensor x_;
  Tensor statistic_;
};

// Quantizes x, seen as [rows, cols]. With `surrogate` also keeps what backward needs: nothing for a weight whose
// gradient passes, a mask of bits for a window, x itself (aliased) otherwise. Signs that x carries (Tensor::signs) are
// used; a training pass leaves those of a weight with it, so that the optimizer keeps them up to date.
QuantizedOperand QuantizeOperand(ExecContext& context, const Quantizer& quantizer, QuantizerRole role, const Tensor& x,
                                 const RngStream& rng, Surrogate* surrogate);

// The same for an activation that is batch norm's output and not computed yet, without computing it. REQUIRES:
// TakesSigns(quantizer).
QuantizedOperand QuantizePending(ExecContext& context, const Quantizer& quantizer, const PendingBatchNorm& x,
                                 const Shape& shape, Surrogate* surrogate);
// Whether all that forward and backward need of an activation are its signs and its window.
bool TakesSigns(const Quantizer& quantizer);

// The operand's codes as floats: the values themselves where the encoding is float.
Tensor FloatCodes(ExecContext& context, const QuantizedOperand& operand, const Shape& shape);

// The arithmetic of `macs` multiply-accumulates between operands of these encodings.
ArithmeticCounts CountDot(const Encoding& a, const Encoding& b, int64_t macs);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZE_OPERAND_H_
