// Vocabularies, and the texts of tokens whose words are any bytes.

#include "bitgrad/data/vocabulary.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

TEST(VocabularyTest, NumbersTokensInTheOrderInWhichTheyCome) {
  Vocabulary vocabulary;
  EXPECT_EQ(vocabulary.FindOrAdd("b"), 0);
  EXPECT_EQ(vocabulary.FindOrAdd("a"), 1);
  EXPECT_EQ(vocabulary.FindOrAdd("b"), 0);
  EXPECT_EQ(vocabulary.Find("a"), 1);
  EXPECT_EQ(vocabulary.Find("c"), -1);
  EXPECT_THAT(vocabulary.tokens(), ElementsAre("b", "a"));
}

TEST(VocabularyTest, NeverHasMoreTokensThanItMay) {
  Vocabulary vocabulary(/*most=*/2);
  EXPECT_EQ(vocabulary.FindOrAdd("a"), 0);
  EXPECT_EQ(vocabulary.FindOrAdd("b"), 1);
  EXPECT_EQ(vocabulary.FindOrAdd("c"), -1);
  EXPECT_EQ(vocabulary.FindOrAdd("b"), 1);
  EXPECT_EQ(vocabulary.size(), 2);
  EXPECT_EQ(Vocabulary().most(), 1 << 24);
}

TEST(VocabularyTest, OfAList) {
  const auto vocabulary = Vocabulary::Of({"x", "y"});
  ASSERT_TRUE(vocabulary.ok());
  EXPECT_EQ(vocabulary->Find("y"), 1);
  EXPECT_THAT(std::string(Vocabulary::Of({}).status().message()), HasSubstr("without tokens"));
  EXPECT_THAT(std::string(Vocabulary::Of({"x", "y", "x"}).status().message()),
              HasSubstr("token 2 of the vocabulary, 'x', is empty or stands there twice"));
  EXPECT_FALSE(Vocabulary::Of({"x", ""}).ok());
}

// Every word has a text of its own, which is UTF-8.
TEST(VocabularyTest, TextsOfWords) {
  const struct {
    std::string word, text;
  } cases[] = {
      {"fox", "fox"},
      {"f\xC3\xBC", "f\xC3\xBC"},
      {"caf\xE9", "caf\\xE9"},
      {"\xFF\xC3", "\\xFF\\xC3"},           // the second begins a character that does not go on
      {"\xED\xA0\x80", "\\xED\\xA0\\x80"},  // a surrogate
      {"caf\\xE9", "caf\\x5CxE9"},          // looks like the one with the byte
      {"a\\xg0", "a\\xg0"},
      {"\\", "\\"},
      {"", ""},
  };
  for (const auto& c : cases) EXPECT_EQ(TokenText(c.word), c.text);
}

TEST(VocabularyTest, LengthsOfUtf8) {
  const struct {
    std::string bytes;
    int length;
  } cases[] = {
      {"a", 1},
      {std::string(1, '\0'), 1},
      {"\x7F", 1},
      {"\xC2\x80", 2},
      {"\xDF\xBFx", 2},
      {"\xE0\xA0\x80", 3},
      {"\xED\x9F\xBF", 3},
      {"\xEE\x80\x80", 3},
      {"\xF0\x90\x80\x80", 4},
      {"\xF4\x8F\xBF\xBF", 4},
      // No characters.
      {"", 0},
      {"\x80", 0},
      {"\xC1\xBF", 0},  // longer than needed
      {"\xE0\x9F\xBF", 0},
      {"\xF0\x8F\xBF\xBF", 0},
      {"\xED\xA0\x80", 0},      // a surrogate
      {"\xF4\x90\x80\x80", 0},  // beyond U+10FFFF
      {"\xF5\x80\x80\x80", 0},
      {"\xFF", 0},
      {"\xC3", 0},  // cut off
      {"\xE2\x82", 0},
      {"\xE2\x82(", 0},
      {"\xF0\x9F\x98", 0},
  };
  for (const auto& c : cases) EXPECT_EQ(Utf8Length(c.bytes), c.length) << testing::PrintToString(c.bytes);
}

}  // namespace
}  // namespace bitgrad
