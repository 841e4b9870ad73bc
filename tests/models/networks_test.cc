// Networks from recipes: every field arrives, every wrong one is named.

#include "bitgrad/models/networks.h"

#include <algorithm>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/tests/models/recipe_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// What only the network knows: the error names the field.
TEST(NetworksTest, ErrorsNameTheField) {
  const recipe::Recipe good = *LoadRecipe("mnist_bnn_mlp_small");
  const struct {
    const char* assignment;
    const char* field;
    const char* reason;
  } cases[] = {
      {"model.mlp.hidden=8,0", "model.mlp.hidden", "0 has to be positive"},
      {"model.mlp.hidden=-8", "model.mlp.hidden", "-8 has to be positive"},
      {"model.mlp.weight_quantizer=sing", "model.mlp.weight_quantizer", "'sing'"},
      {"model.mlp.input_quantizer=k_bit(99)", "model.mlp.input_quantizer", "k_bit(99)"},
      {"model.mlp.activation_quantizer=x", "model.mlp.activation_quantizer", "'x'"},
      {"model.mlp.gradient_quantizer=x", "model.mlp.gradient_quantizer", "'x'"},
      {"model.mlp.activation=softplus", "model.mlp.activation", "'softplus'"},
      {"model.mlp.input_keep=0", "model.mlp.input_keep", "(0, 1]"},
      {"model.mlp.hidden_keep=1.5", "model.mlp.hidden_keep", "(0, 1]"},
      {"model.mlp.hidden_keep=nan", "model.mlp.hidden_keep", "(0, 1]"},
      {"model.mlp.weight_quantizer=sing", "model.mlp.weight_quantizer", "(did you mean 'sign'?)"},
      {"model.mlp.activation_quantizer=dorefa_actvation(2)", "activation_quantizer",
       "(did you mean 'dorefa_activation'?)"},
      {"model.mlp.activation=rellu", "model.mlp.activation", "(did you mean 'relu'?)"},
      {"model.mlp.clip=0", "clip", "positive"},
      {"model.mlp.clip=-1", "clip", "positive"},
  };
  for (const auto& c : cases) {
    recipe::Recipe recipe = good;
    ASSERT_TRUE(SetField("model.mlp.hidden=8,8", recipe).ok());
    ASSERT_TRUE(SetField(c.assignment, recipe).ok()) << c.assignment;
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe.model(), kMnist, 10, store);
    EXPECT_THAT(Message(model.status()), AllOf(HasSubstr(c.field), HasSubstr(c.reason))) << c.assignment;
  }
}

// An activation quantizer that depends on the batch gives a net that can be neither evaluated nor frozen as it was
// trained, a weight quantizer with a scale for each row one that does not train at all.
TEST(NetworksTest, QuantizersInRolesThatTheyCannotHave) {
  for (const char* recipe_name : {"mnist_bnn_mlp_small", "cifar10_bnn_vgg_tiny", "cifar10_birealnet20"}) {
    recipe::Recipe recipe = *LoadRecipe(recipe_name);
    const std::string net = recipe.model().has_mlp()        ? "model.mlp."
                            : recipe.model().has_conv_net() ? "model.conv_net."
                                                            : "model.bireal_net.";
    if (recipe.model().has_mlp()) {
      ASSERT_TRUE(SetField("model.mlp.hidden=8", recipe).ok());
    }
    for (const char* field : {"input_quantizer", "activation_quantizer", "weight_quantizer"}) {
      if (recipe.model().has_bireal_net() && std::string(field) == "input_quantizer") continue;
      const bool is_weight = std::string(field) == "weight_quantizer";
      for (const QuantizerInfo& info : AllQuantizers()) {
        recipe::Recipe changed = recipe;
        ASSERT_TRUE(SetField(absl::StrCat(net, field, "=", std::string(info.name)), changed).ok());
        const QuantizerRole role = is_weight ? QuantizerRole::kWeight : QuantizerRole::kActivation;
        const bool refused = !ParseQuantizer(info.name)->In(role).CheckRole().ok();
        EXPECT_EQ(refused, info.for_gradients || (!is_weight && info.name == "xnor")) << info.name;
        ParameterStore store(1);
        const auto model = MakeNetwork(changed.model(), {32, 32, 3}, 10, store);
        EXPECT_EQ(model.ok(), !refused) << net << field << " " << info.name;
        if (refused) {
          EXPECT_THAT(Message(model.status()),
                      AllOf(HasSubstr(absl::StrCat("recipe: ", net, field)), HasSubstr(std::string(info.name)),
                            HasSubstr(info.for_gradients ? "it is for gradients" : "it is for weights")));
        }
      }
    }
  }
}

