// User errors with optimizers, and the message for each.

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/adam.h"
#include "bitgrad/optim/adamax.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/optim/sgd.h"
#include "bitgrad/tests/optim/optim_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr double kInfinity = std::numeric_limits<double>::infinity();

template <typename T>
std::string ErrorOf(const absl::StatusOr<T>& result) {
  return result.ok() ? "ok" : std::string(result.status().message());
}

std::string ErrorOf(const absl::Status& status) { return status.ok() ? "ok" : std::string(status.message()); }

class OptimizerErrorsTest : public ::testing::Test {
 protected:
  OptimizerErrorsTest() {
    model_.Add("a/weight", {1, 2});
    model_.Add("b/weight", {3});
  }

  std::unique_ptr<Optimizer> Adam() { return MakeAdam(context_, {}).value(); }

  void SetGradients() {
    model_[0].gradient = BareModel::Vector({1, 1});
    model_[1].gradient = BareModel::Vector({1});
  }

  // The message of a step that must fail, and must not change anything.
  std::string StepError(Optimizer& optimizer) {
    std::vector<std::vector<float>> before;
    for (const Parameter* p : model_.parameters()) {
      before.push_back(p == nullptr || p->value.is_null() ? std::vector<float>{} : Values(p->value));
    }
    const int64_t steps = optimizer.step_count();
    const std::string error = ErrorOf(optimizer.Step(model_.parameters()));
    for (size_t k = 0; k < before.size(); ++k) {
      const Parameter* p = model_.parameters()[k];
      EXPECT_EQ(p->value.is_null() ? std::vector<float>{} : Values(p->value), before[k]);
    }
    EXPECT_EQ(optimizer.step_count(), steps);
    return error;
  }

  ExecContext context_{{.threads = 1}};
  BareModel model_;
};

TEST_F(OptimizerErrorsTest, CommonOptionsOutOfRange) {
  for (const UpdateRuleInfo& info : AllUpdateRules()) {
    const std::string prefix = std::string("optimizer '") + info.name + "': ";
    const auto error = [&](const OptimizerOptions& options) {
      return ErrorOf(MakeOptimizer(context_, info.name, options));
    };
    EXPECT_EQ(error({.learning_rate = 0}), prefix + "learning_rate is 0, must be a positive finite number");
    EXPECT_EQ(error({.learning_rate = -0.5}), prefix + "learning_rate is -0.5, must be a positive finite number");
    EXPECT_EQ(error({.learning_rate = std::nan("")}),
              prefix + "learning_rate is nan, must be a positive finite number");
    EXPECT_EQ(error({.learning_rate = kInfinity}), prefix + "learning_rate is inf, must be a positive finite number");
    EXPECT_EQ(error({.learning_rate = 1e-60}),  // 0 as a float
              prefix + "learning_rate is 1e-60, must be a positive finite number");
    EXPECT_EQ(error({.weight_decay = -1}), prefix + "weight_decay is -1, must be 0 or a positive finite number");
    EXPECT_EQ(error({.weight_decay = std::nan("")}),
              prefix + "weight_decay is nan, must be 0 or a positive finite number");
    EXPECT_EQ(error({.max_gradient_norm = -2}),
              prefix + "max_gradient_norm is -2, must be 0 or a positive finite number");
    EXPECT_EQ(error({}), "ok");
  }
}

