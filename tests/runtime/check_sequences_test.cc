// Headers of models of tokens that are whole (all CRCs fit) but wrong: each rule, and the message it gives.

#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/changed_header.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using packed::Instruction;
using testing::HasSubstr;

struct Case {
  const char* message;
  std::function<void(Header&)> change;
};

void ExpectMessages(const SampleModel& sample, const std::vector<Case>& cases) {
  const std::string file = *sample.writer.Serialize();
  const auto whole = PackedModel::FromBytes("net.bgm", WithHeader(file, [](Header&) {}));
  ASSERT_TRUE(whole.ok()) << whole.status();
  for (const Case& c : cases) {
    const auto model = PackedModel::FromBytes("net.bgm", WithHeader(file, c.change));
    ASSERT_FALSE(model.ok()) << c.message;
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("packed model 'net.bgm': "));
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("freeze the model again"));
  }
}

// The k-th instruction of a kind.
Instruction& Find(Header& h, Instruction::KindCase kind, int k = 0) {
  for (Instruction& instruction : *h.mutable_instructions()) {
    if (instruction.kind_case() == kind && k-- == 0) return instruction;
  }
  ADD_FAILURE() << "there is no such instruction";
  return *h.mutable_instructions(0);
}
packed::Embedding& EmbeddingOf(Header& h) { return *Find(h, Instruction::kEmbedding).mutable_embedding(); }

TEST(CheckSequencesTest, TokensAndTables) {
  ExpectMessages(
      TokenModel(),
      {
          {"input.tokens: -1 is not in 0 .. 16777215", [](Header& h) { h.mutable_input()->set_tokens(-1); }},
          {"input.tokens: 16777216 is not in", [](Header& h) { h.mutable_input()->set_tokens(1 << 24); }},
          {"input.shape: that of a token is [1]", [](Header& h) { h.mutable_input()->set_shape(0, 2); }},
          {"input.shape: that of a token is [1]", [](Header& h) { h.mutable_input()->add_shape(1); }},
          {"input.pixels: a model that takes tokens takes no pixels",
           [](Header& h) { h.mutable_input()->mutable_pixels()->set_divisor(1); }},
          {"an embedding reads tokens, and this value is numbers",
           [](Header& h) {
             h.mutable_input()->set_tokens(0);
             h.clear_states();
             h.clear_text();
           }},
          {"operands: value 0 is tokens, which only embedding reads",
           [](Header& h) { Find(h, Instruction::kUnary).set_operands(0, 0); }},
          {"operands: 2 given, it takes 1", [](Header& h) { Find(h, Instruction::kEmbedding).add_operands(0); }},
          {"operands: 0 given, it takes 1", [](Header& h) { Find(h, Instruction::kEmbedding).clear_operands(); }},
          {"embedding.table: there is no blob 99", [](Header& h) { EmbeddingOf(h).set_table(99); }},
          {"SYMMETRIC [1, 2590], no table of 38 tokens (input.tokens) with 70 numbers each",
           [](Header& h) { h.mutable_input()->set_tokens(38); }},
          {"no table of 37 tokens (input.tokens) with 71 numbers each",
           [](Header& h) { EmbeddingOf(h).set_width(71); }},
          {"embedding.width: 0 is not in 1 ..", [](Header& h) { EmbeddingOf(h).set_width(0); }},
          {"embedding.width: -70 is not in 1 ..", [](Header& h) { EmbeddingOf(h).set_width(-70); }},
          {"embedding.width: 4611686018427387904 is not in",
           [](Header& h) { EmbeddingOf(h).set_width(int64_t{1} << 62); }},
          {"embedding.scale is not finite and at least 0", [](Header& h) { EmbeddingOf(h).set_scale(-1); }},
          {"embedding.scale is not finite and at least 0", [](Header& h) { EmbeddingOf(h).set_scale(NAN); }},
      });
  ExpectMessages(TokenModel({.table = {EncodingKind::kFloat, 32}, .weights = {EncodingKind::kFloat, 32}}),
                 {{"embedding.scale: a table of floats has none", [](Header& h) { EmbeddingOf(h).set_scale(1); }},
                  {"FLOAT32 [66, 70], no table of 37 tokens", [](Header& h) { EmbeddingOf(h).set_table(1); }}});
}

