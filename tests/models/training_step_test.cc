// TrainingStep against the same steps written out, on the same device: not a bit may differ, recorded or not.

#include "bitgrad/models/training/training_step.h"

#include <cmath>
#include <limits>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/optimizer_testing.h"
#include "bitgrad/tests/models/training_step_nets.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

constexpr int kSteps = 8;  // three before a step is recorded

// A net and its optimizer.
struct Net {
  explicit Net(const NetCase& c)
      : context({.device = TestDevice(), .threads = 1, .seed = 7}), store(3), model(ModelOf(c, store.Root())) {
    EXPECT_TRUE(store.status().ok()) << store.status();
    MoveToDevice(context, store);
    optimizer = OptimizerNamed(context, c.optimizer,
                               {.weight_decay = 1e-4, .glorot_scale = true, .max_gradient_norm = c.max_gradient_norm});
  }

  std::unique_ptr<TrainingStep> MakeStep() {
    return std::make_unique<TrainingStep>(context, *model, *task, store.parameters(), *optimizer);
  }

  const std::unique_ptr<Task> task = Classification({.features = kFeatures, .classes = kClasses});
  ExecContext context;
  ParameterStore store;
  std::unique_ptr<Model> model;
  std::unique_ptr<Optimizer> optimizer;
};

Examples BatchOf(int step, int64_t size = 20) { return RandomExamples(size, kFeatures, kClasses, 5 + step); }
double RateOf(int step) { return 0.01 / (1 + step); }

// What a step leaves for the host.
struct Seen {
  float loss;
  int64_t errors;
  std::vector<int64_t> counts;
  double norm;
  bool operator==(const Seen&) const = default;
};

Seen SeenOf(const StepResult& result, const Net& net) {
  Seen seen = {result.loss, static_cast<int64_t>(result.SumOf(kErrors)), {}, net.optimizer->gradient_norm()};
  for (const CounterValue& counter : result.counters) {
    seen.counts.push_back(counter.count);
    seen.counts.push_back(counter.total);
  }
  for (const Parameter* parameter : net.store.parameters()) {
    seen.counts.push_back(parameter->sign_flips);
    seen.counts.push_back(parameter->at_clip);
  }
  return seen;
}

Seen WrittenOut(Net& net, const Examples& batch, double rate) {
  Tape tape(net.context);
  const Var logits = net.model->Forward(tape.Input(ToDevice(net.context, batch.x)));
  Var loss = SquaredHinge(logits, batch.labels);
  const Var penalty = net.model->Penalty(tape);
  if (penalty.tape() != nullptr) loss = Add(loss, penalty);
  StepResult result;
  result.loss = ToHost(net.context, **tape.Value(loss)).data<float>()[0];
  const int64_t errors = *CountWrong(net.context, **tape.Value(logits), batch.labels);
  result.metrics = {{kErrors, static_cast<double>(errors), batch.labels.num_elements()}};
  EXPECT_TRUE(tape.Backward(loss).ok());
  net.optimizer->set_learning_rate(rate);
  const absl::Status stepped = net.optimizer->Step(net.store.parameters());
  EXPECT_TRUE(stepped.ok()) << stepped;
  result.counters = tape.counters();
  return SeenOf(result, net);
}

void ExpectSameNets(Net& a, Net& b) {
  for (size_t i = 0; i < a.store.parameters().size(); ++i) {
    SCOPED_TRACE(a.store.parameters()[i]->name);
    ExpectSameBits(ToHost(a.context, a.store.parameters()[i]->value),
                   ToHost(b.context, b.store.parameters()[i]->value));
  }
  const auto state_a = a.optimizer->state(), state_b = b.optimizer->state();
  ASSERT_EQ(state_a.size(), state_b.size());
  for (size_t i = 0; i < state_a.size(); ++i) {
    SCOPED_TRACE(state_a[i].name);
    ExpectSameBits(ToHost(a.context, *state_a[i].tensor), ToHost(b.context, *state_b[i].tensor));
  }
  EXPECT_EQ(a.optimizer->step_count(), b.optimizer->step_count());
  EXPECT_EQ(a.context.step(), b.context.step());
}

class TrainingStepTest : public OnTestDevice<testing::Test> {};
class TrainingStepNetsTest : public OnTestDevice<testing::TestWithParam<NetCase>> {};

