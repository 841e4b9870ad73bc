// The training loop: the choice of the best epoch, what it writes, and its errors. See also resume_test.cc.

#include "bitgrad/models/training/trainer.h"

#include <cmath>
#include <cstdio>
#include <cstring>
#include <fstream>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/data/datasets.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

// ---- Data ----------------------------------------------------------------------------------------

TEST(TrainerDataTest, WorkersChangeNothing) {
  const recipe::Recipe recipe =
      TinyRecipe({"epochs=2", "data.augmentation=crop(3),flip", "data.preprocessing=mean_std"});
  const std::string one = NewDirectory(), three = NewDirectory();
  ASSERT_TRUE(Train(recipe, {.out_dir = one}).ok());
  ASSERT_TRUE(Train(recipe, {.out_dir = three, .data_workers = 3}).ok());
  ExpectSameCheckpoints(one + "/checkpoint.bgc", three + "/checkpoint.bgc");
}

TEST(TrainerDataTest, AugmentationChangesTrainingOnly) {
  const std::string directory = NewDirectory();
  const auto plain = Train(TinyRecipe(), {.out_dir = NewDirectory()});
  const auto result = Train(TinyRecipe({"data.augmentation=crop(9)"}), {.out_dir = directory});
  ASSERT_TRUE(plain.ok() && result.ok()) << plain.status() << result.status();
  EXPECT_NE(plain->best.loss(), result->best.loss());
  const auto best = Checkpoint::Open(directory + "/best.bgc");
  ASSERT_TRUE(best.ok()) << best.status();
  const auto bundle = LoadModel(*best);
  const auto train = LoadDataset("digits", {.split = Split::kTrain, .limit = 600});
  const auto test = LoadDataset("digits", {.split = Split::kTest, .limit = 600});
  ASSERT_TRUE(bundle.ok() && train.ok() && test.ok());
  ExecContext context({.threads = 1});
  EXPECT_EQ(*ErrorRate(context, *bundle->model, *train, {500, 600}), result->best.valid_error());
  EXPECT_EQ(*ErrorRate(context, *bundle->model, *test, AllExamples(*test)), result->best.test_error());
}

// The log begins with what was found in the data.
TEST(TrainerDataTest, SaysWhatTheDataAre) {
  Log log;
  ASSERT_TRUE(Train(TinyRecipe(), {.out_dir = NewDirectory()}, log).ok());
  EXPECT_THAT(log.text(),
              AllOf(HasSubstr("digits train: 600 images of 28x28x1, 10 classes "),
                    HasSubstr("digits test: 600 images of 28x28x1, 10 classes "), Not(HasSubstr("warning"))));
}

// MNIST's four files with images of the given sizes, all black; example i has the label labels(i).
std::string WriteIdxFiles(const std::vector<int>& train_size, const std::vector<int>& test_size,
                          const std::function<int(int)>& label) {
  const std::string directory = NewDirectory();
  const auto write = [&](const std::string& name, int count, const std::vector<int>& size, bool labels) {
    std::ofstream file(directory + "/" + name, std::ios::binary);
    std::vector<int> dims = {count};
    if (!labels) dims.insert(dims.end(), size.begin(), size.end());
    std::string bytes = {0, 0, 8, static_cast<char>(dims.size())};
    for (const int dim : dims) bytes += {0, 0, static_cast<char>(dim >> 8), static_cast<char>(dim)};
    for (int i = 0; labels && i < count; ++i) bytes.push_back(static_cast<char>(label(i)));
    if (!labels) bytes += std::string(static_cast<size_t>(count) * size[0] * size[1], '\0');
    file << bytes;
  };
  write("train-images-idx3-ubyte", 300, train_size, false);
  write("train-labels-idx1-ubyte", 300, train_size, true);
  write("t10k-images-idx3-ubyte", 50, test_size, false);
  write("t10k-labels-idx1-ubyte", 50, test_size, true);
  return directory;
}

// 14x56 images have as many values as 28x28 ones, and are others.
TEST(TrainerDataTest, TestImagesOfAnotherSizeAreFoundBeforeTraining) {
  const recipe::Recipe recipe = TinyRecipe({"data.name=mnist", "data.limit=0"});
  const std::string data = WriteIdxFiles({28, 28}, {14, 56}, [](int i) { return i % 10; });
  const absl::Status status = Train(recipe, {.data_dir = data, .out_dir = NewDirectory()}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("the test images are 14x56x1, the training images 28x28x1"));
}

