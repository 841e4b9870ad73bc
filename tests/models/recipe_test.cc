// Recipes: the built-in ones, files, --set, validation.

#include "bitgrad/models/recipe.h"

#include <cstdio>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/scope.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::string Message(const absl::Status& status) {
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

std::string WriteRecipe(const std::string& text) {
  static int count = 0;
  const std::string path = absl::StrCat(testing::TempDir(), "/recipe", count++, ".textproto");
  std::ofstream(path) << text;
  return path;
}

constexpr int kWidth = 8;

// Widths as they are would take seconds to fill.
void Narrow(recipe::Model& model) {
  if (model.has_mlp()) {
    for (int& width : *model.mutable_mlp()->mutable_hidden()) width = kWidth;
  }
  if (model.has_conv_net()) {
    for (auto& block : *model.mutable_conv_net()->mutable_block()) block.set_filters(kWidth);
    for (int& width : *model.mutable_conv_net()->mutable_hidden()) width = kWidth;
  }
  if (model.has_bireal_net()) {
    model.mutable_bireal_net()->set_stem_filters(kWidth);
    for (auto& stage : *model.mutable_bireal_net()->mutable_stage()) stage.set_filters(kWidth);
  }
}

constexpr ImageShape kMnist = {28, 28, 1};

// ---- Loading -----------------------------------------------------------------------------------

TEST(RecipeTest, EveryBuiltInOneLoadsAndBuildsItsModel) {
  std::vector<std::string> names;
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) {
    SCOPED_TRACE(built_in.name);
    names.push_back(built_in.name);
    auto recipe = LoadRecipe(built_in.name);
    ASSERT_TRUE(recipe.ok()) << recipe.status();
    EXPECT_EQ(recipe->name(), built_in.name);
    EXPECT_FALSE(recipe->description().empty());
    EXPECT_THAT(recipe->description(), Not(HasSubstr("\n")));
    EXPECT_TRUE(ValidateRecipe(*recipe).ok()) << ValidateRecipe(*recipe);
    EXPECT_THAT(RecipesHelp(), AllOf(HasSubstr(built_in.name), HasSubstr(recipe->description())));
    Narrow(*recipe->mutable_model());
    const ImageShape image = recipe->model().has_mlp() ? kMnist : ImageShape{67, 67, 3};
    ParameterStore store(recipe->seed());
    const auto model = MakeNetwork(recipe->model(), image, 10, store);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_TRUE(store.status().ok());
  }
  EXPECT_THAT(names,
              ElementsAre("cifar10_binaryconnect_vgg", "cifar10_birealnet20", "cifar10_bnn_vgg", "cifar10_bnn_vgg_tiny",
                          "cifar10_float_vgg", "cifar10_float_vgg_tiny", "digits_bnn_mlp", "imagenet_birealnet18",
                          "imagenet_bnn_alexnet", "imagenet_dorefa_alexnet", "mnist_binaryconnect_mlp",
                          "mnist_binaryconnect_stochastic_mlp", "mnist_bnn_lenet", "mnist_bnn_mlp",
                          "mnist_bnn_mlp_small", "mnist_float_mlp", "svhn_bnn_vgg"));
}

TEST(RecipeTest, AFileGivesWhatABuiltInOneDoes) {
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) {
    const auto from_file = LoadRecipe(WriteRecipe(built_in.text));
    ASSERT_TRUE(from_file.ok()) << from_file.status();
    EXPECT_TRUE(MessageDifferencer::Equals(*from_file, *LoadRecipe(built_in.name)));
  }
}

TEST(RecipeTest, AnUnknownNameListsTheKnownOnes) {
  const std::string message = Message(LoadRecipe("mnist_bnn_mpl").status());
  EXPECT_THAT(message, HasSubstr("'mnist_bnn_mpl'"));
  for (const BuiltInRecipe& built_in : BuiltInRecipes()) EXPECT_THAT(message, HasSubstr(built_in.name));
}

TEST(RecipeTest, UnreadableFiles) {
  EXPECT_THAT(Message(LoadRecipe(testing::TempDir()).status()), HasSubstr(testing::TempDir()));
  EXPECT_THAT(Message(LoadRecipe("").status()), HasSubstr("built in: "));
}

TEST(RecipeTest, ASyntaxErrorNamesFileLineAndColumn) {
  const std::string path = WriteRecipe("name: \"x\"\nmodel {\n  mlp { hiden: 3 }\n}\n");
  EXPECT_THAT(Message(LoadRecipe(path).status()),
              AllOf(HasSubstr(path), HasSubstr("line 3, column "), HasSubstr("hiden")));
  const std::string open = WriteRecipe("name: \"x\"\nmodel {\n");
  EXPECT_THAT(Message(LoadRecipe(open).status()), AllOf(HasSubstr(open), HasSubstr("line ")));
  const std::string type = WriteRecipe("epochs: \"many\"\n");
  EXPECT_THAT(Message(LoadRecipe(type).status()), AllOf(HasSubstr("line 1, column 9")));
  const std::string binary = WriteRecipe(std::string("\0\x01\xff\x80 junk", 9));
  EXPECT_THAT(Message(LoadRecipe(binary).status()), HasSubstr("line 1"));
}