TEST(NetworksTest, EveryFieldOfTheRecipeArrivesInTheModel) {
  auto recipe = *LoadRecipe("mnist_bnn_mlp_small");
  for (const char* assignment :
       {"model.mlp.hidden=8", "model.mlp.weight_quantizer=ternary(0.25)", "model.mlp.clip=0.5"}) {
    ASSERT_TRUE(SetField(assignment, recipe).ok());
  }
  ParameterStore store(1);
  ASSERT_TRUE(MakeNetwork(recipe.model(), kMnist, 10, store).ok());
  EXPECT_EQ(store.Find("hidden1/weight")->encoding.kind, EncodingKind::kTernary);
  EXPECT_EQ(store.Find("hidden1/weight")->most, 0.5f);
  EXPECT_EQ(store.Find("hidden1/weight")->value.shape(), Shape({8, 784}));
  recipe::Model none;
  EXPECT_THAT(Message(MakeNetwork(none, kMnist, 10, store).status()), HasSubstr("model"));
}

// The nodes of a net on one image, as "op attribute=value ..", those that count.
std::vector<std::string> NodesOf(const recipe::Model& recipe, const ImageShape& image) {
  ParameterStore store(1);
  const auto model = MakeNetwork(recipe, image, 10, store);
  EXPECT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  if (model.ok()) (*model)->Forward(tape.Input(Tensor::Zeros({1, image.features()})));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  std::vector<std::string> nodes;
  for (const Tape::Node& node : tape.nodes()) {
    const std::string op(node.descriptor.op);
    if (op != "conv2d" && op != "max_pool" && op != "linear" && op != "average_pool") continue;
    std::string text = absl::StrCat(op, " ", node.shape.ToString());
    if (op == "conv2d") {
      const auto g = node.descriptor.Get<ConvGeometry>("geometry", {});
      absl::StrAppend(&text, " ", g.stride_height, " ", g.pad_height, " ", g.groups, " ", static_cast<int>(g.padding));
    } else if (op != "linear") {
      const auto g = node.descriptor.Get<PoolGeometry>("geometry", {});
      absl::StrAppend(&text, " ", g.stride_height, " ", g.pad_height, " ", g.kernel_height);
    }
    if (op == "conv2d" || op == "linear") {
      for (const int32_t input : node.inputs) {
        absl::StrAppend(&text, " ", tape.nodes()[input].descriptor.Get<Quantizer>("quantizer", Quantizer()).ToString());
      }
    }
    nodes.push_back(text);
  }
  return nodes;
}

// PyTorch's running variance, which a batch of one example does not have.
TEST(NetworksTest, TheUnbiasedVarianceOfARecipeArrives) {
  for (const auto statistic : {recipe::BatchNorm::VARIANCE, recipe::BatchNorm::UNBIASED_VARIANCE}) {
    recipe::Model recipe;
    recipe.mutable_mlp()->add_hidden(8);
    recipe.mutable_mlp()->mutable_norm()->set_running_statistic(statistic);
    ExecContext context({.threads = 1});
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe, kMnist, 10, store);
    ASSERT_TRUE(model.ok()) << model.status();
    Tape tape(context);
    (*model)->Forward(tape.Input(Tensor::Zeros({1, kMnist.features()})));
    EXPECT_EQ(std::string(tape.status().message()).find("one row has no unbiased variance") != std::string::npos,
              statistic == recipe::BatchNorm::UNBIASED_VARIANCE)
        << tape.status();
  }
}

