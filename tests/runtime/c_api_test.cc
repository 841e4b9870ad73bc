// The C API gives what the interpreter gives, to the last bit, on any number of threads, and says what a model is.

#include "bitgrad/runtime/c_api.h"

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/version.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/c_api_testing.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// An interpreter, and what it needs.
struct Reference {
  explicit Reference(const SampleModel& sample)
      : model(*PackedModel::FromBytes("net.bgm", *sample.writer.Serialize())),
        context({.threads = 1}),
        interpreter(*Interpreter::Create(*model, context)) {}
  std::unique_ptr<PackedModel> model;
  ExecContext context;
  std::unique_ptr<Interpreter> interpreter;
};

bool SameBits(const std::vector<float>& results, const Tensor& expected) {
  return static_cast<int64_t>(results.size()) == expected.num_elements() &&
         std::memcmp(results.data(), expected.data<float>(), expected.byte_size()) == 0;
}

TEST(CApiTest, ResultsAreTheInterpreters) {
  for (const SampleModel& sample : AllNumberModels()) {
    Reference reference(sample);
    const CModel model = Load(sample);
    const CSession session = NewSession(model);
    const int64_t in = bitgrad_model_input_size(model.get());
    // Smaller batches behind larger ones, too.
    for (const int64_t rows : {1, 9, 2, 40, 1}) {
      const Tensor x = RandomInput(rows, in, 7 + rows);
      EXPECT_TRUE(SameBits(RunFloats(session, model, x), *reference.interpreter->Run(x.matrix<float>())))
          << sample.name << " " << rows;
      if (bitgrad_model_input(model.get()) != BITGRAD_INPUT_PIXELS) continue;
      const Tensor pixels = RandomPixels(rows, in, 7 + rows);
      EXPECT_TRUE(
          SameBits(RunPixels(session, model, pixels), *reference.interpreter->RunPixels(pixels.matrix<uint8_t>())))
          << sample.name << " " << rows;
    }
  }
}

TEST(CApiTest, TokensCarryStatesFromRunToRun) {
  std::vector<SampleModel> samples = AllTokenModels();
  samples.push_back(LstmModel(4, 37, 20, 30));
  samples.push_back(LstmModel(0, 37, 20, 30));
  for (const SampleModel& sample : samples) {
    Reference reference(sample);
    const CModel model = Load(sample);
    ASSERT_EQ(bitgrad_model_input(model.get()), BITGRAD_INPUT_TOKENS);
    const int32_t count = bitgrad_model_token_count(model.get());
    const CSession session = NewSession(model), other = NewSession(model);
    // Fewer streams than before go on; after a reset there may be more.
    for (const int64_t streams : {3, 3, 2, 5}) {
      if (streams == 5) {
        EXPECT_EQ(bitgrad_session_reset(session.get()), BITGRAD_OK);
        reference.interpreter->Reset();
      }
      const Tensor tokens = RandomTokens(4, streams, count, 11 + streams);
      EXPECT_TRUE(
          SameBits(RunTokens(session, model, tokens), *reference.interpreter->RunTokens(tokens.matrix<int32_t>())))
          << sample.name << " " << streams;
    }
    // The states are the session's, not the model's.
    const Tensor tokens = RandomTokens(4, 3, count, 14);
    reference.interpreter->Reset();
    EXPECT_TRUE(SameBits(RunTokens(other, model, tokens), *reference.interpreter->RunTokens(tokens.matrix<int32_t>())));
  }
}

TEST(CApiTest, AnyNumberOfThreadsOfASession) {
  const SampleModel sample = CodeToCodeModel();
  Reference reference(sample);
  const CModel model = Load(sample);
  const Tensor x = RandomInput(300, bitgrad_model_input_size(model.get()), 3);
  for (const int32_t threads : {1, 2, 3, 0}) {
    const CSession session = NewSession(model, threads);
    if (threads > 0) {
      EXPECT_EQ(bitgrad_session_threads(session.get()), threads);
    } else {
      EXPECT_GE(bitgrad_session_threads(session.get()), 1);
    }
    EXPECT_TRUE(SameBits(RunFloats(session, model, x), *reference.interpreter->Run(x.matrix<float>()))) << threads;
  }
}

// Each of a hundred threads has a session of its own, and makes errors in between; nobody sees another's text.
TEST(CApiTest, AHundredThreadsShareAModel) {
  for (const SampleModel& sample : {BnnModel(), ImageModel(), ResidualModel()}) {
    Reference reference(sample);
    CModel model = Load(sample);
    const int64_t in = bitgrad_model_input_size(model.get());
    const Tensor x = RandomInput(5, in, 3);
    const Tensor expected = *reference.interpreter->Run(x.matrix<float>());
    std::vector<std::thread> threads;
    std::vector<char> good(100, false);
    for (int i = 0; i < 100; ++i) {
      threads.emplace_back([&, i] {
        const CSession session = NewSession(model);
        bool ok = bitgrad_last_error() == std::string();
        for (int round = 0; round < 10; ++round) {
          ok = ok && SameBits(RunFloats(session, model, x), expected);
          float result;
          const std::string expected_text = "result_count is " + std::to_string(1000 + i) + ",";
          ok = ok && bitgrad_session_run_floats(session.get(), x.data<float>(), 1, in, &result, 1000 + i) ==
                         BITGRAD_INVALID_ARGUMENT;
          ok = ok && std::string(bitgrad_last_error()).find(expected_text) != std::string::npos;
          bitgrad_model* damaged = nullptr;
          ok = ok && bitgrad_model_load_memory("damaged", "BITGRAD", 7, &damaged) == BITGRAD_DATA_LOSS;
        }
        good[static_cast<size_t>(i)] = ok;
      });
    }
    for (std::thread& thread : threads) thread.join();
    EXPECT_EQ(std::count(good.begin(), good.end(), true), 100) << sample.name;
    EXPECT_STREQ(bitgrad_last_error(), "");
  }
}

