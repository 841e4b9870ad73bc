// RecurrentNet and its recipe: what it is made of, and that every field arrives and every wrong one is named.

#include "bitgrad/models/recurrent_net.h"

#include <algorithm>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/max_abs.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/tests/models/recipe_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

constexpr ImageShape kTokens = {};

Tensor Tokens(Shape shape, const std::vector<int32_t>& ids) { return Tensor::Of<int32_t>(std::move(shape), ids); }

std::vector<std::string> Names(const ParameterStore& store) {
  std::vector<std::string> names;
  for (const Parameter* parameter : store.parameters()) {
    names.push_back(absl::StrCat(parameter->name, " ", parameter->value.shape().ToString()));
  }
  return names;
}

TEST(RecurrentNetTest, TokensGiveTheLogitsOfEachNextOne) {
  ParameterStore store(1);
  RecurrentNet net(store.Root(), {.hidden = {4, 5}, .classes = 7, .embedding = 3});
  ASSERT_TRUE(store.status().ok()) << store.status();
  EXPECT_THAT(Names(store),
              ElementsAre("embedding/table [7, 3]", "lstm1/input_weight [16, 3]", "lstm1/hidden_weight [16, 4]",
                          "lstm1/bias [16]", "lstm2/input_weight [20, 4]", "lstm2/hidden_weight [20, 5]",
                          "lstm2/bias [20]", "output/weight [7, 5]", "output/bias [7]"));
  ExecContext context({.threads = 1});
  StateStore states(context);
  const std::vector<int32_t> ids = {0, 6, 3, 3, 2, 5};
  std::vector<float> whole, steps;
  {
    Tape tape(context, Mode::kEval);
    const Var y = net.Forward(tape.Input(Tokens({3, 2}, ids)));
    ASSERT_TRUE(tape.status().ok()) << tape.status();
    EXPECT_EQ(y.shape(), Shape({6, 7}));
    whole = ValuesOf(**tape.Value(y));
  }
  for (int i = 0; i < 3; ++i) {
    Tape tape(context, Mode::kEval);
    tape.set_states(&states);
    const Var y = net.Forward(tape.Input(Tokens({2}, {ids[2 * i], ids[2 * i + 1]})));
    ASSERT_TRUE(tape.status().ok()) << tape.status();
    EXPECT_EQ(y.shape(), Shape({2, 7}));
    const std::vector<float> values = ValuesOf(**tape.Value(y));
    steps.insert(steps.end(), values.begin(), values.end());
    ASSERT_TRUE(states.Commit().ok());
  }
  for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(whole[i], steps[i], 1e-6f) << i;
  std::vector<std::string> names;
  for (const NamedState& state : states.states()) names.push_back(state.name);
  EXPECT_THAT(names, ElementsAre("lstm1/h", "lstm1/c", "lstm2/h", "lstm2/c"));
}

TEST(RecurrentNetTest, ATiedTableIsTheOutputsWeight) {
  ParameterStore store(1);
  RecurrentNet net(store.Root(), {.cell = RecurrentCell::kGru,
                                  .hidden = {4},
                                  .classes = 7,
                                  .embedding = 4,
                                  .output_weight = KBit(4),
                                  .tied = true,
                                  .clip = 0.5f});
  ASSERT_TRUE(store.status().ok()) << store.status();
  EXPECT_THAT(Names(store),
              ElementsAre("embedding/table [7, 4]", "gru1/input_weight [12, 4]", "gru1/hidden_weight [12, 4]",
                          "gru1/input_bias [12]", "gru1/hidden_bias [12]", "output/bias [7]"));
  Parameter& table = *store.Find("embedding/table");
  EXPECT_TRUE(table.is_quantized());
  EXPECT_EQ(table.most, 0.5f);
  ExecContext context({.threads = 1});
  Tape tape(context);
  const Var y = net.Forward(tape.Input(Tokens({2, 1}, {1, 2})));
  const absl::Status status = tape.Backward(SoftmaxCrossEntropy(y, Labels({2, 3})));
  ASSERT_TRUE(status.ok()) << status;
  // All rows are the output's; a table that is only read would have gradients of two.
  ASSERT_EQ(table.gradient.shape(), table.value.shape());
  for (int row = 0; row < 7; ++row) EXPECT_NE(table.gradient.data<float>()[4 * row], 0) << row;
}

