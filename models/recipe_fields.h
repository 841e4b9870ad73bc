// Readers of the fields that the recipes of several networks share. Their errors name the field.

#ifndef BITGRAD_MODELS_RECIPE_FIELDS_H_
#define BITGRAD_MODELS_RECIPE_FIELDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "bitgrad/models/scheduled_scalar.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// "recipe: FIELD: message" with the error's code. `field` is a path, "model.mlp.hidden".
absl::Status InField(absl::string_view field, const absl::Status& error);

// Reads a quantizer for the operands of this role. An empty text leaves `quantizer` as it is.
//
// Errors: an unknown quantizer (the nearest name is suggested); one whose codes or scale depend on more than the value
// itself where that makes no sense. An activation quantizer must not depend on the batch (dorefa_weight does: it
// divides by the largest |tanh x|), because the net would give another answer for the same image in another batch, and
// freezing it would be impossible. A weight quantizer must not have a scale for each row (dorefa_gradient and
// stochastic_round do).
absl::Status ReadQuantizer(absl::string_view field, const std::string& text, QuantizerRole role, Quantizer& quantizer);

// An empty name leaves `activation` as it is. An error where no activation has the name.
absl::Status ReadActivation(absl::string_view field, const std::string& name, std::string& activation);

// An error that names the field and its value where that is not positive, or not in [least, most].
absl::Status CheckPositive(absl::string_view field, int64_t value);
absl::Status CheckRange(absl::string_view field, int64_t value, int64_t least, int64_t most);

// Reads a number that has a schedule; `scalar.initial` is its value where the recipe sets none. An error where the
// schedule cannot be followed.
absl::Status ReadScalar(absl::string_view field, const recipe::ScheduledScalar& recipe, ScalarSchedule& scalar);

BatchNormOptions ReadBatchNorm(const recipe::BatchNorm& norm);

Padding ReadPadding(recipe::Padding padding);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_FIELDS_H_
