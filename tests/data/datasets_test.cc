#include "bitgrad/data/datasets.h"

#include <filesystem>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/tests/data/idx_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// A directory with a small data set in MNIST's four files, two of them compressed.
class MnistTest : public testing::Test {
 protected:
  MnistTest() {
    Write("train-images-idx3-ubyte", IdxImages(30, 6, 5));
    Write("train-labels-idx1-ubyte.gz", Gzip(IdxLabels(30)));
    Write("t10k-images-idx3-ubyte.gz", Gzip(IdxImages(20, 6, 5)));
    Write("t10k-labels-idx1-ubyte", IdxLabels(20));
  }

  std::string Write(const std::string& name, const std::string& bytes) { return WriteFile(dir_, name, bytes); }
  void Remove(const std::string& name) { ASSERT_EQ(std::remove((dir_ + "/" + name).c_str()), 0) << name; }
  absl::StatusOr<Dataset> Load(Split split = Split::kTrain, int64_t limit = 0) {
    return LoadDataset("mnist", {.data_dir = dir_, .split = split, .limit = limit});
  }

  const std::string dir_ = MakeTestDir();
};

TEST_F(MnistTest, LoadsBothSplits) {
  absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->images.shape(), Shape({30, 6, 5, 1}));
  EXPECT_EQ(train->features(), 30);
  EXPECT_EQ(train->num_classes, 10);
  EXPECT_EQ(train->name, "mnist");
  for (int i = 0; i < 900; ++i) ASSERT_EQ(train->images.data<uint8_t>()[i], i % 251);
  for (int i = 0; i < 30; ++i) EXPECT_EQ(train->labels.data<int32_t>()[i], i % 10);
  absl::StatusOr<Dataset> test = Load(Split::kTest);
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_EQ(test->size(), 20);
}

TEST_F(MnistTest, LimitTakesTheFirstExamples) {
  absl::StatusOr<Dataset> some = Load(Split::kTrain, 7);
  ASSERT_TRUE(some.ok()) << some.status();
  EXPECT_EQ(some->images.shape(), Shape({7, 6, 5, 1}));
  EXPECT_EQ(some->labels.num_elements(), 7);
  EXPECT_EQ(some->images.data<uint8_t>()[209], 209);
  EXPECT_EQ(Load(Split::kTrain, 1000)->size(), 30);
  EXPECT_THAT(Message(Load(Split::kTrain, -1).status()), HasSubstr("-1"));
}

// All that a user needs to know stands in the message.
void ExpectSaysHowToGetTheFiles(const absl::Status& status) {
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound) << status;
  for (const char* part : {"train-images-idx3-ubyte 6bbc9ace898e44ae57da46a324031adb",
                           "train-labels-idx1-ubyte a25bea736e30d166cdddb491f175f624",
                           "t10k-images-idx3-ubyte 2646ac647ad5339dbf082846283269ea",
                           "t10k-labels-idx1-ubyte 27ae3e4e09519cfbb04c329615203637", "md5", "--data_dir=DIR"}) {
    EXPECT_THAT(Message(status), HasSubstr(part));
  }
  EXPECT_THAT(Message(status), Not(HasSubstr("\n")));
}

TEST_F(MnistTest, WithoutDirectorySaysWhereToGetTheFiles) {
  const absl::Status status = LoadDataset("mnist", {}).status();
  ExpectSaysHowToGetTheFiles(status);
  EXPECT_THAT(Message(status), HasSubstr("no data directory given"));
}

TEST_F(MnistTest, MissingFileIsNamed) {
  Remove("train-labels-idx1-ubyte.gz");
  const absl::Status status = Load().status();
  ExpectSaysHowToGetTheFiles(status);
  EXPECT_THAT(Message(status), HasSubstr("found neither train-labels-idx1-ubyte nor "
                                         "train-labels-idx1-ubyte.gz in directory '" +
                                         dir_ + "'"));
  EXPECT_TRUE(Load(Split::kTest).ok());
  Remove("t10k-images-idx3-ubyte.gz");
  EXPECT_THAT(Message(Load(Split::kTest).status()), HasSubstr("found neither t10k-images-idx3-ubyte nor"));
}

TEST_F(MnistTest, MissingDirectoryIsNamed) {
  const absl::Status status = LoadDataset("mnist", {.data_dir = dir_ + "/no/such"}).status();
  ExpectSaysHowToGetTheFiles(status);
  EXPECT_THAT(Message(status), HasSubstr(dir_ + "/no/such"));
}

