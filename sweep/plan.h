// The trials of a sweep: which runs there are to be.
//
//   BITGRAD_ASSIGN_OR_RETURN(const sweep::Sweep sweep, LoadSweep("rates.textproto"));
//   BITGRAD_ASSIGN_OR_RETURN(const recipe::Recipe base, BaseRecipe(sweep));
//   BITGRAD_ASSIGN_OR_RETURN(const std::vector<Trial> trials, PlanTrials(sweep, base));

#ifndef BITGRAD_SWEEP_PLAN_H_
#define BITGRAD_SWEEP_PLAN_H_

#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/proto/recipe.pb.h"
#include "bitgrad/proto/sweep.pb.h"

namespace bitgrad {

// A run of a sweep.
struct Trial {
  std::string name;       // of its folder: "trial_03", "trial_03_seed_2"
  int configuration = 0;  // trials that differ in nothing but their seed have the same one; counted from 0
  std::vector<std::string> assignments;  // as --set has them; the seed is not among them
  recipe::Recipe recipe;
};

// Reads a sweep's file. Errors name the file, and line and column of what is wrong; the nearest name is suggested.
absl::StatusOr<sweep::Sweep> LoadSweep(const std::string& path);

// The recipe that the sweep names, with its `set`. Errors are those of LoadRecipe() and SetField().
absl::StatusOr<recipe::Recipe> BaseRecipe(const sweep::Sweep& sweep);

// All trials. Those of a grid come in the order of an odometer: the last field's value changes first; seeds change
// before any field. Of random configurations, those with the first `trials` different draws; what is drawn depends on
// random.seed and the fields alone, and more trials have the same first ones.
//
// Numbers of ranges have six significant digits.
//
// InvalidArgument, naming the field, for one that the recipe does not have (the nearest one is suggested), a value that
// it cannot have, a field without values or with both values and a range, or that is named twice; a range that is
// none; a sweep without fields and seeds; fewer combinations than random trials; `seed` as a field, which Sweep.seed is
// for; with halving `epochs` as a field, and rounds that make no sense.
absl::StatusOr<std::vector<Trial>> PlanTrials(const sweep::Sweep& sweep, const recipe::Recipe& base);

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_PLAN_H_
