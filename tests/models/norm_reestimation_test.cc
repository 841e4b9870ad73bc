// Batch norms' running statistics, estimated anew: the averages that they have to be, and training that does not
// notice.

#include "bitgrad/models/training/norm_reestimation.h"

#include <cmath>
#include <cstring>
#include <string>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

class NormReestimationTest : public OnTestDevice<testing::Test> {
 protected:
  NormReestimationTest() {
    data_ = *LoadDataset("digits", {.limit = 100});
    loader_ = std::make_unique<BatchLoader>(
        *BatchLoader::Create(data_, AllExamples(data_), {.batch_size = 20, .shuffle = true, .drop_last = true}));
  }
  // With weights that have outputs of many sizes.
  ModelBundle Make(const recipe::Recipe& recipe) {
    ModelBundle bundle = *MakeModel(recipe, data_.image_shape(), data_.num_classes);
    MoveToDevice(context_, *bundle.store);
    return bundle;
  }
  std::vector<float> Values(const ModelBundle& bundle, const std::string& name) {
    const Tensor host = ToHost(context_, bundle.store->Find(name)->value);
    return {host.span<float>().begin(), host.span<float>().end()};
  }

  ExecContext context_{{.device = TestDevice(), .threads = 2}};
  Dataset data_;
  std::unique_ptr<BatchLoader> loader_;
};

// The first batch norm's input does not depend on any statistics: a float product, whose sums the test makes itself.
TEST_F(NormReestimationTest, StatisticsAreTheMeansOfTheBatches) {
  for (const std::string statistic : {"VARIANCE", "STD", "INVERSE_STD"}) {
    for (const int64_t batches : {1, 3, 5, 9}) {
      SCOPED_TRACE(absl::StrCat(statistic, ", batches ", batches));
      const ModelBundle bundle =
          Make(TinyRecipe({"model.mlp.norm.running_statistic=" + statistic, "model.mlp.norm.epsilon=0.01"}));
      const uint32_t step = context_.step();
      ASSERT_TRUE(ReestimateNorms(context_, *bundle.model, *bundle.store, *loader_, /*epoch=*/2, batches).ok());
      EXPECT_EQ(context_.step(), step) << "it takes no random step";

      const std::vector<float> weight = Values(bundle, "hidden1/weight");
      const std::vector<float> mean = Values(bundle, "hidden1/norm/running_mean");
      const std::vector<float> running = Values(bundle, "hidden1/norm/running_statistic");
      const int64_t units = static_cast<int64_t>(mean.size()), features = data_.features();
      std::vector<double> means(units), statistics(units);
      double seen = 0;
      for (const Batch& batch : loader_->Epoch(2)) {
        if (batch.index == batches) break;
        ++seen;
        for (int64_t j = 0; j < units; ++j) {
          double sum = 0, squares = 0;
          for (int64_t i = 0; i < batch.size(); ++i) {
            double y = 0;
            for (int64_t k = 0; k < features; ++k) {
              const double x = batch.images.data<float>()[i * features + k];
              y += x * (weight[j * features + k] >= 0 ? 1 : -1);
            }
            sum += y;
            squares += y * y;
          }
          const double size = static_cast<double>(batch.size()), m = sum / size, variance = squares / size - m * m;
          means[j] += m;
          statistics[j] += statistic == "VARIANCE" ? variance
                           : statistic == "STD"    ? std::sqrt(variance)
                                                   : 1 / std::sqrt(variance + 0.01);
        }
      }
      for (int64_t j = 0; j < units; ++j) {
        // 784 exact terms up to 1, their scale rounded once; then float averages of at most five numbers.
        EXPECT_NEAR(mean[j], means[j] / seen, 1e-5 * (1 + std::abs(means[j]))) << j;
        EXPECT_NEAR(running[j], statistics[j] / seen, 1e-4 * statistics[j] / seen) << j;
      }
    }
  }
}

