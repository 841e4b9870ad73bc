// SetField: what --set can change in a recipe, and what it refuses.

#include <limits>
#include <string>

#include "bitgrad/models/recipe.h"
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
  // Everything behind the first '=' is the value.
  Set("description=a=b");
  EXPECT_EQ(recipe_.description(), "a=b");
  Set("description=\"\"");
  EXPECT_EQ(recipe_.description(), "");
}

TEST_F(SetFieldTest, ARepeatedFieldTakesAListAndReplaces) {
  Set("model.mlp.hidden=5,6,7,8");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(5, 6, 7, 8));
  Set("model.mlp.hidden=9");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(9));
  Set("model.mlp.hidden=[]");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre());
  Set("model.mlp.hidden=3");
  EXPECT_THAT(Error("model.mlp.hidden=5,six"), AllOf(HasSubstr("'six'"), HasSubstr("whole number")));
}

TEST_F(SetFieldTest, CommasWithinBracketsBelongToTheValue) {
  Set("data.augmentation=crop(4),jitter(0.4,0.4,0.4),flip");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre("crop(4)", "jitter(0.4,0.4,0.4)", "flip"));
  Set("data.augmentation=flip");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre("flip"));
  Set("data.augmentation=[]");
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

// A shell variable that is not set would make a deep net a linear one.
TEST_F(SetFieldTest, EmptyValuesAreRefused) {
  EXPECT_THAT(Error("model.mlp.hidden="), AllOf(HasSubstr("the value is empty"), HasSubstr("model.mlp.hidden=[]")));
  EXPECT_THAT(Error("description="), HasSubstr("description=\"\""));
  EXPECT_THAT(Error("epochs="), HasSubstr("the value is empty"));
  EXPECT_THAT(Error("model.mlp.hidden=5,,7"), HasSubstr("value 2 of the list is empty"));
  EXPECT_THAT(Error("model.mlp.hidden=5,"), HasSubstr("value 2 of the list is empty"));
  EXPECT_THAT(Error("epochs=[]"), HasSubstr("'[]' is not a whole number"));
}

TEST_F(SetFieldTest, TextThatIsNotUtf8) {
  EXPECT_THAT(Error("description=\xff"), AllOf(HasSubstr("description=\\xff"), HasSubstr("not UTF-8")));
  EXPECT_THAT(Error("data.preprocessing=gcn,\xe9"), HasSubstr("not UTF-8"));
  Set("description=caf\xc3\xa9");
}

TEST_F(SetFieldTest, NearNamesAreSuggested) {
  EXPECT_THAT(Error("epoch=7"), HasSubstr("(did you mean 'epochs'?)"));
  EXPECT_THAT(Error("optimiser.name=sgd"), HasSubstr("(did you mean 'optimizer'?)"));
  EXPECT_THAT(Error("model.mlp.weight_quantiser=sign"), HasSubstr("(did you mean 'weight_quantizer'?)"));
  EXPECT_THAT(Error("loss=softmax_crossentropy"), HasSubstr("(did you mean 'SOFTMAX_CROSS_ENTROPY'?)"));
  EXPECT_THAT(Error("optimizer.lr=7"), Not(HasSubstr("did you mean")));
}

// ---- Oneofs: the recipe keeps its network --------------------------------------------------------

TEST_F(SetFieldTest, AFieldOfAnotherNetworkIsRefused) {
  recipe_ = *LoadRecipe("cifar10_bnn_vgg_tiny");
  EXPECT_THAT(
      Error("model.mlp.hidden=32"),
      AllOf(HasSubstr("the recipe's model is conv_net"), HasSubstr("a field of mlp"),
            HasSubstr("did you mean 'model.conv_net.hidden'?"), HasSubstr("choose a recipe whose model is mlp")));
  // Also where only a group of the other network would be made, or what is named does not exist there either.
  EXPECT_THAT(Error("model.bireal_net.norm.momentum=0.3"), HasSubstr("did you mean 'model.conv_net.norm'?"));
  EXPECT_THAT(Error("model.bireal_net.stem_filters=3"),
              AllOf(HasSubstr("is conv_net"), Not(HasSubstr("did you mean"))));
  EXPECT_THAT(Error("model.bireal_net.stage[0].filters=3"), HasSubstr("is conv_net"));
  EXPECT_THAT(Error("model.mlp=x"), HasSubstr("is conv_net"));
  Set("model.conv_net.hidden=32");
  // Optional fields are oneofs of their own to protobuf.
  Set("model.conv_net.clip=0.5");
  Set("model.conv_net.clip=0.25");
  EXPECT_EQ(recipe_.model().conv_net().clip(), 0.25f);
  // Without a network there is none to lose.
  recipe_.clear_model();
  Set("model.mlp.hidden=32");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(32));
}

