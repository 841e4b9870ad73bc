// How large the numbers of a net are in the middle of its training: histograms of log2 |x| by layer, of weights, of
// values and of gradients (Courbariaux et al., "Training deep neural networks with low precision multiplications",
// arXiv 1412.7024, has such figures).
//
//   bazel-bin/models/train --recipe=mnist_maxout_float_mlp --data_dir=DIR --epochs=5 --out=run
//   bazel-bin/bench/magnitudes --checkpoint=run --data_dir=DIR > magnitudes.json
//   python3 bench/plot.py --magnitudes=magnitudes.json
//
// One batch of training images goes forward and backward; nothing is updated. The values of a layer are what its ops
// give, the gradients those of its parameters, of the loss times the recipe's loss_scale. Prints, with the counts from
// the exponent `least` on and how many numbers are 0:
//
//   {"hidden1": {"weights": {"least": -9, "counts": [..], "zeros": 0}, "values": ..}, ..}

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/data_options.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/checkpoint_path.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/model_bundle.h"

ABSL_FLAG(std::string, checkpoint, "", "Checkpoint of //models:train, or a run's folder: its best checkpoint.");
ABSL_FLAG(std::string, data_dir, "", "Where the data set's files lie (not needed for 'digits').");
ABSL_FLAG(int, batch_size, 1000, "How many training images go through the net.");

namespace bitgrad {
namespace {

// Counts of floor(log2 |x|).
class Histogram {
 public:
  void Add(absl::Span<const float> values) {
    for (const float x : values) {
      if (x == 0 || !std::isfinite(x)) {
        zeros_ += x == 0;
      } else {
        ++counts_[std::ilogb(x)];
      }
    }
  }
  std::string Json() const {
    std::vector<int64_t> counts;
    const int least = counts_.empty() ? 0 : counts_.begin()->first;
    for (const auto& [exponent, count] : counts_) {
      counts.resize(static_cast<size_t>(exponent - least) + 1);
      counts.back() = count;
    }
    return absl::StrFormat(R"({"least": %d, "counts": [%s], "zeros": %d})", least, absl::StrJoin(counts, ", "), zeros_);
  }

 private:
  std::map<int, int64_t> counts_;
  int64_t zeros_ = 0;
};

// By layer, in their order, and by what is counted.
using Histograms = std::vector<std::pair<std::string, std::map<std::string, Histogram>>>;

Histogram& HistogramOf(const std::string& layer, const std::string& what, Histograms& all) {
  for (auto& [name, histograms] : all) {
    if (name == layer) return histograms[what];
  }
  all.emplace_back(layer, std::map<std::string, Histogram>());
  return all.back().second[what];
}

absl::StatusOr<Histograms> Measure(ExecContext& context, const ModelBundle& bundle, const Task& task,
                                   const Batch& batch) {
  Histograms all;
  Tape tape(context);
  // A value is looked at before the tape drops it.
  tape.set_op_listener([&](const OpEvent& event) {
    const Tape::Node& node = tape.nodes()[event.node];
    if (node.inputs.empty() || node.layer.empty()) return;
    HistogramOf(node.layer, "values", all).Add(tape.ValueOf(event.node).span<float>());
  });
  const Objective objective = RecordObjective(task, *bundle.model, tape, batch);
  tape.set_op_listener(nullptr);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  BITGRAD_RETURN_IF_ERROR(tape.Backward(objective.scaled));
  for (const Parameter* parameter : bundle.store->parameters()) {
    if (!parameter->trainable || parameter->gradient.is_null()) continue;
    const std::string layer = parameter->name.substr(0, parameter->name.rfind('/'));
    HistogramOf(layer, "weights", all).Add(parameter->value.span<float>());
    HistogramOf(layer, "gradients", all).Add(parameter->gradient.span<float>());
  }
  return all;
}

absl::Status Print() {
  if (absl::GetFlag(FLAGS_checkpoint).empty()) return absl::InvalidArgumentError("--checkpoint=FILE is missing");
  if (absl::GetFlag(FLAGS_batch_size) < 1) return absl::InvalidArgumentError("--batch_size is not positive");
  BITGRAD_ASSIGN_OR_RETURN(const std::string path, CheckpointPath(ResolvePath(absl::GetFlag(FLAGS_checkpoint))));
  BITGRAD_ASSIGN_OR_RETURN(const Checkpoint checkpoint, Checkpoint::Open(path));
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  BITGRAD_ASSIGN_OR_RETURN(auto preprocessing, LoadPreprocessing(checkpoint));
  const recipe::Recipe& recipe = checkpoint.header().recipe();
  ExecContext context;
  LoadOptions load = LoadOptionsOf(recipe.data());
  load.data_dir = ResolvePath(absl::GetFlag(FLAGS_data_dir));
  load.split = Split::kTrain;
  load.threads = context.threads();
  BITGRAD_ASSIGN_OR_RETURN(const Dataset data, LoadDataset(recipe.data().name(), load));
  const int64_t size = std::min<int64_t>(absl::GetFlag(FLAGS_batch_size), data.size());
  BITGRAD_ASSIGN_OR_RETURN(
      const BatchLoader loader,
      BatchLoader::Create(data, AllExamples(data), {.batch_size = size, .preprocessing = std::move(preprocessing)}));
  const auto task = Classification({.features = ImageShapeOf(checkpoint.header()).features(),
                                    .classes = checkpoint.header().classes(),
                                    .loss = recipe.loss(),
                                    .loss_scale = recipe.loss_scale()});
  EpochBatches batches = loader.Epoch(0);
  for (const Batch& batch : batches) {
    BITGRAD_ASSIGN_OR_RETURN(const Histograms all, Measure(context, bundle, *task, batch));
    std::vector<std::string> layers;
    for (const auto& [layer, histograms] : all) {
      std::vector<std::string> parts;
      for (const auto& [what, histogram] : histograms) {
        parts.push_back(absl::StrFormat(R"("%s": %s)", what, histogram.Json()));
      }
      layers.push_back(absl::StrFormat(R"("%s": {%s})", layer, absl::StrJoin(parts, ", ")));
    }
    absl::PrintF("{%s}\n", absl::StrJoin(layers, ",\n "));
    return absl::OkStatus();
  }
  return batches.status();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Prints histograms of the numbers of a net in training, as JSON."},
                          [] { return bitgrad::Print(); });
}
