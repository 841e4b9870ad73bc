// Models that read an example in time steps, against a scalar evaluation; on every device.

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
using TimeStepsTest = OnTestDevice<testing::Test>;

std::unique_ptr<PackedModel> Pack(const SampleModel& sample) {
  absl::StatusOr<std::string> bytes = sample.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << sample.name << ": " << bytes.status();
  if (!bytes.ok()) return nullptr;
  auto model = PackedModel::FromBytes(sample.name, *bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

// The floats of pixels.
Tensor ValuesOf(const Tensor& pixels) {
  Tensor values(pixels.shape(), DType::kFloat32);
  for (int64_t i = 0; i < values.num_elements(); ++i) {
    values.mutable_data<float>()[i] = (2.0f * static_cast<float>(pixels.data<uint8_t>()[i]) - 255.0f) / 255.0f;
  }
  return values;
}

void ExpectReference(const PackedModel& model, const Tensor& x, const absl::StatusOr<Tensor>& y) {
  ASSERT_TRUE(y.ok()) << y.status();
  const int64_t in = x.shape().cols(), out = model.result().features();
  ASSERT_EQ(y->shape(), Shape({x.shape().dim(0), out}));
  for (int64_t i = 0; i < x.shape().dim(0); ++i) {
    const auto expected = RunReference(model, x.span<float>().subspan(i * in, in));
    ASSERT_TRUE(expected.ok()) << expected.status();
    for (int64_t j = 0; j < out; ++j) {
      ASSERT_EQ(y->data<float>()[i * out + j], expected->value[static_cast<size_t>(j)])
          << model.name() << " example " << i << " of " << x.shape().dim(0) << " logit " << j;
    }
  }
}

TEST_F(TimeStepsTest, GiveTheScalarAnswers) {
  for (const SampleModel& sample : AllTimeStepModels()) {
    const auto model = Pack(sample);
    ASSERT_NE(model, nullptr);
    for (const int64_t piece_bytes : {int64_t{0}, int64_t{9000}}) {  // all examples at once; one or a few at a time
      ExecContext context({.device = TestDevice(), .threads = 2});
      auto interpreter = Interpreter::Create(*model, context, {.piece_bytes = piece_bytes});
      ASSERT_TRUE(interpreter.ok()) << interpreter.status();
      // Nothing of one run is left for the next one, of more examples or of fewer.
      for (const int64_t batch : {1, 7, 0, 2}) {
        const Tensor pixels = RandomPixels(batch, model->input().num_elements(), 7 + batch);
        const Tensor values = ValuesOf(pixels);
        ExpectReference(*model, values, (*interpreter)->RunPixels(pixels.matrix<uint8_t>()));
        ExpectReference(*model, values, (*interpreter)->Run(values.matrix<float>()));
        if (HasFatalFailure()) return;
      }
    }
  }
}

// Rows of a wider matrix; the last of a batch's examples alone.
TEST_F(TimeStepsTest, RowsMayHaveGaps) {
  const auto model = Pack(TimeStepModel(5));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  const Tensor wide = RandomPixels(6, 400, 3), values = ValuesOf(wide);
  const auto pixels = (*interpreter)->RunPixels({wide.data<uint8_t>() + 20, 6, 350, 400});
  const auto floats = (*interpreter)->Run({values.data<float>() + 20, 6, 350, 400});
  const auto last = (*interpreter)->Run({values.data<float>() + 5 * 400 + 20, 1, 350});
  ASSERT_TRUE(pixels.ok() && floats.ok() && last.ok());
  EXPECT_EQ(pixels->span<float>(), floats->span<float>());
  EXPECT_EQ(floats->span<float>().last(37), last->span<float>());
  EXPECT_NE(floats->span<float>().first(37), last->span<float>());
}

// A run over floats leaves nothing for one over pixels that are read as floats.
TEST_F(TimeStepsTest, PixelsAfterFloatsAreThePixels) {
  const auto model = Pack(TimeStepModel(3, "identity", {.tokens = 5, .width = 9}));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto used = Interpreter::Create(*model, context), fresh = Interpreter::Create(*model, context);
  ASSERT_TRUE(used.ok() && fresh.ok());
  const Tensor pixels = RandomPixels(2, 27, 3), others = RandomInput(2, 27, 4);
  ASSERT_TRUE((*used)->Run(others.matrix<float>()).ok());
  const auto after = (*used)->RunPixels(pixels.matrix<uint8_t>()),
             alone = (*fresh)->RunPixels(pixels.matrix<uint8_t>());
  ASSERT_TRUE(after.ok() && alone.ok()) << after.status() << alone.status();
  EXPECT_EQ(after->span<float>(), alone->span<float>());
}

// What comes first counts, and so does the order.
TEST_F(TimeStepsTest, EveryTimeStepCounts) {
  const auto model = Pack(TimeStepModel(3, "k_bit(8)", {.width = 10}));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  const Tensor x = RandomPixels(1, 30, 3);
  const auto answer = [&](const Tensor& pixels) {
    const auto y = (*interpreter)->RunPixels(pixels.matrix<uint8_t>());
    EXPECT_TRUE(y.ok()) << y.status();
    return std::vector<float>(y->span<float>().begin(), y->span<float>().end());
  };
  const std::vector<float> whole = answer(x);
  for (int64_t step = 0; step < 3; ++step) {
    Tensor other = x.Clone();
    for (int64_t i = 0; i < 10; ++i) {
      uint8_t& pixel = other.mutable_data<uint8_t>()[10 * step + i];
      pixel = static_cast<uint8_t>(255 - pixel);
    }
    EXPECT_NE(answer(other), whole) << step;
  }
}

TEST_F(TimeStepsTest, WrongInputsAreErrors) {
  const auto model = Pack(TimeStepModel(5));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice()});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  // A time step is no example.
  EXPECT_THAT(std::string((*interpreter)->Run(RandomInput(2, 70, 3).matrix<float>()).status().message()),
              HasSubstr("takes 350 numbers per example, not 70"));
  EXPECT_THAT(std::string((*interpreter)->RunTokens(RandomTokens(1, 1, 37, 1).matrix<int32_t>()).status().message()),
              HasSubstr("takes no tokens, but 350 numbers per example"));
}

TEST_F(TimeStepsTest, NothingIsAllocatedPerRun) {
  const auto model = Pack(TimeStepModel(5));
  ASSERT_NE(model, nullptr);
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const Tensor x = RandomPixels(4, 350, 3);
  std::vector<float> logits(4 * 37);
  int64_t allocations = 0;
  for (int run = 0; run < 6; ++run) {
    if (run == 2) allocations = context.allocator().system_allocations();
    ASSERT_TRUE((*interpreter)->RunPixels(x.matrix<uint8_t>(), logits.data()).ok());
  }
  EXPECT_EQ(context.allocator().system_allocations(), allocations);
}

}  // namespace
}  // namespace bitgrad
