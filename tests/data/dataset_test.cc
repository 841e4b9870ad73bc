#include "bitgrad/data/dataset.h"

#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

std::string Message(const absl::Status& status) { return std::string(status.message()); }

Dataset MakeDataset(int64_t count) {
  return {"test", Tensor::Zeros({count, 2, 3, 1}, DType::kUint8), Tensor::Zeros(Shape({count}), DType::kInt32), 4};
}

TEST(DatasetTest, ValidPasses) {
  const Dataset dataset = MakeDataset(5);
  EXPECT_TRUE(dataset.Validate().ok()) << dataset.Validate();
  EXPECT_EQ(dataset.size(), 5);
  EXPECT_EQ(dataset.features(), 6);
  EXPECT_EQ(AllExamples(dataset), (ExampleRange{0, 5}));
}

TEST(DatasetTest, ValidateFindsWhatIsWrong) {
  EXPECT_THAT(Message(Dataset().Validate()), HasSubstr("no images"));
  EXPECT_THAT(Message(MakeDataset(0).Validate()), HasSubstr("empty"));

  Dataset dataset = MakeDataset(5);
  dataset.images = Tensor::Zeros({5, 6}, DType::kUint8);
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("found [5, 6] uint8"));

  dataset = MakeDataset(5);
  dataset.images = Tensor::Zeros({5, 2, 3, 1});
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("found [5, 2, 3, 1] float32"));

  dataset = MakeDataset(5);
  dataset.labels = Tensor::Zeros(Shape({5}), DType::kInt64);
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("found [5] int64"));

  dataset = MakeDataset(5);
  dataset.labels = Tensor::Zeros(Shape({4}), DType::kInt32);
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("5 images but 4 labels"));

  for (const int32_t label : {-1, 4}) {
    dataset = MakeDataset(5);
    dataset.labels.mutable_data<int32_t>()[3] = label;
    EXPECT_THAT(Message(dataset.Validate()), HasSubstr("of example 3 is outside [0, 4)"));
  }
}

TEST(SplitLastTest, TheLastExamplesValidate) {
  absl::StatusOr<TrainValidation> parts = SplitLast(MakeDataset(60), 10);
  ASSERT_TRUE(parts.ok());
  EXPECT_EQ(parts->train, (ExampleRange{0, 50}));
  EXPECT_EQ(parts->validation, (ExampleRange{50, 60}));
  EXPECT_EQ(SplitLast(MakeDataset(60), 0)->train, (ExampleRange{0, 60}));
  EXPECT_EQ(SplitLast(MakeDataset(60), 0)->validation.size(), 0);
}

TEST(SplitLastTest, BadCountsAreErrors) {
  EXPECT_THAT(Message(SplitLast(MakeDataset(60), -1).status()), HasSubstr("-1"));
  EXPECT_THAT(Message(SplitLast(MakeDataset(60), 60).status()), HasSubstr("60 validation"));
  EXPECT_FALSE(SplitLast(MakeDataset(60), 61).ok());
  EXPECT_FALSE(SplitLast(MakeDataset(0), 0).ok());
}

}  // namespace
}  // namespace bitgrad
