// The values of a recipe's fields as texts, by the paths that --set takes, and what differs between recipes.

#ifndef BITGRAD_MODELS_RECIPE_VALUES_H_
#define BITGRAD_MODELS_RECIPE_VALUES_H_

#include <map>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The text of each field that is set: "model.mlp.hidden" -> "1024, 1024", "name" -> "\"digits_bnn_mlp\"". A group of
// fields, "model.mlp" or "phase[0]", is "{}": it is something even where all its fields have their defaults.
std::map<std::string, std::string> RecipeValues(const recipe::Recipe& recipe);

// A field that is not the same in all recipes.
struct RecipeDifference {
  std::string path;
  std::vector<std::string> values;  // one for each recipe, kNotSet where it does not set the field
};

inline constexpr char kNotSet[] = "(not set)";

// In the order of the paths.
std::vector<RecipeDifference> RecipeDifferences(absl::Span<const recipe::Recipe* const> recipes);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_VALUES_H_
