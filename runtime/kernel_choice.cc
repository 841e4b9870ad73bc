#include "bitgrad/runtime/kernel_choice.h"

#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/image_geometry.h"

namespace bitgrad {

Encoding InputEncoding(const PackedModel& model, int i) {
  return model.value(model.header().instructions(i).operands(0)).encoding;
}

KernelChoice ChooseKernel(const PackedModel& model, int i) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Blob& weight = model.blob(instruction.linear().weight());
  const Encoding x = InputEncoding(model, i), w = EncodingOf(weight);
  const int64_t in = ShapeOf(weight).cols();
  const int64_t rows = model.value(instruction.operands(0)).example.rows();
  const bool counts_words = CountsWords(Device::kCpu);
  return {ChooseDotKernel(x, w, in, rows, counts_words), DescribeDotKernel(x, w, in, counts_words)};
}

ConvChoice ChooseConvKernel(const PackedModel& model, int i) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Blob& weight = model.blob(instruction.conv2d().weight());
  const Encoding x = InputEncoding(model, i), w = EncodingOf(weight);
  // The program has been checked, so its geometry is valid.
  const ConvGeometry geometry =
      *GeometryOf(instruction.conv2d(), model.value(instruction.operands(0)).example, ShapeOf(weight));
  const bool threshold = instruction.conv2d().has_threshold();
  return {geometry, ChooseConvKernel(x, w, geometry, threshold), DescribeConvKernel(x, w, geometry, threshold)};
}

}  // namespace bitgrad