// An empty file parses; that there is nothing in it is for ValidateRecipe to say.
TEST(RecipeTest, AnEmptyFileIsNoRecipe) {
  const auto recipe = LoadRecipe(WriteRecipe(""));
  ASSERT_TRUE(recipe.ok());
  EXPECT_FALSE(ValidateRecipe(*recipe).ok());
}

// ---- --set -------------------------------------------------------------------------------------

class SetFieldTest : public testing::Test {
 protected:
  void Set(const std::string& assignment) {
    const absl::Status status = SetField(assignment, recipe_);
    EXPECT_TRUE(status.ok()) << status;
  }
  // The message of the error; the recipe has to be as it was.
  std::string Error(const std::string& assignment) {
    const recipe::Recipe before = recipe_;
    const absl::Status status = SetField(assignment, recipe_);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << assignment;
    EXPECT_TRUE(MessageDifferencer::Equals(before, recipe_)) << assignment << " changed the recipe";
    return std::string(status.message());
  }
  recipe::Recipe recipe_ = *LoadRecipe("mnist_bnn_mlp_small");
};

TEST_F(SetFieldTest, EveryType) {
  Set("epochs=7");
  EXPECT_EQ(recipe_.epochs(), 7);
  Set("epochs=-7");
  EXPECT_EQ(recipe_.epochs(), -7);
  Set("seed=18446744073709551615");
  EXPECT_EQ(recipe_.seed(), std::numeric_limits<uint64_t>::max());
  Set("optimizer.learning_rate=2.5e-4");
  EXPECT_EQ(recipe_.optimizer().learning_rate(), 2.5e-4);
  Set("model.mlp.clip=0.5");
  EXPECT_EQ(recipe_.model().mlp().clip(), 0.5f);
  Set("model.mlp.norm.epsilon=1e-3");
  EXPECT_EQ(recipe_.model().mlp().norm().epsilon(), 1e-3f);
  Set("optimizer.glorot_scale=false");
  EXPECT_FALSE(recipe_.optimizer().glorot_scale());
  Set("optimizer.nesterov=true");
  EXPECT_TRUE(recipe_.optimizer().nesterov());
  Set("loss=SOFTMAX_CROSS_ENTROPY");
  EXPECT_EQ(recipe_.loss(), recipe::SOFTMAX_CROSS_ENTROPY);
  Set("model.mlp.norm.running_statistic=STD");
  EXPECT_EQ(recipe_.model().mlp().norm().running_statistic(), recipe::BatchNorm::STD);
  Set("model.mlp.weight_quantizer=k_bit(2)");
  EXPECT_EQ(recipe_.model().mlp().weight_quantizer(), "k_bit(2)");
  // Everything behind the first '=' is the value; it may be empty.
  Set("description=a=b");
  EXPECT_EQ(recipe_.description(), "a=b");
  Set("description=");
  EXPECT_EQ(recipe_.description(), "");
}

TEST_F(SetFieldTest, ARepeatedFieldTakesAListAndReplaces) {
  Set("model.mlp.hidden=5,6,7,8");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(5, 6, 7, 8));
  Set("model.mlp.hidden=9");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(9));
  Set("model.mlp.hidden=");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre());
  Set("model.mlp.hidden=3");
  EXPECT_THAT(Error("model.mlp.hidden=5,six"), AllOf(HasSubstr("'six'"), HasSubstr("whole number")));
}

TEST_F(SetFieldTest, CommasWithinBracketsBelongToTheValue) {
  Set("data.augmentation=crop(4),jitter(0.4,0.4,0.4),flip");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre("crop(4)", "jitter(0.4,0.4,0.4)", "flip"));
  Set("data.augmentation=flip");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre("flip"));
  Set("data.augmentation=");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre());
}

TEST_F(SetFieldTest, UnknownFieldsListTheKnownOnes) {
  EXPECT_THAT(Error("epoch=7"), AllOf(HasSubstr("--set=epoch=7"), HasSubstr("no field 'epoch' in Recipe"),
                                      HasSubstr("epochs, batch_size, seed")));
  EXPECT_THAT(Error("optimizer.lr=7"), AllOf(HasSubstr("'lr' in Optimizer"), HasSubstr("learning_rate")));
  EXPECT_THAT(Error("model.mlp.norm.foo=7"), AllOf(HasSubstr("'foo' in BatchNorm"), HasSubstr("epsilon")));
  EXPECT_THAT(Error("model.cnn.hidden=7"), AllOf(HasSubstr("'cnn' in Model"), HasSubstr("mlp")));
  EXPECT_THAT(Error("optimizer.=7"), HasSubstr("no field ''"));
  EXPECT_THAT(Error(".epochs=7"), HasSubstr("no field ''"));
  EXPECT_THAT(Error(" epochs=7"), HasSubstr("no field ' epochs'"));
}

