#include "bitgrad/models/recipe.h"

#include <cmath>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/recipe_text.h"

namespace bitgrad {
namespace {

absl::StatusOr<recipe::Recipe> ParseRecipe(absl::string_view where, absl::string_view text) {
  recipe::Recipe recipe;
  BITGRAD_RETURN_IF_ERROR(ParseText(absl::StrCat("recipe '", where, "'"), text, recipe));
  return recipe;
}

absl::Status Positive(absl::string_view field, double value) {
  if (value > 0 && std::isfinite(value)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("recipe: ", field, " is ", value, "; it has to be positive"));
}

}  // namespace

absl::StatusOr<recipe::Recipe> LoadRecipe(const std::string& name_or_path) {
  std::vector<std::string> names;
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) {
    if (name_or_path == built_in.name) return ParseRecipe(built_in.name, built_in.text);
    names.push_back(built_in.name);
  }
  const absl::StatusOr<MappedFile> file = MappedFile::Open(ResolvePath(name_or_path));
  if (!file.ok()) {
    return absl::NotFoundError(absl::StrCat("recipe '", name_or_path, "' is neither built in",
                                            DidYouMean(name_or_path, names), " nor a readable file (",
                                            file.status().message(), "); built in: ", absl::StrJoin(names, ", ")));
  }
  const auto bytes = file->bytes();
  return ParseRecipe(name_or_path, {reinterpret_cast<const char*>(bytes.data()), bytes.size()});
}

absl::Status ValidateRecipe(const recipe::Recipe& recipe) {
  if (const absl::Status fields = CheckFields(recipe); !fields.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe: ", fields.message()));
  }
  BITGRAD_RETURN_IF_ERROR(Positive("epochs", recipe.epochs()));
  BITGRAD_RETURN_IF_ERROR(Positive("batch_size", recipe.batch_size()));
  if (!recipe.has_coordinate_descent()) {
    BITGRAD_RETURN_IF_ERROR(Positive("optimizer.learning_rate", recipe.optimizer().learning_rate()));
  }
  if (recipe.has_loss_scale()) {
    BITGRAD_RETURN_IF_ERROR(Positive("loss_scale", double{recipe.loss_scale()}));
  }
  if (recipe.data().validation_examples() < 0 || recipe.data().limit() < 0) {
    return absl::InvalidArgumentError(absl::StrCat("recipe: data.validation_examples and data.limit are ",
                                                   recipe.data().validation_examples(), " and ", recipe.data().limit(),
                                                   "; they cannot be negative"));
  }
  if (recipe.data().image_cache_mib() < 0 || recipe.data().first_label() < 0 || recipe.data().classes() < 0) {
    return absl::InvalidArgumentError(absl::StrCat(
        "recipe: data.image_cache_mib, data.first_label and data.classes are ", recipe.data().image_cache_mib(), ", ",
        recipe.data().first_label(), " and ", recipe.data().classes(), "; they cannot be negative"));
  }
  if (!recipe.has_model() || recipe.model().kind_case() == recipe::Model::KIND_NOT_SET) {
    return absl::InvalidArgumentError("recipe: there is no model; write model { mlp { ... } }");
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> phases, PhasesOf(recipe));
  for (size_t i = 1; i < phases.size(); ++i) {
    if (const absl::Status valid = ValidateRecipe(phases[i].recipe); !valid.ok()) {
      return absl::Status(valid.code(), absl::StrCat(valid.message(), " (in phase[", i - 1, "])"));
    }
  }
  return absl::OkStatus();
}

std::string RecipesHelp() {
  std::string help;
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) {
    const absl::StatusOr<recipe::Recipe> recipe = ParseRecipe(built_in.name, built_in.text);
    absl::StrAppendFormat(&help, "  %-36s %s\n", built_in.name,
                          recipe.ok() ? recipe->description() : std::string(recipe.status().message()));
  }
  return help;
}

}  // namespace bitgrad
