#include "bitgrad/data/cifar.h"

#include <sys/stat.h>

#include <cstdio>
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

// Of record i (counted from `first`): label bytes as given by its number, pixel (row, column) of plane c by Pixel().
uint8_t Pixel(int64_t i, int64_t row, int64_t column, int64_t c) {
  return static_cast<uint8_t>(i * 7 + row * 5 + column * 3 + c * 80);
}

std::string Records(int64_t first, int64_t count, bool coarse) {
  std::string bytes;
  for (int64_t i = first; i < first + count; ++i) {
    if (coarse) bytes.push_back(static_cast<char>(i % 20));
    bytes.push_back(static_cast<char>(coarse ? (i * 11) % 100 : i % 10));
    for (int64_t c = 0; c < 3; ++c) {
      for (int64_t p = 0; p < 1024; ++p) bytes.push_back(static_cast<char>(Pixel(i, p / 32, p % 32, c)));
    }
  }
  return bytes;
}

void ExpectImages(const Dataset& data, int64_t first, int64_t count) {
  ASSERT_TRUE(data.Validate().ok()) << data.Validate();
  ASSERT_EQ(data.images.shape(), Shape({count, 32, 32, 3}));
  const uint8_t* pixel = data.images.data<uint8_t>();
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t p = 0; p < 1024; ++p) {
      for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(*pixel++, Pixel(first + i, p / 32, p % 32, c));
    }
  }
}

// Five training files of 1 to 5 records and a test file of 3, one of them compressed.
class CifarTest : public testing::Test {
 protected:
  void WriteCifar10(const std::string& dir) {
    int64_t first = 0;
    for (int i = 1; i <= 5; ++i) {
      const std::string name = absl::StrCat("data_batch_", i, ".bin");
      const std::string bytes = Records(first, i, false);
      if (i == 3) {
        WriteFile(dir, name + ".gz", Gzip(bytes));
      } else {
        WriteFile(dir, name, bytes);
      }
      first += i;
    }
    WriteFile(dir, "test_batch.bin", Records(100, 3, false));
  }
  absl::Status TestError(const std::string& bytes) {
    WriteFile(dir_, "test_batch.bin", bytes);
    const absl::Status status = LoadCifar10({.data_dir = dir_, .split = Split::kTest}).status();
    EXPECT_THAT(std::string(status.message()), HasSubstr(dir_ + "/test_batch.bin: "));
    return status;
  }

  const std::string dir_ = MakeTestDir();
};

TEST_F(CifarTest, ReadsBothSplits) {
  WriteCifar10(dir_);
  const absl::StatusOr<Dataset> train = LoadCifar10({.data_dir = dir_});
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->name, "cifar10");
  EXPECT_EQ(train->num_classes, 10);
  ExpectImages(*train, 0, 15);
  for (int i = 0; i < 15; ++i) EXPECT_EQ(train->labels.data<int32_t>()[i], i % 10);
  const absl::StatusOr<Dataset> test = LoadCifar10({.data_dir = dir_, .split = Split::kTest});
  ASSERT_TRUE(test.ok()) << test.status();
  ExpectImages(*test, 100, 3);
}

TEST_F(CifarTest, LimitTakesTheFirstOverFiles) {
  WriteCifar10(dir_);
  for (const int64_t limit : {1, 2, 3, 7, 15}) {
    const absl::StatusOr<Dataset> some = LoadCifar10({.data_dir = dir_, .limit = limit});
    ASSERT_TRUE(some.ok()) << some.status();
    ExpectImages(*some, 0, limit);
  }
  EXPECT_EQ(LoadCifar10({.data_dir = dir_, .limit = 100})->size(), 15);
}