TEST_F(OptimizerErrorsTest, HyperparametersOutOfRange) {
  const std::string fraction = ", must be at least 0 and less than 1";
  EXPECT_EQ(ErrorOf(MakeSgd(context_, {.momentum = 1})), "optimizer 'sgd': momentum is 1" + fraction);
  EXPECT_EQ(ErrorOf(MakeSgd(context_, {.nesterov = true})), "optimizer 'sgd': nesterov needs a momentum above 0");
  EXPECT_EQ(ErrorOf(MakeAdam(context_, {.beta1 = -0.1})), "optimizer 'adam': beta1 is -0.1" + fraction);
  EXPECT_EQ(ErrorOf(MakeAdam(context_, {.beta2 = std::nan("")})), "optimizer 'adam': beta2 is nan" + fraction);
  EXPECT_EQ(ErrorOf(MakeAdam(context_, {.epsilon = 0})),
            "optimizer 'adam': epsilon is 0, must be a positive finite number");
  EXPECT_EQ(ErrorOf(MakeAdaMax(context_, {.beta1 = 1})), "optimizer 'adamax': beta1 is 1" + fraction);
  EXPECT_EQ(ErrorOf(MakeAdaMax(context_, {.beta2 = 1.5})), "optimizer 'adamax': beta2 is 1.5" + fraction);
  EXPECT_EQ(ErrorOf(MakeAdaMax(context_, {.epsilon = -1})),
            "optimizer 'adamax': epsilon is -1, must be a positive finite number");
  for (const std::string name : {"shift_adamax", "shift_adamax_torch"}) {
    const auto error = [&](const char* option, double value) {
      return ErrorOf(MakeOptimizer(context_, name, {}, {{option, value}}));
    };
    EXPECT_EQ(error("beta1", 1), "optimizer '" + name + "': beta1 is 1" + fraction);
    EXPECT_EQ(error("beta2", -0.5), "optimizer '" + name + "': beta2 is -0.5" + fraction);
    EXPECT_EQ(error("epsilon", 0), "optimizer '" + name + "': epsilon is 0, must be a positive finite number");
  }
}

TEST_F(OptimizerErrorsTest, UnknownNames) {
  EXPECT_EQ(ErrorOf(MakeOptimizer(context_, "adagrad", {})),
            "no optimizer 'adagrad'; there are: sgd, adam, adamax, shift_adamax, shift_adamax_torch, bop");
  EXPECT_EQ(ErrorOf(MakeOptimizer(context_, "adam", {}, {{"momentum", 0.9}})),
            "optimizer 'adam' has no hyperparameter 'momentum'; it has: beta1, beta2, epsilon");
  EXPECT_EQ(ErrorOf(MakeOptimizer(context_, "sgd", {}, {{"beta1", 0.9}})),
            "optimizer 'sgd' has no hyperparameter 'beta1'; it has: momentum, nesterov");
  EXPECT_EQ(ErrorOf(MakeOptimizer(context_, "sgd", {}, {{"momentum", 0.9}, {"nesterov", 2}})),
            "optimizer 'sgd': nesterov is 2, must be 0 or 1");
}

TEST_F(OptimizerErrorsTest, RateSetLater) {
  std::unique_ptr<Optimizer> optimizer = Adam();
  SetGradients();
  for (const double rate : {0.0, -1.0, kInfinity, std::nan("")}) {
    optimizer->set_learning_rate(rate);
    EXPECT_EQ(StepError(*optimizer).find("optimizer 'adam': learning_rate is "), 0u) << rate;
  }
  optimizer->set_learning_rate(0.1);
  EXPECT_EQ(ErrorOf(optimizer->Step(model_.parameters())), "ok");
}

TEST_F(OptimizerErrorsTest, GradientsThatDoNotFit) {
  std::unique_ptr<Optimizer> optimizer = Adam();
  EXPECT_EQ(StepError(*optimizer), "no trainable parameter has a gradient; call Tape::Backward() before each step");
  SetGradients();
  model_[1].gradient = BareModel::Vector({1, 2, 3});
  EXPECT_EQ(StepError(*optimizer), "parameter 'b/weight': its gradient has shape [3], its value [1]");
  model_[1].gradient = Tensor::Zeros({1}, DType::kInt32);
  EXPECT_EQ(StepError(*optimizer), "parameter 'b/weight': its gradient is int32, optimizers take float32");
}

