// Training on texts: what is said and kept, resuming in the middle of a text, other texts, wrong recipes.

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/evaluate_text.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/text_training_data.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/data/text_files.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::Contains;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::Not;

class TextTrainerTest : public OnTestDevice<testing::Test> {};

// Sentences of which every second word follows from the one before it. `salt` gives other ones.
std::string Sentences(int count, uint64_t salt) {
  const char* const first[] = {"red", "green", "blue"};
  const char* const second[] = {"apple", "leaf", "sky"};
  std::string text;
  TestRandom random(salt);
  for (int i = 0; i < count; ++i) {
    for (int j = 0; j < 2; ++j) {
      const auto k = static_cast<size_t>(random.Below(3));
      absl::StrAppend(&text, first[k], " ", second[k], " ");
    }
    text += "\n";
  }
  return text;
}

std::string SentencesDirectory() { return WordsDirectory(Sentences(60, 1), Sentences(13, 2), Sentences(11, 3)); }

// 300 tokens in 4 streams of 75: 8 batches, of 10 steps and the last one of 5.
recipe::Recipe TextRecipe(const std::vector<std::string>& assignments = {}) {
  recipe::Recipe recipe = *LoadRecipe("ptb_float_lstm");
  std::vector<std::string> all = {"model.recurrent_net.hidden=6",
                                  "model.recurrent_net.embedding=4",
                                  "model.recurrent_net.keep=0.9",
                                  "data.steps=10",
                                  "batch_size=4",
                                  "epochs=3",
                                  "optimizer.learning_rate=2"};
  all.insert(all.end(), assignments.begin(), assignments.end());
  for (const std::string& assignment : all) {
    const absl::Status status = SetField(assignment, recipe);
    EXPECT_TRUE(status.ok()) << status;
  }
  return recipe;
}

TEST_F(TextTrainerTest, SaysAndKeepsWhatATextHas) {
  const std::string data = SentencesDirectory(), out = NewDirectory();
  Log log;
  const auto result = Train(TextRecipe(), {.data_dir = data, .out_dir = out, .metrics_file = out + "/m.jsonl"}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), AllOf(HasSubstr("words train: 300 tokens in 60 lines (tokens "),
                                HasSubstr("words test: 55 tokens in 11 lines (tokens "),
                                HasSubstr("vocabulary: 7 different tokens\n"), HasSubstr("  perplexity: train "),
                                HasSubstr(" tokens/s"), Not(HasSubstr("error")), Not(HasSubstr("warning"))));
  EXPECT_EQ(result->display, MetricDisplay::kPerplexity);
  EXPECT_LT(result->best.test_error(), std::log(7.0)) << "nats per token: better than to guess";
  EXPECT_THAT(FormatFinal(result->best, result->display), HasSubstr("test_perplexity="));
  EXPECT_THAT(ReadFile(out + "/m.jsonl"), AllOf(HasSubstr("\"train_perplexity\":"), Not(HasSubstr("error"))));

  const auto best = Checkpoint::Open(result->checkpoint);
  ASSERT_TRUE(best.ok()) << best.status();
  const checkpoint::Header& header = best->header();
  EXPECT_EQ(header.text(), checkpoint::WORDS);
  EXPECT_EQ(header.features(), 0);
  EXPECT_EQ(header.classes(), 7);
  EXPECT_EQ(header.class_names_size(), 7);
  EXPECT_THAT(header.class_names(), Contains("apple"));
  EXPECT_EQ(header.class_names(0), "<eos>");
  EXPECT_EQ(header.training_data().tokens(), 300);
  EXPECT_EQ(header.validation_data().tokens(), 65);
  EXPECT_EQ(header.test_data().tokens(), 55);
  EXPECT_THAT(header.states(), IsEmpty()) << "an epoch begins with zeros";

  // The model that was kept has the perplexity that was told.
  ExecContext context({.device = TestDevice(), .threads = 1});
  const auto text = LoadTestText(*best, data);
  ASSERT_TRUE(text.ok()) << text.status();
  const auto evaluation = EvaluateText(context, *best, *text);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->tokens, 55);
  EXPECT_EQ(evaluation->nats, result->best.test_error());
}

