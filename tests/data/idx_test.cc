#include "bitgrad/data/idx.h"

#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <string>

#include "absl/status/status.h"
#include "bitgrad/tests/data/idx_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

class IdxTest : public testing::Test {
 protected:
  // The status of reading a file of these bytes, which must name the file and fit on one line.
  absl::Status Read(const std::string& bytes, int rank, const std::string& name = "bad") {
    const std::string path = WriteFile(dir_, name, bytes);
    const absl::Status status = ReadIdx(path, rank).status();
    if (!status.ok()) {
      EXPECT_THAT(std::string(status.message()), HasSubstr(path));
      EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
    }
    return status;
  }

  const std::string dir_ = MakeTestDir();
};

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST_F(IdxTest, ReadsImagesPlainAndCompressed) {
  const std::string bytes = IdxImages(5, 4, 3);
  for (const std::string& content : {bytes, Gzip(bytes)}) {
    absl::StatusOr<Tensor> images = ReadIdx(WriteFile(dir_, "images", content), 3);
    ASSERT_TRUE(images.ok()) << images.status();
    EXPECT_EQ(images->shape(), Shape({5, 4, 3}));
    ASSERT_EQ(images->dtype(), DType::kUint8);
    for (int i = 0; i < 60; ++i) EXPECT_EQ(images->data<uint8_t>()[i], i);
  }
}

TEST_F(IdxTest, ReadsFilesOfSeveralChunks) {
  const std::string bytes = IdxImages(3000, 28, 28);  // 2.2 MiB
  for (const std::string& content : {bytes, Gzip(bytes)}) {
    absl::StatusOr<Tensor> images = ReadIdx(WriteFile(dir_, "images", content), 3);
    ASSERT_TRUE(images.ok()) << images.status();
    ASSERT_EQ(images->num_elements(), 3000 * 784);
    for (int i = 0; i < 3000 * 784; ++i) ASSERT_EQ(images->data<uint8_t>()[i], i % 251) << i;
  }
}

TEST_F(IdxTest, ExtentsHaveFourBytes) {
  absl::StatusOr<Tensor> labels = ReadIdx(WriteFile(dir_, "labels", IdxLabels(0x030201)), 1);
  ASSERT_TRUE(labels.ok()) << labels.status();
  EXPECT_EQ(labels->num_elements(), 0x030201);
  EXPECT_THAT(Message(Read(IdxBytes({0x04030201}, ""), 1)), HasSubstr("[67305985]"));
}

TEST_F(IdxTest, TruncatedAnywhereIsAnError) {
  const std::string bytes = IdxImages(7, 5, 3);
  for (size_t length = 0; length < bytes.size(); ++length) {
    const absl::Status status = Read(bytes.substr(0, length), 3);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << length << ": " << status;
    EXPECT_THAT(Message(status), HasSubstr("truncated: expected"));
  }
  EXPECT_THAT(Message(Read(bytes.substr(0, bytes.size() - 1), 3)),
              HasSubstr("expected 105 bytes of data for [7, 5, 3], found 104"));
}

TEST_F(IdxTest, TruncatedGzipAnywhereIsAnError) {
  const std::string bytes = Gzip(IdxImages(40, 28, 28));
  for (size_t length = 0; length < bytes.size(); ++length) {
    EXPECT_FALSE(Read(bytes.substr(0, length), 3).ok()) << length << " of " << bytes.size();
  }
}

// Also where the data are whole, fill several requests to zlib exactly, and only the checksum behind them is missing.
TEST_F(IdxTest, MissingChecksumOfALargeGzipIsAnError) {
  for (const uint32_t count : {3000u, 1u << 12}) {
    const std::string bytes = Gzip(IdxImages(count, 16, 16));
    for (size_t missing = 1; missing <= 8; ++missing) {
      const absl::Status status = Read(bytes.substr(0, bytes.size() - missing), 3);
      EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss) << missing << ": " << status;
    }
    EXPECT_TRUE(Read(bytes, 3).ok());
  }
}

