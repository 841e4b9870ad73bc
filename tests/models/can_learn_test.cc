// Nets that cannot learn are refused: before training, and by the first step of a loop of one's own.

#include "bitgrad/models/training/can_learn.h"

#include <memory>
#include <string>
#include <vector>

#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

MlpOptions SmallMlp() { return {.features = 6, .hidden = {4}, .classes = 3, .weight = Sign()}; }

// Convolutions with batch norm and a dense layer with batch norm, over images of side x side.
ConvNetOptions SmallConvNet(int64_t side) {
  return {.image = {side, side, 2}, .blocks = {{.filters = 4}}, .classes = 3, .weight = Sign()};
}

std::unique_ptr<Task> TaskOf(int64_t features) { return Classification({.features = features, .classes = 3}); }

TEST(CanLearnTest, BatchNormNeedsTwoValuesOfAFeature) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  Mlp mlp(store.Root(), SmallMlp());
  ASSERT_TRUE(store.status().ok()) << store.status();
  EXPECT_TRUE(CheckCanLearn(context, mlp, *TaskOf(6), store.parameters(), 2).ok());
  const absl::Status status = CheckCanLearn(context, mlp, *TaskOf(6), store.parameters(), 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr("layer 'hidden1/norm'"), HasSubstr("batch_size")));
}

// The places of an image are values of a channel, so that a batch of one image is enough for a convolution.
TEST(CanLearnTest, PlacesOfAnImageCount) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  ConvNet net(store.Root(), SmallConvNet(5));
  ASSERT_TRUE(store.status().ok()) << store.status();
  EXPECT_TRUE(CheckCanLearn(context, net, *TaskOf(50), store.parameters(), 2).ok());
  EXPECT_THAT(std::string(CheckCanLearn(context, net, *TaskOf(50), store.parameters(), 1).message()),
              HasSubstr("layer 'output/norm'"));
  ParameterStore one_place(1);
  ConvNet narrow(one_place.Root(), SmallConvNet(1));
  EXPECT_THAT(std::string(CheckCanLearn(context, narrow, *TaskOf(2), one_place.parameters(), 1).message()),
              HasSubstr("layer 'conv1/norm'"));
}

// Trains a net on `examples` examples for a step.
absl::Status OneStep(Model& net, ParameterStore& store, int64_t examples) {
  ExecContext context({.threads = 1});
  const auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 0.1});
  const Examples data = RandomExamples(examples, 6, 3, 2);
  const std::unique_ptr<Task> task = TaskOf(6);
  TrainingStep step(context, net, *task, store.parameters(), *optimizer);
  return step.Enqueue(data.batch(), 0.1);
}

TEST(CanLearnTest, TheFirstStepOfALoopRefusesToo) {
  ParameterStore store(1);
  Mlp mlp(store.Root(), SmallMlp());
  const Tensor& weight = store.Find("hidden1/weight")->value;
  const std::vector<float> before(weight.span<float>().begin(), weight.span<float>().end());
  EXPECT_THAT(std::string(OneStep(mlp, store, 1).message()), HasSubstr("layer 'hidden1/norm'"));
  EXPECT_EQ(std::vector<float>(weight.span<float>().begin(), weight.span<float>().end()), before);
  EXPECT_TRUE(OneStep(mlp, store, 2).ok());
}

TEST(CanLearnTest, SomethingHasToBeTrainable) {
  ParameterStore store(1);
  Mlp mlp(store.Root(), SmallMlp());
  EXPECT_TRUE(CheckTrainable(store.parameters()).ok());
  for (Parameter* parameter : store.parameters()) parameter->trainable = false;
  EXPECT_THAT(std::string(CheckTrainable(store.parameters()).message()), HasSubstr("nothing to learn"));
  EXPECT_THAT(std::string(OneStep(mlp, store, 4).message()), HasSubstr("nothing to learn"));
  EXPECT_FALSE(CheckTrainable({}).ok());
}

}  // namespace
}  // namespace bitgrad