// ---- Lists ---------------------------------------------------------------------------------------

TEST_F(SetFieldTest, GroupsOfAList) {
  recipe_ = *LoadRecipe("cifar10_bnn_vgg_tiny");
  const auto net = [&] { return recipe_.model().conv_net(); };
  ASSERT_EQ(net().block_size(), 6);
  Set("model.conv_net.block[2].filters=8");
  Set("model.conv_net.block[5].pool_stride=7");
  EXPECT_EQ(net().block(2).filters(), 8);
  EXPECT_EQ(net().block(5).pool_stride(), 7);
  EXPECT_NE(net().block(1).filters(), 8);
  EXPECT_NE(net().block(3).filters(), 8);
  Set("model.conv_net.block[*].filters=9");
  const recipe::ConvNet changed = net();
  for (const auto& block : changed.block()) EXPECT_EQ(block.filters(), 9);
  EXPECT_EQ(net().block_size(), 6);

  EXPECT_THAT(Error("model.conv_net.block.filters=8"),
              AllOf(HasSubstr("'block' is a list of 6"), HasSubstr("block[0] to block[5]"), HasSubstr("block[*]")));
  EXPECT_THAT(Error("model.conv_net.block[6].filters=8"),
              AllOf(HasSubstr("there is no block[6]"), HasSubstr("block[0] to block[5]")));
  EXPECT_THAT(Error("model.conv_net.block[2147483647].filters=8"), HasSubstr("there is no block[2147483647]"));
  for (const char* index : {"[-1]", "[x]", "[]", "[1", "[1]x", "[99999999999]", "[1.5]", "[ 1]x"}) {
    EXPECT_THAT(Error(absl::StrCat("model.conv_net.block", index, ".filters=8")), HasSubstr("--set=")) << index;
  }
  EXPECT_THAT(Error("model.conv_net.block[-1].filters=8"), HasSubstr("block[0], counted from 0, or block[*] for all"));
  EXPECT_THAT(Error("model.conv_net.block[1]=8"), AllOf(HasSubstr("group of fields"), HasSubstr("filters")));
  EXPECT_THAT(Error("model.conv_net.block=8"), HasSubstr("'block' is a list of 6"));
  EXPECT_THAT(Error("model.conv_net.block=[]"), HasSubstr("'block' is a list of 6"));
  EXPECT_THAT(Error("model.conv_net.block[1].filter=8"), HasSubstr("(did you mean 'filters'?)"));
  EXPECT_THAT(Error("model.conv_net.block[*].filters=many"), HasSubstr("whole number"));

  recipe_.mutable_model()->mutable_conv_net()->clear_block();
  EXPECT_THAT(Error("model.conv_net.block[*].filters=8"), HasSubstr("the recipe has no block in 'model.conv_net'"));
  EXPECT_THAT(Error("model.conv_net.block[0].filters=8"), HasSubstr("the recipe has no block"));
}

TEST_F(SetFieldTest, ValuesOfAList) {
  Set("model.mlp.hidden=5,6,7");
  Set("model.mlp.hidden[1]=60");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(5, 60, 7));
  Set("model.mlp.hidden[*]=8");
  EXPECT_THAT(recipe_.model().mlp().hidden(), ElementsAre(8, 8, 8));
  EXPECT_THAT(Error("model.mlp.hidden[3]=8"), HasSubstr("hidden[0] to hidden[2]"));
  Set("data.augmentation=crop(4),flip");
  Set("data.augmentation[0]=jitter(0.4,0.4,0.4)");
  EXPECT_THAT(recipe_.data().augmentation(), ElementsAre("jitter(0.4,0.4,0.4)", "flip"));
  EXPECT_THAT(Error("epochs[0]=3"), HasSubstr("'epochs' is no list"));
  EXPECT_THAT(Error("model[0].mlp.hidden=3"), HasSubstr("'model' is no list"));
  EXPECT_THAT(Error("model.mlp[*].hidden=3"), HasSubstr("'mlp' is no list"));
}

}  // namespace
}  // namespace bitgrad