TEST_F(IdxTest, FlippedBitsInGzipAreFoundWhereTheyChangeAnything) {
  const std::string bytes = Gzip(IdxLabels(300));
  const std::string expected = IdxLabels(300).substr(8);
  int found = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    for (int bit = 0; bit < 8; ++bit) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(damaged[i] ^ 1 << bit);
      absl::StatusOr<Tensor> labels = ReadIdx(WriteFile(dir_, "damaged", damaged), 1);
      found += !labels.ok();
      // Some bits mean nothing (the date in the header, the padding of the last byte of data).
      if (labels.ok()) {
        const auto data = labels->span<uint8_t>();
        EXPECT_EQ(std::string(data.begin(), data.end()), expected) << "byte " << i << " bit " << bit;
      }
    }
  }
  EXPECT_GT(found, static_cast<int>(bytes.size() - 10) * 8 - 8);
}

TEST_F(IdxTest, WrongGzipChecksumIsDataLoss) {
  std::string bytes = Gzip(IdxLabels(300));
  bytes[bytes.size() - 8] ^= 1;
  const absl::Status status = Read(bytes, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(Message(status), HasSubstr("damaged gzip data"));
}

TEST_F(IdxTest, WrongMagicIsAnError) {
  const absl::Status status = Read("PNG nothing of the sort", 3);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("expected the first bytes 00 00 08 03, found 50 4e 47 20"));
}

TEST_F(IdxTest, WrongDtypeIsAnError) {
  std::string bytes = IdxLabels(10);
  bytes[2] = 0x0d;  // float
  const absl::Status status = Read(bytes, 1);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("expected element type 0x08 (uint8), found 0x0d"));
}

TEST_F(IdxTest, WrongRankIsAnError) {
  const absl::Status status = Read(IdxLabels(10), 3);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("expected 3 dimensions, found 1"));
}

TEST_F(IdxTest, TrailingBytesAreAnError) {
  for (const std::string& bytes : {IdxImages(2, 3, 3) + "x", Gzip(IdxImages(2, 3, 3) + "x")}) {
    const absl::Status status = Read(bytes, 3);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
    EXPECT_THAT(Message(status), HasSubstr("bytes after the 18 bytes of data"));
  }
}

TEST_F(IdxTest, ZeroExtentIsAnError) {
  EXPECT_THAT(Message(Read(IdxBytes({0, 28, 28}, ""), 3)), HasSubstr("[0, 28, 28]"));
  EXPECT_THAT(Message(Read(IdxBytes({5, 0, 28}, ""), 3)), HasSubstr("[5, 0, 28]"));
  EXPECT_FALSE(Read(IdxBytes({0}, ""), 1).ok());
}

TEST_F(IdxTest, HeaderBeyondAnySizeIsAnError) {
  const absl::Status status = Read(IdxBytes({0xffffffff, 0xffffffff, 0xffffffff}, "some data"), 3);
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("2^40"));
}

// A header alone must not make the reader ask for memory.
TEST_F(IdxTest, AbsurdCountAllocatesNoMoreThanTheFileHolds) {
  for (const bool compressed : {false, true}) {
    const std::string bytes = IdxBytes({1u << 31, 16, 16}, std::string(1000, 'a'));  // 512 GiB
    const absl::Status status = Read(compressed ? Gzip(bytes) : bytes, 3);
    EXPECT_EQ(status.code(), absl::StatusCode::kDataLoss);
    EXPECT_THAT(Message(status), HasSubstr("expected 549755813888 bytes"));
    EXPECT_THAT(Message(status), HasSubstr("found 1000;"));
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT(usage.ru_maxrss, 1 << 20) << "KiB";  // 1 GiB leaves room for sanitizers
}

TEST_F(IdxTest, MissingFileIsNotFound) {
  const absl::Status status = ReadIdx(dir_ + "/nothing", 3).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(Message(status), HasSubstr(dir_ + "/nothing"));
}

TEST_F(IdxTest, DirectoryIsAnError) {
  const absl::Status status = ReadIdx(dir_, 3).status();
  EXPECT_FALSE(status.ok());
  EXPECT_THAT(Message(status), HasSubstr("cannot read " + dir_));
}

TEST_F(IdxTest, UnreadableFileIsPermissionDenied) {
  if (geteuid() == 0) GTEST_SKIP() << "root may read any file";
  const std::string path = WriteFile(dir_, "secret", IdxLabels(3));
  ASSERT_EQ(chmod(path.c_str(), 0), 0);
  EXPECT_EQ(ReadIdx(path, 1).status().code(), absl::StatusCode::kPermissionDenied);
}

}  // namespace
}  // namespace bitgrad
