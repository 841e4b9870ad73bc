#include "bitgrad/report/tensorboard_hparams.h"

#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using google::protobuf::Value;
using tensorboard::Summary;

using Values = std::vector<std::pair<std::string, Value>>;

std::string ListText(const Message& message, const FieldDescriptor& field) {
  const bool is_group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  google::protobuf::TextFormat::Printer printer;
  printer.SetSingleLineMode(true);
  std::vector<std::string> texts;
  for (int i = 0; i < message.GetReflection()->FieldSize(message, &field); ++i) {
    std::string& text = texts.emplace_back();
    if (is_group) {
      printer.PrintToString(message.GetReflection()->GetRepeatedMessage(message, &field, i), &text);
      text = absl::StrCat("{", absl::StripSuffix(text, " "), "}");
    } else {
      printer.PrintFieldValueToString(message, &field, i, &text);
    }
  }
  return absl::StrJoin(texts, is_group ? " " : ", ");
}

Value ValueOf(const Message& message, const FieldDescriptor& field) {
  const Reflection& reflection = *message.GetReflection();
  Value value;
  if (field.is_repeated()) {
    value.set_string_value(ListText(message, field));
    return value;
  }
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: value.set_number_value(reflection.GetInt32(message, &field)); break;
    case FieldDescriptor::CPPTYPE_INT64:
      value.set_number_value(static_cast<double>(reflection.GetInt64(message, &field)));
      break;
    case FieldDescriptor::CPPTYPE_UINT64:
      value.set_number_value(static_cast<double>(reflection.GetUInt64(message, &field)));
      break;
    case FieldDescriptor::CPPTYPE_DOUBLE: value.set_number_value(reflection.GetDouble(message, &field)); break;
    case FieldDescriptor::CPPTYPE_BOOL: value.set_bool_value(reflection.GetBool(message, &field)); break;
    case FieldDescriptor::CPPTYPE_STRING: value.set_string_value(reflection.GetString(message, &field)); break;
    default: {
      // A float as it is written, 0.1 and not what double makes of it; the names of enums' values are no numbers.
      std::string text;
      google::protobuf::TextFormat::PrintFieldValueToString(message, &field, -1, &text);
      double number = 0;
      if (field.cpp_type() == FieldDescriptor::CPPTYPE_FLOAT && absl::SimpleAtod(text, &number)) {
        value.set_number_value(number);
      } else {
        value.set_string_value(text);
      }
    }
  }
  return value;
}

void Flatten(const Message& message, const std::string& prefix, Values& values) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    if (path == "description") continue;
    if (!field->is_repeated() && field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      Flatten(message.GetReflection()->GetMessage(message, field), path + ".", values);
    } else {
      values.emplace_back(path, ValueOf(message, *field));
    }
  }
}

void AddPluginData(absl::string_view tag, const tensorboard::HParamsPluginData& data, Summary& summary) {
  Summary::Value& added = *summary.add_value();
  added.set_tag(absl::StrCat("_hparams_/", tag));
  added.mutable_metadata()->mutable_plugin_data()->set_plugin_name("hparams");
  added.mutable_metadata()->mutable_plugin_data()->set_content(data.SerializeAsString());
  added.mutable_metadata()->set_data_class(tensorboard::DATA_CLASS_TENSOR);
  // A value has to be there; the plugin reads the metadata alone.
  added.mutable_tensor()->set_dtype(tensorboard::DT_FLOAT);
  added.mutable_tensor()->mutable_tensor_shape();
}

}  // namespace

Values HyperparametersOf(const recipe::Recipe& recipe) {
  Values values;
  Flatten(recipe, "", values);
  return values;
}

void AddSessionStart(const recipe::Recipe& recipe, double wall_time, Summary& summary) {
  tensorboard::HParamsPluginData data;
  tensorboard::SessionStartInfo& start = *data.mutable_session_start_info();
  start.set_start_time_secs(wall_time);
  for (auto& [path, value] : HyperparametersOf(recipe)) (*start.mutable_hparams())[path] = std::move(value);
  AddPluginData("session_start_info", data, summary);
}

void AddSessionEnd(double wall_time, Summary& summary) {
  tensorboard::HParamsPluginData end;
  end.mutable_session_end_info()->set_status(tensorboard::SessionEndInfo::STATUS_SUCCESS);
  end.mutable_session_end_info()->set_end_time_secs(wall_time);
  AddPluginData("session_end_info", end, summary);
}

}  // namespace bitgrad