TEST_F(TextTrainerTest, CharactersHaveBits) {
  const std::string data = CharactersDirectory(Sentences(80, 1));
  Log log;
  const auto result =
      Train(TextRecipe({"data.name=characters", "epochs=1"}), {.data_dir = data, .out_dir = NewDirectory()}, log);
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_THAT(log.text(), AllOf(HasSubstr("  bpc: train "), HasSubstr(" characters/s")));
  EXPECT_THAT(FormatFinal(result->best, result->display), HasSubstr("test_bpc="));
  EXPECT_EQ(Checkpoint::Open(result->checkpoint)->header().text(), checkpoint::CHARACTERS);
}

// Interrupted within each epoch but the first, with dropout, a schedule that depends on results, and an optimizer with
// a state. The plateau must come: the rates are part of what is compared.
TEST_F(TextTrainerTest, ResumesWithinAnEpochBitForBit) {
  const std::string data = SentencesDirectory();
  const std::vector<std::vector<std::string>> cases = {
      {"optimizer.momentum=0.5", "optimizer.learning_rate=4", "epochs=4"},
      {"model.recurrent_net.hidden=5,4", "model.recurrent_net.cell=GRU", "optimizer.name=adam",
       "optimizer.learning_rate=0.01", "batch_size=3"}};
  for (const auto& assignments : cases) {
    SCOPED_TRACE(assignments.at(0));
    const recipe::Recipe recipe = TextRecipe(assignments);
    const std::string whole = NewDirectory(), parts = NewDirectory();
    const auto expected = Train(recipe, {.data_dir = data, .out_dir = whole});
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (int run = 0; run + 1 < recipe.epochs(); ++run) {
      Log log(/*interrupt_at_line=*/1);
      const auto stopped = Train(recipe, {.data_dir = data, .out_dir = parts, .resume = run > 0}, log);
      ASSERT_EQ(stopped.status().code(), absl::StatusCode::kCancelled) << stopped.status();
      EXPECT_THAT(std::string(stopped.status().message()), HasSubstr("after 1 batches"));
      const auto checkpoint = Checkpoint::Open(parts + "/checkpoint.bgc");
      ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
      EXPECT_GT(checkpoint->header().states_size(), 0);
      const auto state = checkpoint->header().states(0);
      EXPECT_THAT(std::vector<int64_t>(state.shape().begin(), state.shape().end()),
                  ElementsAre(recipe.batch_size(), recipe.model().recurrent_net().hidden(0)));
    }
    const auto result = Train(recipe, {.data_dir = data, .out_dir = parts, .resume = true});
    ASSERT_TRUE(result.ok()) << result.status();
    ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
    ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
    EXPECT_EQ(result->best.test_error(), expected->best.test_error());
  }
}

// Each epoch has the rate that the results before it say.
TEST_F(TextTrainerTest, APlateauLowersTheRate) {
  const std::string data = SentencesDirectory(), out = NewDirectory();
  // A rate so large that not every epoch can be better than all before it.
  ASSERT_TRUE(Train(TextRecipe({"epochs=8", "optimizer.learning_rate=12", "schedule.step_factor=0.25"}),
                    {.data_dir = data, .out_dir = out})
                  .ok());
  const auto checkpoint = Checkpoint::Open(out + "/checkpoint.bgc");
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  double rate = 12, best = INFINITY;
  for (const checkpoint::EpochMetrics& epoch : checkpoint->header().epochs()) {
    EXPECT_EQ(epoch.learning_rate(), rate) << epoch.epoch();
    if (!(epoch.valid_error() < best)) rate *= 0.25;
    best = std::min(best, epoch.valid_error());
  }
  EXPECT_LT(rate, 12) << "the test is to see a plateau";
}

