// The tests that every optimizer of the table has to pass.

#include "bitgrad/optim/optimizer.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/optim/optim_testing.h"
#include "bitgrad/tests/optim/reference_optimizer.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

constexpr int64_t kCount = 1000;  // elements of a parameter: not a multiple of any vector
constexpr float kInfinity = std::numeric_limits<float>::infinity();

class OptimizerTest : public ::testing::TestWithParam<OptimizerCase> {
 protected:
  std::unique_ptr<Optimizer> Make(const OptimizerOptions& options, ExecContext& context) {
    auto made = MakeOptimizer(context, GetParam().name, options, GetParam().hyperparameters);
    EXPECT_TRUE(made.ok()) << made.status();
    return std::move(made).value();
  }
  std::unique_ptr<Optimizer> Make(const OptimizerOptions& options) { return Make(options, context_); }

  // Weights of two layers and a bias, each of which the options treat differently.
  static void AddParameters(BareModel& model) {
    Parameter& weight = model.Add("hidden1/weight", RandomValues(kCount, 1));
    weight.kind = ParameterKind::kQuantizedWeight;
    weight.encoding = {EncodingKind::kBinary, 1};
    weight.fan_in = 40;
    weight.fan_out = 25;
    weight.ClipTo(1);
    weight.decays = true;
    model.Add("hidden1/bias", RandomValues(33, 2));
    Parameter& output = model.Add("output/weight", RandomValues(65, 3));
    output.fan_in = 13;
    output.fan_out = 5;
    output.decays = true;
  }

  static void SetGradients(BareModel& model, int step) {
    uint32_t stream = 10 * step;
    for (Parameter* parameter : model.parameters()) {
      parameter->gradient = BareModel::Vector(RandomGradient(parameter->value.num_elements(), stream++));
    }
  }

  // Compares a run with the double-precision formulas.
  //
  // The bound: |g'| is in [0.24, 1.01] throughout, so a step has at most rate * s * 10 (SGD with
  // momentum 0.9: 1 / (1 - 0.9); Adam and AdaMax: 1.01 / 0.24 at most). Averages and velocities are
  // sums of terms that each carry three roundings, weighted by a geometric series of sum at most
  // 10: 30 roundings of the largest term; v is a sum of positive terms with at most 3 roundings per
  // step so far, 60. With the rest of the formula fewer than 200 roundings of the largest step, and
  // one of w, each step; the clip does not widen a difference, the decay by 1e-2 rate * s per step.
  void ExpectFollowsReference(const OptimizerOptions& options) {
    constexpr int kSteps = 20;
    BareModel model;
    AddParameters(model);
    std::unique_ptr<Optimizer> optimizer = Make(options);
    std::vector<std::vector<double>> w;
    std::vector<std::vector<ReferenceOptimizer>> reference;
    for (Parameter* parameter : model.parameters()) {
      const std::vector<float> values = Values(parameter->value);
      w.emplace_back(values.begin(), values.end());
      reference.emplace_back(values.size(), ReferenceOptimizer(GetParam().name, GetParam().hyperparameters));
      ASSERT_TRUE(reference.back()[0].known()) << "add " << GetParam().name << " to the reference";
    }
    for (int step = 0; step < kSteps; ++step) {
      const double rate = static_cast<float>(options.learning_rate / (1 + 0.1 * step));
      optimizer->set_learning_rate(rate);
      SetGradients(model, step);
      double squares = 0;
      for (Parameter* p : model.parameters()) {
        for (const float g : p->gradient.span<float>()) squares += double{g} * g;
      }
      const double norm = std::sqrt(squares);
      const double limit = options.max_gradient_norm;
      const double gradient_scale = limit > 0 && norm > limit ? limit / norm : 1;
      for (size_t k = 0; k < w.size(); ++k) {
        const Parameter& p = model[k];
        const double decay = p.decays ? static_cast<float>(options.weight_decay) : 0;
        for (size_t i = 0; i < w[k].size(); ++i) {
          const double g = gradient_scale * p.gradient.data<float>()[i] + decay * w[k][i];
          const double next = w[k][i] + Scale(options, p) * reference[k][i].Step(g, rate);
          w[k][i] = std::clamp(next, double{p.least}, double{p.most});
        }
      }
      ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
      EXPECT_NEAR(optimizer->gradient_norm(), norm, 1e-12 * norm);
      for (size_t k = 0; k < w.size(); ++k) {
        const double eps = std::numeric_limits<float>::epsilon();
        const double largest_step = 10 * options.learning_rate * Scale(options, model[k]);
        for (size_t i = 0; i < w[k].size(); ++i) {
          const double bound = (step + 1) * eps * (std::abs(w[k][i]) + 1 + 200 * largest_step);
          ASSERT_NEAR(model[k].value.data<float>()[i], w[k][i], bound)
              << model[k].name << "[" << i << "] after step " << step + 1;
        }
      }
    }
    EXPECT_EQ(optimizer->step_count(), kSteps);
  }

