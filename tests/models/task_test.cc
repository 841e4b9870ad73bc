// Tasks: what they check, what they measure, and that training and evaluation know nothing of classes.

#include "bitgrad/models/training/task.h"

#include <memory>
#include <string>
#include <vector>

#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/training_step.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// The model is to give back its input. There are no labels, and the metric is a mean over numbers.
class Reconstruction final : public Task {
 public:
  explicit Reconstruction(int64_t features) : features_(features) {}
  absl::Span<const MetricInfo> metrics() const override { return kMetrics; }
  Batch Blank(int64_t examples) const override { return {.images = Tensor::Zeros({examples, features_})}; }
  absl::Status Check(const Batch& batch) const override {
    return batch.images.is_null() ? absl::InvalidArgumentError("reconstruction: no images") : absl::OkStatus();
  }
  TaskOutput Forward(Model& model, Tape& tape, const Batch& batch) const override {
    TaskOutput output;
    output.predictions = model.Forward(tape.Input(batch.images));
    output.loss = MeanSquaredError(output.predictions, batch.images);
    return output;
  }
  absl::Status Measure(Tape& tape, const TaskOutput& output, const Batch&, MetricCell* cells) const override {
    const auto loss = tape.Value(output.loss);
    if (!loss.ok()) return loss.status();
    tape.context().allocator().Copy(&cells[0].mean, (*loss)->raw_data(), sizeof(float));
    return tape.context().status();
  }
  int64_t Count(const Batch& batch) const override { return batch.images.num_elements(); }

 private:
  static constexpr MetricInfo kMetrics[] = {{"squared_error", /*is_counted=*/false}};
  const int64_t features_;
};

struct OneLayer final : Model {
  explicit OneLayer(const Scope& scope, int64_t in, int64_t out) : dense(scope / "fc", {.in = in, .out = out}) {}
  Var Forward(const Var& x) override { return dense(x); }
  Dense dense;
};

TEST(TaskTest, ASquaredErrorAddsUp) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  OneLayer model(store.Root(), 5, 5);
  const Reconstruction task(5);
  const auto optimizer = *MakeOptimizer(context, "sgd", {});
  TrainingStep step(context, model, task, store.parameters(), *optimizer);
  std::vector<MetricSum> sums;
  double squares = 0;
  for (const int64_t examples : {3, 7}) {
    const Examples data = RandomExamples(examples, 5, 2, 1);
    const Tensor y = *Logits(context, model, data.x);
    for (int64_t i = 0; i < 5 * examples; ++i) {
      const double difference = double{y.data<float>()[i]} - data.x.data<float>()[i];
      squares += difference * difference;
    }
    ASSERT_TRUE(step.Enqueue({.images = data.x.Alias()}, 0.1).ok());
    const auto result = step.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->examples, examples);
    AddMetrics(result->metrics, sums);
  }
  ASSERT_EQ(sums.size(), 1u);
  EXPECT_EQ(sums[0].name, "squared_error");
  EXPECT_EQ(sums[0].count, 50);
  EXPECT_NEAR(sums[0].sum, squares, 1e-6 * squares);
  EXPECT_NEAR(sums[0].mean(), squares / 50, 1e-6 * squares);
}

// One metric, over batches of different sizes, as evaluation adds it up.
TEST(TaskTest, EvaluationIsTheMeanOverAllExamples) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  OneLayer model(store.Root(), 4, 3);
  Dataset data;
  data.name = "random";
  data.num_classes = 3;
  data.images = Tensor({7, 4, 1, 1}, DType::kUint8);
  data.labels = Tensor({7}, DType::kInt32);
  TestRandom random(5);
  for (uint8_t& pixel : data.images.mutable_span<uint8_t>()) pixel = static_cast<uint8_t>(random.Below(256));
  for (int32_t& label : data.labels.mutable_span<int32_t>()) label = static_cast<int32_t>(random.Below(3));
  const auto loader = BatchLoader::Create(data, AllExamples(data), {.batch_size = 3});
  ASSERT_TRUE(loader.ok()) << loader.status();
  int64_t wrong = 0;
  EpochBatches batches = loader->Epoch(0);
  for (const Batch& batch : batches) {
    wrong += *CountWrong(context, *Logits(context, model, batch.images), batch.labels);
  }
  const auto metrics = EvaluateMetrics(context, model, *Classification({.features = 4, .classes = 3}), *loader);
  ASSERT_TRUE(metrics.ok()) << metrics.status();
  EXPECT_EQ((*metrics)[0].name, kErrors);
  EXPECT_EQ((*metrics)[0].sum, wrong);
  EXPECT_EQ((*metrics)[0].count, 7);
  const auto stopped =
      EvaluateMetrics(context, model, *Classification({.features = 4, .classes = 3}), *loader, [] { return true; });
  EXPECT_TRUE(absl::IsCancelled(stopped.status()));
}

TEST(TaskTest, ClassificationChecksItsBatches) {
  const auto task = Classification({.features = 4, .classes = 3});
  const Examples data = RandomExamples(5, 4, 3, 1);
  EXPECT_TRUE(task->Check(data.batch()).ok());
  EXPECT_TRUE(task->Check(task->Blank(2)).ok());
  EXPECT_EQ(task->Blank(2).size(), 2);
  Batch batch = data.batch();
  batch.labels = Labels({0, 1, 2});
  EXPECT_THAT(std::string(task->Check(batch).message()), HasSubstr("as many labels"));
  batch.labels = Labels({0, 1, 2, 3, 0});
  EXPECT_THAT(std::string(task->Check(batch).message()), HasSubstr("label 3 is not in [0, 3)"));
  EXPECT_FALSE(task->Check({.labels = data.labels.Alias()}).ok());
}

// Labels on a device are not checked against the logits, so that there has to be one for each class.
TEST(TaskTest, AModelNeedsALogitForEachClass) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  OneLayer model(store.Root(), 4, 3);
  const auto task = Classification({.features = 4, .classes = 5});
  Tape tape(context);
  RecordObjective(*task, model, tape, task->Blank(2));
  EXPECT_THAT(std::string(tape.status().message()),
              HasSubstr("the model gives [2, 3] where it should give [batch, 5]"));
}

}  // namespace
}  // namespace bitgrad