TEST(RecurrentNetTest, InitialValuesOfTheTable) {
  const auto largest = [](const RecurrentNetOptions& options) {
    ParameterStore store(1);
    const RecurrentNet net(store.Root(), options);
    EXPECT_TRUE(store.status().ok()) << store.status();
    float most = 0;
    for (const float v : store.Find("embedding/table")->value.span<float>()) most = std::max(most, v);
    return most;
  };
  RecurrentNetOptions options{.hidden = {25}, .classes = 200, .embedding = 25};
  EXPECT_NEAR(largest(options), 1, 0.02);
  options.tied = true;
  EXPECT_NEAR(largest(options), 0.2, 0.004);
  options.initial_range = 0.1f;
  EXPECT_NEAR(largest(options), 0.1, 0.002);
  ParameterStore store(1);
  const RecurrentNet net(store.Root(), {.hidden = {4}, .classes = 7, .embedding = 4, .embedding_quantizer = KBit(4)});
  EXPECT_EQ(store.Find("embedding/table")->most, 1);
}

// An image is read in steps, one row, or one part of a row, after the other: the order of the steps counts, that of the
// images in the batch does not.
TEST(RecurrentNetTest, ImagesAreSequences) {
  ParameterStore store(1);
  RecurrentNet net(store.Root(), {.hidden = {4, 5}, .classes = 3, .image_steps = 6, .step_features = 2});
  ASSERT_TRUE(store.status().ok()) << store.status();
  EXPECT_EQ(store.parameters()[0]->name, "lstm1/input_weight");
  EXPECT_EQ(store.parameters()[0]->value.shape(), Shape({16, 2}));
  ExecContext context({.threads = 1});
  TestRandom random(1);
  const std::vector<float> a = ValuesOf(random.UniformTensor({12})), b = ValuesOf(random.UniformTensor({12}));
  const auto logits = [&](const std::vector<float>& first, const std::vector<float>& second) {
    std::vector<float> both = first;
    both.insert(both.end(), second.begin(), second.end());
    Tape tape(context, Mode::kEval);
    const Var y = net.Forward(tape.Input(Floats({2, 12}, both)));
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    EXPECT_EQ(y.shape(), Shape({2, 3}));
    EXPECT_TRUE(tape.states().empty());
    return ValuesOf(**tape.Value(y));
  };
  const std::vector<float> ab = logits(a, b), ba = logits(b, a);
  for (int i = 0; i < 3; ++i) EXPECT_NEAR(ab[i], ba[3 + i], 1e-6f);
  std::vector<float> swapped = a;
  std::swap(swapped[0], swapped[2]);
  std::swap(swapped[1], swapped[3]);
  EXPECT_GT(std::fabs(logits(swapped, b)[0] - ab[0]), 1e-4f);
  Tape tape(context, Mode::kEval);
  net.Forward(tape.Input(Tensor::Zeros({2, 11})));
  EXPECT_THAT(std::string(tape.status().message()), AllOf(HasSubstr("[2, 11]"), HasSubstr("[batch, 12]")));
}