TEST_F(TextTrainerTest, OtherTextsAreRefused) {
  const std::string data = SentencesDirectory(), out = NewDirectory();
  Log log(/*interrupt_at_line=*/1);
  ASSERT_TRUE(absl::IsCancelled(Train(TextRecipe(), {.data_dir = data, .out_dir = out}, log).status()));
  const auto error = [&](const std::string& dir) {
    return std::string(Train(TextRecipe(), {.data_dir = dir, .out_dir = out, .resume = true}).status().message());
  };
  const std::string train = Sentences(60, 1), valid = Sentences(13, 2), test = Sentences(11, 3);
  const std::string path = out + "/checkpoint.bgc";
  EXPECT_THAT(error(WordsDirectory(train, valid, Sentences(11, 4))),
              AllOf(HasSubstr(path), HasSubstr("Its test set has: another text"), HasSubstr("--data_dir")));
  EXPECT_THAT(error(WordsDirectory(train, Sentences(12, 2), test)),
              HasSubstr("Its validation set has: 60 tokens instead of 65, another text"));
  EXPECT_THAT(error(WordsDirectory(Sentences(60, 5), valid, test)), HasSubstr("Its training set has: another text"));
  // Another word in the place of one: the same numbers.
  const auto renamed = [](std::string text) {
    for (size_t at; (at = text.find("leaf")) != std::string::npos;) text.replace(at, 4, "moss");
    return text;
  };
  EXPECT_THAT(error(WordsDirectory(renamed(train), renamed(valid), renamed(test))),
              AllOf(HasSubstr("Of its vocabulary class "), HasSubstr("is 'moss' instead of 'leaf'")));
  EXPECT_EQ(error(data), "");
}

// What an evaluation says of a text with words that the model does not know, and of another model's.
TEST_F(TextTrainerTest, EvaluatesOtherTexts) {
  const std::string out = NewDirectory();
  const std::string data = WordsDirectory(Sentences(60, 1) + "<unk>\n", Sentences(13, 2), Sentences(11, 3));
  const auto result = Train(TextRecipe({"epochs=1"}), {.data_dir = data, .out_dir = out});
  ASSERT_TRUE(result.ok()) << result.status();
  const auto checkpoint = Checkpoint::Open(result->checkpoint);
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const std::string other = NewTextDirectory();
  WriteText(other + "/test.txt", "red car\n");
  testing::internal::CaptureStdout();
  const auto text = LoadTestText(*checkpoint, other);
  EXPECT_THAT(testing::internal::GetCapturedStdout(),
              AllOf(HasSubstr("note: this is not the test data of the checkpoint's run: 3 tokens instead of 55"),
                    HasSubstr("note: 1 of the 3 tokens of the text are unknown to the model and count as '<unk>'")));
  ASSERT_TRUE(text.ok()) << text.status();
  ExecContext context({.device = TestDevice(), .threads = 1});
  const auto evaluation = EvaluateText(context, *checkpoint, *text);
  ASSERT_TRUE(evaluation.ok()) << evaluation.status();
  EXPECT_EQ(evaluation->tokens, 3);
}

