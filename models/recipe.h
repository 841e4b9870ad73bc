// Recipes: what a training run consists of, as a text-format protobuf (proto/recipe.proto).
//
//   BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe("mnist_bnn_mlp_small"));
//   BITGRAD_RETURN_IF_ERROR(SetField("optimizer.learning_rate=0.001", recipe));
//   BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
//
// The built-in recipes are the files of models/recipes/, compiled into the programs.

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

// The built-in recipe of that name or, where there is none, the file of that name. A byte-order mark (UTF-8) at a
// file's beginning is skipped.
//
// Errors: a name that is neither (the built-in names are listed, the nearest is suggested); an unreadable file; a
// syntax error, an unknown field or an unknown value of an enum (file, line and column are named, the nearest name is
// suggested); text that is not UTF-8 (the field is named).
absl::StatusOr<recipe::Recipe> LoadRecipe(const std::string& name_or_path);

// Sets a field: "path.to.field=value".
//
//   epochs=20                          one value
//   optimizer.name=adam                a value of a group of fields
//   model.mlp.hidden=1024,1024         a list: it replaces the old one. Commas in parentheses do not separate
//   model.mlp.hidden=[]                the empty list
//   description=""                     the empty text
//   model.mlp.hidden[0]=512            one value of a list, counted from 0
//   model.conv_net.block[2].filters=8  a field of one group of a list
//   model.conv_net.block[*].filters=8  the field in all groups of the list
//
// A value changes what the recipe has; it does not replace one network by another. "model.mlp.hidden=32" for a recipe
// whose model is a conv_net is an error (it holds for every oneof).
//
// Errors leave the recipe as it was. They name the part of the path that does not exist with the fields that do, the
// index that is out of range with the indices that are not, or the value that does not fit the field's type. An empty
// value is an error too: a shell variable that is not set would otherwise make a deep net a linear one.
absl::Status SetField(absl::string_view assignment, recipe::Recipe& recipe);

// Whether the recipe's text is UTF-8, its enums have values that this build knows, and its sizes, counts and rates make
// sense. The error names the field that does not, and its value.
absl::Status ValidateRecipe(const recipe::Recipe& recipe);

// A line per built-in recipe, for --help.
std::string RecipesHelp();

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_H_
