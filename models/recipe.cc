#include "bitgrad/models/recipe.h"

#include <cmath>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/models/recipe_phases.h"
#include "bitgrad/models/recipe_text.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

// Keeps the first error of the text-format parser, with its place.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat("line ", line + 1, ", column ", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

// The values of the enum fields of this name in the message and its groups.
void AddValuesOf(absl::string_view field_name, const google::protobuf::Descriptor& message,
                 std::set<const google::protobuf::Descriptor*>& seen, std::vector<std::string>& values) {
  if (!seen.insert(&message).second) return;
  for (int i = 0; i < message.field_count(); ++i) {
    const google::protobuf::FieldDescriptor& field = *message.field(i);
    if (field.message_type() != nullptr) AddValuesOf(field_name, *field.message_type(), seen, values);
    if (field.enum_type() == nullptr || field.name() != field_name) continue;
    for (const std::string& value : ValueNames(*field.enum_type())) values.push_back(value);
  }
}

// What was probably meant where the parser complains about a name. Protobuf tells the name in its messages alone:
//   Message type "bitgrad.recipe.Mlp" has no field named "hiden".
//   Unknown enumeration value of "HINGE" for field "loss".
std::string SuggestionFor(absl::string_view error) {
  const std::vector<std::string> quoted = absl::StrSplit(error, '"');
  if (quoted.size() < 5) return "";
  const google::protobuf::Descriptor& recipe = *recipe::Recipe::descriptor();
  if (absl::StrContains(error, "has no field named")) {
    const auto* message = recipe.file()->pool()->FindMessageTypeByName(quoted[1]);
    return message == nullptr ? "" : DidYouMean(quoted[3], FieldNames(*message));
  }
  if (!absl::StrContains(error, "Unknown enumeration value")) return "";
  std::set<const google::protobuf::Descriptor*> seen;
  std::vector<std::string> values;
  AddValuesOf(quoted[3], recipe, seen, values);
  return absl::StrCat(DidYouMean(quoted[1], values), "; it is one of ", absl::StrJoin(values, ", "));
}

absl::StatusOr<recipe::Recipe> ParseRecipe(absl::string_view where, absl::string_view text) {
  const auto error_in = [&](const auto&... what) {
    return absl::InvalidArgumentError(absl::StrCat("recipe '", where, "', ", what...));
  };
  if (absl::StartsWith(text, "\xff\xfe") || absl::StartsWith(text, "\xfe\xff")) {
    return error_in("line 1: the text is UTF-16; save the file as UTF-8");
  }
  absl::ConsumePrefix(&text, "\xef\xbb\xbf");  // the byte-order mark that some editors put before UTF-8
  FirstError error;
  google::protobuf::TextFormat::Parser parser;
  parser.RecordErrorsTo(&error);
  recipe::Recipe recipe;
  if (!parser.ParseFromString(std::string(text), &recipe)) {
    return error_in(error.text(), SuggestionFor(error.text()), "; see proto/recipe.proto for the fields");
  }
  if (const absl::Status fields = CheckFields(recipe); !fields.ok()) return error_in(fields.message());
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
