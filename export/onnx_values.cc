#include "bitgrad/export/onnx_values.h"

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// "linear", "max_pool": the field's name in proto/packed_model.proto.
std::string KindName(const packed::Instruction& instruction) {
  const auto* oneof = instruction.GetDescriptor()->FindOneofByName("kind");
  const auto* field = instruction.GetReflection()->GetOneofFieldDescriptor(instruction, oneof);
  return field == nullptr ? "nothing" : field->name();
}

ImageLayout Other(ImageLayout layout) {
  return layout == ImageLayout::kChannelsLast ? ImageLayout::kChannelsFirst : ImageLayout::kChannelsLast;
}

}  // namespace

OnnxValues::OnnxValues(const PackedModel& model, OnnxDialect dialect, OnnxGraph& graph)
    : model_(model), dialect_(dialect), graph_(graph), tensors_(model.header().instructions_size() + 1) {}

ImageLayout OnnxValues::LayoutOf(int id) const {
  const auto& names = tensors_[id].names;
  const int first = static_cast<int>(ImageLayout::kChannelsFirst);
  return names[kCodes][first].empty() && names[kFloats][first].empty() ? ImageLayout::kChannelsLast
                                                                       : ImageLayout::kChannelsFirst;
}

std::string OnnxValues::Floats(int id, ImageLayout layout) { return Get(id, kFloats, layout); }

std::string OnnxValues::Terms(int id, ImageLayout layout) {
  return Get(id, model_.value(id).is_coded() ? kCodes : kFloats, layout);
}

std::string OnnxValues::Get(int id, Form form, ImageLayout layout) {
  const int place = static_cast<int>(layout), other = static_cast<int>(Other(layout));
  Tensors& tensors = tensors_[id];
  if (!tensors.names[form][place].empty()) return tensors.names[form][place];
  const PackedValue& value = model_.value(id);
  const std::string hint = id == 0 ? "input" : Hint(id - 1, form == kCodes ? "codes" : "value");
  std::string made;
  if (form == kFloats && value.is_coded() && tensors.names[kFloats][other].empty()) {
    const std::string codes = Get(id, kCodes, layout);
    made = value.scale == 1.0f ? codes : graph_.Node("Mul", {codes, graph_.Scalar(value.scale)}, hint);
  } else {
    const std::vector<int64_t> order =
        layout == ImageLayout::kChannelsFirst ? std::vector<int64_t>{0, 3, 1, 2} : std::vector<int64_t>{0, 2, 3, 1};
    const char* name = layout == ImageLayout::kChannelsFirst ? "/channels_first" : "/channels_last";
    made = graph_.Node("Transpose", {tensors.names[form][other]}, hint + name, {IntsAttribute("perm", order)});
  }
  tensors.names[form][place] = made;
  return made;
}

std::string OnnxValues::Hint(int i, absl::string_view what) const {
  const std::string& layer = instruction(i).layer();
  return absl::StrCat(layer.empty() ? KindName(instruction(i)) : layer, "/", what);
}

std::vector<int64_t> OnnxValues::ChannelShape(int64_t count, int id, ImageLayout layout) const {
  if (IsImage(id) && layout == ImageLayout::kChannelsFirst) return {count, 1, 1};
  return {count};
}

std::string OnnxValues::PerChannel(const std::string& hint, absl::Span<const float> values, int id,
                                   ImageLayout layout) {
  return graph_.Floats(hint, ChannelShape(static_cast<int64_t>(values.size()), id, layout), values);
}

std::string OnnxValues::PerChannelDoubles(const std::string& hint, absl::Span<const double> values, int id,
                                          ImageLayout layout) {
  return graph_.Doubles(hint, ChannelShape(static_cast<int64_t>(values.size()), id, layout), values);
}

absl::Status OnnxValues::Refuse(int i, absl::string_view what, absl::string_view advice) const {
  return absl::UnimplementedError(absl::StrCat("layer '", instruction(i).layer(), "', ", KindName(instruction(i)), ": ",
                                               what, ", which --dialect=", Name(dialect_), " cannot say; ", advice));
}

}  // namespace bitgrad
