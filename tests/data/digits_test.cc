#include "bitgrad/data/digits.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <cstring>
#include <numeric>
#include <vector>

#include "bitgrad/data/normalize.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kPixels = kDigitSide * kDigitSide;

// Checksums of the first 1,000 images of each split, with seed 1.
constexpr uint64_t kTrainChecksum = 18043626831414865560u;
constexpr uint64_t kTestChecksum = 13039828259305294974u;

Dataset Load(const LoadOptions& options) {
  absl::StatusOr<Dataset> dataset = LoadDigits(options);
  EXPECT_TRUE(dataset.ok()) << dataset.status();
  return *std::move(dataset);
}

bool SameBytes(const Tensor& a, const Tensor& b) {
  return a.shape() == b.shape() && std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()) == 0;
}

// The FNV-1a hash of the bytes, 64 bits.
uint64_t Checksum(const Tensor& images) {
  uint64_t hash = 0xcbf29ce484222325;
  for (const uint8_t byte : images.span<uint8_t>()) hash = (hash ^ byte) * 0x100000001b3;
  return hash;
}

TEST(DigitsTest, HasTheAnnouncedSize) {
  const Dataset train = Load({.split = Split::kTrain, .threads = 2});
  EXPECT_EQ(train.images.shape(), Shape({60000, 28, 28, 1}));
  EXPECT_TRUE(train.Validate().ok()) << train.Validate();
  EXPECT_EQ(train.num_classes, 10);
  EXPECT_EQ(train.name, "digits");
  std::array<int, 10> counts = {};
  for (const int32_t label : train.labels.span<int32_t>()) ++counts[label];
  for (const int count : counts) EXPECT_EQ(count, 6000);
}

TEST(DigitsTest, TestSplitIsSmallerAndBalanced) {
  const Dataset test = Load({.split = Split::kTest, .threads = 2});
  EXPECT_EQ(test.size(), 10000);
  std::array<int, 10> counts = {};
  for (const int32_t label : test.labels.span<int32_t>()) ++counts[label];
  for (const int count : counts) EXPECT_EQ(count, 1000);
}

TEST(DigitsTest, SameSeedGivesTheSameBytesWithAnyNumberOfThreads) {
  const Dataset one = Load({.seed = 7, .threads = 1, .limit = 3000});
  for (const int threads : {1, 2, 5}) {
    const Dataset other = Load({.seed = 7, .threads = threads, .limit = 3000});
    EXPECT_TRUE(SameBytes(one.images, other.images)) << threads << " threads";
    EXPECT_TRUE(SameBytes(one.labels, other.labels)) << threads << " threads";
  }
}

// The data set is a contract: figures that were measured on it must stay comparable, on any machine.
TEST(DigitsTest, BytesAreTheSameOnEveryMachine) {
  EXPECT_EQ(Checksum(Load({.split = Split::kTrain, .limit = 1000}).images), kTrainChecksum);
  EXPECT_EQ(Checksum(Load({.split = Split::kTest, .limit = 1000}).images), kTestChecksum);
}

TEST(DigitsTest, SeedAndSplitMatter) {
  const Dataset dataset = Load({.seed = 1, .limit = 20});
  EXPECT_FALSE(SameBytes(dataset.images, Load({.seed = 2, .limit = 20}).images));
  // The high half of the seed counts, too.
  EXPECT_FALSE(SameBytes(dataset.images, Load({.seed = 1 + (1ull << 32), .limit = 20}).images));
  EXPECT_FALSE(SameBytes(dataset.images, Load({.split = Split::kTest, .seed = 1, .limit = 20}).images));
}

TEST(DigitsTest, ExampleDoesNotDependOnHowManyAreDrawn) {
  const Dataset dataset = Load({.seed = 3, .threads = 2, .limit = 500});
  for (const int64_t index : {0, 1, 64, 257, 499}) {
    std::array<uint8_t, kPixels> image;
    DrawDigit(3, Split::kTrain, index, absl::MakeSpan(image));
    EXPECT_EQ(0, std::memcmp(image.data(), dataset.images.data<uint8_t>() + index * kPixels, kPixels));
  }
}

