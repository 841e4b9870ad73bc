// Text from packed models of text.

#include "bitgrad/runtime/generate.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/packed_model_writer.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// A model that is sure of what follows token i: token i + 1, and the first one after the last.
std::unique_ptr<PackedModel> Successor(const std::vector<std::string>& vocabulary, packed::Header::Text text) {
  const int64_t n = static_cast<int64_t>(vocabulary.size());
  PackedModelWriter writer;
  packed::Header& header = writer.header();
  header.mutable_input()->add_shape(1);
  header.mutable_input()->set_tokens(static_cast<int32_t>(n));
  header.set_class_count(static_cast<int32_t>(n));
  header.set_text(text);
  for (const std::string& token : vocabulary) header.add_class_names(token);
  std::vector<float> table(static_cast<size_t>(n * n), 0.0f);
  for (int64_t i = 0; i < n; ++i) table[static_cast<size_t>(i * n + (i + 1) % n)] = 100;
  writer.AddEmbedding("out", kInputValue, writer.AddFloats("table", {n, n}, table), n, 0);
  const auto bytes = writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  auto model = PackedModel::FromBytes("net", *bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  return *std::move(model);
}

std::string Text(const PackedModel& model, const std::string& prompt, const GenerateOptions& options) {
  const auto vocabulary = VocabularyOf(model);
  const auto read = ReadPrompt(*vocabulary, UnitOf(model.header()), prompt);
  EXPECT_TRUE(read.ok()) << read.status();
  ExecContext context({.threads = 1});
  std::string text;
  const absl::Status status =
      Generate(model, context, read->tokens, options, [&](absl::string_view piece) { absl::StrAppend(&text, piece); });
  EXPECT_TRUE(status.ok()) << status;
  return text;
}

TEST(GenerateTest, WordsAndCharacters) {
  const auto words = Successor({"<eos>", "the", "cat", "sat", "<unk>"}, packed::Header::WORDS);
  EXPECT_EQ(Text(*words, "", {.length = 7}), "the cat sat <unk>\nthe cat\n");
  EXPECT_EQ(Text(*words, "the cat", {.length = 2, .temperature = 0}), "the cat sat <unk>\n");
  EXPECT_EQ(Text(*words, "cat\n", {.length = 1}), "cat\nthe\n");
  EXPECT_EQ(Text(*words, "dog", {.length = 2}), "<unk>\nthe\n");
  EXPECT_EQ(Text(*words, "the", {.length = 0}), "the\n");
  const auto characters = Successor({"\n", "a", "\u00e9", "b"}, packed::Header::CHARACTERS);
  EXPECT_EQ(Text(*characters, "", {.length = 6}), "a\u00e9b\na\u00e9");
  EXPECT_EQ(Text(*characters, "b\n", {.length = 1}), "b\na");
}

TEST(GenerateTest, PromptsAreReadAsTextsAre) {
  const Vocabulary words = *Vocabulary::Of({"<eos>", "the", "cat", "<unk>"});
  const auto prompt = ReadPrompt(words, TextUnit::kWords, "the  dog\tate\nthe cat dog");
  ASSERT_TRUE(prompt.ok()) << prompt.status();
  EXPECT_THAT(prompt->tokens, ElementsAre(1, 3, 3, 0, 1, 2, 3));
  EXPECT_THAT(prompt->unknown, ElementsAre("dog", "ate"));
  EXPECT_THAT(ReadPrompt(words, TextUnit::kWords, "")->tokens, IsEmpty());
  const Vocabulary characters = *Vocabulary::Of({"\n", "a"});
  EXPECT_THAT(ReadPrompt(characters, TextUnit::kCharacters, "a\na")->tokens, ElementsAre(1, 0, 1));
  EXPECT_THAT(std::string(ReadPrompt(characters, TextUnit::kCharacters, "ab").status().message()),
              HasSubstr("the prompt has 'b', which the model's vocabulary lacks"));
}

TEST(GenerateTest, DrawsBySoftmax) {
  const std::vector<float> logits = {0.0f, std::log(3.0f), -std::numeric_limits<float>::infinity(), 0.0f};
  // Shares 1, 3, 0, 1 of 5.
  EXPECT_EQ(*DrawToken(logits, 1, 0.0), 0);
  EXPECT_EQ(*DrawToken(logits, 1, 0.199), 0);
  EXPECT_EQ(*DrawToken(logits, 1, 0.201), 1);
  EXPECT_EQ(*DrawToken(logits, 1, 0.799), 1);
  EXPECT_EQ(*DrawToken(logits, 1, 0.801), 3);
  EXPECT_EQ(*DrawToken(logits, 1, std::nextafter(1.0, 0.0)), 3);
  // At 1/2 shares are squared: 1, 9, 0, 1 of 11.
  EXPECT_EQ(*DrawToken(logits, 0.5, 0.092), 1);
  EXPECT_EQ(*DrawToken(logits, 0.5, 0.908), 1);
  EXPECT_EQ(*DrawToken(logits, 0.5, 0.91), 3);
  EXPECT_EQ(*DrawToken(logits, 0, 0.99), 1);
  const std::vector<float> equal = {1.0f, 2.0f, 2.0f};
  EXPECT_EQ(*DrawToken(equal, 0, 0.99), 1);
  const std::vector<float> damaged = {1.0f, NAN};
  EXPECT_FALSE(DrawToken(damaged, 1, 0.5).ok());
  EXPECT_FALSE(DrawToken(damaged, 0, 0.5).ok());
}

TEST(GenerateTest, TheSeedGivesTheText) {
  const SampleModel sample = LstmModel(4, 50, 16, 24);
  const auto model = PackedModel::FromBytes("net", *sample.writer.Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  const std::string text = Text(**model, "", {.length = 60, .seed = 3});
  EXPECT_EQ(text, Text(**model, "", {.length = 60, .seed = 3}));
  EXPECT_NE(text, Text(**model, "", {.length = 60, .seed = 4}));
  // What has been drawn does not depend on how long it goes on.
  const std::string beginning = Text(**model, "", {.length = 20, .seed = 3});
  EXPECT_EQ(text.substr(0, beginning.size() - 1), beginning.substr(0, beginning.size() - 1));
}

TEST(GenerateTest, WrongModelsAndOptionsAreErrors) {
  const SampleModel images = BnnModel();
  EXPECT_THAT(std::string(VocabularyOf(**PackedModel::FromBytes("net", *images.writer.Serialize())).status().message()),
              HasSubstr("packed model 'net' is no model of text: it takes no tokens"));
  SampleModel nameless = TokenModel();
  nameless.writer.header().clear_text();
  EXPECT_THAT(
      std::string(VocabularyOf(**PackedModel::FromBytes("net", *nameless.writer.Serialize())).status().message()),
      HasSubstr("packed model 'net' is no model of text: it has no vocabulary"));
  const auto words = Successor({"<eos>", "the"}, packed::Header::WORDS);
  ExecContext context({.threads = 1});
  const auto message = [&](const GenerateOptions& options) {
    return std::string(Generate(*words, context, {}, options, [](absl::string_view) {}).message());
  };
  EXPECT_THAT(message({.length = -1}), HasSubstr("length -1 is negative"));
  EXPECT_THAT(message({.temperature = -0.5}), HasSubstr("temperature -0.5 is not a number of at least 0"));
  EXPECT_THAT(message({.temperature = NAN}), HasSubstr("temperature nan is not"));
  EXPECT_THAT(message({.temperature = INFINITY}), HasSubstr("temperature inf is not"));
}

}  // namespace
}  // namespace bitgrad
