#include "bitgrad/optim/hyperparameters.h"

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace bitgrad {
namespace {

absl::Status OutOfRange(const char* optimizer, const char* name, double value, const char* range) {
  return absl::InvalidArgumentError(
      absl::StrCat("optimizer '", optimizer, "': ", name, " is ", value, ", must be ", range));
}

}  // namespace

absl::Status ReadHyperparameters(const char* optimizer, const Hyperparameters& values,
                                 absl::Span<const HyperparameterField> fields) {
  std::vector<const char*> names;
  for (const HyperparameterField& field : fields) names.push_back(field.name);
  for (const auto& [name, value] : values) {
    double* target = nullptr;
    for (const HyperparameterField& field : fields) {
      if (name == field.name) target = field.value;
    }
    if (target == nullptr) {
      return absl::InvalidArgumentError(absl::StrCat("optimizer '", optimizer, "' has no hyperparameter '", name,
                                                     "'; it has: ", absl::StrJoin(names, ", ")));
    }
    *target = value;
  }
  return absl::OkStatus();
}

absl::Status CheckFraction(const char* optimizer, const char* name, double value) {
  const float rounded = static_cast<float>(value);
  if (rounded >= 0 && rounded < 1) return absl::OkStatus();
  return OutOfRange(optimizer, name, value, "at least 0 and less than 1");
}

absl::Status CheckPositive(const char* optimizer, const char* name, double value) {
  const float rounded = static_cast<float>(value);
  if (rounded > 0 && std::isfinite(rounded)) return absl::OkStatus();
  return OutOfRange(optimizer, name, value, "a positive finite number");
}

absl::Status CheckNotNegative(const char* optimizer, const char* name, double value) {
  const float rounded = static_cast<float>(value);
  if (rounded >= 0 && std::isfinite(rounded)) return absl::OkStatus();
  return OutOfRange(optimizer, name, value, "0 or a positive finite number");
}

}  // namespace bitgrad
