// Models of tokens, time step by time step, against a scalar evaluation; on every device.

#include <algorithm>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/reference_interpreter.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using RunTokensTest = OnTestDevice<testing::Test>;

std::unique_ptr<PackedModel> Pack(const SampleModel& sample) {
  absl::StatusOr<std::string> bytes = sample.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << sample.name << ": " << bytes.status();
  if (!bytes.ok()) return nullptr;
  auto model = PackedModel::FromBytes(sample.name, *bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

// What a scalar evaluation carries for each stream.
using Streams = std::vector<std::vector<std::vector<float>>>;

// Expects logits of `tokens` [steps, streams] to be those of the scalar evaluation that goes on from `streams`.
void ExpectReference(const PackedModel& model, const Tensor& tokens, const absl::StatusOr<Tensor>& logits,
                     Streams& streams) {
  ASSERT_TRUE(logits.ok()) << logits.status();
  const int64_t steps = tokens.shape().dim(0), count = tokens.shape().dim(1), out = model.result().features();
  ASSERT_EQ(logits->shape(), Shape({steps * count, out}));
  streams.resize(static_cast<size_t>(count));
  for (int64_t t = 0; t < steps; ++t) {
    for (int64_t s = 0; s < count; ++s) {
      const auto expected =
          RunReferenceStep(model, tokens.data<int32_t>()[t * count + s], streams[static_cast<size_t>(s)]);
      ASSERT_TRUE(expected.ok()) << expected.status();
      for (int64_t j = 0; j < out; ++j) {
        ASSERT_EQ(logits->data<float>()[(t * count + s) * out + j], expected->value[static_cast<size_t>(j)])
            << model.name() << " time step " << t << " stream " << s << " logit " << j;
      }
    }
  }
}

TEST_F(RunTokensTest, GivesTheScalarAnswers) {
  for (const SampleModel& sample : AllTokenModels()) {
    const auto model = Pack(sample);
    ASSERT_NE(model, nullptr);
    for (const int64_t piece_bytes : {int64_t{0}, int64_t{9000}}) {  // all streams at once; one or a few at a time
      ExecContext context({.device = TestDevice(), .threads = 2});
      auto interpreter = Interpreter::Create(*model, context, {.piece_bytes = piece_bytes});
      ASSERT_TRUE(interpreter.ok()) << interpreter.status();
      Streams streams;
      const auto run = [&](int64_t steps, int64_t count) {
        const Tensor tokens = RandomTokens(steps, count, 37, static_cast<uint64_t>(steps * 100 + count));
        ExpectReference(*model, tokens, (*interpreter)->RunTokens(tokens.matrix<int32_t>()), streams);
      };
      // Goes on where the run before has stopped, with fewer streams in the end.
      for (const int64_t steps : {1, 4, 1}) run(steps, 5);
      run(3, 3);
      run(2, 1);
      // From zeros, with another number of streams.
      (*interpreter)->Reset();
      streams.clear();
      run(2, 7);
      run(1, 7);
      if (HasFatalFailure()) return;
    }
  }
}

TEST_F(RunTokensTest, TimeStepsInOneRunAreTimeStepsInSeveral) {
  const auto model = Pack(LstmModel(4, 50, 30, 40));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  // Columns of a wider matrix.
  const Tensor tokens = RandomTokens(9, 6, 50, 1);
  const ConstMatrixView<int32_t> all(tokens.data<int32_t>() + 2, 9, 3, 6);
  const auto at_once = (*interpreter)->RunTokens(all);
  ASSERT_TRUE(at_once.ok()) << at_once.status();
  (*interpreter)->Reset();
  for (int64_t t = 0; t < 9; ++t) {
    std::vector<float> logits(3 * 50);
    ASSERT_TRUE((*interpreter)->RunTokens({all.row(t), 1, 3, 6}, logits.data()).ok());
    EXPECT_EQ(std::memcmp(logits.data(), at_once->data<float>() + t * 3 * 50, 3 * 50 * sizeof(float)), 0) << t;
  }
  // Without Reset() the states are others.
  const auto again = (*interpreter)->RunTokens(all);
  ASSERT_TRUE(again.ok());
  EXPECT_NE(again->span<float>(), at_once->span<float>());
}

TEST_F(RunTokensTest, WrongTokensAndRunsAreErrors) {
  const auto model = Pack(TokenModel());
  ExecContext context({.device = TestDevice()});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const auto message = [&](const Tensor& tokens) {
    return std::string((*interpreter)->RunTokens(tokens.matrix<int32_t>()).status().message());
  };
  EXPECT_THAT(message(Tensor::Of<int32_t>({2, 2}, {0, 36, 5, 37})),
              HasSubstr("token 37 (time step 1, stream 1) is not in 0 .. 36"));
  EXPECT_THAT(message(Tensor::Of<int32_t>({1, 2}, {-1, 3})), HasSubstr("token -1 (time step 0, stream 0)"));
  EXPECT_EQ(message(RandomTokens(3, 2, 37, 1)), "");
  EXPECT_EQ(message(RandomTokens(3, 0, 37, 1)), "");
  EXPECT_THAT(message(RandomTokens(1, 3, 37, 1)),
              HasSubstr("there are 3 streams, and states of 2 from the time steps before; call Reset() first"));
  const Tensor numbers = RandomInput(2, 1, 3);
  EXPECT_THAT(std::string((*interpreter)->Run(numbers.matrix<float>()).status().message()),
              HasSubstr("takes tokens; call RunTokens()"));

  const auto images = Pack(BnnModel());
  auto of_images = Interpreter::Create(*images, context);
  ASSERT_TRUE(of_images.ok());
  EXPECT_THAT(std::string((*of_images)->RunTokens(RandomTokens(1, 1, 37, 1).matrix<int32_t>()).status().message()),
              HasSubstr("takes no tokens, but 70 numbers per example"));
}

TEST_F(RunTokensTest, NothingIsAllocatedPerToken) {
  const auto model = Pack(LstmModel(4, 50, 30, 40));
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const Tensor tokens = RandomTokens(12, 2, 50, 3);
  std::vector<float> logits(2 * 50);
  int64_t allocations = 0;
  for (int64_t t = 0; t < 12; ++t) {
    if (t == 2) allocations = context.allocator().system_allocations();
    ASSERT_TRUE((*interpreter)->RunTokens({tokens.data<int32_t>() + 2 * t, 1, 2}, logits.data()).ok());
  }
  EXPECT_EQ(context.allocator().system_allocations(), allocations);
}

}  // namespace
}  // namespace bitgrad