TEST_F(SetFieldTest, WrongTypesSayWhatIsExpected) {
  EXPECT_THAT(Error("epochs=many"), AllOf(HasSubstr("'many'"), HasSubstr("whole number")));
  EXPECT_THAT(Error("epochs=1.5"), HasSubstr("whole number"));
  EXPECT_THAT(Error("epochs="), HasSubstr("whole number"));
  EXPECT_THAT(Error("epochs=2147483648"), HasSubstr("32 bits"));
  EXPECT_THAT(Error("seed=-1"), HasSubstr(">= 0"));
  EXPECT_THAT(Error("optimizer.learning_rate=fast"), AllOf(HasSubstr("'fast'"), HasSubstr("a number")));
  EXPECT_THAT(Error("model.mlp.clip=wide"), HasSubstr("a number"));
  EXPECT_THAT(Error("optimizer.glorot_scale=perhaps"), HasSubstr("true or false"));
  EXPECT_THAT(Error("loss=HINGE"),
              AllOf(HasSubstr("'HINGE'"), HasSubstr("SQUARED_HINGE, SQUARED_HINGE_SUM, SOFTMAX_CROSS_ENTROPY")));
}

TEST_F(SetFieldTest, GroupsAndPathsThroughValues) {
  EXPECT_THAT(Error("optimizer=adam"), AllOf(HasSubstr("group of fields"), HasSubstr("learning_rate")));
  EXPECT_THAT(Error("epochs.more=3"), HasSubstr("'epochs' has no fields"));
  EXPECT_THAT(Error("model.mlp.hidden.first=3"), HasSubstr("'hidden' has no fields"));
}

TEST_F(SetFieldTest, WithoutAnEqualsSign) {
  EXPECT_THAT(Error("epochs"), HasSubstr("write --set=field.path=value"));
  EXPECT_THAT(Error("=3"), HasSubstr("write --set=field.path=value"));
  EXPECT_THAT(Error("="), HasSubstr("write --set=field.path=value"));
  EXPECT_THAT(Error(""), HasSubstr("write --set=field.path=value"));
}

// ---- Validation --------------------------------------------------------------------------------

TEST_F(SetFieldTest, ValidationNamesTheFieldAndItsValue) {
  const struct {
    const char* assignment;
    const char* field;
  } cases[] = {
      {"epochs=0", "epochs is 0"},
      {"epochs=-3", "epochs is -3"},
      {"batch_size=0", "batch_size is 0"},
      {"batch_size=-100", "batch_size is -100"},
      {"optimizer.learning_rate=0", "optimizer.learning_rate is 0"},
      {"optimizer.learning_rate=-0.1", "optimizer.learning_rate is -0.1"},
      {"optimizer.learning_rate=nan", "optimizer.learning_rate is nan"},
      {"optimizer.learning_rate=inf", "optimizer.learning_rate is inf"},
      {"data.validation_examples=-1", "data.validation_examples"},
      {"data.limit=-1", "data.limit"},
  };
  for (const auto& c : cases) {
    recipe::Recipe recipe = recipe_;
    ASSERT_TRUE(SetField(c.assignment, recipe).ok()) << c.assignment;
    EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr(c.field)) << c.assignment;
  }
  recipe::Recipe recipe = recipe_;
  recipe.clear_model();
  EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr("no model"));
}

// What only the network knows: the error names the field.
TEST_F(SetFieldTest, NetworkErrorsNameTheField) {
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
      {"model.mlp.clip=0", "clip", "positive"},
      {"model.mlp.clip=-1", "clip", "positive"},
  };
  for (const auto& c : cases) {
    recipe::Recipe recipe = recipe_;
    ASSERT_TRUE(SetField("model.mlp.hidden=8,8", recipe).ok());
    ASSERT_TRUE(SetField(c.assignment, recipe).ok()) << c.assignment;
    ParameterStore store(1);
    const auto model = MakeNetwork(recipe.model(), kMnist, 10, store);
    EXPECT_THAT(Message(model.status()), AllOf(HasSubstr(c.field), HasSubstr(c.reason))) << c.assignment;
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
  EXPECT_EQ(store.Find("hidden1/weight")->quantizer, "ternary(0.25)");
  EXPECT_EQ(store.Find("hidden1/weight")->clip, 0.5f);
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
    for (const char* name : {"stride_height", "pad_height", "kernel_height", "groups", "padding"}) {
      if (const int64_t value = node.descriptor.Get<int64_t>(name, -1); value >= 0) absl::StrAppend(&text, " ", value);
    }
    if (op == "conv2d" || op == "linear") {
      absl::StrAppend(&text, " ", node.descriptor.Get<std::string>("input_quantizer", ""), " ",
                      node.descriptor.Get<std::string>("weight_quantizer", ""));
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
  EXPECT_EQ(store.Find("conv2/weight")->clip, 0.5f);
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
}

}  // namespace
}  // namespace bitgrad
