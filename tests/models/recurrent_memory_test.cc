// What a training step of an LSTM holds for the backward pass, and what it takes at its peak, for each time step that
// it is unrolled over and each stream.

#include <cstdint>
#include <cstdio>
#include <string>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/language_modeling.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/ops/losses.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr int64_t kUnits = 300, kStreams = 20;
// Next to nothing is then held for the logits.
constexpr int32_t kTokens = 16;

// What is held between the forward and the backward pass of a step of the recipe's net.
int64_t HeldBytes(const std::string& name, int64_t steps) {
  recipe::Recipe recipe = *LoadRecipe(name);
  EXPECT_TRUE(SetField("model.recurrent_net.hidden=300", recipe).ok());
  ExecContext context({.threads = 1});
  ParameterStore store(/*seed=*/1);
  const auto model = MakeNetwork(recipe.model(), ImageShape{0, 0, 0}, kTokens, store);
  EXPECT_TRUE(model.ok()) << model.status();
  StateStore states(context);
  const Tensor tokens = Tensor::Zeros({steps, kStreams}, DType::kInt32);
  const Tensor labels = Tensor::Zeros({steps * kStreams}, DType::kInt32);
  int64_t held = 0;
  // The first step makes what stays for the others.
  for (int step = 0; step < 2; ++step) {
    Tape tape(context);
    tape.set_states(&states);
    const size_t before = context.allocator().live_bytes();
    const Var loss = SoftmaxCrossEntropy((*model)->Forward(tape.Input(tokens)), labels);
    held = static_cast<int64_t>(context.allocator().live_bytes() - before);
    EXPECT_TRUE(tape.Backward(loss).ok());
    EXPECT_TRUE(states.Commit().ok());
  }
  return held;
}

int64_t BytesPerStepAndStream(const std::string& name) {
  const int64_t bytes = (HeldBytes(name, 40) - HeldBytes(name, 20)) / (20 * kStreams);
  std::printf("%s: %d bytes for each step and stream\n", name.c_str(), static_cast<int>(bytes));
  return bytes;
}

TEST(RecurrentMemoryTest, OperandsOfProductsAreHeldAsCodes) {
  // x, h as W_h reads it, h as the output layer reads it, four gates, c and tanh(c), and the pieces that they are of.
  constexpr int64_t kFloats = 4 * kUnits;
  const int64_t whole = BytesPerStepAndStream("ptb_float_lstm");
  EXPECT_GE(whole, 9 * kFloats);
  EXPECT_LE(whole, 10 * kFloats);
  // The three operands of products are a byte per code, or a bit in rows of 64 bytes; gates and cells stay floats.
  EXPECT_LE(BytesPerStepAndStream("ptb_lstm_4bit"), whole - 3 * (kFloats - kUnits - 16));
  EXPECT_LE(BytesPerStepAndStream("ptb_binary_lstm"), whole - 3 * (kFloats - 64));
}

// At the peak of a step, for each time step and stream.
int64_t PeakBytesPerStepAndStream(const std::string& name, int32_t vocabulary) {
  const auto peak = [&](int64_t steps) {
    const recipe::Recipe recipe = *LoadRecipe(name);
    ExecContext context({.threads = 1});
    ParameterStore store(/*seed=*/1);
    const auto model = MakeNetwork(recipe.model(), ImageShape{0, 0, 0}, vocabulary, store);
    EXPECT_TRUE(model.ok()) << model.status();
    const auto task = LanguageModeling({.vocabulary = vocabulary, .steps = steps});
    const Batch batch = task->Blank(kStreams);
    StateStore states(context);
    Tape tape(context);
    tape.set_states(&states);
    const Objective objective = RecordObjective(*task, **model, tape, batch);
    EXPECT_TRUE(tape.Backward(objective.scaled).ok()) << tape.status();
    return static_cast<int64_t>(context.allocator().peak_bytes());
  };
  const int64_t bytes = (peak(24) - peak(12)) / (12 * kStreams);
  std::printf("%s: %d bytes at the peak for each step and stream\n", name.c_str(), static_cast<int>(bytes));
  return bytes;
}

// Where logits outweigh all else, and where they are few.
TEST(RecurrentMemoryTest, ThePeakGrowsLessInFewBitsThanInFloat) {
  EXPECT_LT(PeakBytesPerStepAndStream("ptb_lstm_4bit", 4000), PeakBytesPerStepAndStream("ptb_float_lstm", 4000));
  EXPECT_LT(PeakBytesPerStepAndStream("shakespeare_char_lstm_4bit", 65),
            PeakBytesPerStepAndStream("shakespeare_char_float_lstm", 65));
}

}  // namespace
}  // namespace bitgrad