TEST_F(CifarTest, LooksIntoTheArchivesDirectory) {
  const std::string folder = dir_ + "/cifar-10-batches-bin";
  ASSERT_EQ(mkdir(folder.c_str(), 0777), 0);
  WriteCifar10(folder);
  const absl::StatusOr<Dataset> train = LoadCifar10({.data_dir = dir_});
  ASSERT_TRUE(train.ok()) << train.status();
  ExpectImages(*train, 0, 15);
}

TEST_F(CifarTest, Cifar100UsesTheFineLabel) {
  const std::string folder = dir_ + "/cifar-100-binary";
  ASSERT_EQ(mkdir(folder.c_str(), 0777), 0);
  WriteFile(folder, "train.bin", Records(0, 12, true));
  WriteFile(folder, "test.bin.gz", Gzip(Records(50, 2, true)));
  const absl::StatusOr<Dataset> train = LoadCifar100({.data_dir = dir_});
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->num_classes, 100);
  ExpectImages(*train, 0, 12);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(train->labels.data<int32_t>()[i], i * 11 % 100);
  const absl::StatusOr<Dataset> test = LoadCifar100({.data_dir = dir_, .split = Split::kTest});
  ASSERT_TRUE(test.ok()) << test.status();
  ExpectImages(*test, 50, 2);
  // A file of the other kind is told by its size.
  WriteFile(folder, "train.bin", Records(0, 12, false));
  EXPECT_EQ(LoadCifar100({.data_dir = dir_}).status().code(), absl::StatusCode::kDataLoss);
}

TEST_F(CifarTest, MissingFilesAreNamedWithWhereTheyWereLookedFor) {
  WriteCifar10(dir_);
  ASSERT_EQ(std::remove((dir_ + "/data_batch_4.bin").c_str()), 0);
  const absl::Status status = LoadCifar10({.data_dir = dir_}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()),
              testing::AllOf(HasSubstr("found neither data_batch_4.bin nor data_batch_4.bin.gz in "
                                       "directory '" +
                                       dir_ + "' or '" + dir_ + "/cifar-10-batches-bin'"),
                             HasSubstr("data_batch_1.bin"), HasSubstr("test_batch.bin"), HasSubstr("--data_dir=DIR"),
                             Not(HasSubstr("\n"))));
  EXPECT_THAT(std::string(LoadCifar100({}).status().message()),
              testing::AllOf(HasSubstr("no data directory given"), HasSubstr("train.bin")));
}

TEST_F(CifarTest, AnySizeButWholeRecordsIsAnError) {
  const std::string bytes = Records(0, 2, false);
  for (const size_t size : {size_t{0}, size_t{1}, size_t{3072}, size_t{3074}, size_t{6145}}) {
    const absl::Status status = TestError(bytes.substr(0, size));
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("30730000 bytes expected as 10000 records of 3073, has ", size)));
  }
  EXPECT_EQ(TestError(bytes + "x").code(), absl::StatusCode::kDataLoss);
}

TEST_F(CifarTest, TooManyRecordsAreAnError) {
  const absl::Status status = TestError(std::string(30730001, '\1'));
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("more than 30730000 bytes"));
  WriteFile(dir_, "test_batch.bin", std::string(30730000, '\1'));
  EXPECT_TRUE(LoadCifar10({.data_dir = dir_, .split = Split::kTest}).ok());
}

TEST_F(CifarTest, LabelOutOfRangeNamesTheRecord) {
  std::string bytes = Records(0, 9, false);
  for (const int label : {10, 255}) {
    bytes[7 * 3073] = static_cast<char>(label);
    const absl::Status status = TestError(bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("label ", label, " of record 7 is outside [0, 10)")));
  }
}

TEST_F(CifarTest, TruncatedGzipIsAnError) {
  const std::string bytes = Gzip(Records(0, 2, false));
  for (const size_t size : {bytes.size() - 1, bytes.size() - 8, bytes.size() / 2}) {
    EXPECT_EQ(TestError(bytes.substr(0, size)).code(), absl::StatusCode::kDataLoss) << size;
  }
}

}  // namespace
}  // namespace bitgrad
