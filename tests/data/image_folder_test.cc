#include "bitgrad/data/image_folder.h"

#include <png.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/data/batches.h"
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
  EXPECT_EQ(train->summary, "passed over: 2 called neither .jpg, .jpeg nor .png (README, notes.txt)");
}

TEST_F(ImageFolderTest, ClassesHaveTheFoldersNames) {
  EXPECT_THAT(Load()->class_names, testing::ElementsAre("disc", "ring", "square"));
  EXPECT_EQ(Load()->summary, "");
}

// What notebooks, desktops and archives leave behind is no class and no image.
TEST_F(ImageFolderTest, HiddenNamesArePassedOver) {
  for (const char* folder : {"/train/.ipynb_checkpoints", "/train/__MACOSX", "/train/ring/.thumbnails"}) {
    std::filesystem::create_directory(dir_ + folder);
    WriteFile(dir_ + folder, "0.jpg", "no picture");
  }
  WriteFile(dir_ + "/train/disc", "._0.jpg", "no picture");
  WriteFile(dir_ + "/train", ".DS_Store", "");
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->num_classes, 3);
  EXPECT_EQ(train->size(), 18);
  EXPECT_EQ(train->summary, "passed over: 5 hidden");
}

TEST_F(ImageFolderTest, FoldersWithinAClassBelongToIt) {
  const absl::StatusOr<Dataset> flat = Load();
  std::filesystem::create_directories(dir_ + "/train/ring/more/deep");
  std::filesystem::rename(dir_ + "/train/ring/2.jpg", dir_ + "/train/ring/more/2.jpg");
  std::filesystem::rename(dir_ + "/train/ring/3.jpg", dir_ + "/train/ring/more/deep/3.jpg");
  std::filesystem::create_directories(dir_ + "/train/square/images");
  for (int i = 0; i < 6; ++i) {
    const std::string name = std::to_string(i) + ".jpg";
    std::filesystem::rename(dir_ + "/train/square/" + name, dir_ + "/train/square/images/" + name);
  }
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->size(), 18);
  for (int label = 0; label < 3; ++label) {
    EXPECT_EQ(std::count(train->labels.data<int32_t>(), train->labels.data<int32_t>() + 18, label), 6);
  }
}

TEST_F(ImageFolderTest, LinksAreFollowedOrAnError) {
  const absl::StatusOr<Dataset> expected = Load();
  // A class and an image that lie elsewhere are as good as ones that lie here.
  std::filesystem::rename(dir_ + "/train/ring", dir_ + "/elsewhere");
  std::filesystem::create_directory_symlink(dir_ + "/elsewhere", dir_ + "/train/ring");
  std::filesystem::rename(dir_ + "/train/disc/0.jpg", dir_ + "/0.jpg");
  std::filesystem::create_symlink(dir_ + "/0.jpg", dir_ + "/train/disc/0.jpg");
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->images.span<uint8_t>(), expected->images.span<uint8_t>());

  // An image that is gone.
  std::filesystem::remove(dir_ + "/0.jpg");
  ExpectError(absl::StatusCode::kInvalidArgument,
              "1 link leads ('" + dir_ + "/train/disc/0.jpg') to nothing; mend or remove it");
  std::filesystem::remove(dir_ + "/train/disc/0.jpg");
  EXPECT_EQ(Load()->size(), 17);
  // A class that is gone.
  std::filesystem::rename(dir_ + "/elsewhere", dir_ + "/gone");
  ExpectError(absl::StatusCode::kInvalidArgument, "1 link leads ('" + dir_ + "/train/ring') to nothing");
  std::filesystem::remove(dir_ + "/train/ring");
  std::filesystem::rename(dir_ + "/gone", dir_ + "/train/ring");
  // Circles: a link to itself, and one to a folder that it is in.
  std::filesystem::create_symlink(dir_ + "/train/disc/self.jpg", dir_ + "/train/disc/self.jpg");
  ExpectError(absl::StatusCode::kInvalidArgument, "self.jpg') to nothing");
  std::filesystem::remove(dir_ + "/train/disc/self.jpg");
  std::filesystem::create_directory_symlink(dir_ + "/train/disc", dir_ + "/train/disc/again");
  ExpectError(absl::StatusCode::kInvalidArgument, "the link '" + dir_ + "/train/disc/again' leads back to");
}

