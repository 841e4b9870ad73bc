// //tools:profile: where the time of a recipe's training steps goes, op by op.

#include <cstdint>
#include <memory>
#include <string>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/same_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/texts.h"
#include "bitgrad/models/diagnostics/chrome_trace.h"
#include "bitgrad/models/diagnostics/profile_batches.h"
#include "bitgrad/models/diagnostics/step_profile.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/models/training/training_data.h"
#include "bitgrad/ops/dispatch.h"

ABSL_FLAG(std::string, recipe, "digits_bnn_mlp", "Name of a built-in recipe, or a file.");
ABSL_FLAG(std::string, set, "", "Sets a field of the recipe, as for //models:train: --set=model.mlp.hidden=512,512.");
ABSL_FLAG(std::string, data_dir, "",
          "Where the data set's files lie: steps then train on its batches, prepared as in training. Default: random "
          "images of the data set's shape. Texts need their files.");
ABSL_FLAG(int64_t, batch_size, 0, "Examples of a batch; 0 means the recipe's.");
ABSL_FLAG(int64_t, steps, 20, "How many steps are measured.");
ABSL_FLAG(int64_t, warm_up, 3, "How many steps come before those.");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");
ABSL_FLAG(int, data_workers, 1, "Number of further threads, which prepare batches.");
ABSL_FLAG(std::string, device, "cpu", "Only cpu: on a GPU an op ends before its kernels run.");
ABSL_FLAG(int64_t, rows, 40, "How many rows of the table are shown one by one; 0 means all.");
ABSL_FLAG(std::string, trace, "",
          "File for the measured steps as a trace, which chrome://tracing and https://ui.perfetto.dev show.");

namespace bitgrad {
namespace {

absl::Status CheckNumber(const char* flag, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("--", flag, "=", value, " is not in ", least, " .. ", most));
}

absl::Status CheckFlags() {
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  if (device != Device::kCpu) {
    return absl::InvalidArgumentError(
        absl::StrCat("--device=", Name(device),
                     " cannot be profiled here: ops only enqueue kernels, which run later, and steps are recorded as a "
                     "whole; profile train with Nsight Systems (nsys profile), or the CPU with --device=cpu"));
  }
  BITGRAD_RETURN_IF_ERROR(CheckNumber("steps", absl::GetFlag(FLAGS_steps), 1, 1'000'000));
  BITGRAD_RETURN_IF_ERROR(CheckNumber("warm_up", absl::GetFlag(FLAGS_warm_up), 0, 1'000'000));
  BITGRAD_RETURN_IF_ERROR(CheckNumber("batch_size", absl::GetFlag(FLAGS_batch_size), 0, 1'000'000));
  BITGRAD_RETURN_IF_ERROR(CheckNumber("rows", absl::GetFlag(FLAGS_rows), 0, 1'000'000));
  BITGRAD_RETURN_IF_ERROR(CheckNumber("threads", absl::GetFlag(FLAGS_threads), 0, ExecContext::kMaxThreads));
  return CheckNumber("data_workers", absl::GetFlag(FLAGS_data_workers), 1, 64);
}

absl::StatusOr<recipe::Recipe> RecipeFromFlags() {
  BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(absl::GetFlag(FLAGS_recipe)));
  for (absl::string_view assignment : absl::StrSplit(absl::GetFlag(FLAGS_set), '\n', absl::SkipEmpty())) {
    BITGRAD_RETURN_IF_ERROR(SetField(assignment, recipe));
  }
  if (absl::GetFlag(FLAGS_batch_size) > 0) recipe.set_batch_size(absl::GetFlag(FLAGS_batch_size));
  BITGRAD_RETURN_IF_ERROR(ValidateRecipe(recipe));
  if (recipe.has_coordinate_descent()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe '", recipe.name(),
                                                   "' is trained by coordinate descent, which has no steps to profile; "
                                                   "choose a recipe with an optimizer"));
  }
  return recipe;
}

// What steps are trained on.
struct Examples {
  std::unique_ptr<TrainingData> data;  // null where examples are random
  DataKind kind;
  std::unique_ptr<Task> task;
  std::string name;
  std::shared_ptr<const BatchSource> source;
  PrefetchOptions prefetch;
};

