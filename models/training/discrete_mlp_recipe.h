// How DiscreteMlp (discrete_mlp.h) reads a recipe. Errors are InvalidArgument, with the field and what to do.

#ifndef BITGRAD_MODELS_TRAINING_DISCRETE_MLP_RECIPE_H_
#define BITGRAD_MODELS_TRAINING_DISCRETE_MLP_RECIPE_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The codes that weights may have; -1, 0, 1 where the recipe names none.
std::vector<int32_t> DiscreteValuesOf(const recipe::CoordinateDescent& descent);

// The quantizer of the field model.mlp.NAME in its role. It has integer codes and a fixed scale.
absl::StatusOr<Quantizer> ReadIntegerQuantizer(const char* name, const std::string& text, QuantizerRole role);

// The activation function of the field model.mlp.NAME, one that learns nothing.
absl::StatusOr<std::unique_ptr<Layer>> ReadFixedActivation(const char* name, const std::string& text);

// q(f(x)), by the graph's ops; a null activation is none.
absl::StatusOr<std::vector<float>> QuantizedByGraph(ExecContext& context, std::vector<float> x, Layer* activation,
                                                    const Quantizer& quantizer);

// For each value a float in [-1, 1] that the weight quantizer maps to this code.
absl::StatusOr<std::vector<float>> LatentOf(absl::Span<const int32_t> values, const Quantizer& quantizer);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_DISCRETE_MLP_RECIPE_H_