  double Scale(const OptimizerOptions& options, const Parameter& parameter) const {
    if (!options.glorot_scale || !parameter.is_quantized()) return 1;
    const double s = std::sqrt((parameter.fan_in + parameter.fan_out) / 1.5);
    return GetParam().name == "sgd" ? s * s : GetParam().name == "shift_adamax" ? reference::Ap2(s) : s;
  }

  ExecContext context_{{.threads = 2}};
};

TEST_P(OptimizerTest, FollowsTheDoublePrecisionFormulas) { ExpectFollowsReference({.learning_rate = 1e-2}); }

TEST_P(OptimizerTest, FollowsTheFormulasWithWeightDecay) {
  ExpectFollowsReference({.learning_rate = 1e-2, .weight_decay = 1e-2});
}

TEST_P(OptimizerTest, FollowsTheFormulasWithGlorotScale) {
  ExpectFollowsReference({.learning_rate = 1e-3, .glorot_scale = true});
}

TEST_P(OptimizerTest, FollowsTheFormulasWithGradientNormClipping) {
  // The gradients' norm is about sqrt(1098 * 0.58) = 25.
  ExpectFollowsReference({.learning_rate = 1e-2, .max_gradient_norm = 13});
}

TEST_P(OptimizerTest, CountsFlipsAndKeepsWeightsInsideTheClip) {
  BareModel model;
  Parameter& clipped = model.Add("clipped", RandomValues(kCount, 4));
  clipped.ClipTo(0.75f);
  for (float& w : clipped.value.mutable_span<float>()) w *= 0.75f;
  Parameter& free = model.Add("free", RandomValues(kCount, 5));
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.2});
  int64_t all_flips = 0;
  int64_t all_at_clip = 0;
  for (int step = 0; step < 10; ++step) {
    const std::vector<float> clipped_before = Values(clipped.value);
    const std::vector<float> free_before = Values(free.value);
    SetGradients(model, step);
    ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
    int64_t clipped_flips = 0;
    int64_t free_flips = 0;
    int64_t at_clip = 0;
    for (int64_t i = 0; i < kCount; ++i) {
      const float w = clipped.value.data<float>()[i];
      ASSERT_LE(std::abs(w), 0.75f);
      clipped_flips += (w >= 0) != (clipped_before[i] >= 0);
      at_clip += std::abs(w) == 0.75f;
      free_flips += (free.value.data<float>()[i] >= 0) != (free_before[i] >= 0);
    }
    EXPECT_EQ(clipped.sign_flips, clipped_flips);
    EXPECT_EQ(clipped.at_clip, at_clip);
    EXPECT_EQ(free.sign_flips, free_flips);
    EXPECT_EQ(free.at_clip, 0);
    all_flips += clipped_flips;
    all_at_clip += at_clip;
  }
  EXPECT_GT(all_flips, 0);
  EXPECT_GT(all_at_clip, 0);
}

TEST_P(OptimizerTest, ConvergesOnAConvexFunction) {
  // The minimum of sum a (w - c)^2 / 2 with a in [0.5, 2] over the box |w| <= 1 is clip(c, -1, 1).
  constexpr int kSteps = 3000;
  BareModel model;
  Parameter& w = model.Add("w", RandomValues(kCount, 6));
  w.ClipTo(1);
  std::vector<float> center = RandomValues(kCount, 7);
  for (float& c : center) c *= 2;
  const std::vector<float> random = RandomValues(kCount, 8);
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1});
  for (int step = 0; step < kSteps; ++step) {
    std::vector<float> gradient(kCount);
    for (int64_t i = 0; i < kCount; ++i) {
      const float a = 1.25f + 0.75f * random[i];
      gradient[i] = a * (w.value.data<float>()[i] - center[i]);
    }
    w.gradient = BareModel::Vector(gradient);
    optimizer->set_learning_rate(0.1 * std::pow(1e-4, double{1} * step / kSteps));
    ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
  }
  int64_t at_bound = 0;
  for (int64_t i = 0; i < kCount; ++i) {
    const float minimum = std::clamp(center[i], -1.0f, 1.0f);
    ASSERT_NEAR(w.value.data<float>()[i], minimum, 1e-3) << i;
    at_bound += std::abs(center[i]) > 1.01f && std::abs(w.value.data<float>()[i]) == 1;
  }
  EXPECT_GT(at_bound, kCount / 4);
}