TEST_F(MnistTest, CountMismatchIsAnError) {
  Write("t10k-labels-idx1-ubyte", IdxLabels(19));
  const absl::Status status = Load(Split::kTest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("20 images but 19 labels"));
  EXPECT_THAT(Message(status), HasSubstr(dir_ + "/t10k-images-idx3-ubyte.gz"));
  EXPECT_THAT(Message(status), HasSubstr(dir_ + "/t10k-labels-idx1-ubyte"));
  // Also where the part that is asked for is there.
  EXPECT_FALSE(Load(Split::kTest, 5).ok());
}

TEST_F(MnistTest, LabelOutOfRangeIsAnError) {
  std::string labels = IdxLabels(20);
  labels[8 + 13] = 10;
  Write("t10k-labels-idx1-ubyte", labels);
  const absl::Status status = Load(Split::kTest).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("label 10 of example 13 is outside [0, 10)"));
  EXPECT_THAT(Message(status), HasSubstr(dir_ + "/t10k-labels-idx1-ubyte"));
  labels[8 + 13] = static_cast<char>(255);  // must not be read as -1
  Write("t10k-labels-idx1-ubyte", labels);
  EXPECT_THAT(Message(Load(Split::kTest).status()), HasSubstr("label 255 of example 13"));
}

TEST_F(MnistTest, MixedUpAndTruncatedFilesAreErrors) {
  Write("t10k-labels-idx1-ubyte", IdxImages(20, 6, 5));
  EXPECT_THAT(Message(Load(Split::kTest).status()), HasSubstr("expected 1 dimensions, found 3"));
  Write("t10k-labels-idx1-ubyte", IdxLabels(20).substr(0, 20));
  EXPECT_EQ(Load(Split::kTest).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(MnistTest, SaysWhatItFound) {
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok());
  EXPECT_EQ(train->summary, "mnist train: 30 images of 6x5x1, 10 classes");
  EXPECT_EQ(train->class_names[3], "3");
  EXPECT_EQ(Load(Split::kTest, 4)->summary, "mnist test: 4 images of 6x5x1, 10 classes, 6 of them without an image");
}

TEST_F(MnistTest, OneSplitsFilesAreEnough) {
  Remove("train-images-idx3-ubyte");
  Remove("train-labels-idx1-ubyte.gz");
  for (const char* name : {"mnist", "idx"}) {
    EXPECT_TRUE(LoadDataset(name, {.data_dir = dir_, .split = Split::kTest}).ok()) << name;
    EXPECT_EQ(LoadDataset(name, {.data_dir = dir_}).status().code(), absl::StatusCode::kNotFound) << name;
  }
}

// A data set in idx files whose labels are given.
class IdxDatasetTest : public testing::Test {
 protected:
  void Write(const std::string& dir, const std::string& images_name, const std::string& labels_name,
             const std::vector<uint32_t>& image_dims, const std::string& labels) {
    std::vector<uint32_t> dims = {static_cast<uint32_t>(labels.size())};
    size_t size = labels.size();
    for (const uint32_t dim : image_dims) {
      dims.push_back(dim);
      size *= dim;
    }
    std::string pixels;
    for (size_t i = 0; i < size; ++i) pixels.push_back(static_cast<char>(i % 251));
    std::filesystem::create_directories(dir);
    WriteFile(dir, images_name, IdxBytes(dims, pixels));
    WriteFile(dir, labels_name, IdxBytes({dims[0]}, labels));
  }
  void WriteBoth(const std::string& prefix, const std::string& train_labels, const std::string& test_labels) {
    Write(dir_, prefix + "train-images-idx3-ubyte", prefix + "train-labels-idx1-ubyte", {4, 3}, train_labels);
    Write(dir_, prefix + "test-images-idx3-ubyte", prefix + "test-labels-idx1-ubyte", {4, 3}, test_labels);
  }
  absl::StatusOr<Dataset> Load(LoadOptions options = {}) {
    if (options.data_dir.empty()) options.data_dir = dir_;
    return LoadDataset("idx", options);
  }
  std::vector<int32_t> Labels(const absl::StatusOr<Dataset>& dataset) {
    EXPECT_TRUE(dataset.ok()) << dataset.status();
    if (!dataset.ok()) return {};
    const auto labels = dataset->labels.span<int32_t>();
    return {labels.begin(), labels.end()};
  }

  const std::string dir_ = MakeTestDir();
};

TEST_F(IdxDatasetTest, ReadsTheNamesThatUnpackersWrite) {
  const struct {
    const char* images;
    const char* labels;
    const char* test_images;
    const char* test_labels;
  } spellings[] = {
      {"train-images-idx3-ubyte", "train-labels-idx1-ubyte", "t10k-images-idx3-ubyte", "t10k-labels-idx1-ubyte"},
      {"train-images.idx3-ubyte", "train-labels.idx1-ubyte", "t10k-images.idx3-ubyte", "t10k-labels.idx1-ubyte"},
      {"train-images-idx3-ubyte", "train-labels.idx1-ubyte", "test-images-idx3-ubyte", "test-labels-idx1-ubyte"},
  };
  int number = 0;
  for (const auto& names : spellings) {
    for (const bool in_folders : {false, true}) {
      const std::string dir = absl::StrCat(dir_, "/", number++);
      const auto place = [&](const char* name) {
        return in_folders ? absl::StrCat(name, "/", name) : std::string(name);
      };
      if (in_folders) {
        for (const char* name : {names.images, names.labels, names.test_images, names.test_labels}) {
          std::filesystem::create_directories(absl::StrCat(dir, "/", name));
        }
      }
      Write(dir, place(names.images), place(names.labels), {4, 3}, std::string("\0\1\2\3\4\5", 6));
      Write(dir, place(names.test_images), place(names.test_labels), {4, 3}, std::string("\5\0", 2));
      for (const char* name : {"idx", "mnist"}) {
        const absl::StatusOr<Dataset> train = LoadDataset(name, {.data_dir = dir});
        EXPECT_EQ(Labels(train), std::vector<int32_t>({0, 1, 2, 3, 4, 5})) << dir;
        const absl::StatusOr<Dataset> test = LoadDataset(name, {.data_dir = dir, .split = Split::kTest});
        EXPECT_EQ(Labels(test), std::vector<int32_t>({5, 0})) << dir;
        EXPECT_EQ(test->num_classes, std::string(name) == "idx" ? 6 : 10);
      }
    }
  }
}

TEST_F(IdxDatasetTest, ANameInFrontPicksTheDataSet) {
  WriteBoth("emnist-letters-", "\1\2\3", "\3");
  EXPECT_EQ(Labels(Load()), std::vector<int32_t>({0, 1, 2}));
  WriteBoth("emnist-digits-", std::string("\0\1", 2), "\1");
  const absl::Status status = Load().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("several data sets: emnist-digits, emnist-letters; pick one with --data_dir=" +
                                         dir_ + "/emnist-digits"));
  EXPECT_EQ(Labels(Load({.data_dir = dir_ + "/emnist-digits"})), std::vector<int32_t>({0, 1}));
  EXPECT_EQ(Labels(Load({.data_dir = dir_ + "/emnist-letters", .split = Split::kTest})), std::vector<int32_t>({2}));
  EXPECT_EQ(Load({.data_dir = dir_ + "/emnist"}).status().code(), absl::StatusCode::kNotFound);
}