TEST(TrainerDataTest, SortedDataAreNoticed) {
  const std::string data = WriteIdxFiles({28, 28}, {28, 28}, [](int i) { return i / 30; });
  const std::vector<std::string> fields = {"data.name=mnist", "data.limit=0", "data.validation_examples=30"};
  Log last, spread;
  ASSERT_TRUE(Train(TinyRecipe(fields), {.data_dir = data, .out_dir = NewDirectory()}, last).ok());
  EXPECT_THAT(last.text(),
              AllOf(HasSubstr("warning: the last 30 of the 300 training examples validate, all of one class"),
                    HasSubstr("data.validation=SPREAD")));
  std::vector<std::string> with_spread = fields;
  with_spread.push_back("data.validation=SPREAD");
  ASSERT_TRUE(Train(TinyRecipe(with_spread), {.data_dir = data, .out_dir = NewDirectory()}, spread).ok());
  EXPECT_THAT(spread.text(), Not(HasSubstr("training examples validate")));
}

TEST(TrainerDataTest, OneClassIsRefused) {
  const std::string data = WriteIdxFiles({28, 28}, {28, 28}, [](int) { return 3; });
  const absl::Status status =
      Train(TinyRecipe({"data.name=mnist", "data.limit=0"}), {.data_dir = data, .out_dir = NewDirectory()}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("are of class 3"));
}

// What was fitted is in the checkpoint, and evaluation with it gives the errors that training reported.
TEST(TrainerDataTest, ThePreprocessingOfACheckpointIsThatOfTheRun) {
  const recipe::Recipe recipe = TinyRecipe({"data.preprocessing=gcn,zca(0.1)"});
  const std::string directory = NewDirectory();
  Log log;
  const auto result = Train(recipe, {.out_dir = directory}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), HasSubstr("preprocessing (gcn, zca(0.1)) fitted to 500 images in "));
  const auto best = Checkpoint::Open(directory + "/best.bgc");
  ASSERT_TRUE(best.ok()) << best.status();
  EXPECT_EQ(ImageShapeOf(best->header()), (ImageShape{28, 28, 1}));
  const auto bundle = LoadModel(*best);
  const auto preprocessing = LoadPreprocessing(*best);
  ASSERT_TRUE(bundle.ok() && preprocessing.ok()) << preprocessing.status();
  const auto train = LoadDataset("digits", {.split = Split::kTrain, .limit = 600});
  const auto test = LoadDataset("digits", {.split = Split::kTest, .limit = 600});
  ASSERT_TRUE(train.ok() && test.ok());
  ExecContext context({.threads = 1});
  EXPECT_EQ(*ErrorRate(context, *bundle->model, *train, {500, 600}, *preprocessing), result->best.valid_error());
  const ExampleRange all = AllExamples(*test);
  EXPECT_EQ(*ErrorRate(context, *bundle->model, *test, all, *preprocessing), result->best.test_error());
  EXPECT_NE(*ErrorRate(context, *bundle->model, *test, all), result->best.test_error());
}

// ---- The best epoch ----------------------------------------------------------------------------

TEST(BestEpochTest, HasTheLeastValidationErrorAndTheLaterOneWinsATie) {
  int ties = 0;
  for (int seed = 1; seed <= 4; ++seed) {
    // Errors of 5 examples come in six values, so that many epochs tie.
    const recipe::Recipe recipe = TinyRecipe({"data.limit=205", "data.validation_examples=5", "epochs=6",
                                              "schedule.name=constant", absl::StrCat("seed=", seed)});
    const std::string directory = NewDirectory();
    const auto result = Train(recipe, {.out_dir = directory});
    ASSERT_TRUE(result.ok()) << result.status();
    const auto latest = Checkpoint::Open(directory + "/checkpoint.bgc");
    const auto best = Checkpoint::Open(directory + "/best.bgc");
    ASSERT_TRUE(latest.ok() && best.ok());
    ASSERT_EQ(latest->header().epochs_size(), 6);
    double least = 2;
    int epoch = 0;
    for (const checkpoint::EpochMetrics& metrics : latest->header().epochs()) {
      ties += metrics.valid_error() == least;
      if (metrics.valid_error() <= least) {
        least = metrics.valid_error();
        epoch = metrics.epoch();
      }
    }
    EXPECT_EQ(latest->header().progress().best_epoch(), epoch);
    EXPECT_EQ(latest->header().progress().best_valid_error(), least);
    EXPECT_EQ(result->best.epoch(), epoch);
    EXPECT_EQ(result->best.valid_error(), least);
    EXPECT_EQ(result->epochs, 6);

    // best.bgc is the model of that epoch: it has its errors.
    EXPECT_EQ(best->header().epochs_size(), epoch);
    const auto bundle = LoadModel(*best);
    ASSERT_TRUE(bundle.ok()) << bundle.status();
    ExecContext context({.threads = 1});
    const auto train = LoadDataset("digits", {.split = Split::kTrain, .limit = 205});
    const auto test = LoadDataset("digits", {.split = Split::kTest, .limit = 205});
    ASSERT_TRUE(train.ok() && test.ok());
    EXPECT_EQ(*ErrorRate(context, *bundle->model, *train, {200, 205}), least);
    EXPECT_EQ(*ErrorRate(context, *bundle->model, *test, AllExamples(*test)), result->best.test_error());
  }
  EXPECT_GT(ties, 0) << "no seed had a tie: choose others";
}

