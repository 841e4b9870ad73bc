// //models:train: trains a recipe and writes checkpoints.

#include <cstdio>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/program_command.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/export/summary.h"
#include "bitgrad/models/diagnostics/warnings.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/learning_rate_finder.h"
#include "bitgrad/models/training/metrics.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/optim/schedule.h"
#include "bitgrad/report/html_report.h"
#include "bitgrad/report/tensorboard.h"

ABSL_FLAG(std::string, recipe, "", "Name of a built-in recipe, or a file. Default: digits_bnn_mlp.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(std::string, out, "",
          "Directory for checkpoints. Default: bitgrad_<recipe's name>, with a number where that holds a run already.");
ABSL_FLAG(absl::optional<int>, epochs, absl::nullopt, "Number of epochs. Default: the recipe's.");
ABSL_FLAG(int64_t, seed, -1, "Seed of all random numbers; a negative one means the recipe's.");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");
ABSL_FLAG(int, data_workers, 1, "Number of further threads, which prepare batches.");
ABSL_FLAG(std::string, device, "cpu", "Where training runs: cpu or cuda.");
ABSL_FLAG(bool, resume, false, "Continue the run of --out, bit for bit; with more --epochs a finished one, too.");
ABSL_FLAG(bool, count_arithmetic, false,
          "Print the scalar operations of a step by layer, and add them to the metrics.");
ABSL_FLAG(bool, find_learning_rate, false,
          "Train no run, but look for its learning rate: a rate that grows with each batch, and the losses that it "
          "leads to. Nothing is written.");
ABSL_FLAG(double, find_least, 1e-6, "Of --find_learning_rate: the rate of the first batch.");
ABSL_FLAG(double, find_greatest, 10, "Of --find_learning_rate: the rate of the last batch.");
ABSL_FLAG(int64_t, find_batches, 300, "Of --find_learning_rate: how many batches.");
ABSL_FLAG(std::string, metrics, "", "File for the metrics: a line for each epoch, a JSON object.");
ABSL_FLAG(bool, report, true, "Write what is seen of the run to report.html in its directory, anew after each epoch.");
ABSL_FLAG(bool, quiet, false, "Print no warnings of what goes wrong in training (docs/training_tips.md).");
ABSL_FLAG(std::string, tensorboard, "", "Folder for TensorBoard's event files of this run, written after each epoch.");
ABSL_FLAG(std::string, set, "",
          "Sets a field of the recipe: --set=optimizer.learning_rate=0.001, --set=model.mlp.hidden=512,512, "
          "--set=model.conv_net.block[2].filters=64, block[*] for all.");

namespace bitgrad {
namespace {

std::string MoreHelp() {
  std::string help = absl::StrCat("Recipes:\n", RecipesHelp(), "\nData sets:\n");
  for (const DatasetEntry& entry : Datasets()) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", entry.name, entry.help);
  }
  for (const TextDatasetEntry& entry : TextDatasets()) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", entry.name, entry.help);
  }
  absl::StrAppend(&help, "\nAugmentation (--set=data.augmentation=...):\n", AugmentationHelp(),
                  "\nPreprocessing (--set=data.preprocessing=...):\n", PreprocessingHelp());
  absl::StrAppend(&help, "\nNetworks:\n");
  for (const NetworkInfo& info : AllNetworks()) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", info.name, info.help);
  }
  absl::StrAppend(&help, "\nQuantizers:\n", QuantizersHelp(),
                  "\nUpdate rules (optimizer.name, optimizer.rule[0].name):\n");
  for (const UpdateRuleInfo& info : AllUpdateRules()) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", info.name, info.help);
  }
  absl::StrAppend(&help, "\nSchedules:\n");
  for (const ScheduleInfo& info : AllSchedules()) {
    absl::StrAppendFormat(&help, "  %-22s %s\n", info.name, info.help);
  }
  return help;
}

