// Whatever a caller of the C API does wrong, short of pointers into nowhere, is a code with a text.

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <thread>
#include <vector>

#include "bitgrad/runtime/c_api.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/tests/runtime/c_api_testing.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// Expects that these bytes are no model; returns the code.
bitgrad_code Refused(const std::string& bytes, const std::string& what) {
  bitgrad_model* model = reinterpret_cast<bitgrad_model*>(1);
  const bitgrad_code code = bitgrad_model_load_memory("net.bgm", bytes.data(), bytes.size(), &model);
  EXPECT_NE(code, BITGRAD_OK) << what;
  EXPECT_EQ(model, nullptr) << what;
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("'net.bgm'")) << what;
  return code;
}

TEST(CApiErrorsTest, DamagedFilesAreRefused) {
  for (const SampleModel& sample : {BnnModel(), ImageModel(), TokenModel({.tokens = 9, .width = 20, .units = 7})}) {
    const std::string file = *sample.writer.Serialize();
    const size_t head =
        kPreambleBytes + DecodePreamble({reinterpret_cast<const uint8_t*>(file.data()), file.size()})->header_bytes;
    // Every length up to the blobs, and many more.
    for (size_t size = 0; size < file.size(); size += size < head + 64 ? 1 : 61) {
      const bitgrad_code code = Refused(file.substr(0, size), "size " + std::to_string(size));
      EXPECT_EQ(code, BITGRAD_DATA_LOSS) << size;
    }
    Refused(file + std::string(64, '\0'), "longer");
    // Every byte of preamble and header, and many of the blobs.
    for (size_t at = 0; at < file.size(); at += at < head + 64 ? 1 : 37) {
      std::string changed = file;
      changed[at] = static_cast<char>(changed[at] ^ (1 << at % 8));
      Refused(changed, "byte " + std::to_string(at));
    }
  }
  EXPECT_EQ(Refused("BITGCKPT and so on", "a checkpoint"), BITGRAD_FAILED_PRECONDITION);
  EXPECT_EQ(Refused("something else", "something else"), BITGRAD_INVALID_ARGUMENT);
}

TEST(CApiErrorsTest, FilesThatCannotBeRead) {
  bitgrad_model* model = nullptr;
  EXPECT_EQ(bitgrad_model_load("/nowhere/net.bgm", &model), BITGRAD_NOT_FOUND);
  EXPECT_STREQ(bitgrad_last_error(),
               "bitgrad_model_load: cannot open '/nowhere/net.bgm': No such file or directory; check the path");
  EXPECT_EQ(bitgrad_model_load("", &model), BITGRAD_NOT_FOUND);
  EXPECT_EQ(bitgrad_model_load(testing::TempDir().c_str(), &model), BITGRAD_INVALID_ARGUMENT);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("is a folder"));
  EXPECT_EQ(bitgrad_model_load("/dev/null", &model), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(model, nullptr);
  // A text longer than its place is cut off.
  EXPECT_NE(bitgrad_model_load(std::string(5000, 'a').c_str(), &model), BITGRAD_OK);
  EXPECT_EQ(std::string(bitgrad_last_error()).size(), 2047u);
}

