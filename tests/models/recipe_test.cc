// Recipes: the built-in ones, files, validation.

#include "bitgrad/models/recipe.h"

#include <string>
#include <vector>

#include "bitgrad/models/networks.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/tests/models/recipe_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/message_differencer.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using google::protobuf::util::MessageDifferencer;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

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
  if (model.has_residual_net()) {
    model.mutable_residual_net()->set_stem_filters(kWidth);
    for (auto& stage : *model.mutable_residual_net()->mutable_stage()) stage.set_filters(kWidth);
  }
  if (model.has_recurrent_net()) {
    for (int& width : *model.mutable_recurrent_net()->mutable_hidden()) width = kWidth;
  }
}

// Images such as the recipe's data set has, or none where it has tokens.
ImageShape ImageOf(const recipe::Recipe& recipe) {
  if (recipe.data().name() == "words" || recipe.data().name() == "characters") return {};
  return recipe.model().has_mlp() || recipe.model().has_recurrent_net() ? kMnist : ImageShape{67, 67, 3};
}

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
    ParameterStore store(recipe->seed());
    const auto model = MakeNetwork(recipe->model(), ImageOf(*recipe), 10, store);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_TRUE(store.status().ok());
  }
  EXPECT_THAT(
      names,
      ElementsAre(
          "cifar10_binaryconnect_vgg", "cifar10_birealnet20", "cifar10_bitpruning_vgg_tiny", "cifar10_bnn_vgg",
          "cifar10_bnn_vgg_tiny", "cifar10_bnnplus_vgg_tiny", "cifar10_bop_vgg_tiny", "cifar10_dorefa2_vgg_tiny",
          "cifar10_few_multiplications_binary_qbp_vgg", "cifar10_few_multiplications_binary_vgg",
          "cifar10_few_multiplications_float_vgg", "cifar10_few_multiplications_ternary_qbp_vgg", "cifar10_float_vgg",
          "cifar10_float_vgg_tiny", "cifar10_log_gradient_vgg_tiny", "cifar10_lsq2_vgg_tiny",
          "cifar10_maxout_dynamic_fixed_conv_net", "cifar10_maxout_fixed_conv_net", "cifar10_maxout_float_conv_net",
          "cifar10_maxout_half_conv_net", "cifar10_pact2_vgg_tiny", "cifar10_resnet20_small", "cifar10_sal_resnet20",
          "cifar10_sal_resnet20_small", "cifar10_shift_resnet20_small", "cifar10_spline_nin", "cifar10_spline_resnet32",
          "circle_leaky_relu_mlp", "circle_prelu_mlp", "circle_relu_mlp", "circle_spline_mlp", "digits_bnn_mlp",
          "imagenet_birealnet18", "imagenet_bnn_alexnet", "imagenet_dorefa_alexnet", "imagenet_sal_resnet",
          "iris_conntra_mlp", "iris_float_mlp", "mnist_binaryconnect_mlp", "mnist_binaryconnect_stochastic_mlp",
          "mnist_bitpruning_mlp", "mnist_bnn_lenet", "mnist_bnn_mlp", "mnist_bnn_mlp_small", "mnist_bnnplus_mlp",
          "mnist_bop_mlp", "mnist_conntra_linear", "mnist_conntra_mlp", "mnist_dorefa2_mlp",
          "mnist_few_multiplications_binary_mlp", "mnist_few_multiplications_binary_qbp_mlp",
          "mnist_few_multiplications_float_mlp", "mnist_few_multiplications_ternary_qbp_mlp", "mnist_float_mlp",
          "mnist_linear", "mnist_log_gradient_mlp", "mnist_lsq2_mlp", "mnist_maxout_dynamic_fixed_conv_net",
          "mnist_maxout_dynamic_fixed_mlp", "mnist_maxout_fixed_conv_net", "mnist_maxout_fixed_mlp",
          "mnist_maxout_float_conv_net", "mnist_maxout_float_mlp", "mnist_maxout_half_conv_net",
          "mnist_maxout_half_mlp", "mnist_pact2_mlp", "mnist_pixel_lstm", "mnist_relu_convnet", "mnist_row_lstm",
          "mnist_shift_bnn_mlp", "mnist_spline_convnet", "ptb_binary_lstm", "ptb_char_rnn", "ptb_float_lstm",
          "ptb_float_lstm_900", "ptb_lstm_2bit", "ptb_lstm_3bit", "ptb_lstm_4bit", "ptb_lstm_900_4bit",
          "s_shape_leaky_relu_mlp", "s_shape_prelu_mlp", "s_shape_relu_mlp", "s_shape_spline_mlp",
          "shakespeare_char_float_lstm", "shakespeare_char_lstm_4bit", "svhn_bnn_vgg", "temporal_order_lstm_4bit"));
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

