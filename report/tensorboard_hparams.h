// A run in TensorBoard's table of hyperparameters: the recipe's fields.

#ifndef BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_
#define BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_

#include <string>
#include <utility>
#include <vector>

#include "bitgrad/proto/recipe.pb.h"
#include "bitgrad/proto/tensorboard.pb.h"
#include "google/protobuf/struct.pb.h"

namespace bitgrad {

// The fields that the recipe sets, by their paths as --set has them, "model.mlp.hidden", but for the description.
// Numbers and booleans are such; a list is a text, "512, 512", and a list of groups one, too, each group in braces: a
// column for each field of each block would leave nothing to compare.
std::vector<std::pair<std::string, google::protobuf::Value>> HyperparametersOf(const recipe::Recipe& recipe);

// The tag "_hparams_/session_start_info", with the values of this run. There is none that says which columns there are:
// TensorBoard takes those of a single run for all, so that a field which only another run sets would be hidden. Without
// it, it shows the fields of all runs, those that differ first, and all scalars, by the order of their tags: first
// best/... (tensorboard_summary.h).
void AddSessionStart(const recipe::Recipe& recipe, double wall_time, tensorboard::Summary& summary);

// The tag that tells that the run is complete: "_hparams_/session_end_info".
void AddSessionEnd(double wall_time, tensorboard::Summary& summary);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_
