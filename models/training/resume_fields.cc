#include "bitgrad/models/training/resume_fields.h"

#include <map>
#include <set>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

constexpr ResumeField kResumeFields[] = {
    {"name", "it is for people"},
    {"description", "it is for people"},
    {"epochs", "a run may end earlier or go on for longer; schedules that spread over all epochs change with it"},
    {"optimizer.learning_rate", "it is set anew for every step"},
    {"optimizer.max_gradient_norm", "it is a limit for each step alone"},
    {"optimizer.weight_decay", "it is a term of each step alone"},
    {"optimizer.rule.learning_rate", "it is set anew for every step"},
    {"optimizer.rule.constant_rate", "it is set anew for every step"},
    {"optimizer.rule.weight_decay", "it is a term of each step alone"},
    {"optimizer.rule.threshold", "it is a limit for each step alone"},
    {"schedule", "it is a function of the epoch and of the results before, which the checkpoint has"},
};

// The text of each field that is set: "model.mlp.hidden" -> "1024, 1024".
void Flatten(const Message& message, const std::string& prefix, std::map<std::string, std::string>& values) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    const bool is_group = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      if (is_group) {
        // A group is something even where all its fields have their defaults: the kind of network.
        values[path] = "{}";
        Flatten(message.GetReflection()->GetMessage(message, field), path + ".", values);
      } else {
        google::protobuf::TextFormat::PrintFieldValueToString(message, field, -1, &values[path]);
      }
      continue;
    }
    std::vector<std::string> texts;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      if (is_group) {
        const std::string place = absl::StrCat(path, "[", i, "]");
        values[place] = "{}";
        Flatten(message.GetReflection()->GetRepeatedMessage(message, field, i), place + ".", values);
      } else {
        google::protobuf::TextFormat::PrintFieldValueToString(message, field, i, &texts.emplace_back());
      }
    }
    if (!is_group) values[path] = absl::StrJoin(texts, ", ");
  }
}

// The table names fields of list entries without the place: "optimizer.rule[0].threshold" is
// "optimizer.rule.threshold".
std::string WithoutPlaces(const std::string& path) {
  std::string result;
  bool inside = false;
  for (const char c : path) {
    inside |= c == '[';
    if (!inside) result += c;
    inside &= c != ']';
  }
  return result;
}

bool MayChange(const std::string& full_path) {
  const std::string path = WithoutPlaces(full_path);
  for (const ResumeField& field : kResumeFields) {
    if (path == field.path || absl::StartsWith(path, absl::StrCat(field.path, "."))) return true;
  }
  return false;
}

}  // namespace

absl::Span<const ResumeField> ResumeFields() { return kResumeFields; }

absl::StatusOr<std::vector<std::string>> ChangesOnResume(const recipe::Recipe& before, const recipe::Recipe& now) {
  std::map<std::string, std::string> old_values, new_values;
  Flatten(before, "", old_values);
  Flatten(now, "", new_values);
  std::set<std::string> paths;
  for (const auto* values : {&old_values, &new_values}) {
    for (const auto& [path, text] : *values) paths.insert(path);
  }
  const auto text_of = [](const std::map<std::string, std::string>& values, const std::string& path) -> std::string {
    const auto found = values.find(path);
    return found == values.end() ? "(not set)" : found->second;
  };
  std::vector<std::string> changes;
  for (const std::string& path : paths) {
    const std::string old_text = text_of(old_values, path), new_text = text_of(new_values, path);
    if (old_text == new_text) continue;
    if (!MayChange(path)) {
      return absl::FailedPreconditionError(absl::StrCat(
          path, " was ", old_text, " and is ", new_text, " now; a run can be resumed with another ",
          absl::StrJoin(kResumeFields, ", ", [](std::string* out, const ResumeField& f) { *out += f.path; }),
          ", not with this: begin a new run with another --out"));
    }
    if (new_text != "{}" && old_text != "{}") changes.push_back(absl::StrCat(path, ": ", old_text, " -> ", new_text));
  }
  return changes;
}

}  // namespace bitgrad