// EMNIST's letters are 1 to 26, its classes of letters and digits 0 to 61: both count their classes themselves, over
// both splits.
TEST_F(IdxDatasetTest, ClassesAreCounted) {
  WriteBoth("", "\1\4\2", "\6\3");
  for (const Split split : {Split::kTrain, Split::kTest}) {
    const absl::StatusOr<Dataset> letters = Load({.split = split});
    ASSERT_TRUE(letters.ok());
    EXPECT_EQ(letters->num_classes, 6);
    EXPECT_EQ(letters->class_names, NumberNames(1, 6));
    EXPECT_THAT(letters->summary, HasSubstr("6 classes"));
    EXPECT_THAT(letters->summary, HasSubstr("labels 1 to 6"));
  }
  EXPECT_EQ(Labels(Load({.split = Split::kTest})), std::vector<int32_t>({5, 2}));
  WriteBoth("", std::string("\0\x3d", 2), "\5");
  EXPECT_EQ(Load()->num_classes, 62);
  EXPECT_EQ(Labels(Load()), std::vector<int32_t>({0, 61}));
}

TEST_F(IdxDatasetTest, TheLabelRangeCanBeGiven) {
  WriteBoth("", "\2\4\3", "\4");
  EXPECT_EQ(Labels(Load({.first_label = 2})), std::vector<int32_t>({0, 2, 1}));
  EXPECT_EQ(Load({.first_label = 2})->num_classes, 3);
  EXPECT_EQ(Load({.first_label = 0})->num_classes, 5);
  EXPECT_EQ(Load({.first_label = 0, .classes = 100})->num_classes, 100);
  // With a count alone the first label is 1 where the largest label says so.
  EXPECT_EQ(Labels(Load({.classes = 4})), std::vector<int32_t>({1, 3, 2}));
  EXPECT_EQ(Labels(Load({.classes = 5})), std::vector<int32_t>({2, 4, 3}));
  const absl::Status status = Load({.first_label = 3}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("label 2 of example 0 is outside [3, 5)"));
  EXPECT_THAT(Message(Load({.first_label = 2, .classes = 2}).status()),
              HasSubstr("label 4 of example 1 is outside [2, 4)"));
  EXPECT_FALSE(Load({.classes = 257}).ok());
  EXPECT_FALSE(Load({.first_label = 256}).ok());
}