TEST_F(ImageFolderTest, ManyDifferencesAreCounted) {
  for (int i = 0; i < 1000; ++i) std::filesystem::create_directory(dir_ + "/val/class" + std::to_string(1000 + i));
  std::filesystem::remove_all(dir_ + "/val/disc");
  absl::Status status = Load(Split::kTest).status();
  EXPECT_THAT(std::string(status.message()), HasSubstr("files in 1000 folders ('"));
  EXPECT_LT(status.message().size(), 1000u);
  for (int i = 0; i < 1000; ++i) {
    std::filesystem::copy(dir_ + "/val/ring/0.jpg", dir_ + "/val/class" + std::to_string(1000 + i) + "/0.jpg");
  }
  status = Load(Split::kTest).status();
  EXPECT_THAT(std::string(status.message()),
              HasSubstr("it lacks 1 folder (disc) and has 1000 folders (class1000, class1001, class1002, class1003, "
                        "class1004, ...) that are not there"));
  EXPECT_LT(status.message().size(), 500u);
}

TEST_F(ImageFolderTest, TheTestImagesAloneAreEnough) {
  const absl::StatusOr<Dataset> with = Load(Split::kTest);
  std::filesystem::remove_all(dir_ + "/train");
  const absl::StatusOr<Dataset> without = Load(Split::kTest);
  ASSERT_TRUE(without.ok()) << without.status();
  EXPECT_EQ(without->class_names, with->class_names);
  EXPECT_EQ(without->images.span<uint8_t>(), with->images.span<uint8_t>());
}

TEST_F(ImageFolderTest, EmptyClassesAndMissingFoldersAreErrors) {
  std::filesystem::create_directory(dir_ + "/train/triangle");
  std::filesystem::create_directory(dir_ + "/val/triangle");
  ExpectError(absl::StatusCode::kInvalidArgument,
              "no .jpg, .jpeg or .png files in 1 folder ('" + dir_ + "/train/triangle'); add some or remove it");
  std::filesystem::remove(dir_ + "/val/triangle");
  ExpectError(absl::StatusCode::kInvalidArgument,
              "'" + dir_ + "/val' must have the same folders of classes as '" + dir_ +
                  "/train', which has 4; it lacks 1 folder (triangle)",
              Split::kTest);
  std::filesystem::remove_all(dir_ + "/val");
  ExpectError(absl::StatusCode::kNotFound, dir_ + "/val", Split::kTest);
  std::filesystem::create_directory(dir_ + "/val");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + dir_ + "/val' has no folders of classes", Split::kTest);
  std::filesystem::remove_all(dir_ + "/train");
  ExpectError(absl::StatusCode::kNotFound, "DIR/train/CLASS/*.jpg");
  EXPECT_THAT(std::string(LoadImageFolder({}).status().message()), HasSubstr("no data directory given"));
}

// They would make checkpoints that nothing can read, and lines that are two.
TEST_F(ImageFolderTest, NamesOfClassesAreText) {
  for (const auto& [name, escaped] :
       {std::pair{"/train/\xff", "/train/\\xff'"}, std::pair{"/train/a\nb", "/train/a\\nb'"}}) {
    std::filesystem::create_directory(dir_ + name);
    ExpectError(absl::StatusCode::kInvalidArgument, dir_ + escaped);
    std::filesystem::remove(dir_ + name);
  }
  std::filesystem::rename(dir_ + "/train/ring", dir_ + "/train/Ringelgänse é");
  EXPECT_TRUE(Load().ok());
}

