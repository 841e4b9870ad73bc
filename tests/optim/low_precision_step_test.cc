// Steps whose weights are stored in a format of low precision.

#include <memory>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/optim/optim_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// Signs that a weight carried are those of its old value. A step that rounds packs none, and must leave none behind.
TEST(LowPrecisionStepTest, LeavesNoSigns) {
  ExecContext context({.threads = 1});
  BareModel model;
  Parameter& weight = model.Add("weight", {0.5f, -0.5f});
  weight.kind = ParameterKind::kQuantizedWeight;
  weight.stored_format.format = {NumberFormatKind::kFixed, 4, 0};
  weight.set_signs(std::make_shared<const BitMatrix>(1, 2));
  weight.gradient = BareModel::Vector({6, -6});
  auto optimizer = MakeOptimizer(context, "sgd", {.learning_rate = 0.1});
  ASSERT_TRUE(optimizer.ok()) << optimizer.status();
  ASSERT_TRUE((*optimizer)->Step(model.parameters()).ok());
  EXPECT_EQ(weight.value.data<float>()[0], -0.125f) << "-0.1, in steps of an eighth";
  EXPECT_EQ(weight.value.data<float>()[1], 0.125f);
  EXPECT_EQ(weight.signs(), nullptr);
}

}  // namespace
}  // namespace bitgrad