TEST(BestEpochTest, WithoutValidationExamplesItIsTheLast) {
  const std::string directory = NewDirectory();
  const auto result = Train(TinyRecipe({"data.limit=200", "data.validation_examples=0"}), {.out_dir = directory});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->best.epoch(), 3);
  EXPECT_TRUE(std::isnan(result->best.valid_error()));
}

// ---- What it writes ----------------------------------------------------------------------------

TEST(TrainerTest, WritesALineAndALayerTableForEachEpochAndTheSameAsJson) {
  const std::string directory = NewDirectory() + "/made/on/the/way";
  Log log;
  const auto result = Train(TinyRecipe(), {.out_dir = directory, .metrics_file = testing::TempDir() + "/m.jsonl"}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), AllOf(HasSubstr("epoch 1/3  loss "), HasSubstr("epoch 3/3  loss "), HasSubstr("    hidden1 "),
                                HasSubstr("    output ")));
  EXPECT_THAT(log.text(), testing::Not(HasSubstr("\r"))) << "no bar where nobody looks";
  const std::string text = ReadFile(testing::TempDir() + "/m.jsonl");
  size_t begin = 0;
  for (int epoch = 1; epoch <= 3; ++epoch) {
    const size_t end = text.find('\n', begin);
    ASSERT_NE(end, std::string::npos);
    checkpoint::EpochMetrics metrics;
    ASSERT_TRUE(google::protobuf::util::JsonStringToMessage(text.substr(begin, end - begin), &metrics).ok());
    EXPECT_EQ(metrics.epoch(), epoch);
    EXPECT_GT(metrics.seconds(), 0);
    EXPECT_GT(metrics.learning_rate(), 0);
    ASSERT_EQ(metrics.layers_size(), 3);
    EXPECT_EQ(metrics.layers(0).layer(), "hidden1");
    EXPECT_TRUE(metrics.layers(0).has_sign_flips() && metrics.layers(0).has_at_clip());
    EXPECT_FALSE(metrics.layers(0).has_inside_window()) << "the images have no gradient";
    EXPECT_EQ(metrics.layers(2).layer(), "output");
    EXPECT_TRUE(metrics.layers(2).has_inside_window());
    EXPECT_GT(metrics.layers(2).inside_window(), 0);
    EXPECT_LT(metrics.layers(2).inside_window(), 1);
    begin = end + 1;
  }
  EXPECT_EQ(begin, text.size());
}

// Said before and after the first step, of each run once. Evaluation takes several times as much and does not count.
TEST(TrainerTest, TellsTheMemoryOfAStep) {
  const std::string directory = NewDirectory();
  for (const bool resume : {false, true}) {
    Log log(/*interrupt_at_line=*/resume ? 0 : 1);
    const auto result = Train(TinyRecipe(), {.out_dir = directory, .resume = resume}, log);
    ASSERT_EQ(result.ok(), resume) << result.status();
    const size_t before = log.text().find("memory: parameters ");
    const size_t after = log.text().find("memory of a step: ");
    const size_t epoch = log.text().find("epoch ");
    ASSERT_LT(before, after);
    ASSERT_LT(after, epoch);
    EXPECT_EQ(log.text().find("memory", after + 1), std::string::npos);
    double parameters = 0, said = 0, predicted = 0, measured = 0, state = 0;
    ASSERT_EQ(std::sscanf(log.text().c_str() + before, "memory: parameters %lf MB, a step %lf MB (predicted)",
                          &parameters, &said),
              2);
    ASSERT_EQ(std::sscanf(log.text().c_str() + after,
                          "memory of a step: predicted %lf MB, measured %lf MB; optimizer's state %lf MB", &predicted,
                          &measured, &state),
              3);
    // 784-16-16-10, with four vectors of each batch norm, two of them learned; Adam has two tensors for each that is.
    constexpr double kWeights = 784 * 16 + 16 * 16 + 16 * 10, kUnits = 16 + 16 + 10;
    EXPECT_NEAR(parameters, 4e-6 * (kWeights + 4 * kUnits), 0.006);
    EXPECT_NEAR(state, 8e-6 * (kWeights + 2 * kUnits), 0.006);
    EXPECT_EQ(said, predicted);
    EXPECT_NEAR(predicted, measured, 0.1 * measured);
  }
}

