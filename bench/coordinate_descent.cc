// A trial of coordinate descent (models/training/coordinate_descent.h): the loss on all examples with another value of
// one weight.
//
//   ./bazelw run //bench:coordinate_descent -- --data_dir=DIR     MNIST; without the flag the built-in digits
//
// Names: WAY/NET. Ways: Graph evaluates the net and its loss anew for each trial, as a search without incremental sums
// would, on packed codes; Incremental is what the learner does. Nets are those of the recipes mnist_conntra_linear
// (with both losses) and mnist_conntra_mlp, with --examples images and one thread. Coordinates are drawn at random, so
// that blank pixels are among them as they are in a sweep.
//
// Counter: trials/s. Before anything is timed, both ways have to agree on what ten changes do to the loss.

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <utility>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/incremental_loss.h"

ABSL_FLAG(std::string, data_dir, "", "Where MNIST lies; empty: the built-in digits.");
ABSL_FLAG(int64_t, examples, 10000, "How many images each trial looks at.");

namespace bitgrad {
namespace {

struct Net {
  const char* name;
  const char* recipe;
  recipe::Loss loss;
};

constexpr Net kNets[] = {{"linear_hinge", "mnist_conntra_linear", recipe::SQUARED_HINGE},
                         {"linear_softmax", "mnist_conntra_linear", recipe::SOFTMAX_CROSS_ENTROPY},
                         {"mlp16_hinge", "mnist_conntra_mlp", recipe::SQUARED_HINGE}};

class Trials {
 public:
  static absl::StatusOr<std::unique_ptr<Trials>> Create(const Net& net) {
    std::unique_ptr<Trials> trials(new Trials);
    BITGRAD_RETURN_IF_ERROR(trials->Prepare(net));
    return trials;
  }

  // The mean loss of the net as its parameters have it, by the graph.
  absl::StatusOr<double> GraphLoss() {
    Tape tape(context_, Mode::kEval);
    const TaskOutput output = task_->Forward(*model_, tape, batch_);
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* loss, tape.Value(output.loss));
    return double{loss->data<float>()[0]};
  }

  // Of a random coordinate, another value than it has.
  std::pair<Coordinate, int> Next() {
    const auto n = static_cast<uint32_t>(net_->coordinates());
    const Coordinate at = net_->At(UniformBelow(rng_, next_++, n));
    return {at, (net_->Get(at) + 1) % net_->Choices(at)};
  }

  // The change of the mean loss.
  absl::StatusOr<double> ByGraph() {
    const auto [at, choice] = Next();
    const int old = net_->Get(at);
    net_->Set(at, choice);
    BITGRAD_ASSIGN_OR_RETURN(const double loss, GraphLoss());
    net_->Set(at, old);
    return loss - graph_loss_;
  }
  double Incrementally() {
    const auto [at, choice] = Next();
    int64_t change = 0;
    loss_->Try(at, {&choice, 1}, {&change, 1});
    return static_cast<double>(change) / static_cast<double>(loss_->total()) * loss_->mean();
  }

 private:
  absl::Status Prepare(const Net& net) {
    BITGRAD_ASSIGN_OR_RETURN(recipe_, LoadRecipe(net.recipe));
    recipe_.set_loss(net.loss);
    const std::string dir = absl::GetFlag(FLAGS_data_dir);
    const int64_t examples = absl::GetFlag(FLAGS_examples);
    BITGRAD_ASSIGN_OR_RETURN(const Dataset data,
                             LoadDataset(dir.empty() ? "digits" : "mnist", {.data_dir = dir, .limit = examples}));
    const std::string steps[] = {"unit"};
    BITGRAD_ASSIGN_OR_RETURN(Preprocessing preprocessing, ParsePreprocessing(steps));
    BITGRAD_RETURN_IF_ERROR(preprocessing.SetShape(data.image_shape()));
    BatchOptions options;
    options.batch_size = data.size();
    options.preprocessing = std::make_shared<const Preprocessing>(std::move(preprocessing));
    BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader, BatchLoader::Create(data, AllExamples(data), options));
    EpochBatches batches = loader.Epoch(0);
    const Batch* batch = batches.Next();
    batch_ = {.images = batch->images.Clone(), .labels = batch->labels.Clone()};

    BITGRAD_ASSIGN_OR_RETURN(model_, MakeNetwork(recipe_.model(), data.image_shape(), data.num_classes, store_));
    task_ = Classification({.features = data.features(), .classes = data.num_classes, .loss = net.loss});
    BITGRAD_ASSIGN_OR_RETURN(net_, DiscreteMlp::Create(context_, recipe_, *model_, store_));
    net_->Randomize(1);
    BITGRAD_ASSIGN_OR_RETURN(loss_, IncrementalLoss::Create(*net_, net.loss, batch_, 1));
    BITGRAD_ASSIGN_OR_RETURN(graph_loss_, GraphLoss());
    for (int i = 0; i < 10; ++i) {
      const uint64_t next = next_;
      BITGRAD_ASSIGN_OR_RETURN(const double expected, ByGraph());
      next_ = next;
      const double found = Incrementally();
      if (std::abs(found - expected) > 1e-5 * (1 + graph_loss_)) {
        return absl::InternalError(absl::StrCat("the loss changes by ", found, " or by ", expected));
      }
    }
    return absl::OkStatus();
  }

  recipe::Recipe recipe_;
  ExecContext context_{{.threads = 1}};
  ParameterStore store_{1};
  Batch batch_;
  std::unique_ptr<Model> model_;
  std::unique_ptr<Task> task_;
  std::unique_ptr<DiscreteMlp> net_;
  std::unique_ptr<IncrementalLoss> loss_;
  double graph_loss_ = 0;
  const RngStream rng_{.seed = 2, .stream = 1};
  uint64_t next_ = 0;
};

Last<absl::StatusOr<std::unique_ptr<Trials>>> last_trials;

void Time(benchmark::State& state, const Net& net, bool incremental) {
  auto& trials = last_trials.Get(
      net.name, [&] { return std::make_unique<absl::StatusOr<std::unique_ptr<Trials>>>(Trials::Create(net)); });
  if (!trials.ok()) {
    state.SkipWithError(std::string(trials.status().message()).c_str());
    return;
  }
  const double seconds = SecondsPerIteration(state, [&] {
    if (incremental) {
      benchmark::DoNotOptimize((*trials)->Incrementally());
    } else {
      benchmark::DoNotOptimize((*trials)->ByGraph().ok());
    }
  });
  state.counters["trials/s"] = 1 / seconds;
}

absl::Status Register() {
  for (const Net& net : kNets) {
    for (const bool incremental : {false, true}) {
      benchmark::RegisterBenchmark(absl::StrCat(incremental ? "Incremental/" : "Graph/", net.name).c_str(),
                                   [&net, incremental](benchmark::State& state) { Time(state, net, incremental); });
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