TEST_P(TrainingStepNetsTest, IsTheStepWrittenOut) {
  const NetCase& c = GetParam();
  for (const int ahead : {0, 1}) {
    SCOPED_TRACE(testing::Message() << ahead << " steps ahead");
    Net expected(c), net(c);
    const auto step = net.MakeStep();
    std::vector<Seen> reference, seen;
    const auto finish = [&] {
      const auto result = step->Finish();
      ASSERT_TRUE(result.ok()) << result.status();
      seen.push_back(SeenOf(*result, net));
    };
    for (int i = 0; i < kSteps; ++i) {
      const Examples batch = BatchOf(i);
      reference.push_back(WrittenOut(expected, batch, RateOf(i)));
      const absl::Status enqueued = step->Enqueue(batch.batch(), RateOf(i));
      ASSERT_TRUE(enqueued.ok()) << enqueued;
      while (step->unfinished() > ahead) finish();
      if (i == 5) {  // Other work in between, which takes memory from the same pool.
        Tensor held = ToDevice(net.context, Filled({33, kFeatures}, 1));
        EXPECT_TRUE(Logits(net.context, *net.model, batch.x).ok());
      }
    }
    while (step->unfinished() > 0) finish();
    EXPECT_EQ(step->recorded(), TestDevice() == Device::kCuda);
    for (int i = 0; i < kSteps; ++i) {
      EXPECT_EQ(seen[i].loss, reference[i].loss) << "step " << i;
      EXPECT_EQ(seen[i].errors, reference[i].errors) << "step " << i;
      EXPECT_EQ(seen[i].counts, reference[i].counts) << "step " << i;
      EXPECT_EQ(seen[i].norm, reference[i].norm) << "step " << i;
    }
    ExpectSameNets(expected, net);
  }
}

INSTANTIATE_TEST_SUITE_P(
    Nets, TrainingStepNetsTest,
    testing::Values(NetCase{"bnn", {"identity", "sign", "sign", "identity"}},
                    NetCase{"bnn_codes", {"k_bit(8)", "sign", "sign", "identity"}, 1.0f, "adamax"},
                    NetCase{"bop", {"k_bit(8)", "sign", "sign", "identity"}, 1.0f, "bop"},
                    NetCase{"shifts",
                            {"k_bit(8)", "sign", "sign", "identity"},
                            1.0f,
                            "shift_adamax",
                            0,
                            BatchNormArithmetic::kShiftTorch},
                    // What draws random numbers: quantizers in both passes, dropout.
                    NetCase{"random", {"identity", "stochastic_sign", "stochastic_sign", "identity"}, 0.8f, "sgd"},
                    NetCase{"int8_gradients", {"identity", "sign", "sign", "stochastic_round(8)"}},
                    NetCase{"clipped", {"identity", "sign", "sign", "identity"}, 1.0f, "adam", 0.01},
                    NetCase{"floats", {"identity", "identity", "identity", "identity"}, 1.0f, "sgd"},
                    NetCase{"dorefa", {"identity", "dorefa_activation(2)", "dorefa_weight(2)", "dorefa_gradient(6)"}},
                    // Scales that stay on the device, with each kind of activation and of gradient.
                    NetCase{"scaled_signs", {"k_bit(8)", "sign", "dorefa_weight(1)", "identity"}},
                    NetCase{"scaled_codes",
                            {"identity", "dorefa_activation(2)", "dorefa_weight(1)", "dorefa_gradient(6)"}},
                    NetCase{"scaled_int8", {"identity", "sign", "dorefa_weight(1)", "stochastic_round(8)"}},
                    NetCase{"scaled_activations", {"identity", "dorefa_weight(1)", "sign", "identity"}},
                    // Learned activations, with a penalty and a linear term, before floats and before signs.
                    NetCase{.name = "splines",
                            .quantizers = {"identity", "identity", "identity", "identity"},
                            .activation = "spline(9, 1, linear)"},
                    NetCase{.name = "splines_before_signs",
                            .quantizers = {"k_bit(8)", "sign", "sign", "identity"},
                            .activation = "spline(21, 1)"},
                    // Kernels of one tap, learned and fixed.
                    NetCase{.name = "tap_attention",
                            .quantizers = {"identity", "identity", "identity", "identity"},
                            .connection = ResidualConnection::kShiftAttention},
                    NetCase{.name = "shared_tap_attention_of_signs",
                            .quantizers = {"identity", "sign", "sign", "identity"},
                            .connection = ResidualConnection::kSharedShiftAttention},
                    NetCase{.name = "shifts_of_channels",
                            .quantizers = {"identity", "identity", "identity", "identity"},
                            .connection = ResidualConnection::kShift}),
    [](const auto& info) { return std::string(info.param.name); });

NetCase BnnCase() { return {"bnn", {"identity", "sign", "sign", "identity"}}; }

TEST_F(TrainingStepTest, BatchesMayChangeTheirShape) {
  Net expected(BnnCase()), net(BnnCase());
  const auto step = net.MakeStep();
  for (int i = 0; i < 12; ++i) {
    const Examples batch = BatchOf(i, i == 5 ? 7 : 20);
    const Seen reference = WrittenOut(expected, batch, RateOf(i));
    ASSERT_TRUE(step->Enqueue(batch.batch(), RateOf(i)).ok());
    const auto result = step->Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(SeenOf(*result, net), reference) << "step " << i;
  }
  EXPECT_EQ(step->recorded(), TestDevice() == Device::kCuda);
  ExpectSameNets(expected, net);
}

