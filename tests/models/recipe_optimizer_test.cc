// The optimizer of a recipe, with update rules by kind of parameter.

#include "bitgrad/models/training/recipe_optimizer.h"

#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/models/recipe.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

class RecipeOptimizerTest : public testing::Test {
 protected:
  void Set(const std::string& assignment) {
    const absl::Status status = SetField(assignment, recipe_);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::string Error() {
    const auto optimizer = OptimizerOf(recipe_.optimizer(), context_);
    return optimizer.ok() ? "ok" : std::string(optimizer.status().message());
  }

  ExecContext context_{{.threads = 1}};
  recipe::Recipe recipe_ = *LoadRecipe("mnist_bop_mlp");
};

TEST_F(RecipeOptimizerTest, EachRuleHasItsRate) {
  Set("optimizer.learning_rate=0.5");
  Set("optimizer.rule[0].learning_rate=0.25");
  recipe::UpdateRule& variables = *recipe_.mutable_optimizer()->add_rule();
  variables.set_for_(recipe::UpdateRule::QUANTIZER_VARIABLES);
  variables.set_name("sgd");
  const auto optimizer = OptimizerOf(recipe_.optimizer(), context_);
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  (*optimizer)->set_learning_rate(0.125);
  EXPECT_EQ((*optimizer)->learning_rate(ParameterGroup::kQuantizedWeights), 0.0625);
  EXPECT_EQ((*optimizer)->learning_rate(ParameterGroup::kQuantizerVariables), 0.125) << "the optimizer's by default";
  Parameter weight;
  weight.kind = ParameterKind::kQuantizedWeight;
  EXPECT_EQ((*optimizer)->slots(weight), 1) << "Bop's";
  Set("optimizer.rule[*].constant_rate=true");
  const auto constant = OptimizerOf(recipe_.optimizer(), context_);
  (*constant)->set_learning_rate(0.125);
  EXPECT_EQ((*constant)->learning_rate(ParameterGroup::kQuantizedWeights), 0.25);
  Set("optimizer.rule[1].for=OTHERS");
  EXPECT_EQ(Error(), "ok");
}

TEST_F(RecipeOptimizerTest, ErrorsNameTheRule) {
  Set("optimizer.rule[0].name=bob");
  EXPECT_EQ(Error(),
            "optimizer.rule[0]: no optimizer 'bob' (did you mean 'bop'?); there are: sgd, adam, adamax, shift_adamax, "
            "shift_adamax_torch, bop");
  Set("optimizer.rule[0].name=bop");
  Set("optimizer.rule[0].momentum=0.5");
  EXPECT_EQ(Error(), "optimizer.rule[0]: optimizer 'bop' has no hyperparameter 'momentum'; it has: threshold");
  recipe_.mutable_optimizer()->mutable_rule(0)->clear_momentum();
  Set("optimizer.rule[0].learning_rate=2");
  EXPECT_EQ(Error(), "optimizer 'bop of quantized weights': learning_rate is 2, must be at most 1");
  Set("optimizer.rule[0].learning_rate=1");
  *recipe_.mutable_optimizer()->add_rule() = recipe_.optimizer().rule(0);
  EXPECT_EQ(Error(), "optimizer 'adam': there are two rules for quantized weights");
  recipe_.mutable_optimizer()->mutable_rule(1)->clear_for_();
  EXPECT_THAT(Error(), HasSubstr("optimizer.rule[1] does not say which parameters it is for"));
  EXPECT_THAT(std::string(SetField("optimizer.rule[0].for=WEIGHTS", recipe_).message()),
              HasSubstr("QUANTIZED_WEIGHTS, QUANTIZER_VARIABLES, OTHERS"));
  recipe_.mutable_optimizer()->clear_rule();
  Set("optimizer.threshold=0.5");
  EXPECT_EQ(Error(), "optimizer 'adam' has no hyperparameter 'threshold'; it has: beta1, beta2, epsilon");
}

}  // namespace
}  // namespace bitgrad
