#include "bitgrad/models/training/resume_fields.h"

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/models/recipe_values.h"

namespace bitgrad {
namespace {

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
  std::vector<std::string> changes;
  for (const RecipeDifference& difference : RecipeDifferences({&before, &now})) {
    const std::string &path = difference.path, &old_text = difference.values[0], &new_text = difference.values[1];
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
