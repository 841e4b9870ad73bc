// Texts read from files: tokens, vocabulary, unknown words, and what is wrong with files.

#include "bitgrad/data/texts.h"

#include <functional>
#include <string>
#include <vector>

#include "bitgrad/data/text_reader.h"
#include "bitgrad/tests/data/text_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "zlib.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

// The tokens of a text, as texts.
std::vector<std::string> TokensOf(TextUnit unit, const std::string& bytes) {
  std::vector<std::string> tokens;
  const absl::Status status =
      ReadTokens(unit, "file", bytes, [&](absl::string_view token, int64_t) -> absl::StatusOr<bool> {
        tokens.emplace_back(token);
        return true;
      });
  EXPECT_TRUE(status.ok()) << status;
  return tokens;
}

std::string ErrorOf(const absl::Status& status) { return std::string(status.message()); }

std::string Joined(const Text& text, const Vocabulary& vocabulary) {
  std::string joined;
  for (const int32_t token : text.tokens.span<int32_t>()) {
    absl::StrAppend(&joined, joined.empty() ? "" : " ", vocabulary.tokens()[static_cast<size_t>(token)]);
  }
  return joined;
}

TEST(TextReaderTest, Words) {
  EXPECT_THAT(TokensOf(TextUnit::kWords, " the  cat\tsat \r\n\n on\n"),
              ElementsAre("the", "cat", "sat", "<eos>", "<eos>", "on", "<eos>"));
  // The last line ends, too, whether it has a newline or not.
  EXPECT_THAT(TokensOf(TextUnit::kWords, "a b"), ElementsAre("a", "b", "<eos>"));
  EXPECT_THAT(TokensOf(TextUnit::kWords, "a\n "), ElementsAre("a", "<eos>", "<eos>"));
  // Any bytes.
  EXPECT_THAT(TokensOf(TextUnit::kWords, std::string("caf\xE9 \0x \xC3\xA9\n", 11)),
              ElementsAre("caf\\xE9", std::string("\0x", 2), "\xC3\xA9", "<eos>"));
}

TEST(TextReaderTest, Characters) {
  EXPECT_THAT(TokensOf(TextUnit::kCharacters, "a \n\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80"),
              ElementsAre("a", " ", "\n", "\xC3\xA9", "\xE2\x82\xAC", "\xF0\x9F\x98\x80"));
}

TEST(TextReaderTest, LinesAndTheEndThatTheVisitorWants) {
  std::vector<int64_t> lines;
  const absl::Status status =
      ReadTokens(TextUnit::kWords, "file", "a\n\nb c\nd", [&](absl::string_view token, int64_t line) {
        lines.push_back(line);
        return absl::StatusOr<bool>(token != "c");
      });
  EXPECT_TRUE(status.ok());
  EXPECT_THAT(lines, ElementsAre(1, 1, 2, 3, 3));
}

TEST(TextReaderTest, BytesThatAreNoCharacters) {
  const auto error = [](const std::string& bytes) {
    return ErrorOf(ReadTokens(TextUnit::kCharacters, "in.txt", bytes,
                              [](absl::string_view, int64_t) { return absl::StatusOr<bool>(true); }));
  };
  EXPECT_THAT(error("ab\ncd\xE9 f"),
              AllOf(HasSubstr("in.txt: byte 5, in line 2, is 0xE9"), HasSubstr("save the file")));
  EXPECT_THAT(error("ab\xE2\x82"), HasSubstr("in.txt: byte 2, in line 1, is 0xE2"));
}

// One long line is fine, one long word is no word.
TEST(TextReaderTest, LongLinesAndLongWords) {
  std::string line;
  for (int i = 0; i < 2'000'000; ++i) line += "abcd ";
  EXPECT_EQ(TokensOf(TextUnit::kWords, line).size(), 2'000'001u);
  EXPECT_EQ(TokensOf(TextUnit::kCharacters, line).size(), 10'000'000u);
  const std::string longest(static_cast<size_t>(kLongestWord), 'x');
  EXPECT_EQ(TokensOf(TextUnit::kWords, longest).size(), 2u);
  const auto visit = [](absl::string_view, int64_t) { return absl::StatusOr<bool>(true); };
  EXPECT_THAT(ErrorOf(ReadTokens(TextUnit::kWords, "in.txt", "a\nb " + longest + "x", visit)),
              AllOf(HasSubstr("in.txt: line 2 has a word of 65537 bytes"), HasSubstr("data.name=characters")));
}