// A number in the images: in the very first step, before and after steps are recorded; and with a second step on its
// way.
TEST_F(TrainingStepTest, AStepThatIsNotFiniteChangesNothing) {
  for (const int good : {0, 1, 6}) {
    for (const bool another : {false, true}) {
      SCOPED_TRACE(testing::Message() << "after " << good << (another ? ", with another" : ""));
      Net net(BnnCase());
      const auto step = net.MakeStep();
      for (int i = 0; i < good; ++i) {
        const Examples batch = BatchOf(i);
        ASSERT_TRUE(step->Enqueue(batch.batch(), 0.01).ok());
        ASSERT_TRUE(step->Finish().ok());
      }
      std::vector<Tensor> before;
      for (const Parameter* p : net.store.parameters()) {
        if (p->trainable) before.push_back(ToHost(net.context, p->value).Clone());
      }
      Examples bad = BatchOf(good);
      bad.x.mutable_data<float>()[3] = std::numeric_limits<float>::quiet_NaN();
      ASSERT_TRUE(step->Enqueue(bad.batch(), 0.01).ok());
      if (another) {
        const Examples batch = BatchOf(good + 1);
        ASSERT_TRUE(step->Enqueue(batch.batch(), 0.01).ok());
      }
      const auto result = step->Finish();
      ASSERT_EQ(result.status().code(), absl::StatusCode::kOutOfRange) << result.status();
      EXPECT_THAT(std::string(result.status().message()), HasSubstr("nothing was updated"));
      EXPECT_EQ(net.optimizer->step_count(), good);
      size_t k = 0;
      for (const Parameter* p : net.store.parameters()) {
        if (p->trainable) ExpectSameBits(ToHost(net.context, p->value), before[k++]);
      }
      // The net itself is whole: signs are made anew from the weights.
      const Examples batch = BatchOf(0);
      Net fresh(BnnCase());
      for (size_t i = 0; i < net.store.parameters().size(); ++i) {
        fresh.store.parameters()[i]->value =
            ToDevice(fresh.context, ToHost(net.context, net.store.parameters()[i]->value).Clone());
      }
      ExpectSameBits(ToHost(net.context, *Logits(net.context, *net.model, batch.x)),
                     ToHost(fresh.context, *Logits(fresh.context, *fresh.model, batch.x)));
    }
  }
}

// A net that is fined for the size of its last weights, by a number that changes from step to step.
class FinedNet final : public Model {
 public:
  explicit FinedNet(ParameterStore& store)
      : mlp_(store.Root(), {.features = kFeatures, .hidden = {12}, .classes = kClasses, .weight = Sign()}),
        lambda_(store.Root().NewScalar(
            "lambda", {.initial = 0.5, .final = 4, .change = ScalarChange::kExponential, .by_step = true})),
        weight_(*store.Find("output/weight")) {}
  Var Forward(const Var& x) override { return mlp_.Forward(x); }
  Var Penalty(Tape& tape) override {
    const Var w = tape.Use(weight_);
    return Mul(Sum(Mul(w, w)), tape.Use(lambda_));
  }

 private:
  Mlp mlp_;
  Parameter& lambda_;
  Parameter& weight_;
};

// Steps of FinedNet by plain SGD.
struct FinedTraining {
  FinedTraining() {
    EXPECT_TRUE(store.status().ok()) << store.status();
    MoveToDevice(context, store);
  }
  void SetTime(int step) { store.SetScalars(context, {.epochs = 1, .batch = step, .batches = kSteps}); }

  const std::unique_ptr<Task> task = Classification({.features = kFeatures, .classes = kClasses});
  ExecContext context{{.device = TestDevice(), .threads = 1, .seed = 7}};
  ParameterStore store{3};
  FinedNet model{store};
  const std::unique_ptr<Optimizer> optimizer = *MakeOptimizer(context, "sgd", {});
};