// Every digit of every variant and position has visible ink, and most of the image stays dark.
TEST(DigitsTest, ImagesHaveInkAndGround) {
  const Dataset dataset = Load({.limit = 5000});
  for (int64_t i = 0; i < dataset.size(); ++i) {
    const uint8_t* image = dataset.images.data<uint8_t>() + i * kPixels;
    const int64_t bright = std::count_if(image, image + kPixels, [](int p) { return p > 100; });
    EXPECT_GE(bright, 10) << "example " << i;
    EXPECT_LE(bright, 350) << "example " << i;
  }
}

TEST(DigitsTest, NoTwoExamplesAreEqual) {
  const Dataset train = Load({.split = Split::kTrain, .limit = 2000});
  const Dataset test = Load({.split = Split::kTest, .limit = 2000});
  std::vector<const uint8_t*> images;
  for (const Dataset* dataset : {&train, &test}) {
    for (int64_t i = 0; i < 2000; ++i) {
      images.push_back(dataset->images.data<uint8_t>() + i * kPixels);
    }
  }
  const auto less = [](const uint8_t* a, const uint8_t* b) { return memcmp(a, b, kPixels) < 0; };
  std::sort(images.begin(), images.end(), less);
  for (size_t i = 1; i < images.size(); ++i) EXPECT_TRUE(less(images[i - 1], images[i]));
}

// Softmax regression, W [10, 785], by averaged stochastic gradient descent.
class LinearClassifier {
 public:
  void Train(const Dataset& dataset, int epochs, float rate) {
    std::vector<float> x(kInputs);
    for (int epoch = 0; epoch < epochs; ++epoch) {
      for (int64_t i = 0; i < dataset.size(); ++i) {
        // 7919 is prime: each epoch visits every example, in an order without runs of classes.
        const int64_t example = i * 7919 % dataset.size();
        std::array<float, 10> p = Scores(dataset, example, &x);
        const float top = *std::max_element(p.begin(), p.end());
        float sum = 0.0f;
        for (float& score : p) sum += score = std::exp(score - top);
        const float step = rate / (1.0f + static_cast<float>(epoch));
        for (int c = 0; c < 10; ++c) {
          const float target = c == dataset.labels.data<int32_t>()[example] ? 1.0f : 0.0f;
          const float scale = step * (target - p[c] / sum);
          for (int k = 0; k < kInputs; ++k) weights_[c * kInputs + k] += scale * x[k];
        }
      }
    }
  }

  // The share of wrong answers in percent.
  double Error(const Dataset& dataset) const {
    std::vector<float> x(kInputs);
    int wrong = 0;
    for (int64_t i = 0; i < dataset.size(); ++i) {
      const std::array<float, 10> scores = Scores(dataset, i, &x);
      const auto best = std::max_element(scores.begin(), scores.end()) - scores.begin();
      wrong += best != dataset.labels.data<int32_t>()[i];
    }
    return 100.0 * wrong / static_cast<double>(dataset.size());
  }

 private:
  static constexpr int kInputs = kPixels + 1;  // the last one is the constant 1

  std::array<float, 10> Scores(const Dataset& dataset, int64_t i, std::vector<float>* x) const {
    const uint8_t* image = dataset.images.data<uint8_t>() + i * kPixels;
    std::transform(image, image + kPixels, x->begin(), NormalizePixel);
    x->back() = 1.0f;
    std::array<float, 10> scores;
    for (int c = 0; c < 10; ++c) {
      scores[c] = std::inner_product(x->begin(), x->end(), &weights_[c * kInputs], 0.0f);
    }
    return scores;
  }

  std::vector<float> weights_ = std::vector<float>(10 * kInputs);
};

// The data set is too hard for a linear classifier, so a net's small error means something, yet it can be learned.
// 20,000 examples keep the test short; trained on all 60,000, softmax regression is left with an error of 12.7 %.
TEST(DigitsTest, LinearClassifierStaysAboveEightPercentError) {
  LinearClassifier classifier;
  classifier.Train(Load({.split = Split::kTrain, .threads = 2, .limit = 20000}), 8, 1e-3f);
  const double error = classifier.Error(Load({.split = Split::kTest, .threads = 2}));
  RecordProperty("error_percent", std::to_string(error));
  std::printf("linear classifier: %.2f %% error\n", error);
  EXPECT_GT(error, 8.0);
  EXPECT_LT(error, 25.0);
}

}  // namespace
}  // namespace bitgrad
