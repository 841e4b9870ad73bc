#include "bitgrad/data/batches.h"

#include <algorithm>
#include <atomic>
#include <chrono>
#include <filesystem>
#include <memory>
#include <numeric>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/normalize.h"
#include "bitgrad/data/random_crop.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

// Example i is 2 x 3 pixels i, i + 1, ..., i + 5 (mod 256), its label i.
Dataset MakeDataset(int64_t count) {
  Dataset dataset{"test", Tensor({count, 2, 3, 1}, DType::kUint8), Tensor(Shape({count}), DType::kInt32), count};
  for (int64_t i = 0; i < count; ++i) {
    dataset.labels.mutable_data<int32_t>()[i] = static_cast<int32_t>(i);
    for (int64_t k = 0; k < 6; ++k) {
      dataset.images.mutable_data<uint8_t>()[i * 6 + k] = static_cast<uint8_t>(i + k);
    }
  }
  return dataset;
}

BatchLoader MakeLoader(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options) {
  absl::StatusOr<BatchLoader> loader = BatchLoader::Create(dataset, range, options);
  EXPECT_TRUE(loader.ok()) << loader.status();
  return *std::move(loader);
}

// The labels of the batches, one vector each.
std::vector<std::vector<int32_t>> Labels(const BatchLoader& loader, int64_t epoch, int64_t first_batch = 0) {
  std::vector<std::vector<int32_t>> result;
  for (const Batch& batch : loader.Epoch(epoch, first_batch)) {
    EXPECT_EQ(batch.index, first_batch + static_cast<int64_t>(result.size()));
    const auto labels = batch.labels.span<int32_t>();
    result.emplace_back(labels.begin(), labels.end());
  }
  return result;
}

std::vector<int32_t> Joined(const std::vector<std::vector<int32_t>>& batches) {
  std::vector<int32_t> all;
  for (const auto& batch : batches) all.insert(all.end(), batch.begin(), batch.end());
  return all;
}

TEST(BatchLoaderTest, WithoutShufflingKeepsTheOrderAndTheRest) {
  const Dataset dataset = MakeDataset(30);
  const BatchLoader loader = MakeLoader(dataset, {10, 27}, {.batch_size = 5});
  EXPECT_EQ(loader.batches_per_epoch(), 4);
  EXPECT_EQ(loader.examples_per_epoch(), 17);
  const std::vector<std::vector<int32_t>> expected = {
      {10, 11, 12, 13, 14}, {15, 16, 17, 18, 19}, {20, 21, 22, 23, 24}, {25, 26}};
  EXPECT_EQ(Labels(loader, 0), expected);
  EXPECT_EQ(Labels(loader, 1), expected);
}

TEST(BatchLoaderTest, DropLastLeavesOutTheIncompleteBatch) {
  const Dataset dataset = MakeDataset(30);
  const BatchLoader loader = MakeLoader(dataset, {10, 27}, {.batch_size = 5, .drop_last = true});
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  EXPECT_EQ(loader.examples_per_epoch(), 15);
  EXPECT_EQ(Labels(loader, 0).size(), 3u);
  // Nothing is dropped where batches divide the range.
  const BatchLoader even = MakeLoader(dataset, {0, 30}, {.batch_size = 10, .drop_last = true});
  EXPECT_EQ(Joined(Labels(even, 0)).size(), 30u);
}

TEST(BatchLoaderTest, ImagesAreNormalizedAndFlat) {
  const Dataset dataset = MakeDataset(300);
  const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), {.batch_size = 7, .shuffle = true});
  for (const Batch& batch : loader.Epoch(3)) {
    ASSERT_EQ(batch.images.shape(), Shape({batch.size(), 6}));
    ASSERT_EQ(batch.images.dtype(), DType::kFloat32);
    for (int64_t i = 0; i < batch.size(); ++i) {
      const int32_t label = batch.labels.data<int32_t>()[i];
      for (int64_t k = 0; k < 6; ++k) {
        EXPECT_EQ(batch.images.matrix<float>().at(i, k), NormalizePixel(static_cast<uint8_t>(label + k)));
      }
    }
  }
}