// Step by step, with the states that a tape leaves for the next one, an image has the logits that it has as a whole; in
// evaluation only, for a batch of training examples is whole.
TEST(RecurrentNetTest, ATimeStepOfAnImage) {
  for (const RecurrentCell cell : {RecurrentCell::kLstm, RecurrentCell::kGru}) {
    ParameterStore store(1);
    RecurrentNet net(store.Root(),
                     {.cell = cell, .hidden = {4, 5}, .classes = 3, .image_steps = 6, .step_features = 2});
    EXPECT_EQ(net.time_steps(), 6);
    ExecContext context({.threads = 1});
    TestRandom random(1);
    const Tensor x = random.UniformTensor({2, 12});
    StateStore states(context);
    const auto logits = [&](const Tensor& input) {
      Tape tape(context, Mode::kEval);
      tape.set_states(&states);
      const Var y = net.Forward(tape.Input(input));
      EXPECT_TRUE(tape.status().ok()) << tape.status();
      const std::vector<float> values = ValuesOf(**tape.Value(y));
      EXPECT_TRUE(states.Commit().ok());
      return values;
    };
    std::vector<float> last;
    for (int step = 0; step < 6; ++step) {
      Tensor part({2, 2}, DType::kFloat32);
      for (int i = 0; i < 4; ++i) part.mutable_data<float>()[i] = x.data<float>()[12 * (i / 2) + 2 * step + i % 2];
      last = logits(part);
    }
    // A whole image neither reads what the steps have left nor leaves anything.
    const std::vector<float> whole = logits(x);
    ASSERT_EQ(last.size(), whole.size());
    for (size_t i = 0; i < whole.size(); ++i) EXPECT_NEAR(last[i], whole[i], 1e-6f) << i;
    EXPECT_EQ(logits(x), whole);
    Tape tape(context, Mode::kTrain);
    net.Forward(tape.Input(Tensor::Zeros({2, 2})));
    EXPECT_THAT(std::string(tape.status().message()), AllOf(HasSubstr("[2, 2]"), HasSubstr("[batch, 12]")));
  }
  // Tokens are no part of an example.
  ParameterStore store(1);
  EXPECT_EQ(RecurrentNet(store.Root(), {.hidden = {4}, .classes = 7, .embedding = 4}).time_steps(), 1);
}

TEST(RecurrentNetTest, AnIdThatIsNoTokenIsTheTapesError) {
  ParameterStore store(1);
  RecurrentNet net(store.Root(), {.hidden = {4}, .classes = 7, .embedding = 4});
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  net.Forward(tape.Input(Tokens({1, 2}, {1, 7})));
  EXPECT_THAT(std::string(tape.status().message()), AllOf(HasSubstr("embedding"), HasSubstr("7")));
  Tape floats(context, Mode::kEval);
  net.Forward(floats.Input(Tensor::Zeros({1, 2})));
  EXPECT_FALSE(floats.status().ok());
}

// ---- Recipes ------------------------------------------------------------------------------------------

recipe::Model Recipe(const std::string& fields) {
  recipe::Model model;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(absl::StrCat("recurrent_net {", fields, "}"), &model))
      << fields;
  return model;
}

std::string RecipeError(const std::string& fields, const ImageShape& image = kTokens) {
  ParameterStore store(1);
  return Message(MakeNetwork(Recipe(fields), image, 7, store).status());
}

