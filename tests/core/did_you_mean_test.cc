#include "bitgrad/core/did_you_mean.h"

#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(EditDistanceTest, SingleMistakes) {
  EXPECT_EQ(EditDistance("", ""), 0);
  EXPECT_EQ(EditDistance("sign", "sign"), 0);
  EXPECT_EQ(EditDistance("sign", "SIGN"), 0);
  EXPECT_EQ(EditDistance("", "abc"), 3);
  EXPECT_EQ(EditDistance("epoch", "epochs"), 1);
  EXPECT_EQ(EditDistance("hidddden", "hidden"), 2);
  EXPECT_EQ(EditDistance("data-dir", "data_dir"), 1);
  EXPECT_EQ(EditDistance("sing", "sign"), 1);  // neighbours in the wrong order
  EXPECT_EQ(EditDistance("ab", "ba"), 1);
  EXPECT_EQ(EditDistance("kitten", "sitting"), 3);
}

TEST(EditDistanceTest, IsSymmetric) {
  const std::vector<std::string> words = {"", "a", "adam", "adma", "adamax", "sgd", "exponential", "constant"};
  for (const std::string& a : words) {
    for (const std::string& b : words) EXPECT_EQ(EditDistance(a, b), EditDistance(b, a)) << a << " " << b;
  }
}

TEST(DidYouMeanTest, TheNearestOfThoseThatAreNear) {
  const std::vector<std::string> known = {"sgd", "adam", "adamax"};
  EXPECT_EQ(DidYouMean("adma", known), " (did you mean 'adam'?)");
  EXPECT_EQ(DidYouMean("adamx", known), " (did you mean 'adam'?)");  // the first of two as near
  EXPECT_EQ(DidYouMean("adammax", known), " (did you mean 'adamax'?)");
  EXPECT_EQ(DidYouMean("SDG", known), " (did you mean 'sgd'?)");
  EXPECT_EQ(DidYouMean("rmsprop", known), "");
  EXPECT_EQ(DidYouMean("x", known), "");
  EXPECT_EQ(DidYouMean("", known), "");
  EXPECT_EQ(DidYouMean("adma", {}), "");
  EXPECT_EQ(NearestWord("adma", known), "adam");
}

TEST(DidYouMeanTest, WordsThatAreNone) {
  // A whole file where a word was expected takes no time.
  EXPECT_EQ(DidYouMean(std::string(1 << 24, 'a'), std::vector<std::string>(100, "adam")), "");
  EXPECT_EQ(DidYouMean("\xff\x80", std::vector<std::string>{"sgd"}), "");
}

}  // namespace
}  // namespace bitgrad
