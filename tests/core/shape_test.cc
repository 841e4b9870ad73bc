#include "bitgrad/core/shape.h"

#include <cstdint>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(ShapeTest, ElementsRowsCols) {
  const Shape image({2, 3, 4, 5});
  EXPECT_EQ(image.rank(), 4);
  EXPECT_EQ(image.num_elements(), 120);
  EXPECT_EQ(image.rows(), 24);
  EXPECT_EQ(image.cols(), 5);
  const Shape scalar;
  EXPECT_EQ(scalar.rank(), 0);
  EXPECT_EQ(scalar.num_elements(), 1);
  EXPECT_EQ(scalar.rows(), 1);
  EXPECT_EQ(scalar.cols(), 1);
  EXPECT_EQ(Shape({7}).rows(), 1);
  EXPECT_EQ(Shape({0, 7}).num_elements(), 0);
}

TEST(ShapeTest, Equality) {
  EXPECT_EQ(Shape({2, 3}), Shape({2, 3}));
  EXPECT_NE(Shape({2, 3}), Shape({3, 2}));
  EXPECT_NE(Shape({6}), Shape({2, 3}));
  EXPECT_NE(Shape(), Shape({1}));
}

TEST(ShapeTest, Text) {
  EXPECT_EQ(Shape({100, 784}).ToString(), "[100, 784]");
  EXPECT_EQ(Shape().ToString(), "[]");
}

TEST(ShapeTest, ValidateNamesTheShape) {
  EXPECT_TRUE(Shape({2, 3}).Validate().ok());
  EXPECT_TRUE(Shape({0, 1'000'000'000}).Validate().ok());
  EXPECT_TRUE(Shape({int64_t{1} << 40}).Validate().ok());
  EXPECT_EQ(Shape({2, -1}).Validate().message(), "shape [2, -1] has a negative extent");
  EXPECT_EQ(Shape({(int64_t{1} << 40) + 1}).Validate().message(), "shape [1099511627777] has more than 2^40 elements");
  // Products beyond 64 bits must not wrap around to something small.
  EXPECT_FALSE(Shape({int64_t{1} << 32, int64_t{1} << 32}).Validate().ok());
  EXPECT_FALSE(Shape({INT64_MAX, INT64_MAX, INT64_MAX}).Validate().ok());
  EXPECT_EQ(Shape({int64_t{1} << 32, int64_t{1} << 32}).Validate().code(), absl::StatusCode::kInvalidArgument);
  // An extent of zero makes the count zero from there on, yet a negative one behind it is still an error.
  EXPECT_FALSE(Shape({0, -5}).Validate().ok());
}

}  // namespace
}  // namespace bitgrad