TEST(CApiErrorsTest, NullPointers) {
  bitgrad_model* none = nullptr;
  const std::string bytes = *BnnModel().writer.Serialize();
  EXPECT_EQ(bitgrad_model_load(nullptr, &none), BITGRAD_INVALID_ARGUMENT);
  EXPECT_STREQ(bitgrad_last_error(), "bitgrad_model_load: `path` is null");
  EXPECT_EQ(bitgrad_model_load("net.bgm", nullptr), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_model_load_memory(nullptr, bytes.data(), bytes.size(), &none), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_model_load_memory("net.bgm", nullptr, bytes.size(), &none), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_model_load_memory("net.bgm", nullptr, 0, &none), BITGRAD_DATA_LOSS);
  EXPECT_EQ(bitgrad_model_load_memory("net.bgm", bytes.data(), SIZE_MAX, &none), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_model_load_memory("net.bgm", bytes.data(), bytes.size(), nullptr), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(none, nullptr);

  const CModel model = LoadBytes(bytes);
  const CSession session = NewSession(model);
  bitgrad_session* no_session = nullptr;
  EXPECT_EQ(bitgrad_session_create(nullptr, 1, &no_session), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_create(model.get(), 1, nullptr), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(no_session, nullptr);
  const int64_t in = bitgrad_model_input_size(model.get()), out = bitgrad_model_output_size(model.get());
  std::vector<float> x(static_cast<size_t>(in)), y(static_cast<size_t>(out));
  EXPECT_EQ(bitgrad_session_run_floats(nullptr, x.data(), 1, in, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_run_floats(session.get(), nullptr, 1, in, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_STREQ(bitgrad_last_error(), "bitgrad_session_run_floats: `x` is null");
  EXPECT_EQ(bitgrad_session_run_floats(session.get(), x.data(), 1, in, nullptr, out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_run_pixels(nullptr, nullptr, 1, in, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_run_pixels(session.get(), nullptr, 1, in, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_run_tokens(nullptr, nullptr, 1, 1, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_reset(nullptr), BITGRAD_INVALID_ARGUMENT);
  EXPECT_EQ(bitgrad_session_run_floats(session.get(), nullptr, 0, in, nullptr, 0), BITGRAD_OK);

  bitgrad_model_free(nullptr);
  bitgrad_session_free(nullptr);
  EXPECT_EQ(bitgrad_model_input(nullptr), BITGRAD_INPUT_NONE);
  EXPECT_EQ(bitgrad_model_input_rank(nullptr), 0);
  EXPECT_EQ(bitgrad_model_input_dim(nullptr, 0), 0);
  EXPECT_EQ(bitgrad_model_input_size(nullptr), 0);
  EXPECT_EQ(bitgrad_model_output_rank(nullptr), 0);
  EXPECT_EQ(bitgrad_model_output_dim(nullptr, 0), 0);
  EXPECT_EQ(bitgrad_model_output_size(nullptr), 0);
  EXPECT_EQ(bitgrad_model_token_count(nullptr), 0);
  EXPECT_EQ(bitgrad_model_text(nullptr), BITGRAD_TEXT_NONE);
  EXPECT_STREQ(bitgrad_model_name(nullptr), "");
  EXPECT_STREQ(bitgrad_model_data_set(nullptr), "");
  EXPECT_EQ(bitgrad_model_class_count(nullptr), 0);
  EXPECT_STREQ(bitgrad_model_class_name(nullptr, 0), "");
  EXPECT_EQ(bitgrad_model_byte_size(nullptr), 0);
  EXPECT_EQ(bitgrad_session_threads(nullptr), 0);
}

TEST(CApiErrorsTest, WrongSizes) {
  const CModel model = Load(BnnModel());
  const CSession session = NewSession(model);
  const int64_t in = bitgrad_model_input_size(model.get()), out = bitgrad_model_output_size(model.get());
  std::vector<float> x(static_cast<size_t>(2 * in) + 1), y(static_cast<size_t>(2 * out) + 1);
  const auto run = [&](int64_t examples, int64_t features, int64_t count) {
    return bitgrad_session_run_floats(session.get(), x.data(), examples, features, y.data(), count);
  };
  EXPECT_EQ(run(2, in - 1, 2 * out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("takes 70 numbers per example, not 69"));
  EXPECT_EQ(run(2, in, 2 * out - 1), BITGRAD_INVALID_ARGUMENT);
  EXPECT_STREQ(bitgrad_last_error(),
               "bitgrad_session_run_floats: result_count is 19, but examples = 2 and features = 70 have 2 results of "
               "10 floats");
  for (const int64_t bad : {int64_t{-1}, INT64_MIN, INT64_MAX, INT64_MAX / 2, int64_t{1} << 62, int64_t{1} << 40}) {
    EXPECT_EQ(run(bad, in, 2 * out), BITGRAD_INVALID_ARGUMENT) << bad;
    EXPECT_EQ(run(2, bad, 2 * out), BITGRAD_INVALID_ARGUMENT) << bad;
    EXPECT_EQ(run(2, in, bad), BITGRAD_INVALID_ARGUMENT) << bad;
    EXPECT_EQ(run(bad, bad, bad), BITGRAD_INVALID_ARGUMENT) << bad;
    EXPECT_EQ(run(0, bad, 0), BITGRAD_INVALID_ARGUMENT) << bad;
  }
  EXPECT_EQ(run(-1, in, -out), BITGRAD_INVALID_ARGUMENT);
  const float* const crooked = reinterpret_cast<const float*>(reinterpret_cast<const char*>(x.data()) + 1);
  EXPECT_EQ(bitgrad_session_run_floats(session.get(), crooked, 1, in, y.data(), out), BITGRAD_INVALID_ARGUMENT);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("`x` is not aligned to 4 bytes"));
  // The session is as good as before.
  EXPECT_EQ(run(2, in, 2 * out), BITGRAD_OK);
  EXPECT_EQ(run(0, in, 0), BITGRAD_OK);
}

TEST(CApiErrorsTest, WrongKindsOfInputs) {
  std::vector<float> y(37);
  const std::vector<float> x(70);
  const std::vector<uint8_t> pixels(70);
  const int32_t token = 3;

  SampleModel sample = BnnModel();
  sample.writer.header().mutable_input()->clear_pixels();
  const CModel floats = Load(sample);
  const CSession of_floats = NewSession(floats);
  EXPECT_EQ(bitgrad_session_run_pixels(of_floats.get(), pixels.data(), 1, 70, y.data(), 10),
            BITGRAD_FAILED_PRECONDITION);
  EXPECT_EQ(bitgrad_session_run_tokens(of_floats.get(), &token, 1, 1, y.data(), 10), BITGRAD_FAILED_PRECONDITION);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("takes no tokens"));
  EXPECT_EQ(bitgrad_session_reset(of_floats.get()), BITGRAD_OK);

  const CModel text = Load(LstmModel(4, 37, 20, 30));
  const CSession of_text = NewSession(text);
  EXPECT_EQ(bitgrad_session_run_floats(of_text.get(), x.data(), 1, 1, y.data(), 37), BITGRAD_FAILED_PRECONDITION);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("takes tokens"));
  EXPECT_EQ(bitgrad_session_run_pixels(of_text.get(), pixels.data(), 1, 1, y.data(), 37), BITGRAD_FAILED_PRECONDITION);
}

TEST(CApiErrorsTest, WrongTokensLeaveTheStatesAlone) {
  const CModel model = Load(LstmModel(4, 37, 20, 30));
  const CSession session = NewSession(model), expected = NewSession(model);
  const Tensor tokens = RandomTokens(3, 2, 37, 5);
  RunTokens(session, model, tokens);
  RunTokens(expected, model, tokens);
  std::vector<float> y(3 * 37);
  for (const int32_t bad : {-1, 37, INT32_MAX, INT32_MIN}) {
    const int32_t wrong[] = {3, bad};
    EXPECT_EQ(bitgrad_session_run_tokens(session.get(), wrong, 2, 1, y.data(), 2 * 37), BITGRAD_INVALID_ARGUMENT);
    EXPECT_THAT(bitgrad_last_error(), HasSubstr("(time step 1, stream 0) is not in 0 .. 36"));
  }
  const int32_t three[] = {1, 2, 3};
  EXPECT_EQ(bitgrad_session_run_tokens(session.get(), three, 1, 3, y.data(), 3 * 37), BITGRAD_FAILED_PRECONDITION);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("3 streams"));
  EXPECT_EQ(bitgrad_session_run_tokens(session.get(), three, -1, 1, y.data(), -37), BITGRAD_INVALID_ARGUMENT);
  // Their product is 2^64, which 64 bits take for 0.
  const int64_t half = int64_t{1} << 32;
  EXPECT_EQ(bitgrad_session_run_tokens(session.get(), three, half, half, y.data(), 0), BITGRAD_INVALID_ARGUMENT);
  EXPECT_THAT(bitgrad_last_error(), HasSubstr("more than any memory holds"));
  EXPECT_EQ(RunTokens(session, model, tokens), RunTokens(expected, model, tokens));
}

TEST(CApiErrorsTest, NumbersOfThreads) {
  const CModel model = Load(BnnModel());
  for (const int32_t bad : {-1, 1025, INT32_MAX, INT32_MIN}) {
    bitgrad_session* session = reinterpret_cast<bitgrad_session*>(1);
    EXPECT_EQ(bitgrad_session_create(model.get(), bad, &session), BITGRAD_INVALID_ARGUMENT) << bad;
    EXPECT_EQ(session, nullptr);
  }
}

// A session that runs on another thread is left alone.
TEST(CApiErrorsTest, ASessionIsOneThreadsAtATime) {
  const CModel model = Load(ImageModel());
  const CSession session = NewSession(model);
  const Tensor x = RandomInput(20000, bitgrad_model_input_size(model.get()), 3);
  std::vector<float> y(static_cast<size_t>(20000 * bitgrad_model_output_size(model.get())));
  std::atomic<bool> done = false;
  std::thread other([&] {
    // It may itself come while a reset runs.
    bitgrad_code code;
    do {
      code = bitgrad_session_run_floats(session.get(), x.data<float>(), 20000, x.shape().dim(1), y.data(),
                                        static_cast<int64_t>(y.size()));
    } while (code == BITGRAD_FAILED_PRECONDITION);
    EXPECT_EQ(code, BITGRAD_OK);
    done = true;
  });
  bool refused = false;
  while (!done && !refused) {
    const bitgrad_code code = bitgrad_session_reset(session.get());
    if (code != BITGRAD_OK) {
      EXPECT_EQ(code, BITGRAD_FAILED_PRECONDITION);
      EXPECT_THAT(bitgrad_last_error(), HasSubstr("runs on another thread"));
      refused = true;
    }
    std::this_thread::yield();
  }
  other.join();
  EXPECT_TRUE(refused);
  EXPECT_EQ(bitgrad_session_reset(session.get()), BITGRAD_OK);
}

TEST(CApiErrorsTest, CodesHaveNames) {
  for (int32_t code = BITGRAD_OK; code <= BITGRAD_INTERNAL; ++code) {
    EXPECT_STRNE(bitgrad_code_name(code), "unknown code") << code;
  }
  EXPECT_STREQ(bitgrad_code_name(BITGRAD_DATA_LOSS), "DATA_LOSS");
  EXPECT_STREQ(bitgrad_code_name(-1), "unknown code");
  EXPECT_STREQ(bitgrad_code_name(10), "unknown code");
}

}  // namespace
}  // namespace bitgrad
