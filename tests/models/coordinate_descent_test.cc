// Coordinate descent over discrete weights: exact sums, losses that never rise, the certificate, resuming.

#include "bitgrad/models/training/coordinate_descent.h"

#include <algorithm>
#include <limits>
#include <memory>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessings.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/incremental_loss.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

recipe::Recipe With(const std::string& name, const std::vector<std::string>& assignments) {
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
int64_t LossFromNothing(Search& search, const Batch& batch) {
  auto net = DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
  EXPECT_TRUE(net.ok()) << net.status();
  EXPECT_TRUE((*net)->ReadParameters().ok());
  auto loss = IncrementalLoss::Create(**net, search.recipe.loss(), batch, /*threads=*/1);
  EXPECT_TRUE(loss.ok()) << loss.status();
  return (*loss)->total();
}

recipe::Recipe TinyIris(const std::vector<std::string>& more = {}) {
  recipe::Recipe recipe = With("iris_conntra_mlp", {"batch_size=120", "model.mlp.hidden=3"});
  for (const std::string& assignment : more) EXPECT_TRUE(SetField(assignment, recipe).ok()) << assignment;
  return recipe;
}

// ---- Sums ------------------------------------------------------------------------------------------

struct Net {
  const char* name;
  const char* recipe;
  std::vector<std::string> changes;
};

std::vector<Net> Nets() {
  const std::string few = "data.limit=300", all = "batch_size=300", digits = "data.name=digits";
  std::vector<Net> nets;
  for (const char* loss : {"SQUARED_HINGE", "SQUARED_HINGE_SUM", "SOFTMAX_CROSS_ENTROPY"}) {
    const std::string set = absl::StrCat("loss=", loss);
    nets.push_back({"linear", "mnist_conntra_linear", {digits, few, all, set}});
    nets.push_back({"linear with biases",
                    "mnist_conntra_linear",
                    {digits, few, all, set, "coordinate_descent.bias_values=-2,0.5,1"}});
    nets.push_back({"one hidden layer", "mnist_conntra_mlp", {digits, few, all, set}});
    nets.push_back({"two hidden layers of signs, with biases",
                    "iris_conntra_mlp",
                    {"batch_size=120", set, "model.mlp.hidden=7,6", "model.mlp.activation_quantizer=sign"}});
    nets.push_back({"three hidden layers, five values",
                    "iris_conntra_mlp",
                    {"batch_size=120", set, "model.mlp.hidden=5,4,6", "model.mlp.activation=relu",
                     "model.mlp.activation_quantizer=dorefa_activation(3)", "model.mlp.weight_quantizer=log_quant(4)",
                     "coordinate_descent.values=-4,-1,0,1,2"}});
  }
  return nets;
}

// What is kept up to date is what is computed from nothing, exactly, and a trial says what the change would bring.
TEST(IncrementalLossTest, IsTheLossFromNothing) {
  for (const Net& entry : Nets()) {
    SCOPED_TRACE(absl::StrCat(entry.name, " ", entry.changes.size()));
    Search search(With(entry.recipe, entry.changes));
    const Batch batch = search.FirstBatch();
    auto net = *DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
    net->Randomize(7);
    auto loss = *IncrementalLoss::Create(*net, search.recipe.loss(), batch, 1);
    TestRandom random(11);
    int changed = 0;
    for (int i = 0; i < 60; ++i) {
      // Biases and later layers have few coordinates and come last.
      const int64_t n = net->coordinates(), last = std::min<int64_t>(n, 200);
      const int64_t index =
          i % 2 == 0 ? random.Below(static_cast<uint32_t>(n)) : n - 1 - random.Below(static_cast<uint32_t>(last));
      const Coordinate at = net->At(index);
      const int choice = static_cast<int>(random.Below(static_cast<uint32_t>(net->Choices(at))));
      int64_t change = 0;
      const int64_t before = loss->total();
      loss->Try(at, {&choice, 1}, {&change, 1});
      EXPECT_EQ(loss->total(), before) << "a trial changes nothing";
      loss->Set(at, choice);
      ASSERT_EQ(loss->total(), before + change) << i;
      ASSERT_EQ(loss->total(), LossFromNothing(search, batch)) << i;
      changed += change != 0;
    }
    EXPECT_GT(changed, 5) << "the changes matter";
  }
}

// The graph gives the same logits, errors and, but for the rounding, the same loss.
TEST(IncrementalLossTest, IsTheLossOfTheGraph) {
  for (const Net& entry : Nets()) {
    SCOPED_TRACE(absl::StrCat(entry.name, " ", entry.changes.back()));
    Search search(With(entry.recipe, entry.changes));
    const Batch batch = search.FirstBatch();
    auto net = *DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
    net->Randomize(5);
    const auto loss = *IncrementalLoss::Create(*net, search.recipe.loss(), batch, 1);
    const absl::Status same = net->CheckAgainstGraph(batch.images);
    EXPECT_TRUE(same.ok()) << same;
    const auto task = Classification(
        {.features = search.dataset.features(), .classes = search.dataset.num_classes, .loss = search.recipe.loss()});
    Tape tape(search.context, Mode::kEval);
    const TaskOutput output = task->Forward(*search.model, tape, batch);
    const auto value = tape.Value(output.loss);
    ASSERT_TRUE(value.ok()) << value.status();
    const double expected = double{(*value)->data<float>()[0]};
    EXPECT_NEAR(loss->mean(), expected, 1e-5 * (1 + expected));
    MetricCell cell;
    ASSERT_TRUE(task->Measure(tape, output, batch, &cell).ok());
    EXPECT_EQ(loss->errors(), cell.counted);
  }
}

TEST(DiscreteMlpTest, ADifferenceFromTheGraphIsFound) {
  Search search(TinyIris());
  auto net = *DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
  net->Randomize(1);
  const Batch batch = search.FirstBatch();
  EXPECT_TRUE(net->CheckAgainstGraph(batch.images).ok());
  for (int16_t& weight : net->layer(1).weights) weight = static_cast<int16_t>(-weight);
  EXPECT_EQ(net->CheckAgainstGraph(batch.images).code(), absl::StatusCode::kInternal);
}

// ---- The search ------------------------------------------------------------------------------------

TEST(CoordinateDescentTest, TheLossOfAllExamplesNeverRises) {
  Search search(With("iris_conntra_mlp", {"batch_size=120"}));
  int64_t last = std::numeric_limits<int64_t>::max(), trials = 0, changes = 0;
  search.learner->set_trial_listener([&](const Coordinate&, bool changed, const IncrementalLoss& loss) {
    if (changed) {
      EXPECT_LT(loss.total(), last);
      ++changes;
    } else if (trials > 0) {
      EXPECT_EQ(loss.total(), last);
    }
    last = loss.total();
    ++trials;
  });
  for (int64_t epoch = 0; epoch < 100 && !search.learner->done(); ++epoch) ASSERT_TRUE(search.RunEpoch(epoch).ok());
  EXPECT_TRUE(search.learner->done());
  EXPECT_GT(changes, 10);
  EXPECT_EQ(search.learner->trials(), 2 * trials) << "two other values each";
  EXPECT_LT(search.results.back().loss, search.results.front().loss);
  EXPECT_EQ(last, LossFromNothing(search, search.FirstBatch()));
  EXPECT_FLOAT_EQ(static_cast<float>(*search.learner->SelectionLoss(0, [] { return false; })),
                  search.results.back().loss);
  for (const float value : search.Values()) EXPECT_TRUE(value == -1 || value == 0 || value == 1) << value;
}

// Another set: values are codes of the quantizer, and the search finds no other.
TEST(CoordinateDescentTest, WeightsStayInTheSet) {
  Search search(TinyIris({"coordinate_descent.values=-3,-1,1,3", "model.mlp.weight_quantizer=k_bit(2, scale=0.5)",
                          "coordinate_descent.bias_values=-0.75,0.25"}));
  for (int64_t epoch = 0; epoch < 3; ++epoch) ASSERT_TRUE(search.RunEpoch(epoch).ok());
  for (const Parameter* parameter : search.store.parameters()) {
    std::set<float> seen;
    for (const float value : parameter->value.span<float>()) {
      seen.insert(parameter->kind == ParameterKind::kQuantizedWeight ? 3 * value : value);
    }
    const std::set<float> known = parameter->kind == ParameterKind::kQuantizedWeight ? std::set<float>{-3, -1, 1, 3}
                                                                                     : std::set<float>{-0.75, 0.25};
    EXPECT_TRUE(std::includes(known.begin(), known.end(), seen.begin(), seen.end())) << parameter->name;
  }
}

// No single change makes the loss smaller, by a search that shares nothing with the incremental one but the net.
class CertificateTest : public testing::TestWithParam<int> {};

TEST_P(CertificateTest, Holds) {
  Search search(TinyIris({absl::StrCat("seed=", GetParam())}));
  int64_t epoch = 0;
  while (!search.learner->done()) {
    ASSERT_LT(epoch, 100);
    ASSERT_TRUE(search.RunEpoch(epoch++).ok());
  }
  const Batch batch = search.FirstBatch();
  const int64_t best = LossFromNothing(search, batch);
  int64_t tried = 0;
  for (Parameter* parameter : search.store.parameters()) {
    for (int64_t i = 0; i < parameter->value.num_elements(); ++i) {
      const float old = parameter->value.data<float>()[i];
      for (const float other : {-1.0f, 0.0f, 1.0f}) {
        parameter->value.mutable_data<float>()[i] = other;
        EXPECT_GE(LossFromNothing(search, batch), best) << parameter->name << " " << i << " " << other;
        ++tried;
      }
      parameter->value.mutable_data<float>()[i] = old;
    }
  }
  EXPECT_EQ(tried, 3 * search.learner->net().coordinates());
  EXPECT_EQ(search.learner->Report()[2].value, 1);
}

INSTANTIATE_TEST_SUITE_P(Seeds, CertificateTest, testing::Range(1, 9));

TEST(CoordinateDescentTest, ThreadsChangeNothing) {
  // Enough examples for two threads to share a trial's, where it costs more than one term of the loss each; with the
  // squared hinge a linear net shares the change alone.
  const struct {
    const char* recipe;
    const char* loss;
  } cases[] = {{"mnist_conntra_linear", "loss=SOFTMAX_CROSS_ENTROPY"},
               {"mnist_conntra_linear", "loss=SQUARED_HINGE"},
               {"mnist_conntra_mlp", "loss=SQUARED_HINGE"}};
  for (const auto& c : cases) {
    const recipe::Recipe recipe = With(c.recipe, {"data.name=digits", "data.limit=4096", "batch_size=4096", c.loss,
                                                  "coordinate_descent.sweeps_per_epoch=0.05"});
    Search one(recipe, 1), two(recipe, 2);
    ASSERT_TRUE(one.RunEpoch(0).ok());
    ASSERT_TRUE(two.RunEpoch(0).ok());
    EXPECT_EQ(one.Values(), two.Values());
    EXPECT_EQ(one.results[0].loss, two.results[0].loss);
    EXPECT_GT(one.learner->Report()[0].value, 50) << "changes";
  }
}

// The weights of pixels that are 0 in all images change nothing, and keep their values: of equals the old one.
TEST(CoordinateDescentTest, TiesKeepTheOldValue) {
  constexpr int64_t kBlank = 20, kPixels = 784;
  Search search(With("mnist_conntra_linear", {"data.name=digits", "data.limit=40", "batch_size=40"}));
  uint8_t* const pixels = search.dataset.images.mutable_data<uint8_t>();
  for (int64_t e = 0; e < 40; ++e) std::fill_n(pixels + e * kPixels, kBlank, uint8_t{0});
  auto net = *DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
  net->Randomize(search.recipe.seed());
  const std::vector<float> before = search.Values();
  ASSERT_TRUE(search.RunEpoch(0).ok());
  const std::vector<float> after = search.Values();
  EXPECT_NE(before, after);
  std::set<float> kept;
  for (size_t unit = 0; unit < 10; ++unit) {
    for (size_t pixel = 0; pixel < kBlank; ++pixel) {
      EXPECT_EQ(before[unit * kPixels + pixel], after[unit * kPixels + pixel]);
      kept.insert(before[unit * kPixels + pixel]);
    }
  }
  EXPECT_EQ(kept, (std::set<float>{-1, 0, 1}));
}

// With several batches each looks at its share of the coordinates, and a sweep is an epoch.
TEST(CoordinateDescentTest, BatchesShareASweep) {
  Search search(With("iris_conntra_mlp", {"batch_size=30"}));
  std::set<std::tuple<int, bool, int64_t, int64_t>> seen;
  int64_t count = 0;
  search.learner->set_trial_listener([&](const Coordinate& at, bool, const IncrementalLoss& loss) {
    EXPECT_EQ(loss.examples(), 30);
    seen.insert({at.layer, at.is_bias, at.unit, at.input});
    ++count;
  });
  for (int64_t epoch = 0; epoch < 30; ++epoch) ASSERT_TRUE(search.RunEpoch(epoch).ok());
  const int64_t n = search.learner->net().coordinates();
  EXPECT_EQ(n, 4 * 8 + 8 + 8 * 3 + 3);
  EXPECT_EQ(count, 30 * n);
  EXPECT_EQ(static_cast<int64_t>(seen.size()), n);
  EXPECT_EQ(search.results.size(), 120u);
  EXPECT_FALSE(search.learner->done()) << "there is no certificate for batches";
  // The loss that chooses the best model is that of all examples.
  const double all = *search.learner->SelectionLoss(29, [] { return false; });
  Search whole(With("iris_conntra_mlp", {"batch_size=120"}));
  auto net = *DiscreteMlp::Create(search.context, search.recipe, *search.model, search.store);
  ASSERT_TRUE(net->ReadParameters().ok());
  EXPECT_NEAR(all, (*IncrementalLoss::Create(*net, search.recipe.loss(), whole.FirstBatch(), 1))->mean(), 1e-9);
}

// ---- Resuming --------------------------------------------------------------------------------------

TEST(CoordinateDescentTest, ResumesInTheMiddleOfASweep) {
  for (const char* batch_size : {"batch_size=120", "batch_size=40"}) {
    const recipe::Recipe recipe = With("iris_conntra_mlp", {batch_size});
    Search straight(recipe);
    for (int64_t epoch = 0; epoch < 4; ++epoch) ASSERT_TRUE(straight.RunEpoch(epoch).ok());

    // Stopped within the second epoch, where the sweep has changed something already.
    Search first(recipe), second(recipe);
    ASSERT_TRUE(first.RunEpoch(0).ok());
    const absl::Status stopped = first.RunEpoch(1, /*stop_after=*/15);
    ASSERT_EQ(stopped.code(), absl::StatusCode::kCancelled) << stopped;
    const LearnerState state = first.learner->state();
    for (size_t i = 0; i < first.store.parameters().size(); ++i) {
      second.store.parameters()[i]->value = first.store.parameters()[i]->value.Clone();
    }
    const auto per_epoch = first.loader->batches_per_epoch();
    const int64_t done = static_cast<int64_t>(first.results.size()) - per_epoch;
    ASSERT_EQ(state.steps, per_epoch + done);
    ASSERT_TRUE(second.learner->Restore(state).ok());
    ASSERT_TRUE(second.RunEpoch(1, 0, done).ok());
    for (int64_t epoch = 2; epoch < 4; ++epoch) ASSERT_TRUE(second.RunEpoch(epoch).ok());
    EXPECT_EQ(second.Values(), straight.Values());
    EXPECT_EQ(second.results.back().loss, straight.results.back().loss);
    EXPECT_EQ(second.learner->trials(), straight.learner->trials());
    EXPECT_EQ(second.learner->Report()[0].value, straight.learner->Report()[0].value) << "changes of the sweep";
  }
}

TEST(CoordinateDescentTest, AStateThatDoesNotFitIsRefused) {
  Search search(TinyIris()), other(TinyIris());
  ASSERT_TRUE(search.RunEpoch(0).ok());
  EXPECT_THAT(std::string(other.learner->Restore(LearnerState({}, 1)).message()), HasSubstr("not that of"));
  // Its parameters are none of the values.
  EXPECT_THAT(std::string(other.learner->Restore(search.learner->state()).message()),
              AllOf(HasSubstr("hidden1/weight"), HasSubstr("-1, 0, 1")));
  Tensor fields = search.learner->state().tensors[0].tensor->Clone();
  fields.mutable_data<int64_t>()[1] = 1000000;
  EXPECT_THAT(std::string(search.learner->Restore(LearnerState({{"coordinate_descent", &fields}}, 1)).message()),
              HasSubstr("damaged"));
}

// ---- Memory ----------------------------------------------------------------------------------------

TEST(DiscreteMlpTest, TakesTwoBitsACoordinate) {
  const struct {
    std::vector<std::string> changes;
    int64_t coordinates, bytes;
  } cases[] = {
      {{"data.limit=20", "data.name=digits", "batch_size=20"}, 7840, 1960},
      {{"data.limit=20", "data.name=digits", "batch_size=20", "coordinate_descent.bias_values=0,1"}, 7850, 1963},
      {{"data.limit=20", "data.name=digits", "batch_size=20", "coordinate_descent.values=-1,1"}, 7840, 980}};
  for (const auto& c : cases) {
    Search search(With("mnist_conntra_linear", c.changes));
    EXPECT_EQ(search.learner->net().coordinates(), c.coordinates);
    EXPECT_EQ(search.learner->net().bytes(), c.bytes);
  }
  Search linear(With("mnist_conntra_linear", cases[0].changes));
  EXPECT_EQ(linear.learner->net().bytes() * 32, 8 * linear.learner->net().coordinates()) << "1/32 of double";
}

// ---- Bad input -------------------------------------------------------------------------------------

TEST(CoordinateDescentTest, BadInput) {
  const struct {
    const char* recipe;
    std::vector<std::string> changes;
    const char* field;
    const char* says;
  } cases[] = {
      {"iris_conntra_mlp", {"coordinate_descent.values=1"}, "coordinate_descent.values", "give two or more"},
      {"iris_conntra_mlp", {"coordinate_descent.values=1,0,1"}, "coordinate_descent.values", "twice"},
      {"iris_conntra_mlp", {"coordinate_descent.values=-1,0,2"}, "coordinate_descent.values", "2 is no code"},
      {"iris_conntra_mlp", {"coordinate_descent.values=0,99999"}, "coordinate_descent.values", "99999 is not in"},
      {"iris_conntra_mlp", {"coordinate_descent.bias_values=1,inf"}, "bias_values", "not finite"},
      {"iris_conntra_mlp", {"coordinate_descent.sweeps_per_epoch=0"}, "sweeps_per_epoch", "0 is not in"},
      {"iris_conntra_mlp", {"model.mlp.norm.kind=BATCH"}, "model.mlp.norm", "norm { kind: NONE }"},
      {"iris_conntra_mlp", {"model.mlp.hidden_keep=0.5"}, "model.mlp.hidden_keep", "leave it out"},
      {"iris_conntra_mlp", {"model.mlp.maxout_pieces=2"}, "model.mlp.maxout_pieces", "leave it out"},
      {"iris_conntra_mlp", {"model.mlp.float_ends=true"}, "model.mlp.float_ends", "leave it out"},
      {"iris_conntra_mlp", {R"(model.mlp.weight_quantizer="")"}, "model.mlp.weight_quantizer", "\"ternary\""},
      {"iris_conntra_mlp", {R"(model.mlp.input_quantizer="")"}, "model.mlp.input_quantizer", "k_bit(8)"},
      {"iris_conntra_mlp", {R"(model.mlp.activation_quantizer="")"}, "model.mlp.activation_quantizer", "k_bit(8)"},
      {"iris_conntra_mlp", {"model.mlp.weight_quantizer=xnor"}, "model.mlp.weight_quantizer", "fixed"},
      {"iris_conntra_mlp", {"model.mlp.weight_quantizer=stochastic_sign"}, "model.mlp.weight_quantizer", "random"},
      {"iris_conntra_mlp", {"optimizer.name=sgd"}, "optimizer", "leave it out"},
      {"iris_conntra_mlp", {"schedule.name=constant"}, "schedule", "leave it out"},
      {"iris_conntra_mlp", {"data.augmentation=flip"}, "data.augmentation", "leave it out"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.changes[0]);
    const absl::Status status = CheckCoordinateDescent(With(c.recipe, c.changes));
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(c.field), HasSubstr(c.says)));
  }
  // Values that are no integers are found where the recipe is read.
  recipe::Recipe recipe = *LoadRecipe("iris_conntra_mlp");
  EXPECT_THAT(std::string(SetField("coordinate_descent.values=-1,0.5", recipe).message()),
              AllOf(HasSubstr("coordinate_descent.values"), HasSubstr("0.5")));
  recipe = *LoadRecipe("cifar10_bnn_vgg_tiny");
  recipe.mutable_coordinate_descent();
  recipe.clear_optimizer();
  recipe.clear_schedule();
  recipe.clear_data();
  EXPECT_THAT(std::string(CheckCoordinateDescent(recipe).message()), HasSubstr("an mlp alone"));
}

TEST(CoordinateDescentTest, SumsThatFloatsCannotHoldAreRefused) {
  recipe::Recipe recipe =
      With("mnist_conntra_linear", {"model.mlp.weight_quantizer=log_quant(7)", "coordinate_descent.values=0,16384"});
  ParameterStore store(1);
  const auto model = MakeNetwork(recipe.model(), {28, 28, 1}, 10, store);
  ASSERT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1});
  const absl::Status status = DiscreteMlp::Create(context, recipe, **model, store).status();
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("'output'"), HasSubstr("2^24")));
}

}  // namespace
}  // namespace bitgrad
