// What the tests of coordinate descent share: recipes, and a search outside of the training loop.

#ifndef BITGRAD_TESTS_MODELS_COORDINATE_DESCENT_TESTING_H_
#define BITGRAD_TESTS_MODELS_COORDINATE_DESCENT_TESTING_H_

#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/training/coordinate_descent.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/incremental_loss.h"
#include "bitgrad/tests/models/models_testing.h"

namespace bitgrad {

inline recipe::Recipe With(const std::string& name, const std::vector<std::string>& assignments) {
  recipe::Recipe recipe = *LoadRecipe(name);
  for (const std::string& assignment : assignments) {
    const absl::Status status = SetField(assignment, recipe);
    EXPECT_TRUE(status.ok()) << status;
  }
  return recipe;
}

// A model, its data and a learner.
struct Search {
  explicit Search(const recipe::Recipe& recipe, int threads = 1) : recipe(recipe), context({.threads = threads}) {
    const recipe::DataSet& data = recipe.data();
    dataset = *LoadDataset(data.name(), {.limit = data.limit()});
    const std::vector<std::string> steps(data.preprocessing().begin(), data.preprocessing().end());
    auto preprocessing = ParsePreprocessing(steps);
    EXPECT_TRUE(preprocessing.ok() && preprocessing->SetShape(dataset.image_shape()).ok());
    loader = std::make_unique<BatchLoader>(
        *BatchLoader::Create(dataset, AllExamples(dataset),
                             {.batch_size = recipe.batch_size(),
                              .shuffle = true,
                              .drop_last = true,
                              .seed = recipe.seed(),
                              .preprocessing = std::make_shared<const Preprocessing>(*std::move(preprocessing))}));
    model = *MakeNetwork(recipe.model(), dataset.image_shape(), dataset.num_classes, store);
    auto created = CoordinateDescent::Create(context, recipe, *model, store, *loader, dataset.size());
    EXPECT_TRUE(created.ok()) << created.status();
    learner = *std::move(created);
  }

  // Cancelled after `stop_after` further coordinates; 0: never.
  absl::Status RunEpoch(int64_t epoch, int64_t stop_after = 0, int64_t first_batch = 0) {
    EpochBatches batches = loader->Epoch(epoch, first_batch);
    int64_t asked = 0;
    return learner->RunEpoch(
        epoch, batches, [&](const StepResult& result) { results.push_back(result); },
        [&] { return ++asked == stop_after; });
  }

  std::vector<float> Values() const {
    std::vector<float> values;
    for (const Parameter* parameter : store.parameters()) {
      const auto span = parameter->value.span<float>();
      values.insert(values.end(), span.begin(), span.end());
    }
    return values;
  }

  // The batch of the epoch, copied.
  Batch FirstBatch(int64_t epoch = 0) {
    EpochBatches batches = loader->Epoch(epoch);
    const Batch* batch = batches.Next();
    Batch copy = {.images = batch->images.Clone(), .labels = batch->labels.Clone()};
    return copy;
  }

  recipe::Recipe recipe;
  ExecContext context;
  Dataset dataset;
  std::unique_ptr<BatchLoader> loader;
  ParameterStore store{3};
  std::unique_ptr<Model> model;
  std::unique_ptr<CoordinateDescent> learner;
  std::vector<StepResult> results;
};

// The loss of the net as the parameters have it now, from nothing.
inline int64_t LossFromNothing(Search& search, const Batch& batch) {
  auto net = DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
  EXPECT_TRUE(net.ok()) << net.status();
  EXPECT_TRUE((*net)->ReadParameters().ok());
  auto loss = IncrementalLoss::Create(**net, search.recipe.loss(), batch, /*threads=*/1);
  EXPECT_TRUE(loss.ok()) << loss.status();
  return (*loss)->total();
}

inline recipe::Recipe TinyIris(const std::vector<std::string>& more = {}) {
  recipe::Recipe recipe = With("iris_conntra_mlp", {"batch_size=120", "model.mlp.hidden=3"});
  for (const std::string& assignment : more) EXPECT_TRUE(SetField(assignment, recipe).ok()) << assignment;
  return recipe;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_COORDINATE_DESCENT_TESTING_H_