TEST(BatchLoaderTest, ShuffledEpochCoversEverythingOnce) {
  const Dataset dataset = MakeDataset(103);
  const BatchLoader loader = MakeLoader(dataset, {3, 103}, {.batch_size = 7, .shuffle = true});
  for (const int64_t epoch : {0, 1, 2}) {
    std::vector<int32_t> seen = Joined(Labels(loader, epoch));
    std::vector<int32_t> expected(100);
    std::iota(expected.begin(), expected.end(), 3);
    EXPECT_NE(seen, expected);
    std::sort(seen.begin(), seen.end());
    EXPECT_EQ(seen, expected);
  }
}

TEST(BatchLoaderTest, OrderDependsOnSeedAndEpochButNotOnPrefetch) {
  const Dataset dataset = MakeDataset(100);
  const BatchOptions options = {.batch_size = 8, .shuffle = true, .drop_last = true, .seed = 4};
  const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
  const auto first = Labels(loader, 0);
  EXPECT_NE(first, Labels(loader, 1));
  EXPECT_EQ(first, Labels(loader, 0)) << "an epoch can be had again";
  for (const int prefetch : {1, 2, 64}) {
    BatchOptions other = options;
    other.prefetch = prefetch;
    EXPECT_EQ(first, Labels(MakeLoader(dataset, AllExamples(dataset), other), 0)) << prefetch;
  }
  BatchOptions other = options;
  other.seed = 5;
  EXPECT_NE(first, Labels(MakeLoader(dataset, AllExamples(dataset), other), 0));
}

TEST(BatchLoaderTest, ResumingWithinAnEpochGivesTheSameBatches) {
  const Dataset dataset = MakeDataset(100);
  for (const bool shuffle : {false, true}) {
    for (const bool drop_last : {false, true}) {
      const BatchOptions options = {.batch_size = 8, .shuffle = shuffle, .drop_last = drop_last};
      const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
      const auto whole = Labels(loader, 6);
      for (size_t first = 0; first <= whole.size(); ++first) {
        const std::vector<std::vector<int32_t>> rest(whole.begin() + first, whole.end());
        EXPECT_EQ(Labels(loader, 6, static_cast<int64_t>(first)), rest) << first;
      }
      EXPECT_TRUE(Labels(loader, 6, 1000).empty());
    }
  }
}

TEST(BatchLoaderTest, BatchLargerThanTheRangeIsOneSmallBatch) {
  const Dataset dataset = MakeDataset(5);
  for (const int64_t batch_size : {int64_t{6}, INT64_MAX}) {
    const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), {.batch_size = batch_size});
    EXPECT_EQ(loader.batches_per_epoch(), 1);
    EXPECT_EQ(Labels(loader, 0), (std::vector<std::vector<int32_t>>{{0, 1, 2, 3, 4}}));
  }
}

int64_t ThreadsOfThisProcess() {
  int64_t count = 0;
  for ([[maybe_unused]] const auto& thread : std::filesystem::directory_iterator("/proc/self/task")) ++count;
  return count;
}

// Whoever leaves an epoch has seen its batches up to there, leaves no thread behind, and changes nothing for others.
TEST(BatchLoaderTest, EpochCanBeLeftAtAnyMoment) {
  const Dataset dataset = MakeDataset(400);
  const int64_t threads_before = ThreadsOfThisProcess();
  for (const int workers : {1, 3}) {
    const BatchLoader loader =
        MakeLoader(dataset, AllExamples(dataset), {.batch_size = 4, .shuffle = true, .workers = workers});
    for (int repeat = 0; repeat < 20; ++repeat) {
      const auto whole = Labels(loader, repeat);
      { const EpochBatches unused = loader.Epoch(repeat); }
      std::vector<std::vector<int32_t>> seen;
      for (const Batch& batch : loader.Epoch(repeat)) {
        seen.emplace_back(batch.labels.span<int32_t>().begin(), batch.labels.span<int32_t>().end());
        if (batch.index == repeat) break;
      }
      EXPECT_EQ(seen, (std::vector<std::vector<int32_t>>(whole.begin(), whole.begin() + repeat + 1)));
      EXPECT_EQ(Labels(loader, repeat), whole);
    }
    EXPECT_EQ(ThreadsOfThisProcess(), threads_before);
  }
}