TEST_F(IdxDatasetTest, FourDimensionsHaveChannelsLast) {
  Write(dir_, "train-images-idx4-ubyte", "train-labels-idx1-ubyte", {4, 5, 3}, std::string("\0\1", 2));
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->images.shape(), Shape({2, 4, 5, 3}));
  for (int i = 0; i < 120; ++i) EXPECT_EQ(train->images.data<uint8_t>()[i], i);
  Write(dir_, "train-images-idx4-ubyte", "train-labels-idx1-ubyte", {3, 4, 5}, std::string("\0\1", 2));
  EXPECT_THAT(Message(Load().status()), HasSubstr("with 1 to 4 channels, found [2, 3, 4, 5]"));
  WriteFile(dir_, "train-labels-idx1-ubyte", IdxBytes({3}, "abc"));
  Write(dir_, "train-images-idx4-ubyte", "x", {4, 5, 3}, std::string("\0\1", 2));
  EXPECT_THAT(Message(Load().status()), HasSubstr("2 images but 3 labels"));
}

TEST_F(IdxDatasetTest, MissingFilesAreNamed) {
  for (const std::string& dir : {dir_, dir_ + "/no/such", std::string()}) {
    const absl::Status status = LoadDataset("idx", {.data_dir = dir}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
    EXPECT_THAT(Message(status), HasSubstr(dir.empty() ? "no data directory given" : dir));
    EXPECT_THAT(Message(status), HasSubstr("train-images-idx3-ubyte"));
  }
  // A damaged file of labels of the other split is an error, a missing one is none.
  WriteBoth("", std::string("\0\1", 2), "\1");
  WriteFile(dir_, "test-labels-idx1-ubyte", "nonsense");
  EXPECT_THAT(Message(Load().status()), HasSubstr("test-labels-idx1-ubyte: not an idx file"));
}

TEST(DatasetsTest, UnknownNameListsTheKnownOnes) {
  const absl::Status status = LoadDataset("cifar11", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), AllOf(HasSubstr("'cifar11' (did you mean 'cifar10'?); choose one of: "),
                                     HasSubstr("digits, mnist, idx, cifar10,")));
}

TEST(DatasetsTest, TableHasUniqueNamesAndOneLineOfHelp) {
  std::set<std::string> names;
  for (const DatasetEntry& entry : Datasets()) {
    EXPECT_TRUE(names.insert(entry.name).second) << entry.name;
    EXPECT_NE(std::string(entry.help), "");
    EXPECT_THAT(std::string(entry.help), Not(HasSubstr("\n")));
  }
}

TEST(DatasetsTest, DigitsLoadByName) {
  absl::StatusOr<Dataset> digits = LoadDataset("digits", {.split = Split::kTest, .limit = 30});
  ASSERT_TRUE(digits.ok()) << digits.status();
  EXPECT_EQ(digits->size(), 30);
  EXPECT_EQ(digits->summary, "digits test: 30 images of 28x28x1, 10 classes");
  EXPECT_EQ(digits->class_names, NumberNames(0, 10));
}

}  // namespace
}  // namespace bitgrad