// Editors of other systems put a byte-order mark before the text, or write it in another encoding.
TEST(RecipeTest, EncodingsOfFiles) {
  const std::string text = BuiltInRecipes()[0].text;
  const auto marked = LoadRecipe(WriteRecipe("\xef\xbb\xbf" + text));
  ASSERT_TRUE(marked.ok()) << marked.status();
  EXPECT_TRUE(MessageDifferencer::Equals(*marked, *LoadRecipe(BuiltInRecipes()[0].name)));
  for (const char* mark : {"\xff\xfe", "\xfe\xff"}) {
    EXPECT_THAT(Message(LoadRecipe(WriteRecipe(mark + text)).status()), HasSubstr("UTF-16"));
  }
  // A mark within the text is none.
  EXPECT_THAT(Message(LoadRecipe(WriteRecipe("name: \"x\"\n\xef\xbb\xbf")).status()), HasSubstr("line 2"));
}

// Protobuf would write such text into checkpoints, and then not read them.
TEST(RecipeTest, TextThatIsNotUtf8IsRefused) {
  const auto error = [](const std::string& text) { return Message(LoadRecipe(WriteRecipe(text)).status()); };
  EXPECT_THAT(error("description: \"caf\xe9\""), AllOf(HasSubstr("description is not UTF-8"), HasSubstr("caf\\xe9")));
  EXPECT_THAT(error("description: \"\\xff\""), HasSubstr("description is not UTF-8"));  // escaped in the file
  EXPECT_THAT(error("data { augmentation: \"flip\" augmentation: \"\\200\" }"),
              HasSubstr("data.augmentation[1] is not UTF-8"));
  EXPECT_THAT(error("model { mlp { weight_quantizer: \"\xc0\xaf\" } }"),
              HasSubstr("model.mlp.weight_quantizer is not UTF-8"));
  EXPECT_TRUE(LoadRecipe(WriteRecipe("description: \"caf\xc3\xa9 \xe2\x82\xac\"  # \xe9 in a comment")).ok());
}

TEST(RecipeTest, NearNamesAreSuggested) {
  const auto error = [](const std::string& name) { return Message(LoadRecipe(name).status()); };
  EXPECT_THAT(error("mnist_bnn_mpl"), HasSubstr("(did you mean 'mnist_bnn_mlp'?)"));
  EXPECT_THAT(error("mnist-float-mlp"), HasSubstr("(did you mean 'mnist_float_mlp'?)"));
  EXPECT_THAT(error("resnet50"), Not(HasSubstr("did you mean")));
  EXPECT_THAT(error(WriteRecipe("model {\n mlp { hiden: 3 } }")), HasSubstr("(did you mean 'hidden'?)"));
  EXPECT_THAT(error(WriteRecipe("loss: SQUARED_HINGES")),
              AllOf(HasSubstr("(did you mean 'SQUARED_HINGE'?)"), HasSubstr("SOFTMAX_CROSS_ENTROPY")));
  EXPECT_THAT(error(WriteRecipe("model { conv_net { padding: MINUS_1 } }")),
              AllOf(HasSubstr("ZERO, PLUS_ONE, MINUS_ONE"), HasSubstr("line 1")));
}

// One network, or the other: not the last one in silence.
TEST(RecipeTest, AFileWithTwoNetworksIsRefused) {
  const std::string path = WriteRecipe("model {\n  conv_net { hidden: 3 }\n  mlp { hidden: 3 }\n}\n");
  EXPECT_THAT(Message(LoadRecipe(path).status()),
              AllOf(HasSubstr("line 3"), HasSubstr("\"mlp\""), HasSubstr("\"conv_net\"")));
}

TEST(ValidateRecipeTest, TheErrorNamesTheFieldAndItsValue) {
  const recipe::Recipe good = *LoadRecipe("mnist_bnn_mlp_small");
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
    recipe::Recipe recipe = good;
    ASSERT_TRUE(SetField(c.assignment, recipe).ok()) << c.assignment;
    EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr(c.field)) << c.assignment;
  }
  recipe::Recipe recipe = good;
  recipe.clear_model();
  EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr("no model"));
}

// Files of other programs can hold what a text file cannot.
TEST(ValidateRecipeTest, TextAndEnumsThatNoFileCanHold) {
  recipe::Recipe recipe = *LoadRecipe("cifar10_bnn_vgg_tiny");
  EXPECT_TRUE(ValidateRecipe(recipe).ok());
  recipe.set_loss(static_cast<recipe::Loss>(77));
  EXPECT_THAT(Message(ValidateRecipe(recipe)), AllOf(HasSubstr("loss is 77"), HasSubstr("SQUARED_HINGE")));
  recipe.set_loss(recipe::SQUARED_HINGE);
  recipe.mutable_model()->mutable_conv_net()->mutable_norm()->set_running_statistic(
      static_cast<recipe::BatchNorm::RunningStatistic>(9));
  EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr("model.conv_net.norm.running_statistic is 9"));
  recipe.mutable_model()->mutable_conv_net()->clear_norm();
  recipe.set_name("\xff");
  EXPECT_THAT(Message(ValidateRecipe(recipe)), HasSubstr("name is not UTF-8"));
}

}  // namespace
}  // namespace bitgrad