// What the statistics were before does not matter, nor does how often they are estimated.
TEST_F(NormReestimationTest, AFunctionOfWeightsAndImagesAlone) {
  const recipe::Recipe recipe = TinyRecipe(
      {"model.mlp.input_keep=0.8", "model.mlp.hidden_keep=0.5", "model.mlp.weight_quantizer=stochastic_sign"});
  const ModelBundle a = Make(recipe), b = Make(recipe);
  for (Parameter* parameter : b.store->parameters()) {
    if (parameter->trainable) continue;
    std::vector<float> other(parameter->value.num_elements(), 7.5f);
    context_.Upload(parameter->value.mutable_raw_data(), other.data(), parameter->value.byte_size());
  }
  context_.set_step(17);
  for (int i = 0; i < 2; ++i) {
    ASSERT_TRUE(ReestimateNorms(context_, *b.model, *b.store, *loader_, 0, 3).ok());
    context_.set_step(500);
  }
  ASSERT_TRUE(ReestimateNorms(context_, *a.model, *a.store, *loader_, 0, 3).ok());
  for (const Parameter* parameter : a.store->parameters()) {
    EXPECT_EQ(Values(a, parameter->name), Values(b, parameter->name)) << parameter->name;
  }
  // Another epoch has other images.
  const std::vector<float> before = Values(b, "hidden2/norm/running_mean");
  ASSERT_TRUE(ReestimateNorms(context_, *b.model, *b.store, *loader_, 1, 3).ok());
  EXPECT_NE(Values(b, "hidden2/norm/running_mean"), before);
}

TEST_F(NormReestimationTest, ZeroBatchesChangeNothing) {
  const ModelBundle bundle = Make(TinyRecipe());
  ASSERT_TRUE(ReestimateNorms(context_, *bundle.model, *bundle.store, *loader_, 0, 0).ok());
  for (const float value : Values(bundle, "hidden1/norm/running_mean")) EXPECT_EQ(value, 0);
  for (const float value : Values(bundle, "hidden1/norm/running_statistic")) EXPECT_EQ(value, 1);
}

TEST(ReestimateBatchesTest, IsReadFromEachNetwork) {
  for (const char* recipe : {"mnist_bnn_lenet", "cifar10_birealnet20", "mnist_bnn_mlp"}) {
    const std::string net = std::string(recipe) == "mnist_bnn_lenet"       ? "conv_net"
                            : std::string(recipe) == "cifar10_birealnet20" ? "bireal_net"
                                                                           : "mlp";
    recipe::Recipe changed = *LoadRecipe(recipe);
    ASSERT_TRUE(SetField("model." + net + ".norm.reestimate_batches=12", changed).ok());
    EXPECT_EQ(*ReestimateBatchesOf(changed.model()), 12) << recipe;
    ASSERT_TRUE(SetField("model." + net + ".norm.reestimate_batches=-1", changed).ok());
    EXPECT_THAT(std::string(ReestimateBatchesOf(changed.model()).status().message()),
                HasSubstr("norm.reestimate_batches is -1"));
  }
}

// Weights, optimizer and random numbers of a run are the same with and without; only running statistics differ, and
// with them what is validated.
TEST_F(NormReestimationTest, TrainingDoesNotNotice) {
  const std::string with = NewDirectory(), without = NewDirectory();
  const std::vector<std::string> random = {"model.mlp.input_keep=0.8", "data.augmentation=crop(2)"};
  const auto run = [&](const std::string& directory, const std::string& batches) {
    std::vector<std::string> assignments = random;
    assignments.push_back("model.mlp.norm.reestimate_batches=" + batches);
    const auto result = Train(TinyRecipe(assignments), {.out_dir = directory});
    EXPECT_TRUE(result.ok()) << result.status();
  };
  run(with, "4");
  run(without, "0");
  const auto a = Checkpoint::Open(with + "/checkpoint.bgc"), b = Checkpoint::Open(without + "/checkpoint.bgc");
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->header().random_step(), b->header().random_step());
  int different = 0;
  for (const checkpoint::TensorEntry& entry : a->header().parameters()) {
    const Tensor x = *a->Get(entry.name()), y = *b->Get(entry.name());
    const bool same = std::memcmp(x.raw_data(), y.raw_data(), x.byte_size()) == 0;
    const bool is_statistic = entry.name().find("/running_") != std::string::npos;
    EXPECT_TRUE(same || is_statistic) << entry.name();
    different += !same;
  }
  EXPECT_GE(different, 6) << "three batch norms, two statistics each";
}

}  // namespace
}  // namespace bitgrad
