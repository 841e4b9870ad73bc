// Frozen recurrent nets give the graph's logits, token by token, with states that both carry.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/models/recurrent_net.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/embedding.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/slice.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;
using FreezeTokensTest = OnTestDevice<testing::Test>;

constexpr int64_t kTokens = 41;

Quantizer Q(const std::string& text) { return *ParseQuantizer(text); }

Tensor Tokens(const Shape& shape, std::mt19937& random) {
  Tensor tokens(shape, DType::kInt32);
  for (int32_t& token : tokens.mutable_span<int32_t>()) token = static_cast<int32_t>(random() % kTokens);
  return tokens;
}

// Any function of tokens, for programs that no layer makes.
class FunctionModel final : public Model {
 public:
  explicit FunctionModel(std::function<Var(const Var&)> forward) : forward_(std::move(forward)) {}
  Var Forward(const Var& x) override { return forward_(x); }

 private:
  std::function<Var(const Var&)> forward_;
};

// An LSTM of single ops, as somebody would write it who does not know models/layers.
class HandMadeLstm final : public Model {
 public:
  HandMadeLstm(const Scope& scope, const Quantizer& quantizer, int64_t width, int64_t units)
      : quantizer_(quantizer),
        units_(units),
        table_(scope.NewParameter("table", {kTokens, width}, Initializer::Uniform(1))),
        input_weight_(scope.NewParameter("input_weight", {4 * units, width}, Initializer::Uniform(1))),
        hidden_weight_(scope.NewParameter("hidden_weight", {4 * units, units}, Initializer::Uniform(1))),
        bias_(scope.NewParameter("bias", {4 * units}, Initializer::Uniform(1))),
        output_(scope.NewParameter("output", {kTokens, units}, Initializer::Uniform(1))) {}

  Var Forward(const Var& tokens) override {
    Tape& tape = *tokens.tape();
    const Tape::LayerScope layer(tape, "lstm");
    const Quantizer weight = quantizer_.In(QuantizerRole::kWeight);
    const int64_t streams = tokens.shape().dim(0);
    const Var h = tape.State("lstm/h", {streams, units_}), c = tape.State("lstm/c", {streams, units_});
    const Var x = Quantize(Embedding(tokens, tape.Use(table_)), quantizer_);
    Var gates = Add(Linear(x, Quantize(tape.Use(input_weight_), weight)), tape.Use(bias_));
    gates = Add(gates, Linear(Quantize(h, quantizer_), Quantize(tape.Use(hidden_weight_), weight)));
    const auto gate = [&](int64_t i) { return SliceColumns(gates, i * units_, units_); };
    const Var next_c = Add(Mul(Sigmoid(gate(1)), c), Mul(Sigmoid(gate(0)), Tanh(gate(2))));
    const Var next_h = Mul(Sigmoid(gate(3)), Tanh(next_c));
    const Var logits = Linear(Quantize(next_h, quantizer_), Quantize(tape.Use(output_), weight));
    // Behind the logits.
    tape.SetNextState("lstm/h", next_h);
    tape.SetNextState("lstm/c", next_c);
    return logits;
  }

 private:
  Quantizer quantizer_;
  int64_t units_;
  Parameter &table_, &input_weight_, &hidden_weight_, &bias_, &output_;
};

// The graph's logits for tokens [steps, streams], one step after the other.
absl::StatusOr<Tensor> GraphLogits(ExecContext& context, Model& model, StateStore& states, const Tensor& tokens) {
  const int64_t steps = tokens.shape().dim(0), streams = tokens.shape().dim(1);
  Tensor all;
  for (int64_t t = 0; t < steps; ++t) {
    Tape tape(context, Mode::kEval);
    tape.set_states(&states);
    const Tensor step = Tensor::Of<int32_t>({streams}, tokens.span<int32_t>().subspan(t * streams, streams));
    const Var logits = model.Forward(tape.Input(step));
    BITGRAD_ASSIGN_OR_RETURN(const Tensor* value, tape.Value(logits));
    if (all.is_null()) all = Tensor({steps * streams, value->shape().cols()}, DType::kFloat32);
    std::memcpy(all.mutable_data<float>() + t * value->num_elements(), value->raw_data(), value->byte_size());
    BITGRAD_RETURN_IF_ERROR(states.Commit());
  }
  return all;
}