TEST_F(ImageFolderTest, BadFilesAreNamed) {
  const std::string path = dir_ + "/train/ring/3.jpg";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  WriteFile(dir_ + "/train/ring", "3.jpg", bytes.substr(0, bytes.size() / 2));
  ExpectError(absl::StatusCode::kDataLoss, "'" + path + "': truncated or damaged");
  WriteFile(dir_ + "/train/ring", "3.jpg", "GIF89a");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + path + "': neither a JPEG nor a PNG file");
  WriteFile(dir_ + "/train/ring", "3.jpg", "");
  ExpectError(absl::StatusCode::kInvalidArgument, "'" + path + "': the file is empty");
  WriteFile(dir_ + "/train/ring", "3.jpg", bytes);
  EXPECT_TRUE(Load().ok());
}

TEST_F(ImageFolderTest, AllBadFilesAreNamedAtOnce) {
  for (int i = 0; i < 30; ++i) {
    WriteFile(dir_ + "/train/ring", "bad" + std::to_string(i) + ".jpg", i % 2 == 0 ? "" : "\xff\xd8\xff");
  }
  std::string first;
  for (const int threads : {1, 3}) {
    for (const int64_t cache_bytes : {int64_t{0}, int64_t{1}}) {
      const absl::Status status =
          LoadImageFolder({.data_dir = dir_, .threads = threads, .image_size = 16, .cache_bytes = cache_bytes})
              .status();
      const std::string message(status.message());
      EXPECT_THAT(message,
                  AllOf(HasSubstr("image_folder: 30 of 48 files cannot be read: '" + dir_), HasSubstr("; and 10 more"),
                        HasSubstr("the file is empty"), HasSubstr("truncated or damaged")));
      size_t named = 0;
      for (size_t at = message.find("/bad"); at != std::string::npos; at = message.find("/bad", at + 1)) ++named;
      EXPECT_EQ(named, 20u);
      if (first.empty()) first = message;
      EXPECT_EQ(message, first);
    }
  }
}

TEST_F(ImageFolderTest, PngFilesAndJunk) {
  const absl::StatusOr<Dataset> before = Load();
  // A PNG file called .jpg, as there is one in ImageNet, and one called what it is.
  const std::vector<uint8_t> grey(20 * 20 * 3, 90);
  png_image header = {};
  header.version = PNG_IMAGE_VERSION;
  header.width = header.height = 20;
  header.format = PNG_FORMAT_RGB;
  std::string png(10000, '\0');
  png_alloc_size_t size = png.size();
  ASSERT_NE(png_image_write_to_memory(&header, png.data(), &size, 0, grey.data(), 0, nullptr), 0);
  png.resize(size);
  WriteFile(dir_ + "/train/ring", "3.jpg", png);
  WriteFile(dir_ + "/train/ring", "6.PNG", png);
  WriteFile(dir_ + "/train/ring", "7.png", png + "junk");
  const absl::StatusOr<Dataset> train = Load();
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->size(), 20);
  EXPECT_EQ(train->summary, "warning: 1 with surplus bytes in the file");
  int all_grey = 0;
  for (int i = 0; i < 20; ++i) {
    const uint8_t* image = train->images.data<uint8_t>() + i * 768;
    all_grey += std::count(image, image + 768, 90) == 768;
  }
  EXPECT_EQ(all_grey, 3);
}

// ---- More images than may be kept in memory -------------------------------------------------------

class DecodedWhenNeededTest : public ImageFolderTest {
 protected:
  absl::StatusOr<Dataset> LoadWith(int64_t cache_bytes, Split split = Split::kTrain) {
    return LoadImageFolder(
        {.data_dir = dir_, .split = split, .threads = 2, .image_size = 16, .cache_bytes = cache_bytes});
  }
};

