// Recurrent nets learn over many steps: which of two symbols came first (data/temporal_order.h).

#include <string>

#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

double TestError(const recipe::Recipe& recipe) {
  const auto result = Train(recipe, {.out_dir = NewDirectory()});
  EXPECT_TRUE(result.ok()) << result.status();
  return result.ok() ? result->best.test_error() : 1;
}

// Guessing would be wrong in 75 % of the cases, and knowing the second symbol alone in 50 %.
TEST(RecurrentLearningTest, ABuiltInRecipeOf4BitsLearnsTheOrder) {
  EXPECT_LT(TestError(*LoadRecipe("temporal_order_lstm_4bit")), 0.01);
}

TEST(RecurrentLearningTest, SoDoesAGruWithWeightsOf2Bits) {
  recipe::Recipe recipe = *LoadRecipe("temporal_order_lstm_4bit");
  recipe::RecurrentNet& net = *recipe.mutable_model()->mutable_recurrent_net();
  net.set_cell(recipe::RecurrentNet::GRU);
  net.clear_forget_bias();
  net.set_input_weight_quantizer("max_abs(2, per_output)");
  net.set_hidden_weight_quantizer("max_abs(2, per_output)");
  EXPECT_LT(TestError(recipe), 0.05);
}

}  // namespace
}  // namespace bitgrad