TEST_P(OptimizerTest, RestoredHalfWayGoesOnBitForBit) {
  const OptimizerOptions options = {
      .learning_rate = 1e-2, .weight_decay = 1e-3, .glorot_scale = true, .max_gradient_norm = 20};
  BareModel model;
  AddParameters(model);
  std::unique_ptr<Optimizer> optimizer = Make(options);
  const auto run = [](Optimizer& optimizer, BareModel& model, int begin, int end) {
    for (int step = begin; step < end; ++step) {
      SetGradients(model, step);
      ASSERT_TRUE(optimizer.Step(model.parameters()).ok());
    }
  };
  run(*optimizer, model, 0, 7);

  BareModel resumed;
  AddParameters(resumed);
  for (size_t k = 0; k < model.parameters().size(); ++k) resumed[k].value = model[k].value.Clone();
  std::vector<Tensor> tensors;
  std::vector<NamedTensor> saved = optimizer->state();
  tensors.reserve(saved.size());
  for (NamedTensor& named : saved) {
    EXPECT_THAT(named.name, ::testing::StartsWith(GetParam().name + "/"));
    tensors.push_back(named.tensor->Clone());
    named.tensor = &tensors.back();
  }
  std::reverse(saved.begin(), saved.end());  // The order does not matter.
  const int64_t saved_steps = optimizer->step_count();
  run(*optimizer, model, 7, 12);

  std::unique_ptr<Optimizer> other = Make(options);
  absl::Status restored = other->Restore(resumed.parameters(), saved, saved_steps);
  ASSERT_TRUE(restored.ok()) << restored;
  EXPECT_EQ(other->step_count(), 7);
  for (Tensor& tensor : tensors) tensor.mutable_span<float>()[0] = 1e9f;  // It was copied.
  run(*other, resumed, 7, 12);
  for (size_t k = 0; k < model.parameters().size(); ++k) {
    EXPECT_EQ(Values(resumed[k].value), Values(model[k].value)) << model[k].name;
  }
  const std::vector<NamedTensor> expected = optimizer->state();
  const std::vector<NamedTensor> actual = other->state();
  ASSERT_EQ(actual.size(), expected.size());
  for (size_t i = 0; i < expected.size(); ++i) {
    EXPECT_EQ(actual[i].name, expected[i].name);
    EXPECT_EQ(Values(*actual[i].tensor), Values(*expected[i].tensor)) << expected[i].name;
  }
}

TEST_P(OptimizerTest, TheNumberOfThreadsDoesNotMatter) {
  constexpr int64_t kMany = 200'001;
  std::vector<std::vector<float>> results;
  for (const int threads : {1, 3}) {
    ExecContext context({.threads = threads});
    BareModel model;
    model.Add("w", RandomValues(kMany, 9)).ClipTo(1);
    std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1, .max_gradient_norm = 100}, context);
    for (int step = 0; step < 3; ++step) {
      SetGradients(model, step);
      ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
    }
    results.push_back(Values(model[0].value));
    results.back().push_back(static_cast<float>(model[0].sign_flips));
    results.back().push_back(static_cast<float>(model[0].at_clip));
  }
  EXPECT_EQ(results[0], results[1]);
}

// Values and state, to compare before and after.
std::vector<std::vector<float>> Snapshot(const Optimizer& optimizer, const BareModel& model) {
  std::vector<std::vector<float>> result = {{static_cast<float>(optimizer.step_count())}};
  for (const Parameter* p : model.parameters()) {
    result.push_back(Values(p->value));
    result.push_back({static_cast<float>(p->sign_flips), static_cast<float>(p->at_clip)});
  }
  for (const NamedTensor& named : optimizer.state()) result.push_back(Values(*named.tensor));
  return result;
}

TEST_P(OptimizerTest, ASecondStepWithoutGradientsChangesNothing) {
  BareModel model;
  AddParameters(model);
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1, .weight_decay = 0.1});
  SetGradients(model, 0);
  ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
  for (Parameter* p : model.parameters()) EXPECT_TRUE(p->gradient.is_null()) << p->name;
  const auto before = Snapshot(*optimizer, model);
  const absl::Status status = optimizer->Step(model.parameters());
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_THAT(std::string(status.message()), HasSubstr("no trainable parameter has a gradient"));
  EXPECT_EQ(Snapshot(*optimizer, model), before);
}

TEST_P(OptimizerTest, AGradientThatIsNotFiniteChangesNothing) {
  for (const float bad : {kInfinity, -kInfinity, std::nanf("")}) {
    for (const int first_good_steps : {0, 2}) {
      BareModel model;
      AddParameters(model);
      std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1, .weight_decay = 0.1});
      for (int step = 0; step < first_good_steps; ++step) {
        SetGradients(model, step);
        ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
      }
      const auto before = Snapshot(*optimizer, model);
      const double norm_before = optimizer->gradient_norm();
      SetGradients(model, first_good_steps);
      model[1].gradient.mutable_data<float>()[32] = bad;
      model[2].gradient.mutable_data<float>()[0] = bad;
      const absl::Status status = optimizer->Step(model.parameters());
      EXPECT_EQ(status.code(), absl::StatusCode::kOutOfRange);
      EXPECT_EQ(std::string(status.message()),
                "parameter 'hidden1/bias': its gradient has a NaN or an infinity at step " +
                    std::to_string(first_good_steps + 1) + "; nothing was updated. Try a lower learning rate than 0.1");
      EXPECT_EQ(Snapshot(*optimizer, model), before);
      EXPECT_EQ(optimizer->gradient_norm(), norm_before);
    }
  }
}