// A first step that fails leaves the optimizer as it was: free to begin with other parameters.
TEST_F(OptimizerErrorsTest, AFailedFirstStepBindsNothing) {
  for (const float gradient : {0.0f, std::numeric_limits<float>::infinity()}) {
    std::unique_ptr<Optimizer> optimizer = Adam();
    if (gradient != 0) {
      SetGradients();
      model_[0].gradient = BareModel::Vector({1, gradient});
    }
    EXPECT_NE(StepError(*optimizer), "ok");
    EXPECT_TRUE(optimizer->state().empty());
    // Many more than before: what the step reports needs more memory, too.
    BareModel other;
    for (int i = 0; i < 300; ++i) {
      Parameter& parameter = other.Add("other" + std::to_string(i), {1, 2, 3});
      parameter.gradient = BareModel::Vector({3, 2, 1});
    }
    ASSERT_EQ(ErrorOf(optimizer->Step(other.parameters())), "ok");
    EXPECT_EQ(optimizer->step_count(), 1);
    EXPECT_EQ(optimizer->state().size(), 600u);
    EXPECT_NEAR(optimizer->gradient_norm(), std::sqrt(300 * 14.0), 1e-3);
    // From then on it is bound, whatever fails.
    EXPECT_EQ(ErrorOf(optimizer->Step(other.parameters())),
              "no trainable parameter has a gradient; call Tape::Backward() before each step");
    EXPECT_EQ(optimizer->state().size(), 600u);
    EXPECT_NE(StepError(*optimizer).find("began with 300 parameters, now there are 2"), std::string::npos);
  }
}

// What Restore() has bound stays bound, even at step 0.
TEST_F(OptimizerErrorsTest, AFailedStepKeepsWhatWasRestored) {
  std::unique_ptr<Optimizer> from = Adam(), to = Adam();
  SetGradients();
  ASSERT_EQ(ErrorOf(from->Step(model_.parameters())), "ok");
  ASSERT_EQ(ErrorOf(to->Restore(model_.parameters(), from->state(), 0)), "ok");
  SetGradients();
  model_[1].gradient = BareModel::Vector({std::nanf("")});
  EXPECT_NE(StepError(*to).find("NaN"), std::string::npos);
  ASSERT_EQ(to->state().size(), 4u);
  EXPECT_EQ(Values(*to->state()[0].tensor), Values(*from->state()[0].tensor));
}

TEST_F(OptimizerErrorsTest, ParametersThatAreNone) {
  std::unique_ptr<Optimizer> optimizer = Adam();
  SetGradients();
  model_[1].ClipTo(0);
  EXPECT_EQ(StepError(*optimizer),
            "parameter 'b/weight': its bounds are -0 and 0, the first must be less than the second");
  model_[1].least = std::nanf("");
  EXPECT_NE(StepError(*optimizer).find("its bounds are nan"), std::string::npos);
  model_[1].ClipTo(1);
  Tensor value = std::move(model_[1].value);  // Leaves null.
  EXPECT_EQ(StepError(*optimizer), "parameter 'b/weight': it has no value");
  model_[1].value = std::move(value);
  model_[1].name = "a/weight";
  EXPECT_EQ(StepError(*optimizer), "parameter 'a/weight': it occurs twice; every parameter needs its own name");
  Parameter* const with_null[] = {&model_[0], nullptr};
  EXPECT_EQ(ErrorOf(optimizer->Step(with_null)), "optimizer: parameter 1 is null");
}

TEST_F(OptimizerErrorsTest, ParametersThatChange) {
  const std::string hint = "; make a new optimizer for another set of parameters";
  std::unique_ptr<Optimizer> optimizer = Adam();
  SetGradients();
  ASSERT_EQ(ErrorOf(optimizer->Step(model_.parameters())), "ok");
  SetGradients();
  EXPECT_EQ(ErrorOf(optimizer->Step(model_.parameters().subspan(1))),
            "optimizer 'adam' began with 2 parameters, now there are 1" + hint);
  model_[1].name = "c/weight";
  EXPECT_EQ(StepError(*optimizer), "optimizer 'adam': parameter 1 was 'b/weight', now 'c/weight'" + hint);
  model_[1].name = "b/weight";
  model_[1].trainable = false;
  EXPECT_EQ(StepError(*optimizer),
            "parameter 'b/weight' was trainable when the optimizer 'adam' began, now it is not" + hint);
  model_[1].trainable = true;
  model_[1].value = BareModel::Vector({1, 2});
  model_[1].gradient = BareModel::Vector({1, 2});
  EXPECT_EQ(StepError(*optimizer),
            "parameter 'b/weight' had shape [1] when the optimizer 'adam' began, now [2]" + hint);
}

