// A run in TensorBoard's table of hyperparameters: the recipe's fields, and the errors of the best epoch.

#ifndef BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_
#define BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_

#include <string>
#include <utility>
#include <vector>

#include "bitgrad/models/training/metric_display.h"
#include "bitgrad/proto/recipe.pb.h"
#include "bitgrad/proto/tensorboard.pb.h"
#include "google/protobuf/struct.pb.h"

namespace bitgrad {

// The fields that the recipe sets, by their paths as --set has them, "model.mlp.hidden", but for the description.
// Numbers and booleans are such; a list is a text, "512, 512", and a list of groups one, too, each group in braces: a
// column for each field of each block would leave nothing to compare.
std::vector<std::pair<std::string, google::protobuf::Value>> HyperparametersOf(const recipe::Recipe& recipe);

// The tags that tell the plugin which columns there are and what they hold: "_hparams_/experiment" and
// "_hparams_/session_start_info". Metrics are the scalars best/valid_... and best/test_... (tensorboard_summary.h).
void AddHyperparameters(const recipe::Recipe& recipe, MetricDisplay display, double wall_time,
                        tensorboard::Summary& summary);

// The tag that tells that the run is complete: "_hparams_/session_end_info".
void AddSessionEnd(double wall_time, tensorboard::Summary& summary);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_TENSORBOARD_HPARAMS_H_
