// The operands of a linear op or a convolution as their kernels take them, and the scale of their product. Internal to
// ops/.

#ifndef BITGRAD_OPS_PRODUCT_OPERAND_H_
#define BITGRAD_OPS_PRODUCT_OPERAND_H_

#include <cstdint>
#include <memory>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/coded_tensor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/scale_view.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/descriptor.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

// A matrix of codes or, where the value was not quantized, of floats.
struct ProductOperand {
  Encoding encoding;
  std::shared_ptr<const CodedTensor> coded;  // null where the encoding has no codes
  Tensor values;                             // [rows, cols] where there are no codes

  const BitMatrix* bits() const { return coded == nullptr ? nullptr : coded->bits.get(); }
  ScaleView scale() const { return coded == nullptr ? ScaleView() : coded->scale_view(); }
  // The codes as floats, without the scale, or the values themselves.
  Tensor Terms(ExecContext& context) const;
};

// The op's input as an operand, seen as `matrix`. Returns false and reports it where the input is coded as another
// matrix: images were quantized for a linear op, or rows of features for a convolution.
bool ReadOperand(OpRecorder& op, int input, const Shape& matrix, ProductOperand& operand);

// The scale of a product: that of x, which is one number, times that of w, one number or one for each output.
class ProductScale {
 public:
  // REQUIRES: x.is_uniform(); the memory of the views outlives this.
  ProductScale(ExecContext& context, const ScaleView& x, const ScaleView& w, int64_t outputs);
  const ScaleView& view() const { return view_; }

 private:
  Tensor product_;  // where both factors are on the device
  ScaleView view_;
};

// y *= scale, column by column. Does nothing where the scale is 1.
void ScaleOutputs(ExecContext& context, const ScaleView& scale, Tensor& y);
// dy * scale, column by column: in the memory of dy where nobody else holds it.
Tensor ScaledGradient(ExecContext& context, const ScaleView& scale, Tensor dy);

// The values of a gradient that is quantized before it enters the products, dy seen as a matrix of its last dimension.
Tensor QuantizedValues(ExecContext& context, const Quantizer& quantizer, const RngStream& rng, const Tensor& dy);

// x's values quantized by `quantizer`, in place of x in the product that makes the weight's gradient.
ProductOperand InputForWeightGradient(ExecContext& context, const Quantizer& quantizer, const RngStream& rng,
                                      const ProductOperand& x);

// The arithmetic of `macs` multiply-accumulates between operands of these encodings, of `elements` products with one or
// with two scales, and of quantizing `elements` of a gradient.
ArithmeticCounts CountDot(const Encoding& a, const Encoding& b, int64_t macs);
ArithmeticCounts CountScaling(const ScaleView& scale, int64_t elements);
ArithmeticCounts CountScaling(const ScaleView& a, const ScaleView& b, int64_t elements);
ArithmeticCounts CountGradientQuantizer(const Quantizer& quantizer, int64_t elements);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_PRODUCT_OPERAND_H_
