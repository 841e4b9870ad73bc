// Runs that end before their end: interrupted and resumed, or diverged.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

struct ResumeCase {
  const char* name;
  std::vector<std::string> assignments;
};

class ResumeTest : public OnTestDevice<testing::TestWithParam<ResumeCase>> {};
class ResumeErrorsTest : public OnTestDevice<testing::Test> {};
class DivergenceTest : public OnTestDevice<testing::Test> {};

TEST_P(ResumeTest, ContinuesBitForBit) {
  const recipe::Recipe recipe = TinyRecipe(GetParam().assignments);
  const std::string whole = NewDirectory(), parts = NewDirectory();
  const auto expected = Train(recipe, {.out_dir = whole});
  ASSERT_TRUE(expected.ok()) << expected.status();
  // Interrupted in each epoch but the first; with metrics, which must not matter.
  for (int run = 0; run < 2; ++run) {
    Log log(/*interrupt_at_line=*/1);
    const auto stopped = Train(recipe, {.out_dir = parts, .metrics_file = parts + "/m.jsonl", .resume = run > 0}, log);
    ASSERT_EQ(stopped.status().code(), absl::StatusCode::kCancelled) << stopped.status();
    EXPECT_THAT(std::string(stopped.status().message()),
                AllOf(HasSubstr(absl::StrCat("interrupted in epoch ", run + 2, " after 1 batches")),
                      HasSubstr("--resume --out=" + parts), HasSubstr(parts + "/checkpoint.bgc")));
    EXPECT_TRUE(Checkpoint::Open(parts + "/checkpoint.bgc").ok());
    // What a process killed while writing would leave.
    WriteFile(parts + "/checkpoint.bgc.tmp", "half");
    WriteFile(parts + "/best.bgc.tmp", ReadFile(parts + "/best.bgc").substr(0, 1000));
  }
  Log log;
  const auto result = Train(recipe, {.out_dir = parts, .metrics_file = parts + "/m.jsonl", .resume = true}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
  ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
  EXPECT_EQ(result->best.test_error(), expected->best.test_error());
  EXPECT_EQ(result->checkpoint, parts + "/best.bgc");

  // Every epoch stands once in the metrics, whichever run it was of.
  const std::string lines = ReadFile(parts + "/m.jsonl");
  EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 3);
  // A run that is done is done: nothing changes.
  const std::string before = ReadFile(parts + "/checkpoint.bgc");
  ASSERT_TRUE(Train(recipe, {.out_dir = parts, .resume = true}).ok());
  EXPECT_TRUE(before == ReadFile(parts + "/checkpoint.bgc"));
}

INSTANTIATE_TEST_SUITE_P(
    Recipes, ResumeTest,
    testing::Values(ResumeCase{"bnn", {}},
                    ResumeCase{"random",
                               {"model.mlp.weight_quantizer=stochastic_sign", "model.mlp.input_keep=0.8",
                                "model.mlp.hidden_keep=0.5", "model.mlp.gradient_quantizer=dorefa_gradient(6)"}},
                    ResumeCase{"sgd",
                               {"optimizer.name=sgd", "optimizer.momentum=0.9", "schedule.name=cosine",
                                "schedule.warmup_epochs=1"}},
                    ResumeCase{"adamax_float",
                               {"optimizer.name=adamax", "optimizer.glorot_scale=false", "loss=SOFTMAX_CROSS_ENTROPY",
                                "model.mlp.weight_quantizer=identity", "model.mlp.activation_quantizer=identity",
                                "model.mlp.activation=relu"}},
                    ResumeCase{"augmented", {"data.augmentation=crop(3),flip"}},
                    ResumeCase{"preprocessed", {"data.preprocessing=gcn,zca(0.1),mean_std"}},
                    // One batch is an epoch: every interruption is between the last batch and the
                    // epoch's end.
                    ResumeCase{"whole_epochs", {"batch_size=500"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ResumeErrorsTest, EachSaysWhatIsWrong) {
  const recipe::Recipe recipe = TinyRecipe({"epochs=1", "data.limit=200"});
  const std::string directory = NewDirectory();
  const TrainOptions resume{.out_dir = directory, .resume = true};
  const auto error = [&](const recipe::Recipe& r) { return std::string(Train(r, resume).status().message()); };
  EXPECT_THAT(error(recipe), HasSubstr(directory + "/checkpoint.bgc"));
  ASSERT_TRUE(Train(recipe, {.out_dir = directory}).ok());
  const std::string good = ReadFile(directory + "/checkpoint.bgc");
  EXPECT_THAT(error(TinyRecipe({"epochs=2", "data.limit=200"})), HasSubstr("of another recipe"));
  WriteFile(directory + "/checkpoint.bgc", ReadFile(directory + "/best.bgc"));
  EXPECT_THAT(error(recipe), HasSubstr("holds no optimizer state"));
  WriteFile(directory + "/checkpoint.bgc", good.substr(0, good.size() / 2));
  EXPECT_THAT(error(recipe), HasSubstr("bytes"));
  WriteFile(directory + "/checkpoint.bgc", std::string(5000, 'x'));
  EXPECT_THAT(error(recipe), HasSubstr("not a checkpoint"));
  WriteFile(directory + "/checkpoint.bgc", good);
  EXPECT_TRUE(Train(recipe, resume).ok());
}

TEST_F(DivergenceTest, ADivergedRunNamesLayerAndCheckpoint) {
  const std::vector<std::string> diverging = {
      "optimizer.name=sgd",       "optimizer.glorot_scale=false",        "optimizer.learning_rate=1e30",
      "schedule.name=constant",   "model.mlp.weight_quantizer=identity", "model.mlp.activation_quantizer=identity",
      "model.mlp.activation=relu"};
  const auto result = Train(TinyRecipe(diverging), {.out_dir = NewDirectory()});
  EXPECT_EQ(result.status().code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(result.status().message()),
              AllOf(HasSubstr("epoch 1, batch "), HasSubstr("layer '"), HasSubstr("no checkpoint was written yet"),
                    HasSubstr("learning_rate")));
}

}  // namespace
}  // namespace bitgrad
