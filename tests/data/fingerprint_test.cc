// Fingerprints of data sets: what they tell apart, and how a difference is said.

#include "bitgrad/data/fingerprint.h"

#include <functional>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

Dataset Make(int64_t count = 200, ImageShape shape = {4, 3, 2}) {
  Dataset data{.name = "some",
               .images = Tensor({count, shape.height, shape.width, shape.channels}, DType::kUint8),
               .labels = Tensor({count}, DType::kInt32),
               .num_classes = 5};
  for (int64_t i = 0; i < data.images.num_elements(); ++i) {
    data.images.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(i * 7);
  }
  for (int64_t i = 0; i < count; ++i) data.labels.mutable_data<int32_t>()[i] = static_cast<int32_t>(i % 5);
  return data;
}

TEST(FingerprintTest, TheSameDataHasTheSame) {
  for (const int64_t count : {1, 2, 63, 64, 65, 200}) {
    const auto a = FingerprintOf(Make(count)), b = FingerprintOf(Make(count));
    ASSERT_TRUE(a.ok() && b.ok());
    EXPECT_EQ(a->SerializeAsString(), b->SerializeAsString());
    EXPECT_EQ(DifferenceOf(*a, *b), "");
  }
}

// The numbers are kept in files: they must not change. (CRC-32 of int32 0, 1, 2 and of the bytes 0, 7, ..., 35.)
TEST(FingerprintTest, KnownNumbers) {
  const auto data = FingerprintOf(Make(3, {1, 2, 1}));
  ASSERT_TRUE(data.ok());
  EXPECT_EQ(ToString(*data), "some: 3 images of 1x2x1 in 5 classes (labels 1d760e7a, images bdc04734)");
  EXPECT_EQ(ImageShapeOf(*data), (ImageShape{1, 2, 1}));
  EXPECT_EQ(ImageShapeOf(fingerprint::DataSet()), ImageShape());
}

// (CRC-32 of int32 0, 1, 2.)
TEST(FingerprintTest, OfATextAndItsDifferences) {
  const auto make = [](std::vector<int32_t> tokens, int64_t vocabulary = 3) {
    Text text{.data_set = "words", .vocabulary = vocabulary};
    text.tokens = Tensor::Of<int32_t>({static_cast<int64_t>(tokens.size())}, tokens);
    return FingerprintOf(text);
  };
  const fingerprint::DataSet known = make({0, 1, 2});
  EXPECT_EQ(ToString(known), "words: 3 tokens of 3 (tokens 1d760e7a)");
  EXPECT_EQ(DifferenceOf(known, make({0, 1, 2})), "");
  EXPECT_EQ(DifferenceOf(known, make({0, 2, 1})), "another text");
  EXPECT_EQ(DifferenceOf(known, make({0, 1}, 2)),
            "2 tokens instead of 3, 2 different tokens instead of 3, another text");
}

TEST(FingerprintTest, EachDifferenceIsNamed) {
  const auto known = FingerprintOf(Make());
  ASSERT_TRUE(known.ok());
  const struct {
    std::function<void(Dataset&)> change;
    const char* text;
  } cases[] = {
      {[](Dataset& d) { d.name = "other"; }, "data set 'other' instead of 'some'"},
      {[](Dataset& d) { d = Make(199); }, "199 images instead of 200, other labels, other pixels"},
      {[](Dataset& d) {
         d.images = d.images.Alias({200, 3, 4, 2});
       },
       "images of 3x4x2 instead of 4x3x2"},
      {[](Dataset& d) { d.num_classes = 6; }, "6 classes instead of 5"},
      {[](Dataset& d) { d.labels.mutable_data<int32_t>()[77] = 0; }, "other labels"},
      {[](Dataset& d) { d.images.mutable_data<uint8_t>()[0] ^= 1; }, "other pixels"},
      {[](Dataset& d) { d.images.mutable_data<uint8_t>()[200 * 24 - 1] ^= 1; }, "other pixels"},
  };
  for (const auto& c : cases) {
    Dataset changed = Make();
    c.change(changed);
    const auto found = FingerprintOf(changed);
    ASSERT_TRUE(found.ok());
    EXPECT_EQ(DifferenceOf(*known, *found), c.text);
  }
}

TEST(FingerprintTest, WhatAModelCanBeUsedWith) {
  Dataset data = Make();
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  data.class_names = names;
  EXPECT_TRUE(CheckKindOfData("it", {4, 3, 2}, 5, names, data).ok());
  EXPECT_TRUE(CheckKindOfData("it", {4, 3, 2}, 5, {}, data).ok()) << "an old file knows no names";
  EXPECT_TRUE(CheckKindOfData("it", {1, 24, 1}, 5, names, data).ok()) << "and no shapes";
  for (const ImageShape& shape : {ImageShape{3, 4, 2}, ImageShape{4, 3, 1}, ImageShape{1, 25, 1}}) {
    EXPECT_THAT(
        std::string(CheckKindOfData("it", shape, 5, names, data).message()),
        AllOf(HasSubstr("it is for images of "), HasSubstr("in 5 classes; data set 'some' has images of 4x3x2")));
  }
  EXPECT_FALSE(CheckKindOfData("it", {4, 3, 2}, 4, {}, data).ok());
  data.class_names[3] = "D";
  EXPECT_THAT(std::string(CheckKindOfData("it", {4, 3, 2}, 5, names, data).message()),
              HasSubstr("class 3 is 'D' instead of 'd'"));
}

TEST(FingerprintTest, ListOfClassNames) {
  const std::vector<std::string> names = {"a", "b", "c", "d", "e"};
  EXPECT_EQ(ListOfClassNames(names), "a, b, c, d, e");
  EXPECT_EQ(ListOfClassNames(names, 5), "a, b, c, d, e");
  EXPECT_EQ(ListOfClassNames(names, 4), "a, b, c, ..., e");
  EXPECT_EQ(ListOfClassNames({}), "");
}

}  // namespace
}  // namespace bitgrad