TEST(CApiTest, ASessionOutlivesTheHandleOfItsModel) {
  const SampleModel sample = BnnModel();
  Reference reference(sample);
  CModel model = Load(sample), same = Load(sample);
  const CSession session = NewSession(model);
  model.reset();
  const Tensor x = RandomInput(2, bitgrad_model_input_size(same.get()), 3);
  EXPECT_TRUE(SameBits(RunFloats(session, same, x), *reference.interpreter->Run(x.matrix<float>())));
}

TEST(CApiTest, SaysWhatAModelIs) {
  SampleModel image = ImageModel();
  image.writer.header().set_name("photographs");
  image.writer.header().set_data_set("cifar10");
  const CModel model = Load(image);
  EXPECT_EQ(bitgrad_model_input(model.get()), BITGRAD_INPUT_PIXELS);
  ASSERT_EQ(bitgrad_model_input_rank(model.get()), 3);
  EXPECT_EQ(bitgrad_model_input_dim(model.get(), 0), 6);
  EXPECT_EQ(bitgrad_model_input_dim(model.get(), 1), 5);
  EXPECT_EQ(bitgrad_model_input_dim(model.get(), 2), 3);
  EXPECT_EQ(bitgrad_model_input_dim(model.get(), 3), 0);
  EXPECT_EQ(bitgrad_model_input_dim(model.get(), -1), 0);
  EXPECT_EQ(bitgrad_model_input_size(model.get()), 90);
  ASSERT_EQ(bitgrad_model_output_rank(model.get()), 1);
  EXPECT_EQ(bitgrad_model_output_dim(model.get(), 0), bitgrad_model_output_size(model.get()));
  EXPECT_GT(bitgrad_model_output_size(model.get()), 1);
  EXPECT_EQ(bitgrad_model_token_count(model.get()), 0);
  EXPECT_EQ(bitgrad_model_text(model.get()), BITGRAD_TEXT_NONE);
  EXPECT_STREQ(bitgrad_model_name(model.get()), "photographs");
  EXPECT_STREQ(bitgrad_model_data_set(model.get()), "cifar10");
  EXPECT_EQ(bitgrad_model_byte_size(model.get()), static_cast<int64_t>(image.writer.Serialize()->size()));

  const CModel text = Load(LstmModel(4, 37, 20, 30));
  EXPECT_EQ(bitgrad_model_input(text.get()), BITGRAD_INPUT_TOKENS);
  EXPECT_EQ(bitgrad_model_input_size(text.get()), 1);
  EXPECT_EQ(bitgrad_model_token_count(text.get()), 37);
  EXPECT_EQ(bitgrad_model_output_size(text.get()), 37);
  EXPECT_EQ(bitgrad_model_text(text.get()), BITGRAD_TEXT_WORDS);
  EXPECT_EQ(bitgrad_model_class_count(text.get()), 37);
  EXPECT_STREQ(bitgrad_model_class_name(text.get(), 0), "<eos>");
  EXPECT_STREQ(bitgrad_model_class_name(text.get(), 36), "word36");
  EXPECT_STREQ(bitgrad_model_class_name(text.get(), 37), "");
  EXPECT_STREQ(bitgrad_model_class_name(text.get(), -1), "");

  // To who calls it, one of time steps is a model of images.
  const CModel steps = Load(TimeStepModel(5));
  EXPECT_EQ(bitgrad_model_input(steps.get()), BITGRAD_INPUT_PIXELS);
  ASSERT_EQ(bitgrad_model_input_rank(steps.get()), 2);
  EXPECT_EQ(bitgrad_model_input_dim(steps.get(), 0), 5);
  EXPECT_EQ(bitgrad_model_input_dim(steps.get(), 1), 70);
  EXPECT_EQ(bitgrad_model_input_size(steps.get()), 350);
  EXPECT_EQ(bitgrad_model_token_count(steps.get()), 0);

  SampleModel floats = BnnModel();
  floats.writer.header().mutable_input()->clear_pixels();
  EXPECT_EQ(bitgrad_model_input(Load(floats).get()), BITGRAD_INPUT_FLOATS);

  EXPECT_EQ(bitgrad_abi_version(), BITGRAD_ABI_VERSION);
  EXPECT_STREQ(bitgrad_version(), kVersion);
}

TEST(CApiTest, LoadsFiles) {
  const std::string path = testing::TempDir() + "/net.bgm";
  const SampleModel sample = BnnModel();
  ASSERT_TRUE(sample.writer.Write(path).ok());
  bitgrad_model* model = nullptr;
  ASSERT_EQ(bitgrad_model_load(path.c_str(), &model), BITGRAD_OK) << bitgrad_last_error();
  const CModel owner(model);
  Reference reference(sample);
  const Tensor x = RandomInput(3, bitgrad_model_input_size(model), 3);
  EXPECT_TRUE(SameBits(RunFloats(NewSession(owner), owner, x), *reference.interpreter->Run(x.matrix<float>())));
}

}  // namespace
}  // namespace bitgrad
