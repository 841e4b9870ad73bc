#include "bitgrad/data/cifar.h"

#include <sys/stat.h>
#include <unistd.h>

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

constexpr int64_t kCifar10Bytes = 10000 * 3073;
constexpr int64_t kCifar100Bytes = 10000 * 3074;

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

// Records first, first + 1, ... at the examples begin, begin + 1, ...
void ExpectImages(const Dataset& data, int64_t first, int64_t count, int64_t begin = 0) {
  ASSERT_TRUE(data.Validate().ok()) << data.Validate();
  ASSERT_GE(data.size(), begin + count);
  const uint8_t* pixel = data.images.data<uint8_t>() + begin * 3072;
  for (int64_t i = 0; i < count; ++i) {
    for (int64_t p = 0; p < 1024; ++p) {
      for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(*pixel++, Pixel(first + i, p / 32, p % 32, c));
    }
  }
}

// Files of the published size, of which only the first records are filled in: the rest is a hole, which reads as 0.
class CifarTest : public testing::Test {
 protected:
  void WritePadded(const std::string& dir, const std::string& name, const std::string& bytes, int64_t size) {
    ASSERT_EQ(truncate(WriteFile(dir, name, bytes).c_str(), size), 0);
  }
  // Five training files that begin with 1 to 5 records and a test file that begins with 3, one of them compressed.
  void WriteCifar10(const std::string& dir) {
    int64_t first = 0;
    for (int i = 1; i <= 5; ++i) {
      const std::string name = absl::StrCat("data_batch_", i, ".bin");
      const std::string bytes = Records(first, i, false);
      if (i == 3) {
        WriteFile(dir, name + ".gz", Gzip(bytes + std::string(kCifar10Bytes - bytes.size(), '\0')));
      } else {
        WritePadded(dir, name, bytes, kCifar10Bytes);
      }
      first += i;
    }
    WritePadded(dir, "test_batch.bin", Records(100, 3, false), kCifar10Bytes);
  }
  void ExpectCifar10(const Dataset& train) {
    EXPECT_EQ(train.size(), 50000);
    int64_t first = 0;
    for (int i = 1; i <= 5; ++i) {
      const int64_t begin = (i - 1) * 10000;
      ExpectImages(train, first, i, begin);
      for (int k = 0; k < i; ++k) EXPECT_EQ(train.labels.data<int32_t>()[begin + k], (first + k) % 10);
      first += i;
    }
  }
  // Of a test file of these bytes, cut or padded to `size`.
  absl::Status TestError(const std::string& bytes, int64_t size) {
    WritePadded(dir_, "test_batch.bin", bytes, size);
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
  ExpectCifar10(*train);
  const absl::StatusOr<Dataset> test = LoadCifar10({.data_dir = dir_, .split = Split::kTest});
  ASSERT_TRUE(test.ok()) << test.status();
  ExpectImages(*test, 100, 3);
  EXPECT_EQ(test->size(), 10000);
}

TEST_F(CifarTest, LimitTakesTheFirstOverFiles) {
  WriteCifar10(dir_);
  for (const int64_t limit : {1, 10001}) {
    const absl::StatusOr<Dataset> some = LoadCifar10({.data_dir = dir_, .limit = limit});
    ASSERT_TRUE(some.ok()) << some.status();
    EXPECT_EQ(some->size(), limit);
    ExpectImages(*some, 0, 1);
    if (limit > 1) ExpectImages(*some, 1, 1, 10000);
  }
}

TEST_F(CifarTest, ClassesHaveNames) {
  WritePadded(dir_, "test_batch.bin", "", kCifar10Bytes);
  const auto names = [&] { return LoadCifar10({.data_dir = dir_, .split = Split::kTest, .limit = 1}); };
  EXPECT_EQ(names()->class_names[3], "cat");
  EXPECT_EQ(names()->class_names.size(), 10u);
  WriteFile(dir_, "batches.meta.txt", "a\r\nb\nc\nd\ne\nf\ng\nh\ni\nten\n\n");
  EXPECT_EQ(names()->class_names[9], "ten");
  EXPECT_EQ(names()->class_names[0], "a");
  WriteFile(dir_, "batches.meta.txt", "a\nb\n");
  const absl::Status status = names().status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("batches.meta.txt: expected 10 names of classes"));
}