// Evaluation rounds inv_std and gamma of each shift-based batch norm to powers of two.
TEST(NetworksTest, TheKindOfBatchNormArrives) {
  for (const char* name : {"mnist_bnn_mlp_small", "cifar10_bnn_vgg_tiny", "cifar10_birealnet20"}) {
    recipe::Model recipe = LoadRecipe(name)->model();
    recipe::BatchNorm& norm = *(recipe.has_mlp()        ? recipe.mutable_mlp()->mutable_norm()
                                : recipe.has_conv_net() ? recipe.mutable_conv_net()->mutable_norm()
                                                        : recipe.mutable_bireal_net()->mutable_norm());
    for (const auto kind : {recipe::BatchNorm::BATCH, recipe::BatchNorm::SHIFT_PAPER, recipe::BatchNorm::SHIFT_TORCH}) {
      SCOPED_TRACE(absl::StrCat(name, " ", recipe::BatchNorm::Kind_Name(kind)));
      norm.set_kind(kind);
      ParameterStore store(1);
      const auto model = MakeNetwork(recipe, {28, 28, 3}, 10, store);
      ASSERT_TRUE(model.ok()) << model.status();
      ExecContext context({.threads = 1});
      Tape tape(context, Mode::kEval);
      (*model)->Forward(tape.Input(Tensor::Zeros({1, 28 * 28 * 3})));
      ASSERT_TRUE(tape.status().ok()) << tape.status();
      const auto count = [&](const char* op) {
        return std::count_if(tape.nodes().begin(), tape.nodes().end(),
                             [&](const Tape::Node& node) { return node.descriptor.op == op; });
      };
      EXPECT_GT(count("batch_norm"), 0);
      EXPECT_EQ(count("round_to_powers"), kind == recipe::BatchNorm::BATCH ? 0 : 2 * count("batch_norm"));
    }
  }
}

