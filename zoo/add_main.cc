// //zoo:add: makes an entry of the zoo from a run: NAME.bgm, NAME.textproto and NAME.logits.

#include <cstdint>
#include <cstdio>
#include <filesystem>
#include <map>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/commit_all.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/zoo/golden.h"
#include "bitgrad/zoo/zoo.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"

ABSL_FLAG(std::string, name, "", "The model's name in the zoo: small letters, digits and '_'.");
ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(std::string, packed, "",
          "Packed model that was made from it, where that was not by freezing (//export:quantize). "
          "Default: the checkpoint is frozen.");
ABSL_FLAG(std::string, evaluated, "", "File with what //models:evaluate has printed for the two.");
ABSL_FLAG(std::string, set, "", "A --set that //models:train was given: the recipe's field=value.");
ABSL_FLAG(std::string, description, "", "A line for --help: network and data set.");
ABSL_FLAG(std::string, data, "", "Where the data comes from, in words.");
ABSL_FLAG(std::string, out, "zoo", "The folder of the zoo.");

namespace bitgrad {
namespace {

// The built-in recipe with --set is that of the run, or the error says what differs: what the zoo tells of a model is
// then enough to train it again.
absl::Status CheckRecipe(const recipe::Recipe& trained, const std::vector<std::string>& set) {
  BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(trained.name()));
  for (const std::string& assignment : set) BITGRAD_RETURN_IF_ERROR(SetField(assignment, recipe));
  google::protobuf::util::MessageDifferencer differencer;
  std::string difference;
  differencer.ReportDifferencesToString(&difference);
  if (differencer.Compare(recipe, trained)) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("the recipe '", trained.name(), "' is not that of the checkpoint; ",
                                                 "give the --set of its training, too: ", difference));
}

// That the run whose best checkpoint this is has ended: else its recipe's epochs are not those that it had. Where the
// run's last checkpoint is not beside it, nobody knows. A search without gradients may end early
// (docs/command_line.md).
absl::Status CheckRunHasEnded(const std::string& best, const recipe::Recipe& recipe) {
  const std::string last = (std::filesystem::path(best).parent_path() / "checkpoint.bgc").string();
  if (std::error_code error; recipe.has_coordinate_descent() || !std::filesystem::exists(last, error)) {
    return absl::OkStatus();
  }
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(last));
  const int epochs = checkpoint.header().progress().epoch();
  if (epochs >= recipe.epochs()) return absl::OkStatus();
  return absl::FailedPreconditionError(absl::StrCat("the run of '", last, "' has had ", epochs, " of its ",
                                                    recipe.epochs(), " epochs; let it end (--resume) first"));
}

// The last line of the evaluation, "evaluate: images=10000 graph_error=1.67% packed_error=1.67% ...", as a map.
absl::StatusOr<std::map<std::string, std::string>> ReadEvaluation(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  std::map<std::string, std::string> values;
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (!absl::ConsumePrefix(&line, "evaluate: ")) continue;
    for (const absl::string_view word : absl::StrSplit(line, ' ')) {
      values.insert(std::pair<std::string, std::string>(absl::StrSplit(word, absl::MaxSplits('=', 1))));
    }
  }
  if (!values.empty()) return values;
  return absl::InvalidArgumentError(absl::StrCat("--evaluated='", path, "' has no line that begins with 'evaluate: '; ",
                                                 "write there what //models:evaluate prints"));
}

absl::Status SetFigure(const std::map<std::string, std::string>& evaluation, zoo::Manifest& manifest) {
  const auto value = [&](const std::string& key) {
    const auto found = evaluation.find(key);
    return found == evaluation.end() ? std::string() : found->second;
  };
  // A figure is that of these two: as many examples, and the same answers.
  const fingerprint::DataSet& data = manifest.test_data();
  const std::string examples = absl::StrCat(data.tokens() > 0 ? data.tokens() : data.images());
  if (value("images") != examples && value("tokens") != examples) {
    return absl::InvalidArgumentError(
        absl::StrCat("--evaluated is of another test set: the checkpoint's has ", examples, " examples"));
  }
  if (value("disagreements") != "0") {
    return absl::InvalidArgumentError(absl::StrCat("--evaluated: the packed model and the checkpoint answer ",
                                                   value("disagreements"),
                                                   " examples differently; they are not the same model"));
  }
  for (const char* kind : {"error", "bpc", "perplexity"}) {
    const std::string packed = value(absl::StrCat("packed_", kind)), graph = value(absl::StrCat("graph_", kind));
    if (packed.empty()) continue;
    if (packed != graph) {
      return absl::InvalidArgumentError(absl::StrCat("--evaluated: the packed model's ", kind, " is ", packed,
                                                     ", the checkpoint's ", graph, "; they are not the same model"));
    }
    double number;
    if (!absl::SimpleAtod(absl::StripSuffix(packed, "%"), &number)) continue;
    if (absl::EndsWith(packed, "%")) {
      manifest.set_test_error_percent(number);
    } else if (std::string(kind) == "bpc") {
      manifest.set_test_bits_per_character(number);
    } else {
      manifest.set_test_perplexity(number);
    }
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError("--evaluated has no packed_error, packed_bpc or packed_perplexity");
}

absl::StatusOr<std::string> PackedBytes(const Checkpoint& checkpoint, ExecContext& context) {
  if (const std::string path = absl::GetFlag(FLAGS_packed); !path.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(ResolvePath(path)));
    return std::string(file.bytes().begin(), file.bytes().end());
  }
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, FreezeCheckpoint(context, checkpoint));
  return writer.Serialize();
}

