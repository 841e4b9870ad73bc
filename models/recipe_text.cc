#include "bitgrad/models/recipe_text.h"

#include <set>

#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/stubs/common.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

absl::Status CheckText(const std::string& path, const std::string& text) {
  if (IsUtf8(text)) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat(path, " is not UTF-8 text: \"", absl::CHexEscape(text), "\"; save the recipe as UTF-8"));
}

absl::Status CheckEnum(const std::string& path, const FieldDescriptor& field, int number) {
  if (field.enum_type()->FindValueByNumber(number) != nullptr) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(path, " is ", number, ", which is none of its values; it is one of ",
                                                 absl::StrJoin(ValueNames(*field.enum_type()), ", ")));
}

absl::Status CheckGroup(const std::string& prefix, const Message& message);

// The value of a field, or the value at `index` of a list.
absl::Status CheckValue(const std::string& path, const Message& message, const FieldDescriptor& field, int index) {
  const Reflection& reflection = *message.GetReflection();
  const bool repeated = field.is_repeated();
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_STRING:
      return CheckText(path, repeated ? reflection.GetRepeatedString(message, &field, index)
                                      : reflection.GetString(message, &field));
    case FieldDescriptor::CPPTYPE_ENUM:
      return CheckEnum(path, field,
                       repeated ? reflection.GetRepeatedEnumValue(message, &field, index)
                                : reflection.GetEnumValue(message, &field));
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return CheckGroup(path + ".", repeated ? reflection.GetRepeatedMessage(message, &field, index)
                                             : reflection.GetMessage(message, &field));
    default: return absl::OkStatus();
  }
}

absl::Status CheckGroup(const std::string& prefix, const Message& message) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    if (!field->is_repeated()) {
      BITGRAD_RETURN_IF_ERROR(CheckValue(path, message, *field, 0));
      continue;
    }
    const int size = message.GetReflection()->FieldSize(message, field);
    for (int i = 0; i < size; ++i) {
      BITGRAD_RETURN_IF_ERROR(CheckValue(absl::StrCat(path, "[", i, "]"), message, *field, i));
    }
  }
  return absl::OkStatus();
}

// Keeps the first error of the text-format parser, with its place.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The values of the enum fields of this name in the message and its groups.
void AddValuesOf(absl::string_view field_name, const google::protobuf::Descriptor& message,
                 std::set<const google::protobuf::Descriptor*>& seen, std::vector<std::string>& values) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    if (field.message_type() != nullptr) AddValuesOf(field_name, *field.message_type(), seen, values);
    if (field.enum_type() == nullptr || field.name() != field_name) continue;
    for (const std::string& value : ValueNames(*field.enum_type())) values.push_back(value);
  }
}

// What was probably meant where the parser complains about a name. Protobuf tells the name in its messages alone:
//   Message type "bitgrad.recipe.Mlp" has no field named "hiden".
//   Unknown enumeration value of "HINGE" for field "loss".
std::string SuggestionFor(absl::string_view error, const google::protobuf::Descriptor& root) {
  const std::vector<std::string> quoted = absl::StrSplit(error, '"');
  if (quoted.size() < 5) return "";
  if (absl::StrContains(error, "has no field named")) {
    const auto* message = root.file()->pool()->FindMessageTypeByName(quoted[1]);
    return message == nullptr ? "" : DidYouMean(quoted[3], FieldNames(*message));
  }
  if (!absl::StrContains(error, "Unknown enumeration value")) return "";
  std::set<const google::protobuf::Descriptor*> seen;
  std::vector<std::string> values;
  AddValuesOf(quoted[3], root, seen, values);
  return absl::StrCat(DidYouMean(quoted[1], values), "; it is one of ", absl::StrJoin(values, ", "));
}

}  // namespace

std::vector<std::string> FieldNames(const google::protobuf::Descriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return names;
}

std::vector<std::string> ValueNames(const google::protobuf::EnumDescriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.value_count(); ++i) names.push_back(descriptor.value(i)->name());
  return names;
}

bool IsUtf8(absl::string_view text) {
  // Protobuf's own check, so that what passes here is what can be read back.
  return google::protobuf::internal::IsStructurallyValidUTF8(text.data(), static_cast<int>(text.size()));
}

absl::Status CheckFields(const google::protobuf::Message& message) { return CheckGroup("", message); }

absl::Status ParseText(absl::string_view where, absl::string_view text, google::protobuf::Message& message) {
  const auto error_in = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat(where, ", ", what...));
  };
  if (absl::StartsWith(text, "\xff\xfe") || absl::StartsWith(text, "\xfe\xff")) {
    return error_in("line 1: the text is UTF-16; save the file as UTF-8");
  }
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // the byte-order mark that some editors put before UTF-8
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  const google::protobuf::Descriptor& root = *message.GetDescriptor();
  if (!parser.ParseFromString(std::string(text), &message)) {
    absl::string_view schema = root.file()->name();
    absl::ConsumePrefix(&schema, "bitgrad/");
    return error_in(error.text(), SuggestionFor(error.text(), root), "; see ", schema, " for the fields");
  }
  if (const absl::Status fields = CheckFields(message); !fields.ok()) return error_in(fields.message());
  return absl::OkStatus();
}

}  // namespace bitgrad