TEST(BatchLoaderTest, TwoEpochsAtATimeAreIndependent) {
  const Dataset dataset = MakeDataset(50);
  const BatchLoader loader = MakeLoader(dataset, {0, 40}, {.batch_size = 4, .shuffle = true});
  const auto expected = Labels(loader, 2);
  EpochBatches other = loader.Epoch(1);
  other.Next();
  EXPECT_EQ(Labels(loader, 2), expected);
}

TEST(BatchLoaderTest, OutlivesTheDataset) {
  auto dataset = std::make_unique<Dataset>(MakeDataset(20));
  const BatchLoader loader = MakeLoader(*dataset, AllExamples(*dataset), {.batch_size = 20});
  dataset.reset();
  EXPECT_EQ(Labels(loader, 0)[0][19], 19);
}

// ---- Augmentation ------------------------------------------------------------------------------

// Images whose values are all different from each other and from black, 8 x 9 RGB.
Dataset MakeColorDataset(int64_t count) {
  Dataset dataset{"test", Tensor({count, 8, 9, 3}, DType::kUint8), Tensor(Shape({count}), DType::kInt32), count};
  for (int64_t i = 0; i < count; ++i) {
    dataset.labels.mutable_data<int32_t>()[i] = static_cast<int32_t>(i);
    for (int64_t k = 0; k < 216; ++k) {
      dataset.images.mutable_data<uint8_t>()[i * 216 + k] = static_cast<uint8_t>(20 + (i + k) % 216);
    }
  }
  return dataset;
}

BatchOptions AugmentedOptions(int64_t batch_size = 8) {
  const absl::StatusOr<Augmentation> augmentation = ParseAugmentation({"crop(3)", "flip", "jitter(0.4,0.3,0.2)"});
  EXPECT_TRUE(augmentation.ok()) << augmentation.status();
  return {.batch_size = batch_size, .shuffle = true, .seed = 4, .augmentation = *augmentation};
}

// The images of an epoch from a batch on, one after the other.
std::vector<float> Images(const BatchLoader& loader, int64_t epoch, int64_t first_batch = 0) {
  std::vector<float> all;
  for (const Batch& batch : loader.Epoch(epoch, first_batch)) {
    const auto images = batch.images.span<float>();
    all.insert(all.end(), images.begin(), images.end());
  }
  return all;
}

TEST(BatchLoaderTest, AugmentationIsTheSameWithAnyNumberOfWorkers) {
  const Dataset dataset = MakeColorDataset(100);
  BatchOptions options = AugmentedOptions();
  const auto expected = Images(MakeLoader(dataset, AllExamples(dataset), options), 2);
  for (const int workers : {1, 2, 3, 7}) {
    for (const int prefetch : {1, 4}) {
      options.workers = workers;
      options.prefetch = prefetch;
      const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
      EXPECT_TRUE(Images(loader, 2) == expected) << workers;
      EXPECT_TRUE(Images(loader, 2) == expected) << "an epoch can be had again";
    }
  }
}

TEST(BatchLoaderTest, AugmentationIsTheSameWhenResumedWithinAnEpoch) {
  const Dataset dataset = MakeColorDataset(100);
  BatchOptions options = AugmentedOptions();
  for (const int workers : {1, 3}) {
    options.workers = workers;
    const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
    const auto whole = Images(loader, 1);
    for (const int64_t first : {1, 5, 12}) {
      const std::vector<float> rest(whole.begin() + first * 8 * 216, whole.end());
      EXPECT_TRUE(Images(loader, 1, first) == rest) << first;
    }
  }
}

