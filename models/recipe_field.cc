// SetField: --set=field.path=value, by reflection over the recipe's message.

#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace bitgrad {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;

std::string FieldNames(const Descriptor& descriptor) {
  std::vector<std::string> names;
  for (int i = 0; i < descriptor.field_count(); ++i) names.push_back(descriptor.field(i)->name());
  return absl::StrJoin(names, ", ");
}

absl::Status WrongType(absl::string_view path, absl::string_view value, absl::string_view expected) {
  return absl::InvalidArgumentError(absl::StrCat("--set=", path, "=", value, ": '", value, "' is not ", expected));
}

// For absl::StrSplit: commas that are not within brackets, as they are in "crop(4),jitter(0.4,0.4,0.4)".
struct OuterComma {
  absl::string_view Find(absl::string_view text, size_t begin) const {
    int depth = 0;
    for (size_t i = begin; i < text.size(); ++i) {
      depth += (text[i] == '(') - (text[i] == ')');
      if (text[i] == ',' && depth == 0) return text.substr(i, 1);
    }
    return text.substr(text.size());
  }
};

// Reads `value` as T with `parse` and stores it with one of the two setters.
template <typename T>
absl::Status Store(Message& message, const FieldDescriptor* field, absl::string_view path, absl::string_view value,
                   bool (*parse)(absl::string_view, T*), absl::string_view expected,
                   void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
                   void (Reflection::*add)(Message*, const FieldDescriptor*, T) const) {
  T number{};
  if (!parse(value, &number)) return WrongType(path, value, expected);
  const Reflection* reflection = message.GetReflection();
  (reflection->*(field->is_repeated() ? add : set))(&message, field, number);
  return absl::OkStatus();
}

absl::Status StoreValue(Message& message, const FieldDescriptor* field, absl::string_view path,
                        absl::string_view value) {
  const Reflection* reflection = message.GetReflection();
  switch (field->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return Store<int32_t>(message, field, path, value, absl::SimpleAtoi, "a whole number (32 bits)",
                            &Reflection::SetInt32, &Reflection::AddInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return Store<uint64_t>(message, field, path, value, absl::SimpleAtoi, "a whole number >= 0",
                             &Reflection::SetUInt64, &Reflection::AddUInt64);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return Store<float>(message, field, path, value, absl::SimpleAtof, "a number", &Reflection::SetFloat,
                          &Reflection::AddFloat);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return Store<double>(message, field, path, value, absl::SimpleAtod, "a number", &Reflection::SetDouble,
                           &Reflection::AddDouble);
    case FieldDescriptor::CPPTYPE_BOOL:
      return Store<bool>(message, field, path, value, absl::SimpleAtob, "true or false", &Reflection::SetBool,
                         &Reflection::AddBool);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* known = field->enum_type()->FindValueByName(std::string(value));
      if (known == nullptr) {
        std::vector<std::string> names;
        for (int i = 0; i < field->enum_type()->value_count(); ++i) {
          names.push_back(field->enum_type()->value(i)->name());
        }
        return WrongType(path, value, absl::StrCat("one of ", absl::StrJoin(names, ", ")));
      }
      reflection->SetEnum(&message, field, known);
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_STRING:
      if (field->is_repeated()) {
        reflection->AddString(&message, field, std::string(value));
      } else {
        reflection->SetString(&message, field, std::string(value));
      }
      return absl::OkStatus();
    default:
      return absl::InvalidArgumentError(
          absl::StrCat("--set=", path, "=", value, ": '", field->name(),
                       "' is a group of fields; name one of: ", FieldNames(*field->message_type())));
  }
}

}  // namespace

absl::Status SetField(absl::string_view assignment, recipe::Recipe& recipe) {
  const std::pair<absl::string_view, absl::string_view> parts = absl::StrSplit(assignment, absl::MaxSplits('=', 1));
  const auto [path, value] = parts;
  if (path.size() == assignment.size() || path.empty()) {
    return absl::InvalidArgumentError(absl::StrCat("--set=", assignment, ": write --set=field.path=value"));
  }
  // Changes go to a copy, so that an error leaves the recipe as it was.
  recipe::Recipe changed = recipe;
  Message* message = &changed;
  const std::vector<std::string> names = absl::StrSplit(path, '.');
  for (size_t i = 0; i < names.size(); ++i) {
    const Descriptor& descriptor = *message->GetDescriptor();
    const FieldDescriptor* field = descriptor.FindFieldByName(names[i]);
    if (field == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("--set=", assignment, ": there is no field '", names[i], "' in ",
                                                     descriptor.name(), "; it has: ", FieldNames(descriptor)));
    }
    const Reflection* reflection = message->GetReflection();
    if (i + 1 < names.size()) {
      if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
        return absl::InvalidArgumentError(absl::StrCat("--set=", assignment, ": '", names[i], "' has no fields"));
      }
      message = reflection->MutableMessage(message, field);
    } else if (field->is_repeated()) {
      reflection->ClearField(message, field);
      for (absl::string_view item : absl::StrSplit(value, OuterComma(), absl::SkipEmpty())) {
        BITGRAD_RETURN_IF_ERROR(StoreValue(*message, field, path, item));
      }
    } else {
      BITGRAD_RETURN_IF_ERROR(StoreValue(*message, field, path, value));
    }
  }
  recipe = std::move(changed);
  return absl::OkStatus();
}

}  // namespace bitgrad
