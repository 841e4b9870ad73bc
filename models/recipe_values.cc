#include "bitgrad/models/recipe_values.h"

#include <set>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "google/protobuf/message.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;

void Flatten(const Message& message, const std::string& prefix, std::map<std::string, std::string>& values) {
  std::vector<const FieldDescriptor*> fields;
  message.GetReflection()->ListFields(message, &fields);
  for (const FieldDescriptor* field : fields) {
    const std::string path = prefix + field->name();
    const bool is_group = field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE;
    if (!field->is_repeated()) {
      if (is_group) {
        // A group is something even where all its fields have their defaults: the kind of network.
        values[path] = "{}";
        Flatten(message.GetReflection()->GetMessage(message, field), path + ".", values);
      } else {
        google::protobuf::TextFormat::PrintFieldValueToString(message, field, -1, &values[path]);
      }
      continue;
    }
    std::vector<std::string> texts;
    for (int i = 0; i < message.GetReflection()->FieldSize(message, field); ++i) {
      if (is_group) {
        const std::string place = absl::StrCat(path, "[", i, "]");
        values[place] = "{}";
        Flatten(message.GetReflection()->GetRepeatedMessage(message, field, i), place + ".", values);
      } else {
        google::protobuf::TextFormat::PrintFieldValueToString(message, field, i, &texts.emplace_back());
      }
    }
    if (!is_group) values[path] = absl::StrJoin(texts, ", ");
  }
}

}  // namespace

std::map<std::string, std::string> RecipeValues(const recipe::Recipe& recipe) {
  std::map<std::string, std::string> values;
  Flatten(recipe, "", values);
  return values;
}

std::vector<RecipeDifference> RecipeDifferences(absl::Span<const recipe::Recipe* const> recipes) {
  std::vector<std::map<std::string, std::string>> values;
  std::set<std::string> paths;
  for (const recipe::Recipe* const recipe : recipes) {
    for (const auto& [path, text] : values.emplace_back(RecipeValues(*recipe))) paths.insert(path);
  }
  std::vector<RecipeDifference> differences;
  for (const std::string& path : paths) {
    RecipeDifference difference = {.path = path, .values = {}};
    bool differs = false;
    for (const auto& of_recipe : values) {
      const auto found = of_recipe.find(path);
      difference.values.push_back(found == of_recipe.end() ? kNotSet : found->second);
      differs |= difference.values.back() != difference.values.front();
    }
    if (differs) differences.push_back(std::move(difference));
  }
  return differences;
}

}  // namespace bitgrad
