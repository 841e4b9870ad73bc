// Which fields of a recipe may change when a run is resumed.

#ifndef BITGRAD_MODELS_TRAINING_RESUME_FIELDS_H_
#define BITGRAD_MODELS_TRAINING_RESUME_FIELDS_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct ResumeField {
  const char* path;  // a field, or a group of fields
  const char* why;   // it may change
};

// All of them. A field that is not in this table decides what the run has computed so far, or what its state means.
absl::Span<const ResumeField> ResumeFields();

// The changes from the recipe of a checkpoint to the one that resumes it, "epochs: 20 -> 40" each, in the order of the
// paths. FailedPrecondition for one that ResumeFields() does not have; the message names it, and the two values.
absl::StatusOr<std::vector<std::string>> ChangesOnResume(const recipe::Recipe& before, const recipe::Recipe& now);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_RESUME_FIELDS_H_
