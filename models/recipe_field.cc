// SetField: --set=field.path=value, by reflection over the recipe's message.

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/recipe_text.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace bitgrad {
namespace {

using google::protobuf::Descriptor;
using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::OneofDescriptor;
using google::protobuf::Reflection;

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

// A name of a path: "block" (kNone), "block[2]" (an index) or "block[*]" (kEvery).
struct PathStep {
  static constexpr int kNone = -1;
  static constexpr int kEvery = -2;
  std::string name;
  int index = kNone;
};

// One --set. It goes down the path from message to message and stores the value at the path's end.
class Assignment {
 public:
  // REQUIRES: `text` outlives the object.
  explicit Assignment(absl::string_view text) : text_(text) {}

  absl::Status Apply(Message& recipe);

 private:
  template <typename... Parts>
  absl::Status Error(const Parts&... parts) const {
    return absl::InvalidArgumentError(absl::StrCat("--set=", text_, ": ", parts...));
  }

  absl::Status ReadPath(absl::string_view path);
  // Sets what path_[step ...] names in the message.
  absl::Status SetIn(Message& message, size_t step) const;
  absl::Status SetInList(Message& message, const FieldDescriptor& field, size_t step) const;
  absl::Status CheckOneof(const Message& message, const FieldDescriptor& field, size_t step) const;
  absl::Status CheckIndex(const Message& message, const FieldDescriptor& field, size_t step) const;

  // Stores a field's value: the value of a field that has one, the value at `index` of a list, or, for kNone, a list's
  // new last value.
  absl::Status Store(Message& message, const FieldDescriptor& field, int index, absl::string_view value) const;
  template <typename T>
  absl::Status StoreNumber(Message& message, const FieldDescriptor& field, int index, absl::string_view value,
                           bool (*parse)(absl::string_view, T*), absl::string_view expected,
                           void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
                           void (Reflection::*add)(Message*, const FieldDescriptor*, T) const,
                           void (Reflection::*replace)(Message*, const FieldDescriptor*, int, T) const) const;

  std::string Path(size_t steps) const {
    return absl::StrJoin(path_.begin(), path_.begin() + static_cast<int64_t>(steps), ".",
                         [](std::string* out, const PathStep& step) { absl::StrAppend(out, step.name); });
  }

  absl::string_view text_;
  absl::string_view value_;
  std::vector<PathStep> path_;
};

absl::Status Assignment::Apply(Message& recipe) {
  const size_t equals = text_.find('=');
  if (equals == absl::string_view::npos || equals == 0) return Error("write --set=field.path=value");
  value_ = text_.substr(equals + 1);
  BITGRAD_RETURN_IF_ERROR(ReadPath(text_.substr(0, equals)));
  if (value_.empty()) {
    return Error("the value is empty; write ", text_, "[] for an empty list and ", text_, "\"\" for an empty text");
  }
  return SetIn(recipe, 0);
}

absl::Status Assignment::ReadPath(absl::string_view path) {
  for (absl::string_view name : absl::StrSplit(path, '.')) {
    PathStep step;
    const size_t open = name.find('[');
    step.name = std::string(name.substr(0, open));
    if (open != absl::string_view::npos) {
      absl::string_view index = name.substr(open + 1);
      const bool closed = absl::ConsumeSuffix(&index, "]");
      if (closed && index == "*") {
        step.index = PathStep::kEvery;
      } else if (!closed || !absl::SimpleAtoi(index, &step.index) || step.index < 0) {
        return Error("'", name, "' is no place in a list; write ", step.name, "[0], counted from 0, or ", step.name,
                     "[*] for all");
      }
    }
    path_.push_back(step);
  }
  return absl::OkStatus();
}

absl::Status Assignment::SetIn(Message& message, size_t step) const {
  const Descriptor& descriptor = *message.GetDescriptor();
  const std::string& name = path_[step].name;
  const FieldDescriptor* field = descriptor.FindFieldByName(name);
  if (field == nullptr) {
    const std::vector<std::string> names = FieldNames(descriptor);
    return Error("there is no field '", name, "' in ", descriptor.name(), DidYouMean(name, names),
                 "; it has: ", absl::StrJoin(names, ", "));
  }
  const bool last = step + 1 == path_.size();
  const bool is_group = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  if (!last && !is_group) return Error("'", name, "' has no fields");
  if (field->is_repeated()) return SetInList(message, *field, step);
  if (path_[step].index != PathStep::kNone) return Error("'", name, "' is no list; leave out the brackets");
  BITGRAD_RETURN_IF_ERROR(CheckOneof(message, *field, step));
  if (!last) return SetIn(*message.GetReflection()->MutableMessage(&message, field), step + 1);
  return Store(message, *field, PathStep::kNone, value_);
}

absl::Status Assignment::SetInList(Message& message, const FieldDescriptor& field, size_t step) const {
  const Reflection& reflection = *message.GetReflection();
  const bool is_group = field.cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
  const bool last = step + 1 == path_.size();
  const int index = path_[step].index;
  if (!is_group && index == PathStep::kNone) {
    reflection.ClearField(&message, &field);
    if (value_ == "[]") return absl::OkStatus();
    int place = 0;
    for (absl::string_view item : absl::StrSplit(value_, OuterComma())) {
      ++place;
      if (item.empty()) return Error("value ", place, " of the list is empty");
      BITGRAD_RETURN_IF_ERROR(Store(message, field, PathStep::kNone, item));
    }
    return absl::OkStatus();
  }
  BITGRAD_RETURN_IF_ERROR(CheckIndex(message, field, step));
  const int begin = index == PathStep::kEvery ? 0 : index;
  const int end = index == PathStep::kEvery ? reflection.FieldSize(message, &field) : index + 1;
  for (int i = begin; i < end; ++i) {
    BITGRAD_RETURN_IF_ERROR(is_group && !last ? SetIn(*reflection.MutableRepeatedMessage(&message, &field, i), step + 1)
                                              : Store(message, field, i, value_));
  }
  return absl::OkStatus();
}

absl::Status Assignment::CheckIndex(const Message& message, const FieldDescriptor& field, size_t step) const {
  const int size = message.GetReflection()->FieldSize(message, &field);
  const int index = path_[step].index;
  const std::string& name = field.name();
  if (size == 0) {
    return Error("the recipe has no ", name, " in '", Path(step), "' to change; write the recipe in a file to add one");
  }
  if (index == PathStep::kNone) {
    return Error("'", name, "' is a list of ", size, "; name one, ", name, "[0] to ", name, "[", size - 1, "], or ",
                 name, "[*] for all");
  }
  if (index >= size) {
    return Error("there is no ", name, "[", index, "]; the recipe has ", name, "[0] to ", name, "[", size - 1, "]");
  }
  return absl::OkStatus();
}

// Setting a member of a oneof drops the member that was set, with all that the recipe says about it.
absl::Status Assignment::CheckOneof(const Message& message, const FieldDescriptor& field, size_t step) const {
  const OneofDescriptor* oneof = field.real_containing_oneof();
  if (oneof == nullptr) return absl::OkStatus();
  const FieldDescriptor* present = message.GetReflection()->GetOneofFieldDescriptor(message, oneof);
  if (present == nullptr || present == &field) return absl::OkStatus();
  const std::string group = Path(step);
  // The same field of the member that is there, if it has one: hidden widths are fields of several networks.
  std::string instead;
  const bool goes_on = step + 1 < path_.size() && present->message_type() != nullptr;
  if (goes_on && present->message_type()->FindFieldByName(path_[step + 1].name) != nullptr) {
    instead = absl::StrCat(" (did you mean '", group, ".", present->name(), ".", path_[step + 1].name, "'?)");
  }
  return Error("the recipe's ", group, " is ", present->name(), ", and this is a field of ", field.name(), instead,
               "; --set changes what a recipe has, not which ", group, " it has: choose a recipe whose ", group, " is ",
               field.name(), ", or write one in a file");
}

template <typename T>
absl::Status Assignment::StoreNumber(Message& message, const FieldDescriptor& field, int index, absl::string_view value,
                                     bool (*parse)(absl::string_view, T*), absl::string_view expected,
                                     void (Reflection::*set)(Message*, const FieldDescriptor*, T) const,
                                     void (Reflection::*add)(Message*, const FieldDescriptor*, T) const,
                                     void (Reflection::*replace)(Message*, const FieldDescriptor*, int, T)
                                         const) const {
  T number{};
  if (!parse(value, &number)) return Error("'", value, "' is not ", expected);
  const Reflection& reflection = *message.GetReflection();
  if (!field.is_repeated()) {
    (reflection.*set)(&message, &field, number);
  } else if (index == PathStep::kNone) {
    (reflection.*add)(&message, &field, number);
  } else {
    (reflection.*replace)(&message, &field, index, number);
  }
  return absl::OkStatus();
}

absl::Status Assignment::Store(Message& message, const FieldDescriptor& field, int index,
                               absl::string_view value) const {
  switch (field.cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32:
      return StoreNumber<int32_t>(message, field, index, value, absl::SimpleAtoi, "a whole number (32 bits)",
                                  &Reflection::SetInt32, &Reflection::AddInt32, &Reflection::SetRepeatedInt32);
    case FieldDescriptor::CPPTYPE_UINT64:
      return StoreNumber<uint64_t>(message, field, index, value, absl::SimpleAtoi, "a whole number >= 0",
                                   &Reflection::SetUInt64, &Reflection::AddUInt64, &Reflection::SetRepeatedUInt64);
    case FieldDescriptor::CPPTYPE_FLOAT:
      return StoreNumber<float>(message, field, index, value, absl::SimpleAtof, "a number", &Reflection::SetFloat,
                                &Reflection::AddFloat, &Reflection::SetRepeatedFloat);
    case FieldDescriptor::CPPTYPE_DOUBLE:
      return StoreNumber<double>(message, field, index, value, absl::SimpleAtod, "a number", &Reflection::SetDouble,
                                 &Reflection::AddDouble, &Reflection::SetRepeatedDouble);
    case FieldDescriptor::CPPTYPE_BOOL:
      return StoreNumber<bool>(message, field, index, value, absl::SimpleAtob, "true or false", &Reflection::SetBool,
                               &Reflection::AddBool, &Reflection::SetRepeatedBool);
    case FieldDescriptor::CPPTYPE_ENUM: {
      const auto* known = field.enum_type()->FindValueByName(std::string(value));
      if (known == nullptr) {
        const std::vector<std::string> names = ValueNames(*field.enum_type());
        return Error("'", value, "' is not one of ", absl::StrJoin(names, ", "), DidYouMean(value, names));
      }
      return StoreNumber<int>(message, field, index, absl::StrCat(known->number()), absl::SimpleAtoi, "",
                              &Reflection::SetEnumValue, &Reflection::AddEnumValue, &Reflection::SetRepeatedEnumValue);
    }
    case FieldDescriptor::CPPTYPE_STRING: {
      if (!IsUtf8(value)) {
        return absl::InvalidArgumentError(
            absl::StrCat("--set=", absl::CHexEscape(text_), ": the value is not UTF-8 text"));
      }
      const std::string text = value == "\"\"" ? "" : std::string(value);
      const Reflection& reflection = *message.GetReflection();
      if (!field.is_repeated()) {
        reflection.SetString(&message, &field, text);
      } else if (index == PathStep::kNone) {
        reflection.AddString(&message, &field, text);
      } else {
        reflection.SetRepeatedString(&message, &field, index, text);
      }
      return absl::OkStatus();
    }
    case FieldDescriptor::CPPTYPE_MESSAGE:
      return Error("'", field.name(),
                   "' is a group of fields; name one of: ", absl::StrJoin(FieldNames(*field.message_type()), ", "));
    default: return Error("'", field.name(), "' has a type that --set does not know");
  }
}

}  // namespace

absl::Status SetField(absl::string_view assignment, recipe::Recipe& recipe) {
  // Changes go to a copy, so that an error leaves the recipe as it was.
  recipe::Recipe changed = recipe;
  BITGRAD_RETURN_IF_ERROR(Assignment(assignment).Apply(changed));
  recipe = std::move(changed);
  return absl::OkStatus();
}

}  // namespace bitgrad
