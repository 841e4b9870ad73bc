// Coordinate descent over discrete weights: losses that never rise, the certificate, resuming, bad input.

#include "bitgrad/models/training/coordinate_descent.h"

#include <algorithm>
#include <limits>
#include <set>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/models/training/incremental_loss.h"
#include "bitgrad/tests/models/coordinate_descent_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

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
      {"iris_conntra_mlp", {"model.mlp.activation=spline(5, 1)"}, "model.mlp.activation", "is learned"},
      {"iris_conntra_mlp", {"model.mlp.last_activation=prelu"}, "model.mlp.last_activation", "is learned"},
      {"iris_conntra_mlp", {"model.mlp.hidden_bias=false"}, "model.mlp.hidden_bias", "leave it out"},
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