TEST(CheckSequencesTest, SlicesAndStates) {
  const auto slice = [](Header& h) { return Find(h, Instruction::kSliceColumns, 1).mutable_slice_columns(); };
  ExpectMessages(
      TokenModel(),
      {
          {"slice_columns: 33 columns from 34 on do not lie in the last dimension of [66]",
           [&](Header& h) { slice(h)->set_begin(34); }},
          {"slice_columns: 0 columns from 33 on", [&](Header& h) { slice(h)->set_size(0); }},
          {"slice_columns: 33 columns from -1 on", [&](Header& h) { slice(h)->set_begin(-1); }},
          {"slice_columns: 9223372036854775807 columns", [&](Header& h) { slice(h)->set_size(INT64_MAX); }},
          {"33 columns from 9223372036854775807 on", [&](Header& h) { slice(h)->set_begin(INT64_MAX); }},
          {"state.slot: there is no slot 3, the file has 3",
           [](Header& h) { Find(h, Instruction::kState).mutable_state()->set_slot(3); }},
          {"state.slot: there is no slot -1",
           [](Header& h) { Find(h, Instruction::kState).mutable_state()->set_slot(-1); }},
          {"operands: 1 given, it takes 0", [](Header& h) { Find(h, Instruction::kState).add_operands(1); }},
          {"state 0 (cell/h): no instruction reads it",
           [](Header& h) { Find(h, Instruction::kState).mutable_state()->set_slot(1); }},
          {"state 3 (extra): no instruction reads it",
           [](Header& h) {
             packed::StateSlot& slot = *h.add_states();
             slot.set_name("extra");
             slot.set_width(33);
             slot.set_next(3);
           }},
          {"state 1 (cell/c): next: there is no value 0 that an instruction makes",
           [](Header& h) { h.mutable_states(1)->clear_next(); }},
          {"state 1 (cell/c): next: there is no value -1", [](Header& h) { h.mutable_states(1)->set_next(-1); }},
          {"state 1 (cell/c): next: there is no value 99", [](Header& h) { h.mutable_states(1)->set_next(99); }},
          {"state 1 (cell/c): next: value 1 has examples of shape [70], not [33]",
           [](Header& h) { h.mutable_states(1)->set_next(1); }},
          {"state 0 (cell/h): width 0 is not in 1 ..", [](Header& h) { h.mutable_states(0)->set_width(0); }},
          {"shapes [34] and [33] differ", [](Header& h) { h.mutable_states(1)->set_width(34); }},
          {"states: the name 'cell/h' is there twice", [](Header& h) { h.mutable_states(2)->set_name("cell/h"); }},
          {"states: only a model that takes tokens (input.tokens) or time steps (input.time_steps) has them",
           [](Header& h) { h.mutable_input()->set_tokens(0); }},
      });
}

