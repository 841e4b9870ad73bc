#include "bitgrad/models/recipe_phases.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/recipe.h"

namespace bitgrad {
namespace {

// Fields that a phase can change, and what is below them. Everything else has to be the same from the first epoch to
// the last: the data, what an epoch and a batch are, the seed.
constexpr const char* kChangeable[] = {"optimizer", "schedule", "model", "loss", "loss_scale"};

template <typename... What>
absl::Status PhaseError(int phase, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat("recipe: phase[", phase, "]", what...));
}

// Which update rule each kind of parameters has: what the optimizer's state is made for.
std::vector<std::string> UpdateRulesOf(const recipe::Recipe& recipe) {
  std::vector<std::string> rules = {recipe.optimizer().name()};
  for (const recipe::UpdateRule& rule : recipe.optimizer().rule()) {
    rules.push_back(absl::StrCat(recipe::UpdateRule::Parameters_Name(rule.for_()), " ", rule.name()));
  }
  return rules;
}

absl::Status Assign(int phase, int place, const std::string& assignment, recipe::Recipe& recipe) {
  const std::string field = assignment.substr(0, assignment.find_first_of(".[="));
  if (std::find(std::begin(kChangeable), std::end(kChangeable), field) == std::end(kChangeable)) {
    return PhaseError(phase, ".set[", place, "] is '", assignment, "'; a phase can change fields of ",
                      absl::StrJoin(kChangeable, ", "), ", not '", field, "'");
  }
  const absl::Status set = SetField(assignment, recipe);
  if (set.ok()) return set;
  absl::string_view message = set.message();
  absl::ConsumePrefix(&message, "--set=");
  return PhaseError(phase, ".set[", place, "]: ", message);
}

}  // namespace

absl::StatusOr<std::vector<RecipePhase>> PhasesOf(const recipe::Recipe& recipe) {
  const int count = recipe.phase_size();
  std::vector<RecipePhase> phases(1);
  phases[0].recipe = recipe;
  phases[0].recipe.clear_phase();
  for (int i = 0; i < count; ++i) {
    const recipe::Phase& phase = recipe.phase(i);
    const int least = i == 0 ? 2 : recipe.phase(i - 1).from_epoch() + 1;
    if (phase.from_epoch() < least) {
      return PhaseError(
          i, ".from_epoch is ", phase.from_epoch(), "; it has to be ", least, " or more, ",
          i == 0 ? "for the recipe itself says how the first epoch is trained" : "after the phase before");
    }
    RecipePhase next = {.recipe = phases.back().recipe, .hardened = phases.back().hardened || phase.harden()};
    for (int k = 0; k < phase.set_size(); ++k) BITGRAD_RETURN_IF_ERROR(Assign(i, k, phase.set(k), next.recipe));
    if (UpdateRulesOf(next.recipe) != UpdateRulesOf(phases.back().recipe)) {
      return PhaseError(i, " changes optimizer.name, or a rule's name or parameters; a phase goes on with the ",
                        "optimizer's state, so they have to stay");
    }
    std::vector<std::string> changes(phase.set().begin(), phase.set().end());
    if (phase.harden()) changes.emplace_back("hardened");
    next.keeps_only_ranges = phase.keep_only_ranges();
    if (phase.keep_only_ranges()) changes.emplace_back("initial values, with the ranges found");
    next.changes = absl::StrJoin(changes, ", ");
    const int later = count - 1 - i;
    next.begin = std::max(0, std::min(phase.from_epoch() - 1, recipe.epochs() - 1 - later));
    phases.back().end = next.begin;
    phases.push_back(std::move(next));
  }
  phases.back().end = recipe.epochs();
  return phases;
}

int PhaseAt(const std::vector<RecipePhase>& phases, int epoch) {
  int index = static_cast<int>(phases.size()) - 1;
  while (index > 0 && epoch < phases[static_cast<size_t>(index)].begin) --index;
  return index;
}

absl::Status CheckSamePhases(const recipe::Recipe& before, const recipe::Recipe& now, int begun) {
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> old_phases, PhasesOf(before));
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<RecipePhase> new_phases, PhasesOf(now));
  for (int epoch = 0; epoch < begun; ++epoch) {
    const int was = PhaseAt(old_phases, epoch), is = PhaseAt(new_phases, epoch);
    if (was == is) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("epoch ", epoch + 1, " was trained in phase ", was + 1, " of the recipe, but with ", now.epochs(),
                     " epochs it would be in phase ", is + 1, "; resume with ", before.epochs(),
                     " epochs, or begin a new run with another --out"));
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
