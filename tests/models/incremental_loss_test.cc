// The sums of coordinate descent: exact, and those of the graph.

#include "bitgrad/models/training/incremental_loss.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/discrete_mlp.h"
#include "bitgrad/tests/models/coordinate_descent_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

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

}  // namespace
}  // namespace bitgrad
