#include "bitgrad/models/recipe_text.h"

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/status_macros.h"
#include "google/protobuf/stubs/common.h"

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

}  // namespace bitgrad