// Dropout puts a layer's quantizer in front of the drop; its window is observed all the same.
TEST(TrainerTest, TheWindowIsObservedWithDropoutToo) {
  const std::string directory = NewDirectory();
  const auto result =
      Train(TinyRecipe({"epochs=1", "data.limit=200", "model.mlp.hidden_keep=0.5"}), {.out_dir = directory});
  ASSERT_TRUE(result.ok()) << result.status();
  ASSERT_EQ(result->best.layers_size(), 3);
  EXPECT_TRUE(result->best.layers(1).has_inside_window());
  EXPECT_TRUE(result->best.layers(2).has_inside_window());
}

TEST(TrainerTest, WhatIsWrongIsFoundBeforeTraining) {
  const struct {
    const char* assignment;
    const char* text;
  } cases[] = {
      {"data.name=fashion", "there is no data set 'fashion'"},
      {"data.validation_examples=600", "600"},
      {"data.augmentation=corp(4)",
       "augmentation 'corp(4)': unknown (did you mean 'crop'?); known: crop, flip, jitter"},
      {"data.augmentation=flip,crop(28)", "crop(28) of images of 28x28x1"},
      {"data.augmentation=jitter", "needs 3 channels"},
      {"data.preprocessing=whiten", "preprocessing 'whiten': unknown; known: mean_std, gcn, unit, zca"},
      {"data.preprocessing=zca(0)", "preprocessing 'zca(0)'"},
      {"data.validation_examples=1000000", "1000000"},
      {"batch_size=501", "501"},
      {"optimizer.name=adamw", "adamw"},
      {"optimizer.momentum=0.9", "momentum"},
      {"optimizer.weight_decay=-1", "weight_decay"},
      {"optimizer.max_gradient_norm=-1", "max_gradient_norm"},
      {"optimizer.beta1=1", "beta1"},
      {"optimizer.learning_rate=1e-60", "learning_rate"},
      {"schedule.name=quadratic", "quadratic"},
      {"schedule.final_learning_rate=0", "final_learning_rate"},
      {"schedule.final_learning_rate=-1", "final_learning_rate"},
      {"schedule.warmup_epochs=-1", "warmup_epochs"},
      {"schedule.warmup_epochs=3", "warmup_epochs"},
      {"model.mlp.norm.epsilon=-1", "epsilon"},
      {"model.mlp.norm.momentum=2", "momentum"},
  };
  for (const auto& c : cases) {
    const auto result = Train(TinyRecipe({c.assignment}), {.out_dir = NewDirectory()});
    EXPECT_FALSE(result.ok()) << c.assignment;
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(c.text)) << c.assignment;
  }
}

// A second run does not write over the first one.
TEST(TrainerTest, AFolderThatHoldsARunIsNotTakenForAnother) {
  const std::string directory = NewDirectory();
  ASSERT_TRUE(Train(TinyRecipe({"epochs=1"}), {.out_dir = directory}).ok());
  const std::string before = ReadFile(directory + "/checkpoint.bgc");
  const auto second = Train(TinyRecipe({"epochs=1", "seed=2"}), {.out_dir = directory});
  EXPECT_EQ(second.status().code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(second.status().message()),
              AllOf(HasSubstr("'" + directory + "' holds a run already"), HasSubstr("--resume"), HasSubstr("--out")));
  EXPECT_TRUE(before == ReadFile(directory + "/checkpoint.bgc"));
  Log log;
  const auto numbered = Train(TinyRecipe({"epochs=1", "seed=2"}), {.out_dir = directory, .number_out_dir = true}, log);
  ASSERT_TRUE(numbered.ok()) << numbered.status();
  EXPECT_EQ(numbered->checkpoint, directory + "_2/best.bgc");
  EXPECT_THAT(log.text(), HasSubstr("'" + directory + "' holds another run; this one goes to '" + directory + "_2'\n"));
  EXPECT_TRUE(before == ReadFile(directory + "/checkpoint.bgc"));
}

