#include "bitgrad/export/onnx_metadata.h"

#include <string>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/version.h"
#include "bitgrad/export/onnx_values.h"

namespace bitgrad {
namespace {

// A text between quotation marks, as JSON has it.
void AppendQuoted(std::string* out, absl::string_view text) {
  out->push_back('"');
  for (const char c : text) {
    if (c == '"' || c == '\\') {
      absl::StrAppend(out, "\\", absl::string_view(&c, 1));
    } else if (static_cast<unsigned char>(c) < 0x20) {
      absl::StrAppendFormat(out, "\\u%04x", static_cast<int>(c));
    } else {
      out->push_back(c);
    }
  }
  out->push_back('"');
}

}  // namespace

void SetOnnxMetadata(const packed::Header& header, OnnxDialect dialect, onnx::ModelProto& proto) {
  proto.set_ir_version(kOnnxIrVersion);
  proto.set_producer_name("bitgrad");
  proto.set_producer_version(kVersion);
  onnx::OperatorSetIdProto& standard = *proto.add_opset_import();
  standard.set_domain("");
  standard.set_version(kOnnxOpset);
  if (dialect == OnnxDialect::kQonnx) {
    onnx::OperatorSetIdProto& qonnx = *proto.add_opset_import();
    qonnx.set_domain(kQonnxDomain);
    qonnx.set_version(1);
  }
  const auto add = [&](const char* key, std::string value) {
    if (value.empty()) return;
    onnx::StringStringEntryProto& entry = *proto.add_metadata_props();
    entry.set_key(absl::StrCat("bitgrad.", key));
    entry.set_value(std::move(value));
  };
  add("name", header.name());
  add("dialect", std::string(Name(dialect)));
  add("data_set", header.data_set());
  add("input_shape", absl::StrJoin(header.input().shape(), "x"));
  if (header.has_training_data() && header.training_data().image_shape_size() > 0) {
    add("image_shape", absl::StrJoin(header.training_data().image_shape(), "x"));
  }
  if (header.input().has_pixels()) {
    const packed::PixelMapping& pixels = header.input().pixels();
    add("pixel_multiplier", absl::StrFormat("%.9g", pixels.multiplier()));
    add("pixel_offset", absl::StrFormat("%.9g", pixels.offset()));
    add("pixel_divisor", absl::StrFormat("%.9g", pixels.divisor()));
  }
  if (header.text() != packed::Header::NO_TEXT) {
    add("text", header.text() == packed::Header::WORDS ? "words" : "characters");
  }
  if (header.class_names_size() > 0) {
    std::string names = "[";
    for (int c = 0; c < header.class_names_size(); ++c) {
      if (c > 0) names += ", ";
      AppendQuoted(&names, header.class_names(c));
    }
    add("class_names", names + "]");
  }
}

}  // namespace bitgrad
