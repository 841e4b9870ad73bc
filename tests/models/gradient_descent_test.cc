// The learner of gradient descent: what it reports when training diverges, the numbers that it sets before each step.

#include "bitgrad/models/training/gradient_descent.h"

#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// 12 examples of 4 pixels in 3 classes.
Dataset SmallData() {
  Dataset data;
  data.name = "random";
  data.num_classes = 3;
  data.images = Tensor({12, 4, 1, 1}, DType::kUint8);
  data.labels = Tensor({12}, DType::kInt32);
  TestRandom random(5);
  for (uint8_t& pixel : data.images.mutable_span<uint8_t>()) pixel = static_cast<uint8_t>(random.Below(256));
  for (int32_t& label : data.labels.mutable_span<int32_t>()) label = static_cast<int32_t>(random.Below(3));
  return data;
}

// A layer behind noise: numbers drawn anew for each step, which are infinite where the first one is above `most`. It
// notes what it has drawn and which lambda it was fined by.
struct NoisyModel final : Model {
  NoisyModel(ParameterStore& store, float most, const ScalarSchedule& schedule)
      : most(most),
        dense(store.Root() / "fc", {.in = 4, .out = 3}),
        lambda(store.Root().NewScalar("lambda", schedule)) {}

  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    Var noisy;
    {
      const Tape::LayerScope layer(tape, "noise");
      const RngStream stream = tape.NextRandomStream(RngPurpose::kDropout);
      std::vector<float> noise(4);
      for (uint64_t i = 0; i < 4; ++i) noise[i] = Uniform(stream, i);
      drawn.push_back(noise[0]);
      if (noise[0] > most) noise.assign(4, std::numeric_limits<float>::infinity());
      noisy = Mul(x, tape.Input(ToDevice(tape.context(), Floats({4}, noise))));
    }
    return dense(noisy);
  }
  Var Penalty(Tape& tape) override {
    lambdas.push_back(ToHost(tape.context(), lambda.value).data<float>()[0]);
    return Mul(Sum(tape.Use(lambda)), tape.Use(lambda));
  }

  const float most;
  Dense dense;
  Parameter& lambda;
  std::vector<float> drawn, lambdas;
};

struct Learning {
  Learning(float most, const ScalarSchedule& schedule, int64_t epochs = 20)
      : model(store, most, schedule),
        learner(context, model, store, *task, loader, *optimizer, *MakeSchedule({.learning_rate = 0.01}, epochs),
                /*first_epoch=*/1) {
    EXPECT_TRUE(store.status().ok()) << store.status();
  }

  absl::Status RunEpoch(int64_t epoch) {
    EpochBatches batches = loader.Epoch(epoch);
    return learner.RunEpoch(
        epoch, batches, [&](const StepResult& result) { results.push_back(result); }, [] { return false; });
  }

  const std::unique_ptr<Task> task = Classification({.features = 4, .classes = 3});
  ExecContext context{{.threads = 1, .seed = 7}};
  ParameterStore store{3};
  NoisyModel model;
  const std::unique_ptr<Optimizer> optimizer = *MakeOptimizer(context, "sgd", {});
  const Dataset data = SmallData();
  const BatchLoader loader = *BatchLoader::Create(data, AllExamples(data), {.batch_size = 4, .drop_last = true});
  std::vector<StepResult> results;
  GradientDescent learner;
};

// The step that diverged did so because of what it drew. The report draws the same, so that it finds the layer.
TEST(GradientDescentTest, ADivergenceIsExplainedWithTheNumbersOfItsStep) {
  Learning learning(/*most=*/0.9f, {.initial = 0.25, .final = 4, .change = ScalarChange::kLinear, .by_step = true});
  absl::Status status;
  for (int64_t epoch = 1; epoch <= 20 && status.ok(); ++epoch) status = learning.RunEpoch(epoch);
  ASSERT_EQ(status.code(), absl::StatusCode::kOutOfRange) << status;
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("layer 'noise': "), HasSubstr("nothing was updated")));
  const std::vector<float>& drawn = learning.model.drawn;
  ASSERT_GE(drawn.size(), 3u) << "some steps were good";
  EXPECT_EQ(drawn.size(), learning.results.size() + 2) << "those that were finished, the last one, and the report";
  EXPECT_GT(drawn[drawn.size() - 2], 0.9f);
  EXPECT_EQ(drawn.back(), drawn[drawn.size() - 2]);
  EXPECT_EQ(learning.model.lambdas.back(), learning.model.lambdas[drawn.size() - 2]);
}

