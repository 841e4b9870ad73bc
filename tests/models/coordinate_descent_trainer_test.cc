// Coordinate descent in the training loop: how it ends, what it reports, Ctrl-C within a sweep, the packed model.

#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/datasets.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/metrics.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::MatchesRegex;

recipe::Recipe Iris(const std::vector<std::string>& assignments = {}) {
  recipe::Recipe recipe = *LoadRecipe("iris_conntra_mlp");
  for (const std::string& assignment : assignments) EXPECT_TRUE(SetField(assignment, recipe).ok()) << assignment;
  return recipe;
}

double ValueOf(const checkpoint::EpochMetrics& metrics, const std::string& name) {
  for (const checkpoint::ModelValue& value : metrics.values()) {
    if (value.name() == name) return value.value();
  }
  ADD_FAILURE() << name;
  return -1;
}

void ExpectSameParameters(const std::string& a_path, const std::string& b_path) {
  const auto a = Checkpoint::Open(a_path), b = Checkpoint::Open(b_path);
  ASSERT_TRUE(a.ok() && b.ok()) << a.status() << b.status();
  ASSERT_EQ(a->header().parameters_size(), b->header().parameters_size());
  for (int i = 0; i < a->header().parameters_size(); ++i) {
    EXPECT_EQ(a->header().parameters(i).SerializeAsString(), b->header().parameters(i).SerializeAsString()) << i;
  }
}

TEST(CoordinateDescentTrainerTest, EndsWithTheCertificate) {
  const std::string directory = NewDirectory();
  Log log;
  const auto result = Train(Iris(), {.out_dir = directory, .metrics_file = directory + "/m.jsonl"}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_LT(result->epochs, 100) << "the search has ended before the epochs have";
  EXPECT_EQ(result->best.epoch(), result->epochs) << "the last sweep changes nothing, and the later of equals counts";
  EXPECT_EQ(ValueOf(result->best, "one_opt"), 1);
  EXPECT_EQ(ValueOf(result->best, "changes"), 0);
  EXPECT_GT(ValueOf(result->best, "trials_per_second"), 100);
  EXPECT_LT(result->best.train_error(), 0.1);
  EXPECT_THAT(FormatValues(result->best), MatchesRegex(" changes=0 trials_per_second=[0-9.e+]+ one_opt=yes"));
  EXPECT_THAT(log.text(), AllOf(HasSubstr("67 coordinates of 2 bits, 17 bytes in all"), HasSubstr("one_opt=no"),
                                HasSubstr("one_opt=yes")));

  // What is reported is what the checkpoint's model does.
  const auto best = Checkpoint::Open(result->checkpoint);
  ASSERT_TRUE(best.ok()) << best.status();
  const auto bundle = LoadModel(*best);
  const auto test = LoadDataset("iris", {.split = Split::kTest});
  ASSERT_TRUE(bundle.ok() && test.ok());
  ExecContext context({.threads = 1});
  EXPECT_EQ(*ErrorRate(context, *bundle->model, *test, AllExamples(*test)), result->best.test_error());

  // A finished search is not gone on with.
  Log again;
  const auto resumed = Train(Iris(), {.out_dir = directory, .resume = true}, again);
  ASSERT_TRUE(resumed.ok()) << resumed.status();
  EXPECT_EQ(resumed->epochs, result->epochs);
  EXPECT_EQ(resumed->best.test_error(), result->best.test_error());
}

// A signal within the third sweep.
TEST(CoordinateDescentTrainerTest, ResumesWithinASweep) {
  const recipe::Recipe recipe = Iris({"epochs=6", "batch_size=45"});
  const std::string whole = NewDirectory(), parts = NewDirectory();
  const auto expected = Train(recipe, {.out_dir = whole});
  ASSERT_TRUE(expected.ok()) << expected.status();
  Log log(/*interrupt_at_line=*/2);
  const auto stopped = Train(recipe, {.out_dir = parts}, log);
  ASSERT_EQ(stopped.status().code(), absl::StatusCode::kCancelled) << stopped.status();
  EXPECT_THAT(std::string(stopped.status().message()), HasSubstr("interrupted in epoch 3 after 0 batches"));
  const auto checkpoint = Checkpoint::Open(parts + "/checkpoint.bgc");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_EQ(checkpoint->header().optimizer_state_size(), 1);
  EXPECT_EQ(checkpoint->header().optimizer_steps(), 4);
  const auto result = Train(recipe, {.out_dir = parts, .threads = 2, .resume = true});
  ASSERT_TRUE(result.ok()) << result.status();
  ExpectSameParameters(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
  ExpectSameParameters(whole + "/best.bgc", parts + "/best.bgc");
  EXPECT_EQ(result->best.epoch(), expected->best.epoch());
  EXPECT_EQ(result->best.loss(), expected->best.loss());
}

// By the loss on all training examples, whatever validation says.
TEST(CoordinateDescentTrainerTest, TheBestModelHasTheLeastTrainingLoss) {
  const std::string directory = NewDirectory();
  const auto result = Train(Iris({"epochs=12", "batch_size=10"}), {.out_dir = directory});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto checkpoint = Checkpoint::Open(directory + "/checkpoint.bgc");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  ASSERT_EQ(checkpoint->header().epochs_size(), 12);
  bool rises = false;
  for (int i = 0; i < 12; ++i) {
    EXPECT_GE(checkpoint->header().epochs(i).loss(), result->best.loss()) << i;
    rises |= i > 0 && checkpoint->header().epochs(i).loss() > checkpoint->header().epochs(i - 1).loss();
  }
  EXPECT_TRUE(rises) << "small batches make the loss of all examples rise now and then";
  EXPECT_EQ(ValueOf(result->best, "one_opt"), 0);
}

TEST(CoordinateDescentTrainerTest, FreezesToTernaryCodes) {
  const std::string directory = NewDirectory();
  const auto result = Train(Iris({"epochs=2"}), {.out_dir = directory});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto best = Checkpoint::Open(result->checkpoint);
  ASSERT_TRUE(best.ok()) << best.status();
  ExecContext context({.threads = 1});
  const auto writer = FreezeCheckpoint(context, *best);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto bytes = writer->Serialize();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto packed = PackedModel::FromBytes("iris", *bytes);
  ASSERT_TRUE(packed.ok()) << packed.status();
  int products = 0;
  for (const packed::Instruction& instruction : (*packed)->header().instructions()) {
    if (!instruction.has_linear()) continue;
    ++products;
    EXPECT_EQ((*packed)->header().blobs(instruction.linear().weight()).kind(), packed::Blob::TERNARY);
  }
  EXPECT_EQ(products, 2);
}

TEST(CoordinateDescentTrainerTest, ErrorsNameTheField) {
  const auto norm = Train(Iris({"model.mlp.norm.kind=BATCH"}), {.out_dir = NewDirectory()});
  EXPECT_THAT(std::string(norm.status().message()), HasSubstr("model.mlp.norm"));
  const auto counted = Train(Iris(), {.out_dir = NewDirectory(), .count_arithmetic = true});
  EXPECT_THAT(std::string(counted.status().message()), HasSubstr("--count_arithmetic"));
  // Another learner cannot go on with its run.
  const std::string directory = NewDirectory();
  ASSERT_TRUE(Train(Iris({"epochs=1"}), {.out_dir = directory}).ok());
  const auto other = Train(Iris({"epochs=2", "coordinate_descent.values=0,1"}), {.out_dir = directory, .resume = true});
  EXPECT_EQ(other.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(other.status().message()), HasSubstr("coordinate_descent.values"));
}

}  // namespace
}  // namespace bitgrad
