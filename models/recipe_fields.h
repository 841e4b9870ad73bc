// Fields that several networks' recipes share, read with errors that name them.

#ifndef BITGRAD_MODELS_RECIPE_FIELDS_H_
#define BITGRAD_MODELS_RECIPE_FIELDS_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// "recipe: FIELD: message" with the error's code. `field` is a path, "model.mlp.hidden".
absl::Status InField(absl::string_view field, const absl::Status& error);

// An empty text leaves `quantizer` as it is.
absl::Status ReadQuantizer(absl::string_view field, const std::string& text, Quantizer& quantizer);

// An error where the name is of no activation; an empty one leaves `activation` as it is.
absl::Status ReadActivation(absl::string_view field, const std::string& name, std::string& activation);

absl::Status CheckPositive(absl::string_view field, int64_t value);
absl::Status CheckRange(absl::string_view field, int64_t value, int64_t least, int64_t most);

BatchNormOptions ReadBatchNorm(const recipe::BatchNorm& norm);

Padding ReadPadding(recipe::Padding padding);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_FIELDS_H_
