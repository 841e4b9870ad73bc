// Readers of the fields that the recipes of several networks share. Their errors name the field.

#ifndef BITGRAD_MODELS_RECIPE_FIELDS_H_
#define BITGRAD_MODELS_RECIPE_FIELDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/layers/low_precision.h"
#include "bitgrad/models/scheduled_scalar.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/dropout.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// "recipe: FIELD: message" with the error's code. `field` is a path, "model.mlp.hidden".
absl::Status InField(absl::string_view field, const absl::Status& error);

// An error that names the field and its value where that is not positive, or not in [least, most].
absl::Status CheckPositive(absl::string_view field, int64_t value);
absl::Status CheckRange(absl::string_view field, int64_t value, int64_t least, int64_t most);
// The same where a number is no probability to keep, which is in (0, 1], or no norm, which is positive and finite.
absl::Status CheckKeep(absl::string_view field, float keep);
absl::Status CheckNorm(absl::string_view field, float norm);

// Reads a quantizer for the operands of this role. An empty text leaves `quantizer` as it is.
//
// Errors: an unknown quantizer (the nearest name is suggested); one whose codes or scale depend on more than the value
// itself where that makes no sense. An activation quantizer must not depend on the batch (dorefa_weight does: it
// divides by the largest |tanh x|), because the net would give another answer for the same image in another batch, and
// freezing it would be impossible. A weight quantizer must not have a scale for each row (dorefa_gradient and
// stochastic_round do).
absl::Status ReadQuantizer(absl::string_view field, const std::string& text, QuantizerRole role, Quantizer& quantizer);

// The quantizers that the recipes of all networks have, of activations, weights and gradients, and of the input for the
// weight's gradient. `field` is the network's: "model.mlp".
template <typename Network, typename Options>
absl::Status ReadQuantizers(absl::string_view field, const Network& recipe, Options& options) {
  const auto read = [&](absl::string_view name, const std::string& text, QuantizerRole role, Quantizer& quantizer) {
    return ReadQuantizer(absl::StrCat(field, ".", name), text, role, quantizer);
  };
  BITGRAD_RETURN_IF_ERROR(read("activation_quantizer", recipe.activation_quantizer(), QuantizerRole::kActivation,
                               options.activation_quantizer));
  BITGRAD_RETURN_IF_ERROR(read("weight_quantizer", recipe.weight_quantizer(), QuantizerRole::kWeight, options.weight));
  BITGRAD_RETURN_IF_ERROR(
      read("gradient_quantizer", recipe.gradient_quantizer(), QuantizerRole::kGradient, options.gradient));
  return read("input_for_weight_gradient_quantizer", recipe.input_for_weight_gradient_quantizer(),
              QuantizerRole::kGradient, options.input_for_weight_gradient);
}

// What the recipes of several networks have for maxout nets and arithmetic of low precision: keeps, scaling of dropout,
// max-norm, formats.
inline constexpr int64_t kMostMaxoutPieces = 256;
absl::Status ReadPrecision(absl::string_view field, const recipe::Precision& recipe, PrecisionOptions& options);
template <typename Network, typename Options>
absl::Status ReadMaxoutFields(absl::string_view field, const Network& recipe, Options& options) {
  BITGRAD_RETURN_IF_ERROR(
      CheckRange(absl::StrCat(field, ".maxout_pieces"), recipe.maxout_pieces(), 0, kMostMaxoutPieces));
  options.maxout_pieces = recipe.maxout_pieces();
  options.dropout_scaling =
      recipe.dropout_scaling() == recipe::IN_EVALUATION ? DropoutScaling::kInEvaluation : DropoutScaling::kInTraining;
  options.output_starts_at_zero = recipe.output_starts_at_zero();
  if (recipe.has_max_norm()) {
    BITGRAD_RETURN_IF_ERROR(CheckNorm(absl::StrCat(field, ".max_norm"), recipe.max_norm()));
    options.max_norm = recipe.max_norm();
  }
  if (recipe.has_input_keep()) options.input_keep = recipe.input_keep();
  if (recipe.has_hidden_keep()) options.hidden_keep = recipe.hidden_keep();
  BITGRAD_RETURN_IF_ERROR(CheckKeep(absl::StrCat(field, ".input_keep"), options.input_keep));
  BITGRAD_RETURN_IF_ERROR(CheckKeep(absl::StrCat(field, ".hidden_keep"), options.hidden_keep));
  return ReadPrecision(absl::StrCat(field, ".precision"), recipe.precision(), options.precision);
}

// An empty name leaves `activation` as it is. An error where no activation has the name.
absl::Status ReadActivation(absl::string_view field, const std::string& name, std::string& activation);

// Reads a number that has a schedule; `scalar.initial` is its value where the recipe sets none. An error where the
// schedule cannot be followed.
absl::Status ReadScalar(absl::string_view field, const recipe::ScheduledScalar& recipe, ScalarSchedule& scalar);

BatchNormOptions ReadBatchNorm(const recipe::BatchNorm& norm);

Padding ReadPadding(recipe::Padding padding);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_FIELDS_H_
