// //models:count: counts the scalar operations of a recipe's training step, layer by layer.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/energy.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/recipe_optimizer.h"
#include "bitgrad/models/training/step_arithmetic.h"

ABSL_FLAG(std::string, recipe, "digits_bnn_mlp", "Name of a built-in recipe, or a file.");
ABSL_FLAG(std::string, set, "", "Sets a field of the recipe, as for //models:train: --set=batch_size=200.");
ABSL_FLAG(
    std::string, convention, "executed",
    "What counts as a multiplication: 'executed', what the step computes, or 'paper', as arXiv 1510.03009 counts.");

namespace bitgrad {
namespace {

absl::StatusOr<CountingConvention> ConventionFromFlag() {
  const std::string name = absl::GetFlag(FLAGS_convention);
  if (name == "executed") return CountingConvention::kExecuted;
  if (name == "paper") return CountingConvention::kPaper;
  return absl::InvalidArgumentError(absl::StrCat("--convention=", name, " is neither 'executed' nor 'paper'"));
}

absl::Status Count() {
  BITGRAD_ASSIGN_OR_RETURN(const CountingConvention convention, ConventionFromFlag());
  BITGRAD_ASSIGN_OR_RETURN(recipe::Recipe recipe, LoadRecipe(absl::GetFlag(FLAGS_recipe)));
  for (absl::string_view assignment : absl::StrSplit(absl::GetFlag(FLAGS_set), '\n', absl::SkipEmpty())) {
    BITGRAD_RETURN_IF_ERROR(SetField(assignment, recipe));
  }
  BITGRAD_ASSIGN_OR_RETURN(const DataKind kind, KindOfDataset(recipe.data().name(), recipe.data().image_size()));
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, MakeModel(recipe, kind.image, kind.classes));
  const ExecContext::Options options = {.threads = 1};
  ExecContext context(options);
  if (recipe.has_coordinate_descent()) {
    return absl::InvalidArgumentError(absl::StrCat("recipe '", recipe.name(),
                                                   "' is trained by coordinate descent, which has no steps to count; ",
                                                   "choose a recipe with an optimizer"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Optimizer> optimizer, OptimizerOf(recipe.optimizer(), context));
  BITGRAD_RETURN_IF_ERROR(optimizer->CheckRules(bundle.store->parameters()));
  const std::unique_ptr<Task> task =
      Classification({.features = kind.image.features(), .classes = kind.classes, .loss = recipe.loss()});
  BITGRAD_ASSIGN_OR_RETURN(
      const std::vector<LayerArithmetic> layers,
      CountStep(options, *bundle.model, *bundle.store, *task, *optimizer, recipe.batch_size(), convention));
  absl::PrintF("%s: one training step with a batch of %d images of %s, %d classes\n%s", recipe.name(),
               recipe.batch_size(), kind.image.ToString(), kind.classes, ArithmeticTable(layers));
  const ArithmeticCounts total = SumOf(layers);
  if (convention == CountingConvention::kExecuted) {
    BITGRAD_ASSIGN_OR_RETURN(const ArithmeticCounts inference,
                             CountInference(options, *bundle.model, *bundle.store, *task));
    absl::PrintF("energy of the arithmetic (45 nm, models/training/energy.h): %.4g mJ a step, %.4g uJ an inference\n",
                 1e-9 * PicojoulesOf(total), 1e-6 * PicojoulesOf(inference));
  }
  absl::PrintF(
      "count: batch=%d float_multiplications=%d float_additions=%d integer_additions=%d shifts=%d xnor_popcounts=%d "
      "square_roots=%d\n",
      recipe.batch_size(), total.float_multiplications, total.float_additions, total.integer_additions, total.shifts,
      total.xnor_popcounts, total.square_roots);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv,
                          {.usage = "Counts the scalar operations of a recipe's training step.", .repeatable = {"set"}},
                          [] { return bitgrad::Count(); });
}
