// The C API in processes that run out of memory, and in the children of a fork.

#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <cstdio>
#include <cstring>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/runtime/c_api.h"
#include "bitgrad/tests/runtime/c_api_testing.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// Runs body() in a child process; what it returns, or 1000 where the child ended otherwise.
int InChild(const std::function<int()>& body) {
  const pid_t child = fork();
  if (child == 0) _exit(body());
  int status = 0;
  EXPECT_EQ(waitpid(child, &status, 0), child);
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1000;
}

#if !defined(__SANITIZE_ADDRESS__)  // It needs far more addresses than there are.

// The process gets no more addresses than it has and `more` bytes.
void LimitAddresses(size_t more) {
  long pages = 0;
  std::FILE* const file = std::fopen("/proc/self/statm", "r");
  if (file == nullptr || std::fscanf(file, "%ld", &pages) != 1) _exit(99);
  std::fclose(file);
  const rlim_t limit = static_cast<rlim_t>(pages) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE)) + more;
  const rlimit limits = {limit, limit};
  if (setrlimit(RLIMIT_AS, &limits) != 0) _exit(98);
}

TEST(CApiProcessTest, RefusedMemoryIsACode) {
  const CModel model = Load(ImageModel());
  const CSession session = NewSession(model);
  const int64_t in = bitgrad_model_input_size(model.get()), out = bitgrad_model_output_size(model.get());
  const int64_t examples = 100000;
  std::vector<float> x(static_cast<size_t>(examples * in), 0.5f), y(static_cast<size_t>(examples * out));
  std::vector<float> expected(static_cast<size_t>(out));
  ASSERT_EQ(bitgrad_session_run_floats(session.get(), x.data(), 1, in, expected.data(), out), BITGRAD_OK);
  EXPECT_EQ(InChild([&] {
              LimitAddresses(1 << 20);
              const bitgrad_code code = bitgrad_session_run_floats(session.get(), x.data(), examples, in, y.data(),
                                                                   static_cast<int64_t>(y.size()));
              if (code != BITGRAD_OUT_OF_MEMORY) return 10 + code;
              if (std::strstr(bitgrad_last_error(), "out of memory") == nullptr) return 2;
              // A smaller batch runs.
              if (bitgrad_session_run_floats(session.get(), x.data(), 1, in, y.data(), out) != BITGRAD_OK) return 3;
              return std::memcmp(y.data(), expected.data(), expected.size() * sizeof(float)) == 0 ? 0 : 4;
            }),
            0);
}

TEST(CApiProcessTest, RefusedMemoryMakesStatesZeros) {
  const CModel model = Load(LstmModel(4, 37, 20, 30));
  const CSession session = NewSession(model);
  const int64_t streams = 40000;
  const std::vector<int32_t> tokens(static_cast<size_t>(streams), 5);
  std::vector<float> y(static_cast<size_t>(streams * 37)), first(37);
  ASSERT_EQ(bitgrad_session_run_tokens(session.get(), tokens.data(), 1, 1, first.data(), 37), BITGRAD_OK);
  EXPECT_EQ(InChild([&] {
              if (bitgrad_session_reset(session.get()) != BITGRAD_OK) return 1;
              LimitAddresses(1 << 20);
              const bitgrad_code code = bitgrad_session_run_tokens(session.get(), tokens.data(), 1, streams, y.data(),
                                                                   static_cast<int64_t>(y.size()));
              if (code != BITGRAD_OUT_OF_MEMORY) return 10 + code;
              if (bitgrad_session_run_tokens(session.get(), tokens.data(), 1, 1, y.data(), 37) != BITGRAD_OK) return 3;
              return std::memcmp(y.data(), first.data(), first.size() * sizeof(float)) == 0 ? 0 : 4;
            }),
            0);
}

TEST(CApiProcessTest, RefusedMemoryWhileLoading) {
  const std::string bytes = *LinearModel("sign", {EncodingKind::kFloat}, 1024, 1100, false).writer.Serialize();
  ASSERT_GT(bytes.size(), size_t{4} << 20);
  EXPECT_EQ(InChild([&] {
              LimitAddresses(1 << 20);
              bitgrad_model* model = nullptr;
              const bitgrad_code code = bitgrad_model_load_memory("net.bgm", bytes.data(), bytes.size(), &model);
              return code == BITGRAD_OUT_OF_MEMORY && model == nullptr ? 0 : 10 + code;
            }),
            0);
}

#endif

// Models and sessions of one thread live on in a child; OpenMP's threads do not, and that is said.
TEST(CApiProcessTest, Fork) {
  for (const SampleModel& sample : {BnnModel(), ResidualModel()}) {
    const CModel model = Load(sample);
    const CSession one = NewSession(model, 1), two = NewSession(model, 2);
    const Tensor x = RandomInput(500, bitgrad_model_input_size(model.get()), 3);
    const std::vector<float> expected = RunFloats(one, model, x);
    RunFloats(two, model, x);
    EXPECT_EQ(InChild([&] {
                alarm(30);  // rather than wait for ever
                if (RunFloats(one, model, x) != expected) return 1;
                if (RunFloats(NewSession(model, 1), model, x) != expected) return 2;
                const int64_t in = bitgrad_model_input_size(model.get());
                std::vector<float> y(static_cast<size_t>(bitgrad_model_output_size(model.get())));
                const bitgrad_code code = bitgrad_session_run_floats(two.get(), x.data<float>(), 1, in, y.data(),
                                                                     static_cast<int64_t>(y.size()));
                if (code != BITGRAD_FAILED_PRECONDITION) return 10 + code;
                return std::strstr(bitgrad_last_error(), "forked") != nullptr ? 0 : 3;
              }),
              0);
    EXPECT_EQ(RunFloats(two, model, x), expected);
  }
}

}  // namespace
}  // namespace bitgrad