TEST_F(CifarTest, LooksIntoTheArchivesDirectory) {
  const std::string folder = dir_ + "/cifar-10-batches-bin";
  ASSERT_EQ(mkdir(folder.c_str(), 0777), 0);
  WritePadded(folder, "test_batch.bin", Records(100, 3, false), kCifar10Bytes);
  const absl::StatusOr<Dataset> test = LoadCifar10({.data_dir = dir_, .split = Split::kTest, .limit = 3});
  ASSERT_TRUE(test.ok()) << test.status();
  ExpectImages(*test, 100, 3);
}

TEST_F(CifarTest, Cifar100UsesTheFineLabel) {
  const std::string folder = dir_ + "/cifar-100-binary";
  ASSERT_EQ(mkdir(folder.c_str(), 0777), 0);
  WritePadded(folder, "train.bin", Records(0, 12, true), 5 * kCifar100Bytes);
  WriteFile(folder, "test.bin.gz", Gzip(Records(50, 2, true) + std::string(kCifar100Bytes - 2 * 3074, '\0')));
  const absl::StatusOr<Dataset> train = LoadCifar100({.data_dir = dir_, .limit = 12});
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->num_classes, 100);
  ExpectImages(*train, 0, 12);
  for (int i = 0; i < 12; ++i) EXPECT_EQ(train->labels.data<int32_t>()[i], i * 11 % 100);
  const absl::StatusOr<Dataset> test = LoadCifar100({.data_dir = dir_, .split = Split::kTest, .limit = 2});
  ASSERT_TRUE(test.ok()) << test.status();
  ExpectImages(*test, 50, 2);
  // A file of the other kind is told by its size.
  WritePadded(folder, "train.bin", Records(0, 12, false), 50000 * 3073);
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

// Also where the file was cut between two records.
TEST_F(CifarTest, AnyOtherSizeIsAnError) {
  WritePadded(dir_, "test_batch.bin", Records(0, 2, false), kCifar10Bytes);
  for (const int64_t size : {0, 1, 3072, 3073, 6145, 6146, 30730000 - 3073, 30730000 - 1}) {
    const absl::Status status = TestError(Records(0, 2, false), size);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << size;
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("30730000 bytes expected as 10000 records of 3073, has ", size)));
  }
  EXPECT_THAT(std::string(TestError("", 30730000 - 3073).message()), HasSubstr("which are only 9999 records"));
  for (const int64_t more : {1, 3073}) {
    const absl::Status status = TestError("", 30730000 + more);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(std::string(status.message()), HasSubstr("has more"));
  }
}

TEST_F(CifarTest, LabelOutOfRangeNamesTheRecord) {
  std::string bytes = Records(0, 9, false);
  for (const int label : {10, 255}) {
    bytes[7 * 3073] = static_cast<char>(label);
    const absl::Status status = TestError(bytes, kCifar10Bytes);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(std::string(status.message()),
                HasSubstr(absl::StrCat("label ", label, " of record 7 is outside [0, 10)")));
  }
}

TEST_F(CifarTest, TruncatedGzipIsAnError) {
  const std::string bytes = Gzip(Records(0, 2, false) + std::string(kCifar10Bytes - 2 * 3073, '\0'));
  for (const size_t size : {bytes.size() - 1, bytes.size() - 8, bytes.size() / 2}) {
    EXPECT_EQ(TestError(bytes, static_cast<int64_t>(size)).code(), absl::StatusCode::kDataLoss) << size;
  }
}

}  // namespace
}  // namespace bitgrad
