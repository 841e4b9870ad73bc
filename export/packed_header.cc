#include "bitgrad/export/packed_header.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/version.h"

namespace bitgrad {
namespace {

void SetInput(const ModelDescription& model, const Shape& example, packed::Input& input) {
  if (model.tokens > 0) {
    input.set_tokens(model.tokens);
    input.add_shape(1);
    return;
  }
  for (int64_t dim : example.dims().subspan(1)) input.add_shape(dim);
  if (model.time_steps > 1) input.set_time_steps(static_cast<int32_t>(model.time_steps));
  if (!model.pixels) return;
  // NormalizePixel of data/normalize.h: (2 p - 255) / 255.
  packed::PixelMapping& pixels = *input.mutable_pixels();
  pixels.set_multiplier(2);
  pixels.set_offset(-255);
  pixels.set_divisor(255);
}

}  // namespace

FloatSize FloatSizeOf(const program::Program& program) {
  const program::Uses uses(program);
  FloatSize size;
  for (int i = 0; i < program.size(); ++i) {
    const program::Value& value = program.value(i);
    const auto* constant = value.as<program::Constant>();
    if (constant == nullptr || !uses.is_used(i)) continue;
    size.numbers += value.shape.num_elements();
    if (constant->is_parameter) size.parameters += value.shape.num_elements();
  }
  return size;
}

void SetHeader(const ModelDescription& model, const FloatSize& size, const Shape& example, int64_t classes,
               packed::Header& header) {
  header.set_producer(absl::StrCat("bitgrad ", kVersion));
  header.set_name(model.name);
  header.set_data_set(model.data_set);
  header.set_class_count(static_cast<int32_t>(classes));
  SetInput(model, example, *header.mutable_input());
  header.set_parameter_count(size.parameters);
  header.set_float_parameter_bytes(size.numbers * static_cast<int64_t>(sizeof(float)));
}

}  // namespace bitgrad