TEST(TextReaderTest, AByteOrderMarkIsNoText) {
  const std::string path = NewTextDirectory() + "/marked.txt";
  WriteText(path, "\xEF\xBB\xBFthe");
  const auto text = ReadTextFile(path);
  ASSERT_TRUE(text.ok()) << text.status();
  EXPECT_EQ(*text, "the");
}

TEST(TextsTest, WordsOfThreeFiles) {
  const std::string dir = WordsDirectory("the cat\nthe <unk>\n", "the cat\n", "a dog the\n");
  const auto texts = LoadTexts("words", {.data_dir = dir});
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_EQ(texts->unit, TextUnit::kWords);
  EXPECT_THAT(texts->vocabulary.tokens(), ElementsAre("<eos>", "the", "cat", "<unk>"));
  EXPECT_THAT(texts->train.tokens.span<int32_t>(), ElementsAre(1, 2, 0, 1, 3, 0));
  EXPECT_THAT(texts->valid.tokens.span<int32_t>(), ElementsAre(1, 2, 0));
  EXPECT_THAT(texts->test.tokens.span<int32_t>(), ElementsAre(3, 3, 1, 0));
  EXPECT_EQ(texts->test.unknown, 2);
  EXPECT_EQ(texts->test.vocabulary, 4);
  EXPECT_EQ(texts->test.before, 0);
  EXPECT_EQ(texts->train.summary, "words train: 6 tokens in 2 lines");
  EXPECT_THAT(texts->warnings, ElementsAre("2 of the 4 tokens of the test text are words that the training text does "
                                           "not have; they count as '<unk>'"));
}

// It is added where it is needed, and only there.
TEST(TextsTest, UnknownWordsOfATrainingTextWithoutUnk) {
  const auto with = LoadTexts("words", {.data_dir = WordsDirectory("a b\n", "c\n", "a\n")});
  ASSERT_TRUE(with.ok()) << with.status();
  EXPECT_THAT(with->vocabulary.tokens(), ElementsAre("<eos>", "a", "b", "<unk>"));
  EXPECT_THAT(with->valid.tokens.span<int32_t>(), ElementsAre(3, 0));
  EXPECT_THAT(with->warnings, ElementsAre(AllOf(HasSubstr("1 of the 2 tokens of the valid text are words"),
                                                HasSubstr("of which training sees none"))));
  EXPECT_EQ(with->train.vocabulary, 4);
  const auto without = LoadTexts("words", {.data_dir = WordsDirectory("a b\n", "b\n", "a\n")});
  ASSERT_TRUE(without.ok());
  EXPECT_THAT(without->vocabulary.tokens(), ElementsAre("<eos>", "a", "b"));
  EXPECT_THAT(without->warnings, IsEmpty());
}

TEST(TextsTest, CharactersOfOneFile) {
  // 40 characters: 36 train, 2 validate, 2 test.
  std::string text;
  for (int i = 0; i < 18; ++i) text += "a\xC3\xA9";
  text +=
      "b\xC3\xA9"
      "\nb";
  const auto texts = LoadTexts("characters", {.data_dir = CharactersDirectory(text)});
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_THAT(texts->vocabulary.tokens(), ElementsAre("\n", "a", "\xC3\xA9", "<unk>"));
  EXPECT_EQ(texts->train.size(), 36);
  EXPECT_THAT(texts->valid.tokens.span<int32_t>(), ElementsAre(3, 2));
  EXPECT_THAT(texts->test.tokens.span<int32_t>(), ElementsAre(0, 3));
  EXPECT_EQ(texts->train.before, 0) << "the newline, which this text does not have";
  EXPECT_THAT(texts->warnings.at(0), HasSubstr("1 of the 2 tokens of the valid text are characters"));
}

TEST(TextsTest, GzippedFilesAndLimits) {
  const std::string dir = WordsDirectory("a b c\n", "a a a\n", "b\n");
  const std::string text = "x y z x\n";
  const gzFile file = gzopen((dir + "/train.txt.gz").c_str(), "wb");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  std::filesystem::remove(dir + "/train.txt");
  const auto texts = LoadTexts("words", {.data_dir = dir, .limit = 2});
  ASSERT_TRUE(texts.ok()) << texts.status();
  EXPECT_EQ(Joined(texts->train, texts->vocabulary), "x y");
  EXPECT_EQ(texts->valid.size(), 2);
  EXPECT_EQ(texts->test.size(), 2);
}