TEST(BatchLoaderTest, AugmentationIsAFunctionOfSeedEpochAndExample) {
  const Dataset dataset = MakeColorDataset(40);
  // The same order, in batches of other sizes: the same images.
  BatchOptions options = AugmentedOptions(8);
  options.shuffle = false;
  const auto expected = Images(MakeLoader(dataset, AllExamples(dataset), options), 0);
  options.batch_size = 3;
  const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
  EXPECT_TRUE(Images(loader, 0) == expected);
  EXPECT_FALSE(Images(loader, 1) == expected) << "another epoch";
  const std::vector<float> tail(expected.begin() + 7 * 216, expected.end());
  EXPECT_TRUE(Images(MakeLoader(dataset, {7, 40}, options), 0) == tail) << "part of the set";
  options.seed = 5;
  EXPECT_FALSE(Images(MakeLoader(dataset, AllExamples(dataset), options), 0) == expected);
}

TEST(BatchLoaderTest, AugmentationLeavesTheDataSetAlone) {
  const Dataset dataset = MakeColorDataset(20);
  const Tensor before = dataset.images.Clone();
  Images(MakeLoader(dataset, AllExamples(dataset), AugmentedOptions()), 0);
  EXPECT_EQ(dataset.images.span<uint8_t>(), before.span<uint8_t>());
}

// Each of two transforms waits for the other to begin.
TEST(BatchLoaderTest, WorkersPrepareBatchesAtTheSameTime) {
  struct Meeting final : ImageTransform {
    absl::Status Check(const ImageShape&) const override { return absl::OkStatus(); }
    void Apply(const ImageShape&, uint8_t*, RandomDraws&) const override {
      ++begun;
      for (int i = 0; i < 10000 && begun < 2; ++i) {
        std::this_thread::sleep_for(std::chrono::milliseconds(1));
      }
    }
    mutable std::atomic<int> begun = 0;
  };
  const Dataset dataset = MakeDataset(2);
  const BatchOptions options = {.batch_size = 1, .workers = 2, .augmentation = {std::make_shared<Meeting>()}};
  const auto start = std::chrono::steady_clock::now();
  EXPECT_EQ(Labels(MakeLoader(dataset, AllExamples(dataset), options), 0).size(), 2u);
  EXPECT_LT(std::chrono::steady_clock::now() - start, std::chrono::seconds(9));
}

TEST(BatchLoaderTest, CountsTheTimeThatNextWaits) {
  struct Slow final : ImageTransform {
    absl::Status Check(const ImageShape&) const override { return absl::OkStatus(); }
    void Apply(const ImageShape&, uint8_t*, RandomDraws&) const override {
      std::this_thread::sleep_for(std::chrono::milliseconds(20));
    }
  };
  const Dataset dataset = MakeDataset(8);
  BatchOptions options = {.batch_size = 2, .augmentation = {std::make_shared<Slow>()}};
  const BatchLoader loader = MakeLoader(dataset, AllExamples(dataset), options);
  EpochBatches epoch = loader.Epoch(0);
  EXPECT_EQ(epoch.seconds_waited(), 0);
  while (epoch.Next() != nullptr) {
  }
  EXPECT_GE(epoch.seconds_waited(), 0.15);
}

// ---- Errors ------------------------------------------------------------------------------------

void ExpectError(const Dataset& dataset, const ExampleRange& range, const BatchOptions& options,
                 const std::string& part) {
  const absl::Status status = BatchLoader::Create(dataset, range, options).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << part;
  EXPECT_THAT(std::string(status.message()), HasSubstr(part));
}

TEST(BatchLoaderTest, WrongOptionsAreErrors) {
  const Dataset dataset = MakeDataset(20);
  const ExampleRange all = AllExamples(dataset);
  ExpectError(dataset, all, {.batch_size = 0}, "the batch size is 0");
  ExpectError(dataset, all, {.batch_size = -3}, "the batch size is -3");
  ExpectError(dataset, all, {.prefetch = 0}, "prefetch is 0");
  ExpectError(dataset, all, {.prefetch = 65}, "prefetch is 65");
  ExpectError(dataset, all, {.workers = 0}, "threads that prepare batches is 0");
  ExpectError(dataset, all, {.workers = 65}, "threads that prepare batches is 65");
  ExpectError(dataset, all, {.batch_size = 5, .augmentation = {std::make_shared<RandomCrop>(2)}},
              "crop(2) of images of 2x3x1");
  ExpectError(dataset, all, {.batch_size = 21, .drop_last = true}, "batch size 21 is larger than the 20 examples");
}