TEST(CheckSequencesTest, TimeSteps) {
  ExpectMessages(TimeStepModel(5),
                 {
                     {"states: only a model that takes tokens (input.tokens) or time steps (input.time_steps) has them",
                      [](Header& h) { h.mutable_input()->set_time_steps(0); }},
                     {"input.time_steps: the example's shape [-1, 70] has an extent that is not in [1, 16777215]",
                      [](Header& h) { h.mutable_input()->set_time_steps(-1); }},
                     {"input.time_steps: the example's shape [2147483647, 70] has an extent that is not in",
                      [](Header& h) { h.mutable_input()->set_time_steps(INT32_MAX); }},
                     {"input.time_steps: the example's shape [239675, 70] has more than 16777215 elements per example",
                      [](Header& h) { h.mutable_input()->set_time_steps(239675); }},
                     // The values of one time step take 2906 bytes, those of all of them more than 256 MiB.
                     {"its value brings the memory of one example over 268435456 bytes",
                      [](Header& h) { h.mutable_input()->set_time_steps(239674); }},
                     {"input.time_steps: the example's shape has 9 dimensions, not 1 to 8",
                      [](Header& h) {
                        for (int i = 0; i < 7; ++i) h.mutable_input()->add_shape(1);
                      }},
                     {"input.time_steps: there are no states", [](Header& h) { h.clear_states(); }},
                     {"state 1 (cell/c): no instruction reads it",
                      [](Header& h) { Find(h, Instruction::kState, 1).mutable_state()->set_slot(0); }},
                     {"is not of images like the model's input",
                      [](Header& h) {
                        fingerprint::DataSet& data = *h.mutable_training_data();
                        data.set_images(10);
                        data.set_classes(37);
                        for (const int64_t extent : {1, 70, 1}) data.add_image_shape(extent);
                      }},
                 });
  ExpectMessages(TokenModel(), {{"input.time_steps: a model that takes tokens has streams of any length",
                                 [](Header& h) { h.mutable_input()->set_time_steps(3); }}});
  // As many as there may be; and data of which an image is all time steps.
  SampleModel sample = TimeStepModel(5, "k_bit(8)", {.tokens = 3});
  fingerprint::DataSet& data = *sample.writer.header().mutable_training_data();
  data.set_images(10);
  data.set_classes(3);
  for (const int64_t extent : {5, 70, 1}) data.add_image_shape(extent);
  EXPECT_TRUE(sample.writer.Serialize().ok()) << sample.writer.Serialize().status();
}

// What states depend on runs in each time step, what the result alone depends on in the last one.
TEST(CheckSequencesTest, RunsOfInstructions) {
  const auto model = PackedModel::FromBytes("net.bgm", *TimeStepModel(5).writer.Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->input(), Shape({5, 70}));
  for (int i = 0; i < (*model)->header().instructions_size(); ++i) {
    const Instruction& instruction = (*model)->header().instructions(i);
    const bool is_late = instruction.layer() == "out" || (instruction.has_state() && instruction.state().slot() == 2);
    EXPECT_EQ((*model)->runs(i), is_late ? 1 : 5) << i << " " << instruction.layer();
  }
  const auto tokens = PackedModel::FromBytes("net.bgm", *TokenModel().writer.Serialize());
  ASSERT_TRUE(tokens.ok()) << tokens.status();
  for (int i = 0; i < (*tokens)->header().instructions_size(); ++i) EXPECT_EQ((*tokens)->runs(i), 1) << i;
}

TEST(CheckSequencesTest, TextAndVocabulary) {
  const auto set_data = [](fingerprint::DataSet& data, int64_t tokens, int64_t classes) {
    data.set_name("words");
    data.set_tokens(tokens);
    data.set_classes(classes);
  };
  ExpectMessages(
      TokenModel(),
      {
          {"text: 7 is unknown", [](Header& h) { h.set_text(static_cast<Header::Text>(7)); }},
          {"class_names: the vocabulary has 36 tokens, the model 37",
           [](Header& h) { h.mutable_class_names()->RemoveLast(); }},
          {"class_names: token 36 ('<eos>') is there twice", [](Header& h) { h.set_class_names(36, "<eos>"); }},
          {"class_count: the model takes 37 tokens (input.tokens) and predicts one of 0",
           [](Header& h) {
             h.clear_class_count();
             h.clear_class_names();
           }},
          {"is not of a text of 37 different tokens", [&](Header& h) { set_data(*h.mutable_test_data(), 0, 37); }},
          {"is not of a text of 37 different tokens", [&](Header& h) { set_data(*h.mutable_training_data(), 5, 36); }},
          {"is not of a text of 37 different tokens",
           [&](Header& h) {
             set_data(*h.mutable_training_data(), 5, 37);
             h.mutable_training_data()->add_image_shape(1);
           }},
      });
  ExpectMessages(BnnModel(),
                 {{"text: a model that reads text takes tokens", [](Header& h) { h.set_text(Header::WORDS); }}});
  // What is known of a text is accepted.
  SampleModel sample = TokenModel();
  set_data(*sample.writer.header().mutable_test_data(), 1000, 37);
  EXPECT_TRUE(sample.writer.Serialize().ok()) << sample.writer.Serialize().status();
}

}  // namespace
}  // namespace bitgrad