// Expects the frozen model's logits to be the graph's over many tokens, of 1 and of 20 streams, and from zeros again
// after Reset(). tolerance: of a logit; 0: the same bits.
std::unique_ptr<FrozenModel> ExpectSame(ExecContext& context, Model& model, std::mt19937& random, double tolerance = 0,
                                        const FreezeOptions& options = {}) {
  auto frozen = FreezeToMemory(context, model, Tensor::Zeros({3}, DType::kInt32), options);
  EXPECT_TRUE(frozen.ok()) << frozen.status();
  if (!frozen.ok()) return nullptr;
  EXPECT_EQ(CostOf(*(*frozen)->packed).predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));
  for (const int64_t streams : {int64_t{1}, ImagesOnDevice(20, 3), int64_t{1}}) {
    // As many rows as the store has: it keeps their number.
    StateStore fresh(context);
    (*frozen)->interpreter->Reset();
    for (const int64_t steps : {1, 12, 7}) {
      const Tensor tokens = Tokens({steps, streams}, random);
      const auto graph = GraphLogits(context, model, fresh, tokens);
      const auto packed = (*frozen)->interpreter->RunTokens(tokens.matrix<int32_t>());
      EXPECT_TRUE(graph.ok() && packed.ok()) << graph.status() << " " << packed.status();
      if (!graph.ok() || !packed.ok() || graph->shape() != packed->shape()) {
        ADD_FAILURE() << "the packed model gives another shape";
        return nullptr;
      }
      double largest = 0;
      int64_t different = 0;
      for (int64_t i = 0; i < graph->num_elements(); ++i) {
        const float a = graph->data<float>()[i], b = packed->data<float>()[i];
        largest = std::max(largest, std::fabs(double{a} - double{b}));
        different += std::memcmp(&a, &b, sizeof(a)) != 0;
      }
      if (tolerance == 0) {
        EXPECT_EQ(different, 0) << "logits differ, by up to " << largest << ", with " << streams << " streams";
      } else {
        EXPECT_LE(largest, tolerance);
      }
    }
  }
  return *std::move(frozen);
}

RecurrentNetOptions NetOptions(RecurrentCell cell, const std::string& activation, const std::string& weight) {
  return {.cell = cell,
          .hidden = {33, 20},
          .classes = kTokens,
          .embedding = 27,
          .embedding_quantizer = Q(activation),
          .input = Q(activation),
          .state = Q(activation),
          .input_weight = Q(weight),
          .hidden_weight = Q(weight),
          .output = Q(activation),
          .output_weight = Q(weight)};
}

// The first instruction of a kind; null where there is none.
const packed::Instruction* Find(const PackedModel& model, packed::Instruction::KindCase kind) {
  for (const packed::Instruction& instruction : model.header().instructions()) {
    if (instruction.kind_case() == kind) return &instruction;
  }
  return nullptr;
}

TEST_F(FreezeTokensTest, AHandMadeLstm) {
  std::mt19937 random(1);
  ExecContext context({.threads = 2});
  for (const char* quantizer : {"k_bit(2)", "k_bit(4)", "sign"}) {
    SCOPED_TRACE(quantizer);
    ParameterStore store(1);
    HandMadeLstm model(store.Root(), Q(quantizer), 30, 37);
    const auto frozen = ExpectSame(context, model, random);
    ASSERT_NE(frozen, nullptr);
    const packed::Header& header = frozen->packed->header();
    EXPECT_EQ(header.input().tokens(), kTokens);
    EXPECT_EQ(header.class_count(), kTokens);
    ASSERT_EQ(header.states_size(), 2);
    EXPECT_EQ(header.states(0).name(), "lstm/h");
    EXPECT_EQ(header.states(1).width(), 37);
  }
}