TEST_F(OptimizerErrorsTest, KernelErrorsAreReturned) {
  std::unique_ptr<Optimizer> optimizer = Adam();
  context_.ReportError(absl::InternalError("the device is gone"));
  // Also where the backward pass failed for this reason, and left no gradients.
  EXPECT_EQ(StepError(*optimizer), "the device is gone");
  SetGradients();
  EXPECT_EQ(StepError(*optimizer), "the device is gone");
}

class RestoreErrorsTest : public OptimizerErrorsTest {
 protected:
  RestoreErrorsTest() {
    SetGradients();
    EXPECT_TRUE(optimizer_->Step(model_.parameters()).ok());
    state_ = optimizer_->state();
  }

  // The message of a Restore() that must fail, and must leave a fresh optimizer fresh.
  std::string RestoreError(int64_t step_count = 1) {
    std::unique_ptr<Optimizer> fresh = Adam();
    const std::string error = ErrorOf(fresh->Restore(model_.parameters(), state_, step_count));
    EXPECT_EQ(fresh->step_count(), 0);
    EXPECT_TRUE(fresh->state().empty());
    return error;
  }

  std::unique_ptr<Optimizer> optimizer_ = Adam();
  std::vector<NamedTensor> state_;
};

TEST_F(RestoreErrorsTest, NamesOfState) {
  ASSERT_EQ(state_.size(), 4u);
  EXPECT_EQ(state_[0].name, "adam/m/a/weight");
  EXPECT_EQ(state_[1].name, "adam/v/a/weight");
  EXPECT_EQ(state_[2].name, "adam/m/b/weight");
  EXPECT_EQ(state_[3].name, "adam/v/b/weight");
}

TEST_F(RestoreErrorsTest, Missing) {
  state_.erase(state_.begin() + 2);
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/m/b/weight' is missing");
  state_.clear();
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/m/a/weight' is missing");
}

TEST_F(RestoreErrorsTest, Extra) {
  state_.push_back({"sgd/velocity/a/weight", state_[0].tensor});
  EXPECT_EQ(RestoreError(), "optimizer 'adam' has no state 'sgd/velocity/a/weight' for this model");
}

TEST_F(RestoreErrorsTest, Twice) {
  state_.push_back(state_[0]);
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/m/a/weight' is given twice");
}

TEST_F(RestoreErrorsTest, OfAnotherShapeOrType) {
  const Tensor other = Tensor::Zeros({3});
  state_[3].tensor = &other;
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/v/b/weight' is float32 [3] on cpu, must be float32 [1] on cpu");
  const Tensor integers = Tensor::Zeros({1}, DType::kInt64);
  state_[3].tensor = &integers;
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/v/b/weight' is int64 [1] on cpu, must be float32 [1] on cpu");
  const Tensor null;
  state_[3].tensor = &null;
  EXPECT_EQ(RestoreError(), "optimizer state 'adam/v/b/weight' is null, must be float32 [1] on cpu");
}

TEST_F(RestoreErrorsTest, NegativeStepCount) {
  EXPECT_EQ(RestoreError(-1), "optimizer 'adam': step count -1 is negative");
}

TEST_F(RestoreErrorsTest, NothingAtStepZeroIsAFreshStart) {
  ASSERT_EQ(ErrorOf(optimizer_->Restore(model_.parameters(), {}, 0)), "ok");
  EXPECT_EQ(optimizer_->step_count(), 0);
  EXPECT_TRUE(optimizer_->state().empty());
}

}  // namespace
}  // namespace bitgrad