TEST(RecurrentNetRecipeTest, ErrorsNameTheField) {
  const struct {
    const char* fields;
    ImageShape image;
    const char* field;
    const char* reason;
  } cases[] = {
      {"", kTokens, "hidden", "empty"},
      {"hidden: 4 hidden: 0", kTokens, "hidden", "0 has to be positive"},
      {"hidden: 4 embedding: -3", kTokens, "embedding", "-3 has to be positive"},
      {"hidden: 4 input_quantizer: 'sing'", kTokens, "input_quantizer", "(did you mean 'sign'?)"},
      {"hidden: 4 hidden_quantizer: 'max_abs(4'", kTokens, "hidden_quantizer", "max_abs(4"},
      {"hidden: 4 hidden_quantizer: 'xnor'", kTokens, "hidden_quantizer", "it is for weights"},
      {"hidden: 4 input_weight_quantizer: 'x'", kTokens, "input_weight_quantizer", "'x'"},
      {"hidden: 4 hidden_weight_quantizer: 'lsq(1)'", kTokens, "hidden_weight_quantizer", "lsq(1)"},
      {"hidden: 4 gate_quantizer: 'x'", kTokens, "gate_quantizer", "'x'"},
      {"hidden: 4 gradient_quantizer: 'x'", kTokens, "gradient_quantizer", "'x'"},
      {"hidden: 4 output_quantizer: 'x'", kTokens, "output_quantizer", "'x'"},
      {"hidden: 4 output_weight_quantizer: 'x'", kTokens, "output_weight_quantizer", "'x'"},
      {"hidden: 4 embedding_quantizer: 'x'", kTokens, "embedding_quantizer", "'x'"},
      {"hidden: 4 cell: RNN_TANH gate_quantizer: 'sign'", kTokens, "gate_quantizer", "RNN_TANH have no gates"},
      {"hidden: 4 cell: GRU forget_bias: 1", kTokens, "forget_bias", "LSTM"},
      {"hidden: 4 forget_bias: inf", kTokens, "forget_bias", "finite"},
      {"hidden: 4 keep: 0", kTokens, "keep", "(0, 1]"},
      {"hidden: 4 clip: 0", kTokens, "clip", "positive"},
      {"hidden: 4 initial_range: -1", kTokens, "initial_range", "positive"},
      {"hidden: 4 embedding: 3 tied: true", kTokens, "tied", "embedding is 3 and the last of hidden is 4"},
      {"hidden: 4 image_steps: 28", kTokens, "image_steps", "tokens"},
      {"hidden: 4 image_steps: 27", kMnist, "image_steps", "27 does not divide the 784 values"},
      {"hidden: 4 image_steps: -1", kMnist, "image_steps", "-1 is not in"},
      {"hidden: 4 embedding: 3", kMnist, "embedding", "images"},
      {"hidden: 4 tied: true", kMnist, "tied", "images"},
      {"hidden: 4 embedding_quantizer: 'sign'", kMnist, "embedding_quantizer", "images"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(RecipeError(c.fields, c.image),
                AllOf(HasSubstr(absl::StrCat("recipe: model.recurrent_net.", c.field)), HasSubstr(c.reason)))
        << c.fields;
  }
}

TEST(RecurrentNetRecipeTest, OtherNetworksTakeNoTokens) {
  for (const char* name : {"mnist_bnn_mlp_small", "cifar10_bnn_vgg_tiny", "cifar10_birealnet20"}) {
    ParameterStore store(1);
    EXPECT_THAT(Message(MakeNetwork(LoadRecipe(name)->model(), kTokens, 10, store).status()),
                AllOf(HasSubstr("recipe: model."), HasSubstr("takes images"), HasSubstr("recurrent_net")));
  }
}

// "linear [shape] quantizer quantizer" for each product of one step, and the other ops that a field changes.
std::vector<std::string> ProductsOf(Model& model, const Tensor& x) {
  ExecContext context({.threads = 1});
  Tape tape(context);
  model.Forward(tape.Input(x));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  std::vector<std::string> products;
  for (const Tape::Node& node : tape.nodes()) {
    if (node.descriptor.op != "linear") continue;
    std::string text = node.shape.ToString();
    for (const int32_t input : node.inputs) {
      const Tape::Node* operand = &tape.nodes()[input];
      if (operand->descriptor.op == "dropout") {
        absl::StrAppend(&text, " dropout");
        operand = &tape.nodes()[operand->inputs[0]];
      }
      absl::StrAppend(&text, " ", operand->descriptor.Get<Quantizer>("quantizer", Quantizer()).ToString());
    }
    products.push_back(text);
  }
  return products;
}

TEST(RecurrentNetRecipeTest, EveryFieldArrives) {
  ParameterStore store(1);
  const auto model = MakeNetwork(Recipe(R"text(
      hidden: 4 hidden: 5 embedding: 3 embedding_quantizer: "sign" input_quantizer: "k_bit(8)"
      hidden_quantizer: "k_bit(3)" input_weight_quantizer: "ternary(0.25)" hidden_weight_quantizer: "k_bit(2)"
      output_quantizer: "k_bit(5)" output_weight_quantizer: "k_bit(6)" gate_quantizer: "k_bit(7)" keep: 0.5 clip: 0.75
      forget_bias: 2 initial_range: 0.125)text"),
                                 kTokens, 7, store);
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_THAT(ProductsOf(**model, Tokens({2}, {1, 2})),
              ElementsAre("[2, 16] dropout sign ternary(0.25)", "[2, 16] k_bit(3) k_bit(2)",
                          "[2, 20] dropout k_bit(8) ternary(0.25)", "[2, 20] k_bit(3) k_bit(2)",
                          "[2, 7] dropout k_bit(5) k_bit(6)"));
  EXPECT_EQ(store.Find("lstm2/hidden_weight")->most, 0.75f);
  EXPECT_EQ(store.Find("output/weight")->most, 0.75f);
  EXPECT_EQ(store.Find("lstm1/bias")->value.data<float>()[4], 2);
  for (const char* name : {"embedding/table", "lstm1/input_weight", "lstm2/hidden_weight", "output/weight"}) {
    for (const float v : store.Find(name)->value.span<float>()) ASSERT_LE(std::fabs(v), 0.125f) << name;
  }
  ExecContext context({.threads = 1});
  Tape tape(context);
  (*model)->Forward(tape.Input(Tokens({2}, {1, 2})));
  EXPECT_EQ(std::count_if(tape.nodes().begin(), tape.nodes().end(),
                          [](const Tape::Node& node) {
                            return node.descriptor.op == "quantize" &&
                                   node.descriptor.Get<Quantizer>("quantizer", Quantizer()) == KBit(7);
                          }),
            2 * 4);
}

TEST(RecurrentNetRecipeTest, CellsAndDefaults) {
  const auto names = [](const std::string& fields, const ImageShape& image) {
    ParameterStore store(1);
    const auto model = MakeNetwork(Recipe(fields), image, 7, store);
    EXPECT_TRUE(model.ok()) << model.status();
    return Names(store);
  };
  // The table is as wide as the first layer, or tied as the last one.
  EXPECT_THAT(names("cell: RNN_RELU hidden: 4 hidden: 5", kTokens),
              ElementsAre("embedding/table [7, 4]", "rnn1/input_weight [4, 4]", "rnn1/hidden_weight [4, 4]",
                          "rnn1/bias [4]", "rnn2/input_weight [5, 4]", "rnn2/hidden_weight [5, 5]", "rnn2/bias [5]",
                          "output/weight [7, 5]", "output/bias [7]"));
  EXPECT_THAT(
      names("cell: RNN_TANH hidden: 4 hidden: 5 tied: true", kTokens),
      ElementsAre("embedding/table [7, 5]", "rnn1/input_weight [4, 5]", "rnn1/hidden_weight [4, 4]", "rnn1/bias [4]",
                  "rnn2/input_weight [5, 4]", "rnn2/hidden_weight [5, 5]", "rnn2/bias [5]", "output/bias [7]"));
  // A row is a step, or a pixel.
  EXPECT_EQ(names("cell: GRU hidden: 4", kMnist)[0], "gru1/input_weight [12, 28]");
  EXPECT_EQ(names("cell: GRU hidden: 4 image_steps: 784", kMnist)[0], "gru1/input_weight [12, 1]");
}

// What quantizers learn is reported and hardened in all layers.
TEST(RecurrentNetRecipeTest, LearnedBitsAreReportedAndHardened) {
  ParameterStore store(1);
  const auto model =
      MakeNetwork(Recipe("hidden: 4 input_weight_quantizer: 'bit_pruning' hidden_weight_quantizer: 'bit_pruning' "
                         "output_weight_quantizer: 'bit_pruning'"),
                  kTokens, 7, store);
  ASSERT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1});
  std::vector<std::string> names;
  for (const ModelValue& value : (*model)->Report(context)) names.push_back(value.layer + " " + value.name);
  EXPECT_THAT(names, ElementsAre("lstm1/input_weight weight_bits", "lstm1/hidden_weight weight_bits",
                                 "output weight_bits", " average_weight_bits"));
  ASSERT_TRUE((*model)->Harden(context).ok());
  EXPECT_THAT(ProductsOf(**model, Tokens({2}, {1, 2})),
              ElementsAre("[2, 16] identity max_abs(8)", "[2, 16] identity max_abs(8)", "[2, 7] identity max_abs(8)"));
}

}  // namespace
}  // namespace bitgrad
