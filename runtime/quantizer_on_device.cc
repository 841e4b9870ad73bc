#include "bitgrad/runtime/quantizer_on_device.h"

#include "bitgrad/core/rng.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

Tensor OnDevice(ExecContext& context, const std::optional<float>& number) {
  return number.has_value() ? ToDevice(context, Tensor::Of<float>({1}, {*number})) : Tensor();
}

const float* Data(const Tensor& number) { return number.is_null() ? nullptr : number.data<float>(); }

}  // namespace

QuantizerOnDevice::QuantizerOnDevice(const PackedQuantizer& quantizer, ExecContext& context)
    : quantizer_(quantizer),
      statistic_(OnDevice(context, quantizer.statistic)),
      variable_(OnDevice(context, quantizer.variable)),
      scale_(OnDevice(context, quantizer.scale)) {}

QuantizerOperands QuantizerOnDevice::operands() const {
  return {.statistic = Data(statistic_), .variable = Data(variable_), .scale = Data(scale_)};
}

void QuantizerOnDevice::Values(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> values) const {
  KernelsFor(context.device()).quantize_values(context, quantizer_.quantizer, x, operands(), RngStream{}, values);
}

void QuantizerOnDevice::Codes(ExecContext& context, ConstMatrixView<float> x, MatrixView<float> codes) const {
  KernelsFor(context.device()).quantize_codes(context, quantizer_.quantizer, x, operands(), RngStream{}, codes);
}

void QuantizerOnDevice::Bits(ExecContext& context, ConstMatrixView<float> x, BitMatrixView bits) const {
  KernelsFor(context.device())
      .quantize_bits(context, quantizer_.quantizer, x, operands(), RngStream{}, bits, BitMatrixView{});
}

}  // namespace bitgrad
