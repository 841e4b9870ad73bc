// The phases of a recipe: parts of the training that have other values of some fields.
//
//   epochs: 20
//   optimizer { learning_rate: 0.003 }
//   model { mlp { ... } }
//   phase { from_epoch: 16 set: "optimizer.learning_rate=0.0001" harden: true }
//
// trains 15 epochs as the recipe says, and then five with the other learning rate and a hardened model
// (Model::Harden). A phase is trained as a run of its own would be that began with the model and the optimizer's state
// that the phase before has left: its learning-rate schedule, and those of the model's numbers, begin anew and end with
// its last epoch. The model that counts in the end is the best one of the last phase that was trained; what came before
// led to it.
//
// Which phase a run is in follows from recipe and epoch, so that checkpoints need not say it.

#ifndef BITGRAD_MODELS_RECIPE_PHASES_H_
#define BITGRAD_MODELS_RECIPE_PHASES_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

struct RecipePhase {
  recipe::Recipe recipe;  // with the fields' values in this phase, and without phases
  bool hardened = false;
  bool keeps_only_ranges = false;  // the model begins with its initial values, but for ranges of number formats
  // The epochs of the phase are begin .. end - 1, counted from 0. There may be none.
  int begin = 0;
  int end = 0;
  std::string changes;  // for people: "optimizer.learning_rate=0.0001, hardened"

  int epochs() const { return end - begin; }
};

// All phases, in order: the first one has what the recipe itself says. Together they have the recipe's epochs. Where
// the recipe has fewer epochs than a phase's from_epoch asks for, phases begin so early that each has an epoch as far
// as there are enough, the later ones first.
//
// InvalidArgument, naming the phase and what it sets, for a from_epoch that is not after that of the phase before, a
// field that does not exist or that a phase cannot change, and a value that does not fit.
absl::StatusOr<std::vector<RecipePhase>> PhasesOf(const recipe::Recipe& recipe);

// The index of the phase that trains this epoch, counted from 0; for an epoch beyond the last one, the last phase.
// REQUIRES: phases are those of PhasesOf().
int PhaseAt(const std::vector<RecipePhase>& phases, int epoch);

// That a run of `before` that has begun `begun` epochs can go on with `now`: those epochs were in the same phases.
// FailedPrecondition otherwise.
absl::Status CheckSamePhases(const recipe::Recipe& before, const recipe::Recipe& now, int begun);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_PHASES_H_