// The recipe that the flags ask for. A resumed run without --recipe takes that of its checkpoint.
absl::StatusOr<recipe::Recipe> RecipeFromFlags() {
  const std::string name = absl::GetFlag(FLAGS_recipe);
  recipe::Recipe recipe;
  if (name.empty() && absl::GetFlag(FLAGS_resume)) {
    if (absl::GetFlag(FLAGS_out).empty()) {
      return absl::InvalidArgumentError("--resume needs --out=DIR, the directory of the run to continue");
    }
    BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint,
                             Checkpoint::Open(ResolvePath(absl::GetFlag(FLAGS_out)) + "/checkpoint.bgc"));
    recipe = checkpoint.header().recipe();
  } else {
    BITGRAD_ASSIGN_OR_RETURN(recipe, LoadRecipe(name.empty() ? "digits_bnn_mlp" : name));
  }
  for (absl::string_view assignment : absl::StrSplit(absl::GetFlag(FLAGS_set), '\n', absl::SkipEmpty())) {
    BITGRAD_RETURN_IF_ERROR(SetField(assignment, recipe));
  }
  if (const absl::optional<int> epochs = absl::GetFlag(FLAGS_epochs); epochs.has_value()) {
    if (*epochs <= 0) {
      return absl::InvalidArgumentError(absl::StrCat("--epochs=", *epochs, " has to be positive"));
    }
    recipe.set_epochs(*epochs);
  }
  if (const int64_t seed = absl::GetFlag(FLAGS_seed); seed >= 0) recipe.set_seed(seed);
  return recipe;
}

// The recipe's file; empty where it is built in.
std::string RecipeFile() {
  const std::string name = absl::GetFlag(FLAGS_recipe);
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) {
    if (name == built_in.name) return "";
  }
  return ResolvePath(name);
}

absl::Status CheckFiles(const TrainOptions& options) {
  return CheckOutputIsNotInput({{"the run's checkpoint", options.out_dir + "/checkpoint.bgc"},
                                {"the run's best checkpoint", options.out_dir + "/best.bgc"},
                                {"the run's report", ReportPath(options.out_dir)},
                                {"--metrics", options.metrics_file}},
                               {{"--recipe", RecipeFile()}});
}

// What the model will cost once it is frozen.
absl::Status PrintSummary(ExecContext& context, Model& model, const Shape& example) {
  absl::PrintF("%s", model.Description());
  const absl::StatusOr<Summary> summary = Summarize(context, model, example);
  // A net that has no packed form is trained all the same.
  absl::PrintF("the net, once it is frozen%s",
               summary.ok() ? absl::StrCat(":\n", summary->table)
                            : absl::StrCat(" (it cannot be): ", summary.status().message(), "\n"));
  std::fflush(stdout);
  return absl::OkStatus();
}

// What belongs to a run has no place beside --find_learning_rate.
absl::Status CheckWritesNothing() {
  for (const auto& [name, is_given] :
       {std::pair{"out", !absl::GetFlag(FLAGS_out).empty()},
        std::pair{"metrics", !absl::GetFlag(FLAGS_metrics).empty()}, std::pair{"resume", absl::GetFlag(FLAGS_resume)},
        std::pair{"count_arithmetic", absl::GetFlag(FLAGS_count_arithmetic)}}) {
    if (!is_given) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("--find_learning_rate trains no run and writes nothing; leave out --", name));
  }
  return absl::OkStatus();
}

absl::Status FindRate(const recipe::Recipe& recipe, const TrainOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckWritesNothing());
  const LearningRateFinderOptions finder = {.range = {.least = absl::GetFlag(FLAGS_find_least),
                                                      .greatest = absl::GetFlag(FLAGS_find_greatest),
                                                      .batches = absl::GetFlag(FLAGS_find_batches)},
                                            .data_dir = options.data_dir,
                                            .device = options.device,
                                            .threads = options.threads,
                                            .data_workers = options.data_workers};
  BITGRAD_ASSIGN_OR_RETURN(const LearningRateCurve curve, FindLearningRate(recipe, finder));
  absl::PrintF("%s", LearningRateTable(curve));
  absl::PrintF("the recipe has optimizer.learning_rate: %.4g; next: --set=optimizer.learning_rate=%.2g\n",
               recipe.optimizer().learning_rate(), curve.suggested);
  absl::PrintF("find_learning_rate: suggested=%.4g steepest=%.4g diverges=%s batches=%d\n", curve.suggested,
               curve.steepest, curve.diverges.has_value() ? absl::StrFormat("%.4g", *curve.diverges) : "none",
               curve.points.size());
  return absl::OkStatus();
}

