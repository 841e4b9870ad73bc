#include "bitgrad/data/validation.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

// Example i has the label labels[i] and the pixels i, i.
Dataset MakeDataset(const std::vector<int32_t>& labels, int64_t classes) {
  const int64_t count = labels.size();
  Dataset dataset{"test", Tensor({count, 2, 1, 1}, DType::kUint8),
                  labels.empty() ? Tensor(Shape({0}), DType::kInt32) : Tensor::Of<int32_t>(Shape({count}), labels),
                  classes};
  for (int64_t i = 0; i < 2 * count; ++i) dataset.images.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i / 2);
  return dataset;
}

// `each` examples of class 0, then as many of class 1, ...
Dataset Sorted(int32_t classes, int each) {
  std::vector<int32_t> labels;
  for (int i = 0; i < classes * each; ++i) labels.push_back(i / each);
  return MakeDataset(labels, classes);
}

// One example of each class in turn.
Dataset Mixed(int32_t classes, int each) {
  std::vector<int32_t> labels;
  for (int i = 0; i < classes * each; ++i) labels.push_back(i % classes);
  return MakeDataset(labels, classes);
}

std::vector<int> Counts(const Dataset& dataset, const ExampleRange& range) {
  std::vector<int> counts(dataset.num_classes);
  for (int64_t i = range.begin; i < range.end; ++i) ++counts[dataset.labels.data<int32_t>()[i]];
  return counts;
}

TEST(SplitLastTest, TheLastExamplesValidate) {
  absl::StatusOr<TrainValidation> parts = SplitLast(Mixed(4, 15), 10);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->train, (ExampleRange{0, 50}));
  EXPECT_EQ(parts->validation, (ExampleRange{50, 60}));
  EXPECT_EQ(SplitLast(Mixed(4, 15), 0)->train, (ExampleRange{0, 60}));
  EXPECT_EQ(SplitLast(Mixed(4, 15), 0)->validation.size(), 0);
}

TEST(SplitLastTest, BadCountsAreErrors) {
  Dataset dataset = Mixed(4, 15);
  for (const bool spread : {false, true}) {
    const auto split = [&](int64_t count) {
      return Message((spread ? SplitSpread(count, dataset) : SplitLast(dataset, count)).status());
    };
    EXPECT_THAT(split(-1), HasSubstr("-1"));
    EXPECT_THAT(split(60), HasSubstr("60 validation"));
    EXPECT_THAT(split(61), HasSubstr("61 validation"));
  }
  EXPECT_FALSE(SplitLast(MakeDataset({}, 4), 0).ok());
}

// Whatever the order of the examples, every class gives up the same share, to within one example, and exactly so many
// in all; image and label stay together; the order within the parts is kept.
TEST(SplitSpreadTest, EveryClassGivesUpItsShare) {
  std::vector<Dataset> sets;
  sets.push_back(Sorted(5, 20));
  sets.push_back(Mixed(5, 20));
  sets.push_back(Mixed(10, 12));
  for (const Dataset& before : sets) {
    for (const int64_t count : {0, 1, 7, 10, 33, 99}) {
      Dataset dataset{before.name, before.images.Clone(), before.labels.Clone(), before.num_classes};
      const absl::StatusOr<TrainValidation> parts = SplitSpread(count, dataset);
      ASSERT_TRUE(parts.ok()) << parts.status();
      EXPECT_EQ(parts->validation, (ExampleRange{before.size() - count, before.size()}));
      const std::vector<int> counts = Counts(dataset, parts->validation);
      EXPECT_LE(*std::max_element(counts.begin(), counts.end()) - *std::min_element(counts.begin(), counts.end()), 1);
      std::vector<bool> seen(before.size());
      for (const ExampleRange& range : {parts->train, parts->validation}) {
        int last = -1;
        for (int64_t i = range.begin; i < range.end; ++i) {
          const int original = dataset.images.data<uint8_t>()[2 * i];
          EXPECT_EQ(dataset.images.data<uint8_t>()[2 * i + 1], original);
          EXPECT_EQ(dataset.labels.data<int32_t>()[i], before.labels.data<int32_t>()[original]);
          EXPECT_GT(original, last);
          last = original;
          seen[original] = true;
        }
      }
      EXPECT_EQ(std::count(seen.begin(), seen.end(), true), before.size());
    }
  }
}

class Numbered final : public ImageSource {
 public:
  int64_t size() const override { return 30; }
  ImageShape shape() const override { return {2, 1, 1}; }
  absl::Status Read(int64_t example, uint8_t* pixels) const override {
    pixels[0] = pixels[1] = static_cast<uint8_t>(example);
    return absl::OkStatus();
  }
};

TEST(SplitSpreadTest, ImagesThatAreMadeWhenNeededMoveAlong) {
  Dataset in_memory = Sorted(3, 10);
  Dataset made{in_memory.name, {}, in_memory.labels.Clone(), in_memory.num_classes};
  made.source = std::make_shared<Numbered>();
  ASSERT_TRUE(SplitSpread(9, in_memory).ok() && SplitSpread(9, made).ok());
  EXPECT_EQ(made.labels.span<int32_t>(), in_memory.labels.span<int32_t>());
  std::vector<uint8_t> buffer;
  const auto pixels = made.Pixels(AllExamples(made), 1, buffer);
  ASSERT_TRUE(pixels.ok());
  EXPECT_EQ(absl::MakeConstSpan(pixels->data, 60), in_memory.images.span<uint8_t>());
}

TEST(CheckTrainingClassesTest, OneClassIsNothingToLearn) {
  Dataset dataset = Sorted(3, 10);
  EXPECT_TRUE(CheckTrainingClasses(dataset, {0, 11}).ok());
  dataset.class_names = {"ant", "bee", "cat"};
  const absl::Status status = CheckTrainingClasses(dataset, {10, 20});
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(Message(status), HasSubstr("all 10 training examples of data set 'test' are of class bee"));
  EXPECT_FALSE(CheckTrainingClasses(Sorted(1, 5), {0, 5}).ok());
}

TEST(SplitWarningsTest, ASortedSetsEndIsNoSample) {
  const Dataset sorted = Sorted(10, 60);
  const Dataset test = Mixed(10, 5);
  const auto warnings = [&](const Dataset& dataset, int64_t count, const Dataset& test) {
    return SplitWarnings(dataset, *SplitLast(dataset, count), test);
  };
  EXPECT_THAT(warnings(sorted, 50, test),
              ElementsAre(HasSubstr("the last 50 of the 600 training examples validate, all of "
                                    "one class:")));
  EXPECT_THAT(
      warnings(sorted, 100, test),
      ElementsAre(testing::AllOf(HasSubstr("none of 8 classes (0, 1, 2, 3, 4, ...)"),
                                 HasSubstr("all that there are of 1 class (9)"), HasSubstr("data.validation=SPREAD"))));
  EXPECT_THAT(warnings(Mixed(10, 60), 100, test), IsEmpty());
  EXPECT_THAT(warnings(sorted, 0, test), IsEmpty());
  // Few examples may miss classes by chance.
  EXPECT_THAT(warnings(Mixed(10, 60), 4, test), IsEmpty());
  EXPECT_THAT(warnings(Mixed(10, 60), 100, Sorted(1, 7)), ElementsAre("all 7 test examples are of one class"));
  Dataset spread = Sorted(10, 60);
  const absl::StatusOr<TrainValidation> parts = SplitSpread(100, spread);
  ASSERT_TRUE(parts.ok());
  EXPECT_THAT(SplitWarnings(spread, *parts, test), IsEmpty());
}

}  // namespace
}  // namespace bitgrad