TEST_F(FreezeTokensTest, EveryCellAndQuantizer) {
  std::mt19937 random(2);
  ExecContext context({.threads = 2});
  struct Case {
    RecurrentCell cell;
    const char *activation, *weight;
  };
  for (const Case& c : std::vector<Case>{
           {RecurrentCell::kLstm, "k_bit(4)", "k_bit(4)"},
           {RecurrentCell::kLstm, "k_bit(3)", "k_bit(3, scale=glorot)"},
           {RecurrentCell::kLstm, "k_bit(2)", "max_abs(2)"},
           {RecurrentCell::kLstm, "k_bit(4)", "max_abs(4, per_output)"},
           {RecurrentCell::kLstm, "sign", "xnor"},
           {RecurrentCell::kLstm, "sign", "sign"},
           {RecurrentCell::kLstm, "k_bit(4)", "lsq(4)"},
           {RecurrentCell::kLstm, "ternary(0.5)", "lsq(3, per_output)"},
           {RecurrentCell::kGru, "k_bit(4)", "max_abs(4)"},
           {RecurrentCell::kGru, "sign", "sign"},
           {RecurrentCell::kRnnTanh, "k_bit(3)", "ternary(0.5)"},
           {RecurrentCell::kRnnRelu, "dorefa_activation(4)", "k_bit(2)"},
       }) {
    SCOPED_TRACE(absl::StrCat(static_cast<int>(c.cell), " ", c.activation, " ", c.weight));
    ParameterStore store(1);
    RecurrentNet model(store.Root(), NetOptions(c.cell, c.activation, c.weight));
    ASSERT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random);
    const auto frozen = ExpectSame(context, model, random);
    ASSERT_NE(frozen, nullptr);
    // The rows' quantizer is the table's.
    const packed::Instruction* embedding = Find(*frozen->packed, packed::Instruction::kEmbedding);
    ASSERT_NE(embedding, nullptr);
    EXPECT_NE(frozen->packed->blob(embedding->embedding().table()).kind(), packed::Blob::FLOAT32);
  }
}

