// The gradient of an embedding by rows (Parameter::gradient_rows) beside the dense one: the same parameters after
// several steps of each optimizer, to the last bit; tied weights, several tapes, clipping, and what it saves.

#include "bitgrad/ops/embedding.h"

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/ops/row_gradient.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

constexpr int64_t kVocabulary = 9, kWidth = 5;

class EmbeddingOpTest : public OnTestDevice<testing::Test> {
 protected:
  Tensor OnDevice(const Tensor& tensor) { return ToDevice(context_, tensor); }
  Parameter Table() {
    TestRandom random(4);
    Parameter table = MakeParameter("table", random.UniformTensor({kVocabulary, kWidth}, -0.5f, 0.5f));
    table.value = OnDevice(table.value).Clone(context_.lasting_allocator());
    return table;
  }
  // Tokens [2, 4] of a step: some occur twice, and never all.
  Tensor Ids(int step) {
    const std::vector<int32_t> ids = {step % 3, 7, 1, step % 3, 2, 7, 7, 4};
    return OnDevice(Labels(ids).Alias({2, 4}));
  }
  // A loss whose gradient is another one for each element.
  void Backward(Parameter& table, int step, const std::function<Var(Tape&, Var)>& more = nullptr) {
    Tape tape(context_);
    TestRandom random(100 + step);
    Var loss = Sum(Mul(Embedding(tape.Input(Ids(step)), tape.Use(table)),
                       tape.Input(OnDevice(random.UniformTensor({2, 4, kWidth})))));
    if (more) loss = more(tape, loss);
    const absl::Status status = tape.Backward(loss);
    ASSERT_TRUE(status.ok()) << status;
  }
  // The gradient of the loss with respect to the table, in the table's shape.
  Tensor Dense(Parameter& table) {
    ExpandRowGradient(context_, table);
    return ToHost(context_, table.gradient);
  }

  ExecContext context_{{.device = TestDevice(), .threads = 1, .seed = 1}};
};

TEST_F(EmbeddingOpTest, KeepsTheRowsThatOccur) {
  Parameter table = Table();
  Backward(table, 0);
  ASSERT_TRUE(table.has_row_gradient());
  EXPECT_TRUE(table.GradientFits());
  EXPECT_EQ(table.gradient.shape(), Shape({8, kWidth}));
  const Tensor rows = ToHost(context_, table.gradient_rows);
  EXPECT_THAT(rows.span<int32_t>(), testing::ElementsAre(0, 7, 1, -1, 2, -1, -1, 4));
  // Beside a gradient that the tape itself adds up in the table's shape.
  Parameter other = Table();
  other.gradient = OnDevice(Filled({kVocabulary, kWidth}, 0));
  Backward(other, 0);
  EXPECT_FALSE(other.has_row_gradient());
  ExpectSameBits(Dense(table), ToHost(context_, other.gradient));
  EXPECT_FALSE(table.has_row_gradient());
}

// Each optimizer, with its options, beside itself with gradients in the table's shape.
TEST_F(EmbeddingOpTest, OptimizersTakeRowsAsTheDenseGradient) {
  struct Case {
    const char* name;
    Hyperparameters hyperparameters;
    double decay = 0, most_norm = 0;
    float clip = 0;
  };
  for (const Case& c : std::vector<Case>{{"sgd", {}},
                                         {"sgd", {}, 0.125},
                                         {"sgd", {}, 0, 0.5},
                                         {"sgd", {}, 0, 0, 0.25f},
                                         {"sgd", {{"momentum", 0.9}}},
                                         {"adam", {}},
                                         {"adamax", {}, 0.125, 0.5}}) {
    SCOPED_TRACE(testing::Message() << c.name << ", decay " << c.decay << ", norm " << c.most_norm << ", clip "
                                    << c.clip << ", " << c.hyperparameters.size() << " hyperparameters");
    const OptimizerOptions options = {.learning_rate = 0.25, .weight_decay = c.decay, .max_gradient_norm = c.most_norm};
    Parameter by_rows = Table(), dense = Table();
    auto a = MakeOptimizer(context_, c.name, options, c.hyperparameters).value();
    auto b = MakeOptimizer(context_, c.name, options, c.hyperparameters).value();
    for (Parameter* table : {&by_rows, &dense}) {
      table->decays = c.decay > 0;
      if (c.clip > 0) table->ClipTo(c.clip);
    }
    for (int step = 0; step < 4; ++step) {
      Backward(by_rows, step);
      Backward(dense, step);
      ExpandRowGradient(context_, dense);
      ASSERT_TRUE(by_rows.has_row_gradient());
      const absl::Status stepped = a->Step({&by_rows});
      ASSERT_TRUE(stepped.ok()) << stepped;
      ASSERT_TRUE(b->Step({&dense}).ok());
      EXPECT_TRUE(by_rows.gradient.is_null() && by_rows.gradient_rows.is_null());
      ExpectSameBits(ToHost(context_, by_rows.value), ToHost(context_, dense.value));
      EXPECT_EQ(by_rows.sign_flips, dense.sign_flips);
      EXPECT_EQ(by_rows.at_clip, dense.at_clip);
      EXPECT_NEAR(a->gradient_norm(), b->gradient_norm(), 1e-12 * b->gradient_norm());
      EXPECT_GT(a->gradient_norm(), c.most_norm);
    }
    EXPECT_EQ(a->state().size(), b->state().size());
  }
}