TEST_P(OptimizerTest, LargeFiniteGradientsAreNoError) {
  BareModel model;
  model.Add("w", {0, 0, 0});
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1, .max_gradient_norm = 1});
  const float max = std::numeric_limits<float>::max();
  model[0].gradient = BareModel::Vector({max, -max, max});
  ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
  EXPECT_NEAR(optimizer->gradient_norm() / max, std::sqrt(3.0), 1e-12);
  for (const float w : Values(model[0].value)) EXPECT_TRUE(std::isfinite(w));
}

TEST_P(OptimizerTest, LeavesParametersAloneThatAreOutOfTheLossOrNotTrainable) {
  BareModel model;
  AddParameters(model);
  Parameter& running = model.Add("running_mean", RandomValues(33, 11));
  running.trainable = false;
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.01, .weight_decay = 0.1});
  SetGradients(model, 0);
  const std::vector<float> running_before = Values(running.value);
  ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
  EXPECT_EQ(Values(running.value), running_before);

  model[0].sign_flips = 5;
  model[0].at_clip = 3;
  const auto before = Snapshot(*optimizer, model);
  SetGradients(model, 1);
  const Tensor dropped = std::move(model[0].gradient);
  ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
  const auto after = Snapshot(*optimizer, model);
  EXPECT_EQ(after[1], before[1]);
  EXPECT_EQ(model[0].sign_flips, 0);
  EXPECT_EQ(model[0].at_clip, 3);
  EXPECT_NE(after[3], before[3]);  // The others went on.
  for (const NamedTensor& named : optimizer->state()) {
    EXPECT_THAT(named.name, ::testing::Not(HasSubstr("running_mean")));
  }
  const size_t slots = optimizer->state().size() / 3;
  for (size_t i = 0; i < slots; ++i) EXPECT_EQ(after[9 + i], before[9 + i]);
}

TEST_P(OptimizerTest, TakesEmptyParameters) {
  BareModel model;
  model.Add("empty", {});
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.1});
  model[0].gradient = BareModel::Vector({});
  EXPECT_TRUE(optimizer->Step(model.parameters()).ok());
  EXPECT_EQ(optimizer->gradient_norm(), 0);
}

// Signs that a weight carries are those of the new value after the step; a weight without keeps none.
TEST_P(OptimizerTest, KeepsSignsUpToDate) {
  BareModel model;
  AddParameters(model);
  std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.3});
  model[0].set_signs(std::make_shared<const BitMatrix>(25, kCount / 25));
  for (int step = 0; step < 3; ++step) {
    SetGradients(model, step);
    ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
    const auto signs = model[0].signs();
    ASSERT_NE(signs, nullptr);
    for (int64_t i = 0; i < kCount; ++i) {
      ASSERT_EQ(signs->view().bit(i / 40, i % 40), model[0].value.data<float>()[i] >= 0) << i;
    }
    EXPECT_EQ(model[1].signs(), nullptr);
  }
}

// A sum of squares that came with the gradient spares a pass over it, except where it is not finite or steps are
// clipped by it.
TEST_P(OptimizerTest, TakesTheSumOfSquaresThatCameWithAGradient) {
  for (const double limit : {0.0, 1e6}) {
    BareModel model;
    AddParameters(model);
    std::unique_ptr<Optimizer> optimizer = Make({.learning_rate = 0.01, .max_gradient_norm = limit});
    SetGradients(model, 0);
    ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
    const double exact = optimizer->gradient_norm();
    for (const double note : {9e6, double{kInfinity}}) {
      SetGradients(model, 0);
      for (Parameter* parameter : model.parameters()) parameter->gradient.set_sum_of_squares(note);
      ASSERT_TRUE(optimizer->Step(model.parameters()).ok());
      const bool taken = limit == 0 && note == 9e6;
      EXPECT_EQ(optimizer->gradient_norm(), taken ? std::sqrt(3 * note) : exact);
    }
  }
}

INSTANTIATE_TEST_SUITE_P(All, OptimizerTest, ::testing::ValuesIn(OptimizerCases()),
                         [](const auto& info) { return info.param.TestName(); });

}  // namespace
}  // namespace bitgrad