// From the learner's first epoch to its last.
TEST(GradientDescentTest, ScalarsFollowTheirSchedule) {
  const struct {
    ScalarSchedule schedule;
    std::vector<float> values;  // of 2 epochs with 3 batches each
  } cases[] = {
      {{.initial = 0.5, .final = 9}, {0.5f, 0.5f, 0.5f, 0.5f, 0.5f, 0.5f}},
      {{.initial = 1, .final = 3, .change = ScalarChange::kLinear}, {1, 1, 1, 3, 3, 3}},
      {{.initial = 0, .final = 5, .change = ScalarChange::kLinear, .by_step = true}, {0, 1, 2, 3, 4, 5}},
      {{.initial = 1, .final = 32, .change = ScalarChange::kExponential, .by_step = true}, {1, 2, 4, 8, 16, 32}},
      {{.initial = 0, .final = 3, .change = ScalarChange::kLinear, .by_step = true, .until = 0.5}, {0, 1, 2, 3, 3, 3}},
      {{.initial = 1, .final = 3, .change = ScalarChange::kLinear, .until = 0.5}, {1, 1, 1, 3, 3, 3}},
  };
  for (const auto& c : cases) {
    Learning learning(/*most=*/2, c.schedule, /*epochs=*/2);
    for (const int64_t epoch : {1, 2}) ASSERT_TRUE(learning.RunEpoch(epoch).ok());
    EXPECT_THAT(learning.model.lambdas, testing::Pointwise(testing::FloatEq(), c.values));
    EXPECT_EQ(learning.model.lambdas.back(), c.values.back()) << "the end is exact";
    ASSERT_EQ(learning.results.size(), 6u);
    EXPECT_FLOAT_EQ(*learning.results[4].penalty, c.values[4] * c.values[4]);
  }
}

TEST(GradientDescentTest, ScalarsThatCannotFollowTheirSchedule) {
  const struct {
    ScalarSchedule schedule;
    const char* text;
  } cases[] = {
      {{.initial = 1e39}, "initial is 1e+39; it has to be a finite number"},
      {{.initial = 1, .final = std::numeric_limits<double>::quiet_NaN(), .change = ScalarChange::kLinear},
       "final is nan"},
      {{.initial = 0, .final = 1, .change = ScalarChange::kExponential}, "from initial = 0 to final = 1"},
      {{.initial = 0, .until = 0}, "until is 0; it has to be in (0, 1]"},
      {{.initial = 0, .until = 1.5}, "until is 1.5; it has to be in (0, 1]"},
      {{.initial = -1, .final = 1, .change = ScalarChange::kExponential}, "from initial = -1 to final = 1"},
  };
  for (const auto& c : cases) {
    ParameterStore store(1);
    (store.Root() / "layer").NewScalar("gamma", c.schedule);
    EXPECT_THAT(std::string(store.status().message()), AllOf(HasSubstr("layer 'layer': 'gamma': "), HasSubstr(c.text)));
  }
  // A single epoch, a time beyond the end: no division by zero, no extrapolation.
  const ScalarSchedule linear = {.initial = 1, .final = 2, .change = ScalarChange::kLinear};
  EXPECT_EQ(linear.At({.epoch = 0, .epochs = 1}), 1);
  EXPECT_EQ(linear.At({.epoch = 7, .epochs = 5}), 2);
}

TEST(GradientDescentTest, StopsAfterABatch) {
  Learning learning(/*most=*/2, {.initial = 1});
  EpochBatches batches = learning.loader.Epoch(1);
  const absl::Status status = learning.learner.RunEpoch(
      1, batches, [&](const StepResult& result) { learning.results.push_back(result); },
      [&] { return learning.results.size() == 2; });
  EXPECT_TRUE(absl::IsCancelled(status)) << status;
  EXPECT_EQ(learning.results.size(), 2u);
  EXPECT_EQ(learning.learner.state().steps, 2);
}

}  // namespace
}  // namespace bitgrad