// A learned step for the rows of the table, a learned scale for what layers read.
TEST_F(FreezeTokensTest, LearnedNumbersOfActivations) {
  std::mt19937 random(3);
  ExecContext context({.threads = 1});
  RecurrentNetOptions options = NetOptions(RecurrentCell::kLstm, "k_bit(4)", "k_bit(4)");
  options.embedding_quantizer = Q("lsq(4)");
  options.input = Q("lsq(3)");
  options.output = Q("k_bit(2, scale=learned)");
  options.gate = Q("dorefa_activation(4)");
  ParameterStore store(1);
  RecurrentNet model(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  ASSERT_NE(ExpectSame(context, model, random), nullptr);
}

TEST_F(FreezeTokensTest, PassesChangeNoAnswer) {
  std::mt19937 random(4);
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  RecurrentNet model(store.Root(), NetOptions(RecurrentCell::kLstm, "k_bit(4)", "k_bit(4)"));
  const auto frozen = ExpectSame(context, model, random, 0, {.quantize_tables = false});
  ASSERT_NE(frozen, nullptr);
  const packed::Instruction* embedding = Find(*frozen->packed, packed::Instruction::kEmbedding);
  EXPECT_EQ(frozen->packed->blob(embedding->embedding().table()).kind(), packed::Blob::FLOAT32);
  ASSERT_NE(ExpectSame(context, model, random, 0, {.fold_thresholds = false}), nullptr);
}

// In float both sum in an order of their own.
TEST_F(FreezeTokensTest, FloatsAreNear) {
  std::mt19937 random(5);
  ExecContext context({.threads = 2});
  for (const bool tied : {false, true}) {
    RecurrentNetOptions options = NetOptions(RecurrentCell::kLstm, "identity", "identity");
    options.tied = tied;
    if (tied) options.embedding = options.hidden.back();
    ParameterStore store(1);
    RecurrentNet model(store.Root(), options);
    ASSERT_TRUE(store.status().ok()) << store.status();
    const auto frozen = ExpectSame(context, model, random, 1e-5);
    ASSERT_NE(frozen, nullptr);
    if (!tied) continue;
    // One matrix, which is a table and a weight.
    const packed::Instruction* embedding = Find(*frozen->packed, packed::Instruction::kEmbedding);
    const auto& instructions = frozen->packed->header().instructions();
    EXPECT_TRUE(std::any_of(instructions.begin(), instructions.end(), [&](const packed::Instruction& instruction) {
      return instruction.has_linear() && instruction.linear().weight() == embedding->embedding().table();
    }));
  }
}

// A table of codes takes no more than its bits.
TEST_F(FreezeTokensTest, ATableTakesItsBits) {
  ExecContext context({.threads = 2});
  Parameter table, weight;
  table.name = "table";
  table.value = Tensor({10000, 300}, DType::kFloat32);
  std::mt19937 random(6);
  for (float& value : table.value.mutable_span<float>()) value = static_cast<float>(random() % 2001) / 1000 - 1;
  weight.name = "weight";
  weight.value = Tensor::Zeros({5, 300});
  FunctionModel model([&](const Var& tokens) {
    const Quantizer k_bit = KBit(4);
    return Linear(Quantize(Embedding(tokens, tokens.tape()->Use(table)), k_bit),
                  Quantize(tokens.tape()->Use(weight), k_bit.In(QuantizerRole::kWeight)));
  });
  const auto frozen = FreezeToMemory(context, model, Tensor::Zeros({3}, DType::kInt32));
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_LT((*frozen)->bytes.size(), 1500000 + 4096);
  EXPECT_GE((*frozen)->bytes.size(), 1500000);
}

// Somebody else reads the rows: the floats have to stay, and nothing is stored twice.
TEST_F(FreezeTokensTest, ATableThatIsReadAsFloatsStaysOne) {
  std::mt19937 random(7);
  ExecContext context({.threads = 1});
  Parameter table;
  table.name = "table";
  table.value = RandomInputs({kTokens, 12}, random);
  const auto freeze = [&](std::function<Var(const Var&)> forward) {
    FunctionModel model(std::move(forward));
    auto frozen = ExpectSame(context, model, random);
    if (frozen == nullptr) return packed::Blob::UNSPECIFIED;
    EXPECT_EQ(frozen->packed->header().blobs_size(), 1);
    return frozen->packed->blob(0).kind();
  };
  const auto rows = [&](const Var& tokens) { return Embedding(tokens, tokens.tape()->Use(table)); };
  EXPECT_EQ(freeze([&](const Var& tokens) {
              const Var x = rows(tokens);
              return Add(x, Quantize(x, KBit(3)));
            }),
            packed::Blob::FLOAT32);
  // Read twice by the same quantizer, one table of codes is enough.
  EXPECT_EQ(freeze([&](const Var& tokens) {
              const Var x = rows(tokens);
              return Mul(Quantize(x, KBit(3)), Tanh(Quantize(x, KBit(3))));
            }),
            packed::Blob::SYMMETRIC);
  // The result itself.
  EXPECT_EQ(freeze(rows), packed::Blob::FLOAT32);
}

TEST_F(FreezeTokensTest, WhatCannotBeFrozenIsNamed) {
  ExecContext context({.threads = 1});
  Parameter table;
  table.name = "table";
  table.value = Tensor::Zeros({kTokens, 8});
  const auto error = [&](std::function<Var(const Var&)> forward, Tensor example = Tensor::Zeros({3}, DType::kInt32)) {
    FunctionModel model(std::move(forward));
    const auto frozen = FreezeToMemory(context, model, example);
    EXPECT_FALSE(frozen.ok());
    return std::string(frozen.status().message());
  };
  const auto rows = [&](const Var& tokens) { return Embedding(tokens, tokens.tape()->Use(table)); };
  EXPECT_THAT(error([&](const Var& tokens) {
                const Tape::LayerScope layer(*tokens.tape(), "rnn1");
                return Add(rows(tokens), tokens.tape()->State("rnn1/h", {tokens.shape().dim(0), 8}));
              }),
              StartsWith("layer 'rnn1': the state 'rnn1/h' is read and never set"));
  EXPECT_THAT(error([&](const Var& tokens) {
                Tape& tape = *tokens.tape();
                const Var h = tape.State("h", {tokens.shape().dim(0), 8});
                tape.SetNextState("h", Tanh(tape.Input(Tensor::Zeros({tokens.shape().dim(0), 8}))));
                return Add(rows(tokens), h);
              }),
              AllOf(HasSubstr("is the next value of a state"), HasSubstr("depends on no input")));
  Parameter other;
  other.name = "other";
  other.value = Tensor::Zeros({kTokens + 1, 8});
  EXPECT_THAT(error([&](const Var& tokens) { return Add(rows(tokens), Embedding(tokens, tokens.tape()->Use(other))); }),
              HasSubstr("its table has 41 rows, another one has 42"));
  EXPECT_THAT(error(rows, Tensor::Zeros({3, 2}, DType::kInt32)), HasSubstr("of tokens, int32 [streams]"));
}

}  // namespace
}  // namespace bitgrad