// Rules and options that need each element get the gradient in the table's shape; plain SGD does not.
TEST_F(EmbeddingOpTest, PlainSgdExpandsNothing) {
  for (const bool decays : {false, true}) {
    Parameter table = Table();
    table.decays = decays;
    Backward(table, 0);
    auto optimizer = MakeOptimizer(context_, "sgd", {.weight_decay = 0.1}, {}).value();
    ASSERT_TRUE(optimizer->Begin({&table}).ok());
    ASSERT_TRUE(optimizer->Enqueue({&table}).ok());
    EXPECT_EQ(table.has_row_gradient(), !decays);
    const ArithmeticCounts counts = optimizer->ArithmeticOf(table);
    EXPECT_EQ(counts.float_multiplications, 5 * (decays ? kVocabulary : 8) * kWidth);
  }
}

// The first parameter whose gradient is not finite is named, and nothing changes.
TEST_F(EmbeddingOpTest, ANumberThatIsNotFiniteStopsTheStep) {
  Parameter table = Table();
  const Tensor before = ToHost(context_, table.value).Clone();
  Backward(table, 0,
           [&](Tape& tape, const Var& loss) { return Mul(loss, tape.Input(OnDevice(Filled({}, INFINITY)))); });
  auto optimizer = MakeOptimizer(context_, "sgd", {}, {}).value();
  const absl::Status status = optimizer->Step({&table});
  EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
  EXPECT_THAT(std::string(status.message()), HasSubstr("parameter 'table'"));
  ExpectSameBits(ToHost(context_, table.value), before);
}

// Both before and behind the embedding in the backward pass, and twice an embedding.
TEST_F(EmbeddingOpTest, TiedWeights) {
  TestRandom random(8);
  const Tensor x = random.UniformTensor({3, kWidth}), r = random.UniformTensor({3, kVocabulary});
  for (const bool linear_first : {false, true}) {
    SCOPED_TRACE(linear_first);
    const auto tied = [&](Parameter& table, Parameter& output) {
      Tape tape(context_);
      const auto embedding = [&] {
        const Var two = Reshape(Sum(Embedding(tape.Input(Ids(1)), tape.Use(table))), {1});
        return Add(two, Reshape(Sum(Embedding(tape.Input(Ids(2)), tape.Use(table))), {1}));
      };
      const auto linear = [&] {
        return Reshape(Sum(Mul(Linear(tape.Input(OnDevice(x)), tape.Use(output)), tape.Input(OnDevice(r)))), {1});
      };
      const Var first = linear_first ? linear() : embedding();
      const Var second = linear_first ? embedding() : linear();
      const absl::Status status = tape.Backward(Add(first, second));
      ASSERT_TRUE(status.ok()) << status;
    };
    Parameter table = Table(), apart = Table(), output = Table();
    tied(table, table);
    tied(apart, output);
    EXPECT_FALSE(table.has_row_gradient());
    EXPECT_FALSE(apart.has_row_gradient());  // two embeddings
    const Tensor sum = Dense(table), a = Dense(apart), b = Dense(output);
    for (int64_t i = 0; i < kVocabulary * kWidth; ++i) {
      EXPECT_NEAR(sum.data<float>()[i], a.data<float>()[i] + b.data<float>()[i], 1e-5);
    }
  }
}

TEST_F(EmbeddingOpTest, SeveralTapesAddUp) {
  Parameter table = Table(), first = Table(), second = Table();
  Backward(table, 0);
  Backward(table, 1);
  EXPECT_FALSE(table.has_row_gradient());
  Backward(first, 0);
  Backward(second, 1);
  const Tensor sum = Dense(table), a = Dense(first), b = Dense(second);
  for (int64_t i = 0; i < kVocabulary * kWidth; ++i) {
    EXPECT_EQ(sum.data<float>()[i], a.data<float>()[i] + b.data<float>()[i]);
  }
}

// A gradient from before, by rows, of another shape than the value's.
TEST_F(EmbeddingOpTest, GradientsFromBeforeHaveToFit) {
  Parameter table = Table();
  Backward(table, 0);
  table.value = OnDevice(Filled({kVocabulary, kWidth + 1}, 0));
  Tape tape(context_);
  const absl::Status status = tape.Backward(Sum(tape.Use(table)));
  EXPECT_THAT(std::string(status.message()), HasSubstr("has a gradient from before that is float32 [8, 5]"));
  auto optimizer = MakeOptimizer(context_, "sgd", {}, {}).value();
  EXPECT_THAT(std::string(optimizer->Step({&table}).message()), HasSubstr("its gradient has shape [8, 5], by rows"));
}

}  // namespace
}  // namespace bitgrad
