#include "bitgrad/data/datasets.h"

#include <set>
#include <string>

#include "absl/status/status.h"
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

TEST(DatasetsTest, UnknownNameListsTheKnownOnes) {
  const absl::Status status = LoadDataset("cifar11", {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("'cifar11'; choose one of: digits, mnist, cifar10"));
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
}

}  // namespace
}  // namespace bitgrad