absl::StatusOr<Examples> RandomExamples(const recipe::Recipe& recipe) {
  Examples examples;
  BITGRAD_ASSIGN_OR_RETURN(examples.kind, KindOfDataset(recipe.data().name(), recipe.data().image_size()));
  examples.task = Classification({.features = examples.kind.image.features(),
                                  .classes = examples.kind.classes,
                                  .loss = recipe.loss(),
                                  .loss_scale = recipe.has_loss_scale() ? recipe.loss_scale() : 1.0f});
  examples.name = absl::StrCat("random images of ", examples.kind.image.ToString());
  examples.source = RandomBatches(*examples.task, examples.kind.classes, recipe.batch_size(),
                                  absl::GetFlag(FLAGS_steps) + absl::GetFlag(FLAGS_warm_up), recipe.seed());
  examples.prefetch.workers = absl::GetFlag(FLAGS_data_workers);
  return examples;
}

absl::StatusOr<Examples> OwnExamples(const recipe::Recipe& recipe, int threads) {
  Examples examples;
  BITGRAD_RETURN_IF_ERROR(CheckDataFields(recipe));
  BITGRAD_ASSIGN_OR_RETURN(examples.data,
                           LoadTrainingData(recipe, {.data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir)),
                                                     .threads = threads,
                                                     .workers = absl::GetFlag(FLAGS_data_workers)}));
  BITGRAD_RETURN_IF_ERROR(examples.data->Fit(threads, stdout));
  examples.kind = examples.data->kind();
  examples.task = examples.data->TaskOf(recipe);
  examples.name = absl::StrCat("data set '", recipe.data().name(), "'");
  examples.source = examples.data->training().source();
  examples.prefetch = examples.data->training().options();
  return examples;
}

absl::Status Profile() {
  BITGRAD_RETURN_IF_ERROR(CheckFlags());
  BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe recipe, RecipeFromFlags());
  const std::string trace = ResolvePath(absl::GetFlag(FLAGS_trace));
  BITGRAD_RETURN_IF_ERROR(
      CheckOutputIsNotInput({{"--trace", trace}}, {{"--recipe", ResolvePath(absl::GetFlag(FLAGS_recipe))}}));
  // A folder that cannot be written to is found before anything is measured.
  if (!trace.empty()) BITGRAD_RETURN_IF_ERROR(AtomicFile::Create(trace).status());

  ExecContext context({.threads = absl::GetFlag(FLAGS_threads), .seed = recipe.seed()});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads() + absl::GetFlag(FLAGS_data_workers)));
  const bool is_text = FindTextDataset(recipe.data().name()) != nullptr;
  BITGRAD_ASSIGN_OR_RETURN(const Examples examples, is_text || !absl::GetFlag(FLAGS_data_dir).empty()
                                                        ? OwnExamples(recipe, context.threads())
                                                        : RandomExamples(recipe));
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, MakeModel(recipe, examples.kind.image, examples.kind.classes));
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Optimizer> optimizer, OptimizerOf(recipe.optimizer(), context));
  BITGRAD_RETURN_IF_ERROR(optimizer->CheckRules(bundle.store->parameters()));

  const auto log = std::make_shared<PreparationLog>();
  BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader,
                           BatchLoader::Create(LoggedBatches(examples.source, log), examples.prefetch));
  BITGRAD_ASSIGN_OR_RETURN(
      StepProfile profile,
      ProfileSteps(context, *bundle.model, *bundle.store, *examples.task, loader, *optimizer,
                   {.steps = absl::GetFlag(FLAGS_steps), .warm_up = absl::GetFlag(FLAGS_warm_up)}));
  profile.prepared = log->batches();
  absl::PrintF("%s: %d steps after %d of warm-up, batches of %d examples, %s, %s, %d %s; medians\n%s", recipe.name(),
               profile.steps.size(), absl::GetFlag(FLAGS_warm_up), recipe.batch_size(), examples.name,
               optimizer->name(), context.threads(), context.threads() == 1 ? "thread" : "threads",
               ProfileTable(profile, absl::GetFlag(FLAGS_rows)));
  if (!trace.empty()) {
    BITGRAD_RETURN_IF_ERROR(WriteChromeTrace(profile, absl::StrCat("bitgrad ", recipe.name()), trace));
    absl::PrintF("trace: %s (chrome://tracing, https://ui.perfetto.dev)\n", trace);
  }
  absl::PrintF(
      "profile: steps=%d step_ms=%.3f forward_ms=%.3f backward_ms=%.3f update_ms=%.3f peak_bytes=%d "
      "unattributed=%.2f%%\n",
      profile.steps.size(), 1e3 * profile.step, 1e3 * profile.forward, 1e3 * profile.backward, 1e3 * profile.update,
      profile.peak_bytes, 100 * profile.not_attributed / profile.step);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Shows where the time of a recipe's training steps goes.", .repeatable = {"set"}},
                          [] { return bitgrad::Profile(); });
}