TEST(BatchLoaderTest, WrongRangesAreErrors) {
  const Dataset dataset = MakeDataset(20);
  ExpectError(dataset, {0, 0}, {}, "[0, 0) is empty");
  ExpectError(dataset, {5, 4}, {}, "[5, 4)");
  ExpectError(dataset, {-1, 4}, {}, "[-1, 4)");
  ExpectError(dataset, {0, 21}, {}, "which has 20 examples");
}

TEST(BatchLoaderTest, InvalidDataIsAnError) {
  ExpectError(Dataset(), {0, 1}, {}, "no images");
  ExpectError(MakeDataset(0), {0, 0}, {}, "empty");
  Dataset dataset = MakeDataset(20);
  dataset.num_classes = 19;
  ExpectError(dataset, {0, 20}, {}, "label 19 of example 19");
}

// ---- Images that are read when needed -------------------------------------------------------------

// The images of a data set in memory; from example `bad` on, in the data set's order, they cannot be read.
class Served final : public ImageSource {
 public:
  Served(const Dataset& dataset, int64_t bad)
      : images_(dataset.images.Alias()), shape_(dataset.image_shape()), bad_(bad) {}
  int64_t size() const override { return images_.shape().dim(0); }
  ImageShape shape() const override { return shape_; }
  absl::Status Read(int64_t example, uint8_t* pixels) const override {
    if (example >= bad_) return absl::DataLossError(absl::StrCat("image ", example, " is bad"));
    std::copy_n(images_.data<uint8_t>() + example * shape_.features(), shape_.features(), pixels);
    return absl::OkStatus();
  }

 private:
  Tensor images_;
  ImageShape shape_;
  int64_t bad_;
};

Dataset ServedBy(const Dataset& dataset, int64_t bad) {
  Dataset served{dataset.name, Tensor(), dataset.labels.Alias(), dataset.num_classes};
  served.source = std::make_shared<Served>(dataset, bad);
  return served;
}

TEST(BatchLoaderTest, ReadImagesGiveTheSameBatches) {
  const Dataset dataset = MakeColorDataset(60);
  const Dataset served = ServedBy(dataset, 60);
  for (const bool augmented : {false, true}) {
    BatchOptions options{.batch_size = 7, .shuffle = true, .seed = 3};
    if (augmented) options.augmentation = *ParseAugmentation({"crop(3)", "flip", "jitter"});
    const BatchLoader expected = MakeLoader(dataset, {5, 58}, options);
    for (const int workers : {1, 3}) {
      options.workers = workers;
      const BatchLoader loader = MakeLoader(served, {5, 58}, options);
      EpochBatches a = expected.Epoch(2), b = loader.Epoch(2);
      for (const Batch& batch : a) {
        const Batch* other = b.Next();
        ASSERT_NE(other, nullptr) << b.status();
        EXPECT_EQ(other->images.span<float>(), batch.images.span<float>());
        EXPECT_EQ(other->labels.span<int32_t>(), batch.labels.span<int32_t>());
      }
      EXPECT_EQ(b.Next(), nullptr);
      EXPECT_TRUE(b.status().ok() && a.status().ok());
    }
  }
}

// The batches before the first bad image come; then the epoch ends and says why, whatever the number of workers.
TEST(BatchLoaderTest, AnImageThatCannotBeReadEndsTheEpoch) {
  const Dataset served = ServedBy(MakeDataset(60), 33);
  for (const int workers : {1, 4}) {
    const BatchLoader loader = MakeLoader(served, AllExamples(served), {.batch_size = 10, .workers = workers});
    EpochBatches batches = loader.Epoch(0);
    int count = 0;
    while (batches.Next() != nullptr) ++count;
    EXPECT_EQ(count, 3);
    EXPECT_EQ(batches.status().message(), "image 33 is bad");
    EXPECT_EQ(batches.Next(), nullptr);
  }
}

}  // namespace
}  // namespace bitgrad