absl::Status CheckFlags() {
  const std::pair<const char*, std::string> needed[] = {{"--name", absl::GetFlag(FLAGS_name)},
                                                        {"--checkpoint", absl::GetFlag(FLAGS_checkpoint)},
                                                        {"--evaluated", absl::GetFlag(FLAGS_evaluated)},
                                                        {"--description", absl::GetFlag(FLAGS_description)},
                                                        {"--data", absl::GetFlag(FLAGS_data)}};
  for (const auto& [flag, value] : needed) {
    if (value.empty()) return absl::InvalidArgumentError(absl::StrCat(flag, " is missing; see --help"));
  }
  // Each is a line of a text file, which has at most 120 columns.
  constexpr size_t kMostCharacters = 100;
  if (absl::GetFlag(FLAGS_description).size() > kMostCharacters || absl::GetFlag(FLAGS_data).size() > kMostCharacters) {
    return absl::InvalidArgumentError(
        absl::StrCat("--description or --data has more than ", kMostCharacters, " characters; make it shorter"));
  }
  const std::string name = absl::GetFlag(FLAGS_name);
  if (name.find_first_not_of("abcdefghijklmnopqrstuvwxyz0123456789_") != std::string::npos) {
    return absl::InvalidArgumentError(absl::StrCat("--name='", name, "' has other than small letters, digits and '_'"));
  }
  return absl::OkStatus();
}

absl::Status Add() {
  BITGRAD_RETURN_IF_ERROR(CheckFlags());
  const std::string name = absl::GetFlag(FLAGS_name);
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  const recipe::Recipe& recipe = checkpoint.header().recipe();
  const std::vector<std::string> set = absl::StrSplit(absl::GetFlag(FLAGS_set), '\n', absl::SkipEmpty());
  BITGRAD_RETURN_IF_ERROR(CheckRecipe(recipe, set));
  BITGRAD_RETURN_IF_ERROR(CheckRunHasEnded(path, recipe));

  ExecContext context({.threads = 1});
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, PackedBytes(checkpoint, context));
  BITGRAD_ASSIGN_OR_RETURN(const auto model, PackedModel::FromBytes(name, bytes));
  if (model->byte_size() >= kMostZooModelBytes) {
    return absl::InvalidArgumentError(absl::StrCat("the packed model has ", model->byte_size(),
                                                   " bytes, and one of the zoo less than ", kMostZooModelBytes));
  }
  zoo::Manifest manifest;
  manifest.set_description(absl::GetFlag(FLAGS_description));
  manifest.set_recipe(recipe.name());
  for (const std::string& assignment : set) manifest.add_set(assignment);
  manifest.set_seed(recipe.seed());
  manifest.set_epochs(recipe.epochs());
  manifest.set_data(absl::GetFlag(FLAGS_data));
  *manifest.mutable_test_data() = model->header().test_data();
  BITGRAD_ASSIGN_OR_RETURN(const auto evaluation, ReadEvaluation(ResolvePath(absl::GetFlag(FLAGS_evaluated))));
  BITGRAD_RETURN_IF_ERROR(SetFigure(evaluation, manifest));
  manifest.set_byte_size(model->byte_size());
  manifest.set_float_byte_size(model->header().float_parameter_bytes());
  manifest.set_crc32(Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  BITGRAD_ASSIGN_OR_RETURN(const Tensor logits, GoldenLogits(*model, context));
  manifest.set_tolerance(GoldenTolerance(*model, logits));

  std::string text;
  google::protobuf::TextFormat::PrintToString(manifest, &text);
  const std::string stem = absl::StrCat(ResolvePath(absl::GetFlag(FLAGS_out)), "/", name);
  std::vector<AtomicFile> files;
  const std::pair<const char*, std::string> contents[] = {
      {".bgm", bytes}, {".textproto", text}, {".logits", LogitsText(logits)}};
  for (const auto& [ending, content] : contents) {
    BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(absl::StrCat(stem, ending)));
    BITGRAD_RETURN_IF_ERROR(file.Append(content));
    files.push_back(std::move(file));
  }
  BITGRAD_RETURN_IF_ERROR(CommitAll(files));
  std::printf("For zoo/README.md:\n%s", ReadmeRow(name, manifest).c_str());
  absl::PrintF("add: name=%s bytes=%d tolerance=%g\n", name, model->byte_size(), manifest.tolerance());
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Adds the model of a run to the zoo: packed model, what is known of it, and golden "
                                    "logits (zoo/README.md).",
                           .repeatable = {"set"}},
                          [] { return bitgrad::Add(); });
}
