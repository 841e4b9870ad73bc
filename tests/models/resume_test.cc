// Runs that end before their end: interrupted and resumed, or diverged.

#include <algorithm>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/cli/cli_testing.h"
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
  bool with_bop = false;  // for the quantized weights, and with a phase
};

class ResumeTest : public OnTestDevice<testing::TestWithParam<ResumeCase>> {};
class ResumeErrorsTest : public OnTestDevice<testing::Test> {};
class DivergenceTest : public OnTestDevice<testing::Test> {};

TEST_P(ResumeTest, ContinuesBitForBit) {
  recipe::Recipe recipe = TinyRecipe(GetParam().assignments);
  if (GetParam().with_bop) {
    recipe::UpdateRule& rule = *recipe.mutable_optimizer()->add_rule();
    rule.set_for_(recipe::UpdateRule::QUANTIZED_WEIGHTS);
    rule.set_name("bop");
    rule.set_learning_rate(0.01);
    // The rate of Bop is relative to that of the optimizer, in each phase to that of the phase.
    recipe::Phase& phase = *recipe.add_phase();
    phase.set_from_epoch(3);
    phase.add_set("optimizer.learning_rate=0.0001");
  }
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
    testing::Values(
        ResumeCase{"bnn", {}},
        ResumeCase{"random",
                   {"model.mlp.weight_quantizer=stochastic_sign", "model.mlp.input_keep=0.8",
                    "model.mlp.hidden_keep=0.5", "model.mlp.gradient_quantizer=dorefa_gradient(6)"}},
        ResumeCase{
            "sgd",
            {"optimizer.name=sgd", "optimizer.momentum=0.9", "schedule.name=cosine", "schedule.warmup_epochs=1"}},
        ResumeCase{"adamax_float",
                   {"optimizer.name=adamax", "optimizer.glorot_scale=false", "loss=SOFTMAX_CROSS_ENTROPY",
                    "model.mlp.weight_quantizer=identity", "model.mlp.activation_quantizer=identity",
                    "model.mlp.activation=relu"}},
        // Ranges that counters adjust every third batch, a momentum that grows, max-norm.
        ResumeCase{
            "low_precision",
            {"optimizer.name=sgd", "optimizer.momentum_schedule.initial=0.5", "optimizer.momentum_schedule.final=0.7",
             "optimizer.momentum_schedule.change=LINEAR", "optimizer.momentum_schedule.per=STEP",
             "schedule.name=linear", "schedule.until=0.5", "model.mlp.weight_quantizer=identity",
             "model.mlp.activation_quantizer=identity", "model.mlp.maxout_pieces=2", "model.mlp.max_norm=0.5",
             "model.mlp.norm.kind=NONE", "model.mlp.hidden_keep=0.5", "model.mlp.dropout_scaling=IN_EVALUATION",
             "model.mlp.precision.computation=dynamic_fixed(10)", "model.mlp.precision.update=dynamic_fixed(12)",
             "model.mlp.precision.control_batches=3", "loss_scale=4"}},
        ResumeCase{"stochastic_exponents", {"model.mlp.input_for_weight_gradient_quantizer=exponential_round"}},
        ResumeCase{"bop", {}, true}, ResumeCase{"augmented", {"data.augmentation=crop(3),flip"}},
        ResumeCase{"preprocessed", {"data.preprocessing=gcn,zca(0.1),mean_std"}},
        ResumeCase{"reestimated",
                   {"model.mlp.norm.reestimate_batches=4", "model.mlp.input_keep=0.8", "data.augmentation=crop(3)"}},
        // One batch is an epoch: every interruption is between the last batch and the
        // epoch's end.
        ResumeCase{"whole_epochs", {"batch_size=500", "model.mlp.norm.reestimate_batches=4"}}),
    [](const auto& info) { return std::string(info.param.name); });