// The folder is held from the beginning to the end.
TEST(TrainerTest, TwoTrainersNeverShareAFolder) {
  const std::string directory = NewDirectory();
  Log log;
  TrainOptions options{.out_dir = directory, .threads = 1, .log = log.file()};
  {
    const auto first = Trainer::Create(TinyRecipe({"epochs=1"}), options);
    ASSERT_TRUE(first.ok()) << first.status();
    for (const bool resume : {false, true}) {
      options.resume = resume;
      const auto second = Trainer::Create(TinyRecipe({"epochs=1"}), options);
      EXPECT_THAT(std::string(second.status().message()), HasSubstr("another process is running in '" + directory));
    }
    ASSERT_TRUE((*first)->Run().ok());
    EXPECT_FALSE(Trainer::Create(TinyRecipe({"epochs=1"}), options).ok());
  }
  EXPECT_TRUE(Trainer::Create(TinyRecipe({"epochs=1"}), options).ok());
}

// Files that are not the run's own metrics are not written over.
TEST(TrainerTest, MetricsFilesOfOthers) {
  const std::string directory = NewDirectory(), run = directory + "/run";
  WriteFile(directory + "/m.jsonl", "{}\n");
  WriteFile(directory + "/recipe.textproto", "epochs: 1\n");
  const recipe::Recipe recipe = TinyRecipe({"epochs=1", "data.limit=200"});
  const auto error = [&](const std::string& file, bool resume) {
    const TrainOptions options{.out_dir = run, .metrics_file = file, .resume = resume};
    return std::string(Train(recipe, options).status().message());
  };
  for (const char* file : {"/m.jsonl", "/recipe.textproto"}) {
    EXPECT_THAT(error(directory + file, false), AllOf(HasSubstr(directory + file), HasSubstr("--metrics")));
  }
  for (const char* file : {"/checkpoint.bgc", "/best.bgc"}) {
    EXPECT_THAT(error(run + file, false), HasSubstr("a checkpoint of the run"));
  }
  for (const char* file : {"/.lock", "/checkpoint.bgc.tmp", "/best.bgc.tmp"}) {
    EXPECT_THAT(error(run + file, false), HasSubstr("which the run itself uses"));
  }
  EXPECT_EQ(error(directory + "/new.jsonl", false), "");
  EXPECT_THAT(error(directory + "/recipe.textproto", true), HasSubstr("a file of another kind"));
  EXPECT_EQ(ReadFile(directory + "/recipe.textproto"), "epochs: 1\n");
  EXPECT_EQ(error(directory + "/new.jsonl", true), "");
}

// What the data was is said, and kept with the model.
TEST(TrainerTest, TheFingerprintOfTheDataIsPrintedAndKept) {
  const std::string directory = NewDirectory();
  Log log;
  ASSERT_TRUE(Train(TinyRecipe({"epochs=1"}), {.out_dir = directory}, log).ok());
  EXPECT_THAT(log.text(), testing::ContainsRegex("digits train: 600 images of 28x28x1, 10 classes.* .labels "));
  EXPECT_THAT(log.text(), testing::ContainsRegex("digits test: 600 images of 28x28x1, 10 classes.* .labels "));
  const auto train = LoadDataset("digits", {.split = Split::kTrain, .limit = 600});
  const auto test = LoadDataset("digits", {.split = Split::kTest, .limit = 600});
  for (const char* file : {"/checkpoint.bgc", "/best.bgc"}) {
    const auto checkpoint = Checkpoint::Open(directory + file);
    ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
    EXPECT_EQ(DifferenceOf(checkpoint->header().training_data(), *FingerprintOf(*train)), "");
    EXPECT_EQ(DifferenceOf(checkpoint->header().test_data(), *FingerprintOf(*test)), "");
  }
}

TEST(TrainerTest, AnOutputThatCannotBeMade) {
  const std::string directory = NewDirectory();
  WriteFile(directory + "/file", "");
  for (const char* out : {"/file", "/file/below"}) {
    const auto result = Train(TinyRecipe(), {.out_dir = directory + out});
    EXPECT_FALSE(result.ok());
    EXPECT_THAT(std::string(result.status().message()), HasSubstr(directory + out));
  }
}

TEST(TrainerTest, ADeviceThatIsNotThere) {
  if (DeviceStatus(Device::kCuda).ok()) GTEST_SKIP() << "this build runs on CUDA";
  const auto result = Trainer::Create(TinyRecipe(), {.out_dir = NewDirectory(), .device = Device::kCuda});
  EXPECT_FALSE(result.ok());
}

}  // namespace
}  // namespace bitgrad
