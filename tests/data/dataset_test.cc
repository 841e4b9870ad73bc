#include "bitgrad/data/dataset.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

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

TEST(DatasetTest, NamesAreAsManyAsClasses) {
  Dataset dataset = MakeDataset(5);
  dataset.class_names = NumberNames(1, 4);
  EXPECT_TRUE(dataset.Validate().ok());
  EXPECT_EQ(dataset.class_names.back(), "4");
  dataset.class_names.pop_back();
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("3 names for 4 classes"));
}

// Images that are made when they are asked for: example i is 6 bytes i. Those from `bad` on cannot be read.
class Numbered final : public ImageSource {
 public:
  Numbered(int64_t size, int64_t bad) : size_(size), bad_(bad) {}
  int64_t size() const override { return size_; }
  ImageShape shape() const override { return {2, 3, 1}; }
  absl::Status Read(int64_t example, uint8_t* pixels) const override {
    if (example >= bad_) return absl::DataLossError(std::to_string(example) + " is bad");
    std::fill_n(pixels, 6, static_cast<uint8_t>(example));
    return absl::OkStatus();
  }

 private:
  int64_t size_;
  int64_t bad_;
};

TEST(DatasetTest, ASourceStandsInForImages) {
  Dataset dataset{"test", {}, Tensor::Zeros(Shape({50}), DType::kInt32), 4};
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("no images"));
  dataset.source = std::make_shared<Numbered>(49, 49);
  EXPECT_THAT(Message(dataset.Validate()), HasSubstr("49 images but 50 labels"));
  dataset.source = std::make_shared<Numbered>(50, 40);
  ASSERT_TRUE(dataset.Validate().ok()) << dataset.Validate();
  EXPECT_EQ(dataset.image_shape(), (ImageShape{2, 3, 1}));
  std::vector<uint8_t> buffer;
  for (const int threads : {1, 3}) {
    const auto pixels = dataset.Pixels({10, 40}, threads, buffer);
    ASSERT_TRUE(pixels.ok()) << pixels.status();
    ASSERT_EQ(pixels->rows, 30);
    for (int64_t i = 0; i < 180; ++i) EXPECT_EQ(pixels->data[i], 10 + i / 6);
    EXPECT_EQ(dataset.Pixels({10, 50}, threads, buffer).status().message(), "40 is bad");
  }
}

TEST(DatasetTest, ImagesInMemoryAreNotCopied) {
  const Dataset dataset = MakeDataset(5);
  std::vector<uint8_t> buffer;
  const auto pixels = dataset.Pixels({2, 4}, 1, buffer);
  ASSERT_TRUE(pixels.ok());
  EXPECT_EQ(pixels->data, dataset.images.data<uint8_t>() + 12);
  EXPECT_EQ(pixels->rows, 2);
  EXPECT_EQ(pixels->cols, 6);
  EXPECT_TRUE(buffer.empty());
}

TEST(DatasetTest, BothSplitsAreOfOneKind) {
  const Dataset train = MakeDataset(5);
  Dataset test = MakeDataset(3);
  EXPECT_TRUE(CheckSameKind(train, test).ok());
  // As many values, another image.
  test.images = Tensor::Zeros({3, 3, 2, 1}, DType::kUint8);
  EXPECT_THAT(Message(CheckSameKind(train, test)), HasSubstr("the test images are 3x2x1, the training images 2x3x1"));
  test = MakeDataset(3);
  test.num_classes = 5;
  EXPECT_THAT(Message(CheckSameKind(train, test)), HasSubstr("the test images have 5 classes, the training images 4"));
}

}  // namespace
}  // namespace bitgrad
