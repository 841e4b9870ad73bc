#include "bitgrad/zoo/zoo.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/shell_quote.h"
#include "google/protobuf/io/tokenizer.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

// Keeps the first error of a parser.
class FirstError final : public google::protobuf::io::ErrorCollector {
 public:
  void AddError(int line, google::protobuf::io::ColumnNumber column, const std::string& message) override {
    if (text_.empty()) text_ = absl::StrCat(line + 1, ":", column + 1, ": ", message);
  }
  const std::string& text() const { return text_; }

 private:
  std::string text_;
};

}  // namespace

absl::StatusOr<const ZooModel*> FindZooModel(absl::string_view name) {
  std::vector<std::string> names;
  for (const ZooModel& model : ZooModels()) {
    if (model.name == name) return &model;
    names.push_back(model.name);
  }
  return absl::NotFoundError(absl::StrCat("unknown model '", kZooPrefix, name, "' of the zoo", DidYouMean(name, names),
                                          "; known: ", absl::StrJoin(names, ", ")));
}

absl::StatusOr<zoo::Manifest> ManifestOf(const ZooModel& model) {
  google::protobuf::TextFormat::Parser parser;
  FirstError error;
  parser.RecordErrorsTo(&error);
  zoo::Manifest manifest;
  if (!parser.ParseFromString(std::string(model.manifest), &manifest)) {
    return absl::InvalidArgumentError(absl::StrCat("zoo/", model.name, ".textproto:", error.text()));
  }
  return manifest;
}

std::string TrainingFlags(const zoo::Manifest& manifest) {
  std::string flags = absl::StrCat("--recipe=", ShellQuoted(manifest.recipe()));
  for (const std::string& set : manifest.set()) absl::StrAppend(&flags, " ", ShellQuoted(absl::StrCat("--set=", set)));
  return flags;
}

std::string FigureOf(const zoo::Manifest& manifest) {
  switch (manifest.figure_case()) {
    case zoo::Manifest::kTestErrorPercent: return absl::StrFormat("%.2f %% test error", manifest.test_error_percent());
    case zoo::Manifest::kTestBitsPerCharacter:
      return absl::StrFormat("%.4f bits per character", manifest.test_bits_per_character());
    case zoo::Manifest::kTestPerplexity: return absl::StrFormat("perplexity %.2f", manifest.test_perplexity());
    case zoo::Manifest::FIGURE_NOT_SET: break;
  }
  return "not evaluated";
}

std::string ReadmeRow(absl::string_view name, const zoo::Manifest& manifest) {
  const double ratio = static_cast<double>(manifest.float_byte_size()) / static_cast<double>(manifest.byte_size());
  return absl::StrFormat("| `%s` | %s | %s | %d | %.1f | `%s` |\n", name, manifest.description(), FigureOf(manifest),
                         manifest.byte_size(), ratio, TrainingFlags(manifest));
}

std::string ZooHelp() {
  std::string help = "Models of the zoo, zoo:NAME in the place of a file:\n";
  for (const ZooModel& model : ZooModels()) {
    const absl::StatusOr<zoo::Manifest> manifest = ManifestOf(model);
    absl::StrAppendFormat(&help, "  %-26s %s\n", model.name,
                          manifest.ok() ? absl::StrCat(manifest->description(), ": ", FigureOf(*manifest))
                                        : std::string(manifest.status().message()));
  }
  return help;
}

}  // namespace bitgrad