TEST_F(ResumeErrorsTest, EachSaysWhatIsWrong) {
  const recipe::Recipe recipe = TinyRecipe({"epochs=1", "data.limit=200"});
  const std::string directory = NewDirectory();
  const TrainOptions resume{.out_dir = directory, .resume = true};
  const auto error = [&](const recipe::Recipe& r) { return std::string(Train(r, resume).status().message()); };
  EXPECT_THAT(error(recipe), HasSubstr(directory + "/checkpoint.bgc"));
  ASSERT_TRUE(Train(recipe, {.out_dir = directory}).ok());
  const std::string good = ReadFile(directory + "/checkpoint.bgc");
  EXPECT_THAT(
      error(TinyRecipe({"epochs=1", "data.limit=200", "seed=2"})),
      AllOf(HasSubstr("of another recipe: seed was 1 and is 2 now"), HasSubstr("epochs, optimizer.learning_rate")));
  WriteFile(directory + "/checkpoint.bgc", ReadFile(directory + "/best.bgc"));
  EXPECT_THAT(error(recipe), HasSubstr("holds no optimizer state"));
  WriteFile(directory + "/checkpoint.bgc", good.substr(0, good.size() / 2));
  EXPECT_THAT(error(recipe), HasSubstr("bytes"));
  WriteFile(directory + "/checkpoint.bgc", std::string(5000, 'x'));
  EXPECT_THAT(error(recipe), HasSubstr("not a checkpoint"));
  WriteFile(directory + "/checkpoint.bgc", good);
  EXPECT_TRUE(Train(recipe, resume).ok());
}

TEST_F(ResumeErrorsTest, FewerEpochsThanAreDone) {
  const std::string directory = NewDirectory();
  ASSERT_TRUE(Train(TinyRecipe({"data.limit=200"}), {.out_dir = directory}).ok());
  const auto result = Train(TinyRecipe({"data.limit=200", "epochs=2"}), {.out_dir = directory, .resume = true});
  EXPECT_THAT(std::string(result.status().message()), HasSubstr("has begun its epoch 3, so it cannot have 2 epochs"));
}

// An idx file of labels with another one for this example.
std::string OtherLabel(const std::string& file, size_t example) {
  const size_t at = 8 + example;
  return file.substr(0, at) + static_cast<char>(9 - file[at]) + file.substr(at + 1);
}

// Other data is refused, and what differs is named. The checkpoint is as it was.
TEST_F(ResumeErrorsTest, OtherData) {
  const std::string directory = NewDirectory(), data = MakeTinyMnist(60, 20);
  const std::vector<std::string> fields = {"data.name=mnist", "data.validation_examples=10", "data.limit=0",
                                           "batch_size=10", "epochs=1"};
  const auto run = [&](const std::string& data_dir, bool resume) {
    return Train(TinyRecipe(fields), {.data_dir = data_dir, .out_dir = directory, .resume = resume}).status();
  };
  ASSERT_TRUE(run(data, false).ok());
  const std::string before = ReadFile(directory + "/checkpoint.bgc");
  const struct {
    const char* file;
    std::function<std::string(const std::string&)> change;
    const char* text;
  } cases[] = {
      {"train-images-idx3-ubyte",
       [](const std::string&) {
         return IdxFile({60, 4, 4}, std::string(960, 'x'));
       },
       "Its training set has: other pixels"},
      {"train-labels-idx1-ubyte", [](const std::string& b) { return OtherLabel(b, 17); },
       "Its training set has: other labels"},
      {"t10k-labels-idx1-ubyte", [](const std::string& b) { return OtherLabel(b, 3); },
       "Its test set has: other labels"},
  };
  for (const auto& c : cases) {
    SCOPED_TRACE(c.text);
    const std::string other = MakeTinyMnist(60, 20), path = other + "/" + c.file;
    WriteFile(path, c.change(ReadFile(path)));
    EXPECT_THAT(std::string(run(other, true).message()),
                AllOf(HasSubstr(directory + "/checkpoint.bgc"), HasSubstr(c.text)));
  }
  // As many values in images of another shape.
  const std::string flat = MakeTinyMnist(60, 20);
  for (const char* file : {"/train-images-idx3-ubyte", "/t10k-images-idx3-ubyte"}) {
    const std::string bytes = ReadFile(flat + file);
    WriteFile(flat + file, IdxFile({static_cast<uint32_t>((bytes.size() - 16) / 16), 2, 8}, bytes.substr(16)));
  }
  EXPECT_THAT(std::string(run(flat, true).message()),
              HasSubstr("is for images of 4x4x1 in 10 classes; data set 'mnist' has images of 2x8x1"));
  EXPECT_THAT(std::string(run(MakeTinyMnist(61, 20), true).message()),
              HasSubstr("Its training set has: 61 images instead of 60"));
  EXPECT_TRUE(before == ReadFile(directory + "/checkpoint.bgc"));
  EXPECT_TRUE(run(data, true).ok());
}