TEST(NetworksTest, EveryFieldOfAConvNetArrives) {
  recipe::Recipe recipe = *LoadRecipe(WriteRecipe(R"text(
      name: "net" data { name: "digits" }
      model { conv_net {
        block { filters: 4 kernel: 5 stride: 2 pad: 1 pool: 3 pool_stride: 1 }
        block { filters: 6 groups: 2 pool: 2 }
        hidden: 7
        input_quantizer: "k_bit(8)" activation_quantizer: "sign" weight_quantizer: "ternary(0.25)" clip: 0.5
        padding: MINUS_ONE } }
      optimizer { name: "adam" learning_rate: 0.1 } schedule { name: "constant" } epochs: 1 batch_size: 10)text"));
  const ImageShape image = {17, 17, 3};
  // Extents, stride, pad, (kernel | groups, border), quantizers.
  EXPECT_THAT(NodesOf(recipe.model(), image),
              ElementsAre("conv2d [1, 8, 8, 4] 2 1 1 2 k_bit(8) ternary(0.25)", "max_pool [1, 6, 6, 4] 1 0 3",
                          "conv2d [1, 6, 6, 6] 1 1 2 2 sign ternary(0.25)", "max_pool [1, 3, 3, 6] 2 0 2",
                          "linear [1, 7] sign ternary(0.25)", "linear [1, 10] sign ternary(0.25)"));
  recipe.mutable_model()->mutable_conv_net()->set_float_ends(true);
  EXPECT_THAT(NodesOf(recipe.model(), image),
              ElementsAre("conv2d [1, 8, 8, 4] 2 1 1 0 identity identity", "max_pool [1, 6, 6, 4] 1 0 3",
                          "conv2d [1, 6, 6, 6] 1 1 2 2 sign ternary(0.25)", "max_pool [1, 3, 3, 6] 2 0 2",
                          "linear [1, 7] sign ternary(0.25)", "linear [1, 10] identity identity"));
  ParameterStore store(1);
  ASSERT_TRUE(MakeNetwork(recipe.model(), image, 10, store).ok());
  EXPECT_EQ(store.Find("conv2/weight")->most, 0.5f);
  EXPECT_FALSE(store.Find("conv1/weight")->is_quantized());
}

TEST(NetworksTest, EveryFieldOfABiRealNetArrives) {
  const recipe::Recipe recipe = *LoadRecipe(WriteRecipe(R"text(
      name: "net" data { name: "digits" }
      model { bireal_net {
        stem_filters: 4 stem_kernel: 5 stem_stride: 2 stem_pool: 2
        stage { filters: 4 blocks: 1 } stage { filters: 6 blocks: 1 stride: 3 }
        activation_quantizer: "sign" weight_quantizer: "ternary(0.25)" padding: PLUS_ONE } }
      optimizer { name: "adam" learning_rate: 0.1 } schedule { name: "constant" } epochs: 1 batch_size: 10)text"));
  EXPECT_THAT(
      NodesOf(recipe.model(), {28, 28, 3}),
      ElementsAre("conv2d [1, 14, 14, 4] 2 2 1 0 identity identity", "max_pool [1, 7, 7, 4] 2 1 3",
                  "conv2d [1, 7, 7, 4] 1 1 1 1 sign ternary(0.25)", "conv2d [1, 3, 3, 6] 3 1 1 1 sign ternary(0.25)",
                  "average_pool [1, 3, 3, 4] 3 1 3", "conv2d [1, 3, 3, 6] 1 0 1 0 identity identity",
                  "average_pool [1, 1, 1, 6] 1 0 3", "linear [1, 10] identity identity"));
}

TEST(NetworksTest, EveryFieldOfAResidualNetArrives) {
  recipe::Recipe recipe = *LoadRecipe(WriteRecipe(R"text(
      name: "net" data { name: "digits" }
      model { residual_net {
        stem_filters: 4 stem_kernel: 5 stem_stride: 2 stem_pool: 2
        stage { filters: 4 blocks: 1 } stage { filters: 6 blocks: 2 stride: 3 }
        activation_quantizer: "k_bit(4)" weight_quantizer: "ternary(0.25)" clip: 0.5 } }
      optimizer { name: "adam" learning_rate: 0.1 } schedule { name: "constant" } epochs: 1 batch_size: 10)text"));
  EXPECT_THAT(
      NodesOf(recipe.model(), {28, 28, 3}),
      ElementsAre(
          "conv2d [1, 14, 14, 4] 2 2 1 0 identity identity", "max_pool [1, 7, 7, 4] 2 1 3",
          "conv2d [1, 7, 7, 4] 1 1 1 0 k_bit(4) ternary(0.25)", "conv2d [1, 7, 7, 4] 1 1 1 0 k_bit(4) ternary(0.25)",
          "conv2d [1, 3, 3, 6] 3 1 1 0 k_bit(4) ternary(0.25)", "conv2d [1, 3, 3, 6] 1 1 1 0 k_bit(4) ternary(0.25)",
          "conv2d [1, 3, 3, 6] 3 0 1 0 identity identity", "conv2d [1, 3, 3, 6] 1 1 1 0 k_bit(4) ternary(0.25)",
          "conv2d [1, 3, 3, 6] 1 1 1 0 k_bit(4) ternary(0.25)", "average_pool [1, 1, 1, 6] 1 0 3",
          "linear [1, 10] identity identity"));
  const auto count = [&](const char* op) {
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe.model(), {28, 28, 3}, 10, store);
    ExecContext context({.threads = 1});
    Tape tape(context, Mode::kEval);
    (*model)->Forward(tape.Input(Tensor::Zeros({1, 28 * 28 * 3})));
    return std::count_if(tape.nodes().begin(), tape.nodes().end(),
                         [&](const Tape::Node& node) { return node.descriptor.op == op; });
  };
  // After the stem, and two in each of the three blocks.
  EXPECT_EQ(count("relu"), 7);
  EXPECT_EQ(count("batch_norm"), 8);
  recipe.mutable_model()->mutable_residual_net()->set_activation("tanh");
  EXPECT_EQ(count("relu"), 0);
  EXPECT_EQ(count("tanh"), 7);
  ParameterStore store(1);
  ASSERT_TRUE(MakeNetwork(recipe.model(), {28, 28, 3}, 10, store).ok());
  EXPECT_EQ(store.Find("stage2/block2/conv1/weight")->most, 0.5f);
  EXPECT_FALSE(store.Find("stage2/block1/shortcut/conv/weight")->is_quantized());
}

TEST(NetworksTest, AnAttentionNetWithSplinesIsStillAskedForItsFrozenAnswers) {
  recipe::Model recipe = LoadRecipe("cifar10_sal_resnet20_small")->model();
  recipe.mutable_residual_net()->set_activation("spline(5, 1)");
  recipe.mutable_spline_penalty()->mutable_weight()->set_initial(1e-4);
  ParameterStore store(1);
  const auto model = MakeNetwork(recipe, {32, 32, 3}, 10, store);
  ASSERT_TRUE(model.ok()) << model.status();
  ASSERT_NE(store.Find("stage1/block1/act2/spline/coefficients"), nullptr);
  EXPECT_TRUE((*model)->AnswerAsFrozen(true));
  EXPECT_THAT((*model)->Description(), HasSubstr("once hardened"));
}

TEST(NetworksTest, TheConnectionsOfAResidualNetArrive) {
  recipe::Model recipe = LoadRecipe("cifar10_sal_resnet20_small")->model();
  recipe::ResidualNet& net = *recipe.mutable_residual_net();
  const auto shape = [&](const char* parameter) {
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe, {32, 32, 3}, 10, store);
    EXPECT_TRUE(model.ok()) << model.status();
    const Parameter* const found = store.Find(parameter);
    return found == nullptr ? "none" : found->value.shape().ToString();
  };
  EXPECT_EQ(shape("stage2/block1/conv1/weight"), "[32, 3, 3, 16]");
  EXPECT_EQ(shape("stage2/block1/conv1/attention"), "[32, 3, 3, 16]");
  EXPECT_EQ(shape("temperature"), "[]");
  net.set_connection(recipe::ResidualNet::SHARED_SHIFT_ATTENTION);
  EXPECT_EQ(shape("stage2/block1/conv1/attention"), "[1, 3, 3, 16]");
  net.set_connection(recipe::ResidualNet::SHIFT);
  EXPECT_EQ(shape("stage2/block1/conv1/weight"), "[32, 1, 1, 16]");
  EXPECT_EQ(shape("stage2/block1/conv1/attention"), "none");
  EXPECT_EQ(shape("temperature"), "none");
}

TEST(NetworksTest, AbsurdFieldsOfImageNetsAreNamed) {
  const auto message = [](const char* name, const char* text) {
    recipe::Recipe recipe = *LoadRecipe(name);
    EXPECT_TRUE(google::protobuf::TextFormat::MergeFromString(text, &recipe)) << text;
    ParameterStore store(1);
    return Message(MakeNetwork(recipe.model(), {32, 32, 3}, 10, store).status());
  };
  const char* const vgg = "cifar10_bnn_vgg_tiny";
  EXPECT_THAT(message(vgg, "model { conv_net { block { filters: 0 } } }"),
              HasSubstr("model.conv_net.block[6].filters: 0 is not in [1, 65536]"));
  EXPECT_THAT(message(vgg, "model { conv_net { block { filters: 8 pad: 3 } } }"),
              HasSubstr("model.conv_net.block[6].pad: 3 is not in [0, 2]"));
  EXPECT_THAT(message(vgg, "model { conv_net { block { filters: 8 pool: 2147483647 } } }"),
              HasSubstr("model.conv_net.block[6].pool: 2147483647 is not in [0, 1024]"));
  EXPECT_THAT(message("cifar10_birealnet20", "model { bireal_net { stage { filters: 8 blocks: 2000000000 } } }"),
              HasSubstr("model.bireal_net.stage[3].blocks: 2000000000 is not in [1, 1000]"));
  const char* const resnet = "cifar10_resnet20_small";
  EXPECT_THAT(message(resnet, "model { residual_net { stage { filters: 8 blocks: 2 stride: -1 } } }"),
              HasSubstr("model.residual_net.stage[3].stride: -1 is not in [1, 1024]"));
  EXPECT_THAT(message(resnet, "model { residual_net { activation: 'rule' } }"),
              AllOf(HasSubstr("model.residual_net.activation"), HasSubstr("relu")));
  EXPECT_THAT(message(resnet, "model { residual_net { temperature { initial: -1 final: 3 } } }"),
              AllOf(HasSubstr("model.residual_net.temperature"), HasSubstr("positive")));
  EXPECT_THAT(message(resnet, "model { residual_net { norm { kind: NONE } } }"),
              HasSubstr("model.residual_net.norm.kind"));
}

}  // namespace
}  // namespace bitgrad