TEST_F(DecodedWhenNeededTest, GivesTheSameBatches) {
  const absl::StatusOr<Dataset> in_memory = LoadWith(18 * 768);
  ASSERT_TRUE(in_memory.ok());
  EXPECT_EQ(in_memory->source, nullptr);
  // None, some, and all but one of the images are kept.
  for (const int64_t kept : {0, 7, 17}) {
    const absl::StatusOr<Dataset> when_needed = LoadWith(kept * 768 + 1);
    ASSERT_TRUE(when_needed.ok()) << when_needed.status();
    ASSERT_TRUE(when_needed->Validate().ok());
    ASSERT_NE(when_needed->source, nullptr);
    EXPECT_EQ(when_needed->labels.span<int32_t>(), in_memory->labels.span<int32_t>());
    EXPECT_THAT(when_needed->summary, HasSubstr("decoded when needed"));
    const BatchOptions options{.batch_size = 4, .shuffle = true, .workers = 3};
    const absl::StatusOr<BatchLoader> a = BatchLoader::Create(*in_memory, AllExamples(*in_memory), options);
    const absl::StatusOr<BatchLoader> b = BatchLoader::Create(*when_needed, AllExamples(*when_needed), options);
    ASSERT_TRUE(a.ok() && b.ok());
    for (int epoch = 0; epoch < 3; ++epoch) {
      EpochBatches expected = a->Epoch(epoch), batches = b->Epoch(epoch);
      while (const Batch* batch = expected.Next()) {
        const Batch* same = batches.Next();
        ASSERT_NE(same, nullptr) << batches.status();
        EXPECT_EQ(same->images.span<float>(), batch->images.span<float>());
        EXPECT_EQ(same->labels.span<int32_t>(), batch->labels.span<int32_t>());
      }
      EXPECT_EQ(batches.Next(), nullptr);
      EXPECT_TRUE(batches.status().ok()) << batches.status();
    }
  }
}

// As many images as the limit allows are read once and never again: their files may go.
TEST_F(DecodedWhenNeededTest, KeepsWhatFits) {
  const absl::StatusOr<Dataset> train = LoadWith(7 * 768);
  ASSERT_TRUE(train.ok());
  std::vector<uint8_t> buffer;
  ASSERT_TRUE(train->Pixels(AllExamples(*train), 1, buffer).ok());
  std::filesystem::remove_all(dir_ + "/train");
  int readable = 0;
  for (int64_t i = 0; i < train->size(); ++i) readable += train->Pixels({i, i + 1}, 1, buffer).ok();
  EXPECT_EQ(readable, 7);
}

TEST_F(DecodedWhenNeededTest, DamageInTheMiddleIsFoundWhenTheImageIsRead) {
  const std::string path = dir_ + "/train/ring/3.jpg";
  std::ifstream file(path, std::ios::binary);
  const std::string bytes{std::istreambuf_iterator<char>(file), {}};
  WriteFile(dir_ + "/train/ring", "3.jpg", bytes.substr(0, bytes.size() / 2) + "\xff\xd9");
  EXPECT_FALSE(LoadWith(0).ok());
  const absl::StatusOr<Dataset> train = LoadWith(1);
  ASSERT_TRUE(train.ok()) << train.status();
  const absl::StatusOr<BatchLoader> loader = BatchLoader::Create(*train, AllExamples(*train), {.batch_size = 4});
  ASSERT_TRUE(loader.ok());
  EpochBatches batches = loader->Epoch(0);
  while (batches.Next() != nullptr) {
  }
  EXPECT_EQ(batches.status().code(), absl::StatusCode::kDataLoss);
  EXPECT_THAT(std::string(batches.status().message()), HasSubstr("image_folder: '" + path + "': truncated or damaged"));
}

TEST_F(DecodedWhenNeededTest, ManyLargeImagesNeedNoMoreMemoryThanTheLimit) {
  // Links to one file: 4096 x 4096 x 3 bytes each, 188 GiB in all.
  for (int i = 0; i < 4000; ++i) {
    std::filesystem::create_symlink(dir_ + "/train/disc/0.jpg", dir_ + "/train/disc/link" + std::to_string(i) + ".jpg");
  }
  const absl::StatusOr<Dataset> train = Load(Split::kTrain, 4096);
  ASSERT_TRUE(train.ok()) << train.status();
  EXPECT_EQ(train->size(), 4018);
  EXPECT_EQ(train->features(), 4096 * 4096 * 3);
  EXPECT_FALSE(LoadImageFolder({.data_dir = dir_, .cache_bytes = -1}).ok());
}

}  // namespace
}  // namespace bitgrad