// Those who watch the run. The command that continues it gets their flags.
absl::Status AddObservers(TrainOptions& options) {
  if (absl::GetFlag(FLAGS_quiet)) {
    absl::StrAppend(&options.command, " --quiet");
  } else {
    options.observers.push_back(std::make_shared<WarningPrinter>());
  }
  if (absl::GetFlag(FLAGS_report)) {
    options.observers.push_back(MakeReportObserver());
  } else {
    absl::StrAppend(&options.command, " --noreport");
  }
  if (const std::string board = ResolvePath(absl::GetFlag(FLAGS_tensorboard)); !board.empty()) {
    BITGRAD_ASSIGN_OR_RETURN(std::shared_ptr<RunObserver> writer, TensorBoardWriter::Create(board, options.resume));
    options.observers.push_back(std::move(writer));
    absl::StrAppend(&options.command, " --tensorboard=", ShellQuoted(board));
  }
  return absl::OkStatus();
}

absl::Status Train() {
  BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe recipe, RecipeFromFlags());
  TrainOptions options;
  BITGRAD_ASSIGN_OR_RETURN(options.device, ParseDevice(absl::GetFlag(FLAGS_device)));
  options.data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir));
  const std::string out = absl::GetFlag(FLAGS_out);
  options.out_dir = ResolvePath(out.empty() ? absl::StrCat("bitgrad_", recipe.name()) : out);
  options.number_out_dir = out.empty();
  options.command = ProgramCommand("//models:train");
  options.metrics_file = ResolvePath(absl::GetFlag(FLAGS_metrics));
  options.threads = absl::GetFlag(FLAGS_threads);
  options.data_workers = absl::GetFlag(FLAGS_data_workers);
  options.resume = absl::GetFlag(FLAGS_resume);
  options.count_arithmetic = absl::GetFlag(FLAGS_count_arithmetic);
  options.before_training = PrintSummary;
  if (options.threads < 0 || options.threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(absl::StrCat("--threads=", options.threads, " is not in 0 .. ",
                                                   ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  if (options.data_workers < 0 || options.data_workers > 1024) {
    return absl::InvalidArgumentError(absl::StrCat("--data_workers=", options.data_workers, " is not in 0 .. 1024"));
  }
  BITGRAD_RETURN_IF_ERROR(CheckFiles(options));

  absl::PrintF("%s: %s\n", recipe.name(), recipe.description());
  std::fflush(stdout);
  if (absl::GetFlag(FLAGS_find_learning_rate)) return FindRate(recipe, options);
  BITGRAD_RETURN_IF_ERROR(AddObservers(options));
  BITGRAD_ASSIGN_OR_RETURN(const auto trainer, Trainer::Create(recipe, options));
  BITGRAD_ASSIGN_OR_RETURN(const TrainResult result, trainer->Run());

  const std::string packed = ShellQuoted(trainer->out_dir() + "/model.bgm");
  const std::string data = options.data_dir.empty() ? "" : absl::StrCat(" --data_dir=", ShellQuoted(options.data_dir));
  absl::PrintF("best epoch: %d\nnext:\n", result.best.epoch());
  absl::PrintF("  %s --checkpoint=%s --out=%s\n", ProgramCommand("//export:freeze"), ShellQuoted(result.checkpoint),
               packed);
  absl::PrintF("  %s --model=%s%s\n", ProgramCommand("//runtime:predict"), packed, data);
  absl::PrintF("final: epochs=%d %s%s checkpoint=%s\n", result.epochs, FormatFinal(result.best, result.display),
               FormatValues(result.best), result.checkpoint);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(
      argc, argv,
      {.usage = "Trains a binary or few-bit net from a recipe.", .more_help = bitgrad::MoreHelp, .repeatable = {"set"}},
      [] { return bitgrad::Train(); });
}
