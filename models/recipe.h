// Recipes: what a training run consists of, as a text-format protobuf (proto/recipe.proto).
//
//   BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe("mnist_bnn_mlp_small"));
//   BITGRAD_RETURN_IF_ERROR(SetField("optimizer.learning_rate=0.001", recipe));
//   BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
//
// The built-in ones are the files of models/recipes/, compiled in.

#ifndef BITGRAD_MODELS_RECIPE_H_
#define BITGRAD_MODELS_RECIPE_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct BuiltInRecipe {
  const char* name;
  const char* text;
};

// Sorted by name. Generated from models/recipes/*.textproto.
absl::Span<const BuiltInRecipe> BuiltInRecipes();

// The built-in recipe of that name or, where there is none, the file. Errors: an unknown name (the known ones are
// listed), an unreadable file, a syntax error or unknown field (file, line and column are named).
absl::StatusOr<recipe::Recipe> LoadRecipe(const std::string& name_or_path);

// Sets one field: "path.to.field=value". A repeated field takes values separated by commas (those in brackets aside),
// and replaces what was there. Errors name the part of the path that does not exist, with the fields there are, or the
// value that does not fit the field's type.
absl::Status SetField(absl::string_view assignment, recipe::Recipe& recipe);

// Whether sizes, counts and rates make sense; names the field that does not, and its value.
absl::Status ValidateRecipe(const recipe::Recipe& recipe);

// A line per built-in recipe, for --help.
std::string RecipesHelp();

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_H_