TEST_F(TextTrainerTest, WrongRecipesAreErrors) {
  const std::string data = SentencesDirectory();
  const auto error = [&](const std::vector<std::string>& assignments) {
    return std::string(
        Train(TextRecipe(assignments), {.data_dir = data, .out_dir = NewDirectory()}).status().message());
  };
  EXPECT_THAT(error({"data.steps=0"}), AllOf(HasSubstr("data set 'words' is a text: data.steps is 0")));
  EXPECT_THAT(error({"data.steps=65537"}), HasSubstr("has to be in [1, 65536]"));
  EXPECT_THAT(error({"loss=SQUARED_HINGE"}), HasSubstr("loss is SQUARED_HINGE; tokens are predicted with loss: "
                                                       "SOFTMAX_CROSS_ENTROPY"));
  EXPECT_THAT(error({"data.validation_examples=5"}), HasSubstr("data.validation_examples is 5"));
  EXPECT_THAT(error({"data.augmentation=flip"}), HasSubstr("data.augmentation is for images alone"));
  EXPECT_THAT(error({"data.preprocessing=gcn"}), HasSubstr("data.preprocessing is for images alone"));
  EXPECT_THAT(error({"data.image_size=32"}), HasSubstr("data.image_size is for images alone"));
  EXPECT_THAT(error({"data.first_label=0"}), HasSubstr("data.first_label is for images alone"));
  EXPECT_THAT(error({"batch_size=151"}),
              HasSubstr("the train text of data set 'words' has 300 tokens, fewer than 2 for each of 151 streams"));
  EXPECT_THAT(error({"data.name=wrods"}), HasSubstr("there is no data set 'wrods' (did you mean 'words'?)"));
  EXPECT_THAT(error({"data.name=characters"}), HasSubstr("found neither input.txt nor input.txt.gz"));
  recipe::Recipe later = TextRecipe();
  recipe::Phase& phase = *later.add_phase();
  phase.set_from_epoch(2);
  phase.add_set("loss=SQUARED_HINGE_SUM");
  EXPECT_THAT(std::string(Train(later, {.data_dir = data, .out_dir = NewDirectory()}).status().message()),
              AllOf(HasSubstr("loss is SQUARED_HINGE_SUM"), HasSubstr("(in phase[0] of the recipe)")));
  EXPECT_THAT(std::string(Train(TinyRecipe({"data.steps=35"}), {.out_dir = NewDirectory()}).status().message()),
              AllOf(HasSubstr("data.steps is 35"), HasSubstr("data set 'digits' consists of images, leave it out")));
  // Images with what goes by validation, and nothing that validates.
  EXPECT_THAT(std::string(Train(TinyRecipe({"schedule.name=plateau", "data.validation_examples=0"}),
                                {.out_dir = NewDirectory()})
                              .status()
                              .message()),
              AllOf(HasSubstr("schedule.name is 'plateau'"), HasSubstr("set data.validation_examples")));
  EXPECT_TRUE(Train(TinyRecipe({"schedule.name=plateau", "epochs=1"}), {.out_dir = NewDirectory()}).ok());
  EXPECT_THAT(std::string(Train(TinyRecipe({"data.name=words", "data.steps=5", "loss=SOFTMAX_CROSS_ENTROPY",
                                            "data.validation_examples=0", "data.limit=0"}),
                                {.data_dir = data, .out_dir = NewDirectory()})
                              .status()
                              .message()),
              AllOf(HasSubstr("mlp"), HasSubstr("tokens")));
}

// Which part is which, how many tokens there are, and what they take.
TEST_F(TextTrainerTest, PartsLimitAndMemory) {
  // The test text is the longer one of those that are evaluated.
  const std::string data = WordsDirectory(Sentences(60, 1), Sentences(11, 2), Sentences(13, 3));
  const auto load = [&](const std::vector<std::string>& assignments) {
    auto loaded = TextTrainingData::Load(TextRecipe(assignments), {.data_dir = data});
    EXPECT_TRUE(loaded.ok()) << loaded.status();
    return *std::move(loaded);
  };
  const auto whole = load({}), limited = load({"data.limit=60"}), wide = load({"batch_size=60"});
  checkpoint::Header header;
  whole->Describe(header);
  EXPECT_EQ(header.training_data().tokens(), 300);
  EXPECT_EQ(header.validation_data().tokens(), 55);
  EXPECT_EQ(header.test_data().tokens(), 65);
  EXPECT_EQ(whole->memory().held, 4 * (300 + 55 + 65));
  EXPECT_EQ(limited->memory().held, 4 * (60 + 55 + 60));
  // Tokens and targets of 10 steps; an evaluation has no more streams than there are tokens.
  EXPECT_EQ(whole->memory().batch, 2 * 4 * 4 * 10);
  EXPECT_EQ(whole->memory().evaluated, 4);
  EXPECT_EQ(wide->memory().evaluated, 60);
}

TEST_F(TextTrainerTest, TheTaskOfARecipe) {
  EXPECT_EQ(TextTaskOf(TextRecipe(), TextUnit::kWords, 7)->loss_scale(), 1);
  const auto task = TextTaskOf(TextRecipe({"loss_scale=8"}), TextUnit::kCharacters, 7);
  EXPECT_EQ(task->loss_scale(), 8);
  EXPECT_EQ(task->display(), MetricDisplay::kBitsPerCharacter);
  EXPECT_EQ(task->Blank(3).tokens.shape(), Shape({10, 3}));
}

}  // namespace
}  // namespace bitgrad