// Headers whose counts no run on this data has.
TEST_F(ResumeErrorsTest, CountsOfStepsThatDoNotFitTheData) {
  const std::string directory = NewDirectory();
  const recipe::Recipe recipe = TinyRecipe({"data.limit=200"});
  Log log(/*interrupt_at_line=*/1);
  ASSERT_TRUE(absl::IsCancelled(Train(recipe, {.out_dir = directory}, log).status()));
  const std::string path = directory + "/checkpoint.bgc", good = ReadFile(path);
  const checkpoint::Header header = Checkpoint::Open(path)->header();
  const auto error = [&](const std::function<void(checkpoint::Header&)>& change) {
    checkpoint::Header changed = header;
    change(changed);
    WriteFile(path, WithHeader(good, changed));
    return std::string(Train(recipe, {.out_dir = directory, .resume = true}).status().message());
  };
  const auto batches = [](int64_t count) {
    return [count](checkpoint::Header& h) {
      h.mutable_progress()->set_batches_done(count);
      h.mutable_progress()->mutable_partial()->set_steps(count);
      h.mutable_progress()->mutable_partial()->set_examples(count * 50);
    };
  };
  for (const auto& change :
       {std::function<void(checkpoint::Header&)>(batches(3)),
        std::function<void(checkpoint::Header&)>(batches(INT32_MAX)),
        std::function<void(checkpoint::Header&)>([](auto& h) { h.set_optimizer_steps(0); }),
        std::function<void(checkpoint::Header&)>([](auto& h) { h.set_optimizer_steps(int64_t{1} << 50); })}) {
    EXPECT_THAT(error(change), AllOf(HasSubstr(path), HasSubstr("but an epoch of this data has 2 batches")));
  }
  EXPECT_EQ(error([](auto&) {}), "") << "without a change it resumes";
}

// A finished run goes on, as the run would have that had more epochs from the beginning, where the schedule does not
// depend on their number. Where it does, that is said.
TEST_F(ResumeErrorsTest, AFinishedRunCanBeTrainedForLonger) {
  for (const char* schedule : {"schedule.name=constant", "schedule.name=exponential"}) {
    SCOPED_TRACE(schedule);
    const std::string whole = NewDirectory(), parts = NewDirectory();
    const recipe::Recipe longer = TinyRecipe({"data.limit=200", schedule, "epochs=3"});
    ASSERT_TRUE(Train(longer, {.out_dir = whole}).ok());
    ASSERT_TRUE(Train(TinyRecipe({"data.limit=200", schedule, "epochs=2"}), {.out_dir = parts}).ok());
    Log log;
    const auto result = Train(longer, {.out_dir = parts, .resume = true}, log);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->epochs, 3);
    EXPECT_THAT(log.text(), HasSubstr("resumed with a change: epochs: 2 -> 3\n"));
    const bool same = std::string(schedule) == "schedule.name=constant";
    const auto says = HasSubstr("schedule 'exponential' spreads over all 3 epochs: the learning rate goes on with ");
    if (same) {
      ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
      ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
      EXPECT_THAT(log.text(), testing::Not(says));
    } else {
      EXPECT_THAT(log.text(), says);
    }
    Log done;
    ASSERT_TRUE(Train(longer, {.out_dir = parts, .resume = true}, done).ok());
    EXPECT_THAT(done.text(),
                HasSubstr("the run is finished: it has done its 3 epochs; --epochs=N trains it for longer"));
  }
}

// A run whose best.bgc was left behind or is damaged never names it as its result.
TEST_F(ResumeErrorsTest, ALostBestModel) {
  for (const bool damaged : {false, true}) {
    const std::string directory = NewDirectory(), best = directory + "/best.bgc";
    const std::vector<std::string> recipe = {"data.limit=200", "schedule.name=constant", "epochs=2"};
    ASSERT_TRUE(Train(TinyRecipe(recipe), {.out_dir = directory}).ok());
    const std::string bytes = ReadFile(best);
    std::filesystem::remove(best);
    if (damaged) WriteFile(best, bytes.substr(0, bytes.size() / 2));
    EXPECT_THAT(std::string(Train(TinyRecipe(recipe), {.out_dir = directory, .resume = true}).status().message()),
                AllOf(HasSubstr("is lost"), HasSubstr(best), HasSubstr("--epochs")));
    Log log;
    const auto result = Train(TinyRecipe({"data.limit=200", "schedule.name=constant", "epochs=3"}),
                              {.out_dir = directory, .resume = true}, log);
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_THAT(log.text(), HasSubstr("warning: the best model so far, of epoch "));
    EXPECT_EQ(result->best.epoch(), 3);
    const auto opened = Checkpoint::Open(best);
    ASSERT_TRUE(opened.ok()) << opened.status();
    EXPECT_EQ(opened->header().progress().best_epoch(), 3);
  }
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