TEST(TextsTest, ATextInTheTokensOfAModel) {
  const Vocabulary vocabulary = *Vocabulary::Of({"a", "<eos>", "<unk>", "b"});
  const std::string dir = NewTextDirectory();
  WriteText(dir + "/test.txt", "b c\na\n");
  const auto text = LoadText("words", TextPart::kTest, {.data_dir = dir}, vocabulary);
  ASSERT_TRUE(text.ok()) << text.status() << "; the training text need not be there";
  EXPECT_EQ(Joined(*text, vocabulary), "b <unk> <eos> a <eos>");
  EXPECT_EQ(text->unknown, 1);
  EXPECT_EQ(text->vocabulary, 4);
  EXPECT_EQ(text->before, 1) << "the number that the model has for <eos>";
  EXPECT_THAT(
      ErrorOf(LoadText("words", TextPart::kTest, {.data_dir = dir}, *Vocabulary::Of({"<eos>", "b", "a"})).status()),
      AllOf(HasSubstr("test.txt: line 1: the model does not know the word 'c'"), HasSubstr("no '<unk>'")));
  EXPECT_THAT(ErrorOf(LoadText("words", TextPart::kTest, {.data_dir = dir}, *Vocabulary::Of({"b"})).status()),
              HasSubstr("the vocabulary has no word '<eos>'"));
  const std::string letters = CharactersDirectory(std::string(30, 'a') + "\n" + std::string(9, 'a') + "z");
  EXPECT_THAT(
      ErrorOf(LoadText("characters", TextPart::kTest, {.data_dir = letters}, *Vocabulary::Of({"\n", "a"})).status()),
      AllOf(HasSubstr("input.txt: line 2: the model does not know the character 'z'")));
}

// Each error names the file and what to do.
TEST(TextsTest, WrongFiles) {
  const std::string good = WordsDirectory("a\n", "a\n", "a\n");
  const auto words = [](const TextOptions& options) { return ErrorOf(LoadTexts("words", options).status()); };
  EXPECT_EQ(words({.data_dir = good}), "");
  EXPECT_THAT(words({}), HasSubstr("--data_dir=DIR names the directory that has train.txt, valid.txt and test.txt"));
  EXPECT_THAT(words({.data_dir = good, .limit = -1}), HasSubstr("the limit on tokens is -1"));

  const std::string missing = WordsDirectory("a\n", "a\n", "a\n");
  std::filesystem::remove(missing + "/valid.txt");
  EXPECT_THAT(words({.data_dir = missing}),
              AllOf(HasSubstr("found neither valid.txt nor valid.txt.gz in directory '" + missing + "'"),
                    HasSubstr("--data_dir=DIR")));
  const std::string empty = WordsDirectory("a\n", "a\n", "");
  EXPECT_THAT(words({.data_dir = empty}), HasSubstr(empty + "/test.txt is empty"));

  const std::string many = WordsDirectory("a b\nc d\n", "a\n", "a\n");
  EXPECT_THAT(words({.data_dir = many, .most_tokens = 4}),
              AllOf(HasSubstr(many + "/train.txt: line 2: there are more than 4 different words"), HasSubstr("<unk>")));
  EXPECT_EQ(words({.data_dir = many, .most_tokens = 5}), "");
  const std::string no_room = WordsDirectory("a b\n", "c\n", "a\n");
  EXPECT_THAT(words({.data_dir = no_room, .most_tokens = 3}), HasSubstr("more than 3 different words"));

  const auto characters = [](const std::string& dir) {
    return ErrorOf(LoadTexts("characters", {.data_dir = dir}).status());
  };
  EXPECT_THAT(characters(""), HasSubstr("--data_dir=DIR names the directory that has input.txt"));
  EXPECT_THAT(characters(good), HasSubstr("found neither input.txt nor input.txt.gz"));
  const std::string small = CharactersDirectory("abcdefghij");
  EXPECT_THAT(characters(small), HasSubstr(small + "/input.txt has 10 characters; of 90, 5 and 5 percent of them the "
                                                   "valid text would have none"));
  EXPECT_THAT(characters(CharactersDirectory(std::string(50, 'a') + "\xFF")), HasSubstr("byte 50, in line 1, is 0xFF"));

  // A gzipped file that was cut off.
  const std::string cut = WordsDirectory("a\n", "a\n", "a\n");
  const gzFile file = gzopen((cut + "/whole.gz").c_str(), "wb");
  std::string text;
  for (int i = 0; i < 10000; ++i) absl::StrAppend(&text, i, " ");
  gzwrite(file, text.data(), static_cast<unsigned>(text.size()));
  gzclose(file);
  std::filesystem::resize_file(cut + "/whole.gz", 9000);
  std::filesystem::rename(cut + "/whole.gz", cut + "/train.txt");
  EXPECT_THAT(words({.data_dir = cut}), AllOf(HasSubstr(cut + "/train.txt"), HasSubstr("truncated")));
}

}  // namespace
}  // namespace bitgrad