// The loss is what is minimized, the penalty is part of it, and recorded steps see each new lambda.
TEST_F(TrainingStepTest, APenaltyIsPartOfTheLoss) {
  FinedTraining expected, training;
  TrainingStep step(training.context, training.model, *training.task, training.store.parameters(), *training.optimizer);
  for (int i = 0; i < kSteps; ++i) {
    SCOPED_TRACE(i);
    const Examples batch = BatchOf(i);
    expected.SetTime(i);
    const float lambda = ToHost(expected.context, expected.store.Find("lambda")->value).data<float>()[0];
    EXPECT_NEAR(lambda, 0.5 * std::pow(8, i / (kSteps - 1.0)), 1e-6);
    double squares = 0;
    const Tensor weight = ToHost(expected.context, expected.store.Find("output/weight")->value);
    for (const float w : weight.span<float>()) squares += double{w} * w;
    Tape tape(expected.context);
    const Var loss =
        SquaredHinge(expected.model.Forward(tape.Input(ToDevice(expected.context, batch.x))), batch.labels);
    const Var total = Add(loss, expected.model.Penalty(tape));
    const float loss_value = ToHost(expected.context, **tape.Value(loss)).data<float>()[0];
    const float total_value = ToHost(expected.context, **tape.Value(total)).data<float>()[0];
    ASSERT_TRUE(tape.Backward(total).ok()) << tape.status();
    expected.optimizer->set_learning_rate(0.01);
    ASSERT_TRUE(expected.optimizer->Step(expected.store.parameters()).ok());

    training.SetTime(i);
    ASSERT_TRUE(step.Enqueue(batch.batch(), 0.01).ok());
    const auto result = step.Finish();
    ASSERT_TRUE(result.ok()) << result.status();
    EXPECT_EQ(result->loss, total_value);
    ASSERT_TRUE(result->penalty.has_value());
    EXPECT_NEAR(*result->penalty, lambda * squares, 1e-5 * lambda * squares);
    EXPECT_NEAR(result->loss - loss_value, *result->penalty, 1e-5 * result->loss);
  }
  EXPECT_EQ(step.recorded(), TestDevice() == Device::kCuda);
  for (size_t i = 0; i < expected.store.parameters().size(); ++i) {
    SCOPED_TRACE(expected.store.parameters()[i]->name);
    ExpectSameBits(ToHost(expected.context, expected.store.parameters()[i]->value),
                   ToHost(training.context, training.store.parameters()[i]->value));
  }
}

TEST_F(TrainingStepTest, AModelWithoutPenaltyReportsNone) {
  Net net(BnnCase());
  const auto step = net.MakeStep();
  ASSERT_TRUE(step->Enqueue(BatchOf(0).batch(), 0.01).ok());
  const auto result = step->Finish();
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_FALSE(result->penalty.has_value());
}

// Takes away what was learned from the batch.
class NothingLearned final : public GradientReducer {
 public:
  absl::Status Reduce(ExecContext& context, absl::Span<Parameter* const> parameters) override {
    for (Parameter* parameter : parameters) {
      if (parameter->gradient.is_null()) continue;
      parameter->gradient = Tensor::Zeros(parameter->gradient.shape(), DType::kFloat32, context.allocator());
    }
    return absl::OkStatus();
  }
};

TEST_F(TrainingStepTest, GradientsGoThroughTheReducer) {
  FinedTraining training;
  NothingLearned reducer;
  TrainingStep step(training.context, training.model, *training.task, training.store.parameters(), *training.optimizer,
                    &reducer);
  const Tensor before = ToHost(training.context, training.store.Find("hidden1/weight")->value).Clone();
  for (int i = 0; i < kSteps; ++i) {
    ASSERT_TRUE(step.Enqueue(BatchOf(i).batch(), 0.01).ok());
    ASSERT_TRUE(step.Finish().ok());
  }
  EXPECT_EQ(step.recorded(), TestDevice() == Device::kCuda);
  ExpectSameBits(ToHost(training.context, training.store.Find("hidden1/weight")->value), before);
}

TEST_F(TrainingStepTest, WhatIsWrongIsNamed) {
  Net net(BnnCase());
  const auto step = net.MakeStep();
  const Examples batch = BatchOf(0);
  EXPECT_THAT(std::string(step->Enqueue({.images = batch.x.Alias()}, 0.01).message()),
              HasSubstr("labels that are int32"));
  EXPECT_THAT(std::string(step->Enqueue(batch.batch(), 0).message()), HasSubstr("learning_rate"));
  EXPECT_EQ(step->unfinished(), 0);
  for (int i = 0; i < 5; ++i) {
    Batch wrong = batch.batch();
    wrong.labels = batch.labels.Clone();
    wrong.labels.mutable_data<int32_t>()[4] = i % 2 == 0 ? -1 : 99;
    const absl::Status bad = step->Enqueue(wrong, 0.01);
    EXPECT_EQ(bad.code(), absl::StatusCode::kInvalidArgument) << bad;
    EXPECT_THAT(std::string(bad.message()),
                HasSubstr(i % 2 == 0 ? "label -1 is not in [0, 4)" : "label 99 is not in [0, 4)"));
    ASSERT_TRUE(step->Enqueue(batch.batch(), 0.01).ok());
    ASSERT_TRUE(step->Finish().ok());
  }
}

}  // namespace
}  // namespace bitgrad
