#include "bitgrad/data/image_folder.h"

#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/tests/data/idx_files.h"
#include "bitgrad/tests/testing/shape_folder.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::AllOf;
using ::testing::HasSubstr;

class ImageFolderTest : public testing::Test {
 protected:
  ImageFolderTest() { WriteShapeFolder(dir_, 6, 2); }

  absl::StatusOr<Dataset> Load(Split split = Split::kTrain, int64_t size = 16, int64_t limit = 0, int threads = 1) {
    return LoadImageFolder({.data_dir = dir_, .split = split, .threads = threads, .limit = limit, .image_size = size});
  }
  void ExpectError(absl::StatusCode code, const std::string& text, Split split = Split::kTrain) {
    for (const int threads : {1, 2}) {
      const absl::Status status = Load(split, 16, 0, threads).status();
      EXPECT_EQ(status.code(), code) << status;
      EXPECT_THAT(std::string(status.message()), AllOf(HasSubstr(text), Not(HasSubstr("\n"))));
    }
  }

  const std::string dir_ = MakeTestDir();
};

TEST_F(ImageFolderTest, LoadsBothSplits) {
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  ASSERT_TRUE(train->Validate().ok());
  EXPECT_EQ(train->images.shape(), Shape({18, 16, 16, 3}));
  EXPECT_EQ(train->num_classes, 3);
  std::vector<int> count(3);
  int changes = 0;
  for (int i = 0; i < 18; ++i) {
    const int32_t label = train->labels.data<int32_t>()[i];
    ++count[label];
    changes += i > 0 && label != train->labels.data<int32_t>()[i - 1];
    // A bright shape on a dark ground: its middle tells a ring (1) from the rest.
    const uint8_t* middle = train->images.data<uint8_t>() + (i * 256 + 8 * 16 + 8) * 3;
    EXPECT_EQ(middle[0] + middle[1] + middle[2] < 375, label == 1) << i;
  }
  EXPECT_EQ(count, std::vector<int>({6, 6, 6}));
  EXPECT_GT(changes, 5) << "the classes come mixed";
  EXPECT_EQ(Load(Split::kTest)->size(), 6);
}

TEST_F(ImageFolderTest, SizeLimitAndThreads) {
  EXPECT_EQ(Load(Split::kTest, 0)->images.shape(), Shape({6, 64, 64, 3}));
  const absl::StatusOr<Dataset> all = Load(Split::kTrain, 16, 0, 1);
  for (const int threads : {2, 3}) {
    const absl::StatusOr<Dataset> same = Load(Split::kTrain, 16, 0, threads);
    ASSERT_TRUE(same.ok());
    EXPECT_EQ(same->images.span<uint8_t>(), all->images.span<uint8_t>());
    EXPECT_EQ(same->labels.span<int32_t>(), all->labels.span<int32_t>());
  }
  const absl::StatusOr<Dataset> some = Load(Split::kTrain, 16, 5);
  ASSERT_EQ(some->size(), 5);
  EXPECT_EQ(some->images.span<uint8_t>(), all->images.span<uint8_t>().first(5 * 768));
  EXPECT_EQ(Load(Split::kTrain, -1).status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(Load(Split::kTrain, 5000).status().code(), absl::StatusCode::kInvalidArgument);
}

TEST_F(ImageFolderTest, OtherFilesArePassedOver) {
  WriteFile(dir_ + "/train/disc", "notes.txt", "no picture");
  WriteFile(dir_ + "/train", "README", "no class");
  std::filesystem::rename(dir_ + "/train/disc/0.jpg", dir_ + "/train/disc/0.JPEG");
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->size(), 18);
}

TEST_F(ImageFolderTest, EmptyClassesAndMissingFoldersAreErrors) {
  std::filesystem::create_directory(dir_ + "/train/triangle");
  std::filesystem::create_directory(dir_ + "/val/triangle");
  ExpectError(absl::StatusCode::kInvalidArgument, "no .jpg or .jpeg files in '" + dir_ + "/train/triangle'");
  std::filesystem::remove(dir_ + "/val/triangle");
  ExpectError(absl::StatusCode::kInvalidArgument, "disc, ring, square, triangle", Split::kTest);
  std::filesystem::remove_all(dir_ + "/val");
  ExpectError(absl::StatusCode::kNotFound, dir_ + "/val", Split::kTest);
  std::filesystem::create_directory(dir_ + "/val");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + dir_ + "/val' has no folders of classes", Split::kTest);
  std::filesystem::remove_all(dir_ + "/train");
  ExpectError(absl::StatusCode::kNotFound, "DIR/train/CLASS/*.jpg");
  EXPECT_THAT(std::string(LoadImageFolder({}).status().message()), HasSubstr("no data directory given"));
}

TEST_F(ImageFolderTest, BadFilesAreNamed) {
  const std::string path = dir_ + "/train/ring/3.jpg";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  WriteFile(dir_ + "/train/ring", "3.jpg", bytes.substr(0, bytes.size() / 2));
  ExpectError(absl::StatusCode::kDataLoss, "'" + path + "': truncated or damaged");
  WriteFile(dir_ + "/train/ring", "3.jpg", "GIF89a");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + path + "': not a JPEG file");
  WriteFile(dir_ + "/train/ring", "3.jpg", "");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + path + "': not a JPEG file");
  WriteFile(dir_ + "/train/ring", "3.jpg", bytes);
  EXPECT_TRUE(Load().ok());
}

TEST_F(ImageFolderTest, MoreThanTheMemoryIsAnError) {
  // Links to one file: 4096 x 4096 x 3 bytes each.
  for (int i = 0; i < 4000; ++i) {
    std::filesystem::create_symlink(dir_ + "/train/disc/0.jpg", dir_ + "/train/disc/link" + std::to_string(i) + ".jpg");
  }
  const absl::Status status = Load(Split::kTrain, 4096).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kResourceExhausted) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("4018 images of 4096x4096 take 192864 MiB"));
}

}  // namespace
}  // namespace bitgrad
