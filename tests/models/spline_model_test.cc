// Nets with learned splines: what they begin as, their penalties, thresholds in evaluation, and the Lipschitz bounds.

#include <cmath>
#include <cstdint>
#include <random>
#include <string>
#include <vector>

#include "bitgrad/graph/tape.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/models/layers/spline.h"
#include "bitgrad/models/lipschitz.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/networks.h"
#include "bitgrad/models/penalties.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/spline_coefficients.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"
#include "google/protobuf/text_format.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::vector<float> Evaluate(Layer& layer, const Tensor& x) {
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  const Var y = layer(tape.Input(x));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  return ValuesOf(**tape.Value(y));
}

TEST(SplineLayerTest, BeginsAsTheFormSays) {
  const std::vector<float> values = {-3, -0.5f, -0.25f, 0, 0.25f, 0.75f, 2};
  for (const std::string init : {"", ", leaky_relu", ", relu", ", even_odd", ", even_odd, linear"}) {
    SCOPED_TRACE(init);
    ParameterStore store(1);
    Activation spline(*ActivationForm::Parse("spline(17, 2" + init + ")"), store.Root() / "a", 2);
    Tensor x({static_cast<int64_t>(values.size()), 2}, DType::kFloat32);
    for (size_t i = 0; i < values.size(); ++i) {
      x.mutable_data<float>()[2 * i] = x.mutable_data<float>()[2 * i + 1] = values[i];
    }
    const std::vector<float> y = Evaluate(spline, x);
    for (size_t i = 0; i < y.size(); ++i) {
      const double v = values[i / 2];
      double expected = v > 0 ? v : 0.01 * v;
      if (init == ", relu") expected = std::fmax(v, 0);
      if (init.find("even_odd") != std::string::npos) {
        expected = i % 2 == 0 ? std::fabs(v) : v > 0.5 ? v - 0.5 : v < -0.5 ? v + 0.5 : 0;
      }
      EXPECT_NEAR(y[i], expected, 1e-6) << v;
    }
    EXPECT_EQ(store.parameters().size(), init.find("linear") == std::string::npos ? 1u : 3u);
  }
}

TEST(SplineLayerTest, AModelThatContinuesAnotherKeepsItsCoefficients) {
  ParameterStore first(1);
  SplineLayer(first.Root() / "spline", 2, *ParseSplineOptions("5, 1"));
  first.parameters()[0]->value.mutable_data<float>()[3] = 42;
  ParameterStore second(ParameterStore::Continues{first});
  SplineLayer(second.Root() / "spline", 2, *ParseSplineOptions("5, 1, relu"));
  ASSERT_TRUE(second.status().ok()) << second.status();
  EXPECT_EQ(second.parameters()[0]->value.data<float>()[3], 42);
  EXPECT_EQ(first.parameters()[0]->value.data<float>()[0], -0.01f);
}

TEST(SplineLayerTest, TheThresholdActsInEvaluationOnly) {
  ParameterStore store(1);
  SplineLayer layer(store.Root() / "spline", 1, *ParseSplineOptions("5, 1, relu, threshold=0.5"));
  // A kink of slope change 0.2 at -0.5, beside ReLU's at 0.
  float* const c = store.parameters()[0]->value.mutable_data<float>();
  c[0] = 0.1f;
  const Tensor x = Floats({2, 1}, {-1, 1});
  EXPECT_THAT(Evaluate(layer, x), ElementsAre(0.1f, testing::FloatNear(0.7f, 1e-6f)));
  ExecContext context({.threads = 1});
  Tape tape(context);
  EXPECT_THAT(ValuesOf(**tape.Value(layer(tape.Input(x)))), ElementsAre(0.1f, 1.0f));
  EXPECT_EQ(c[0], 0.1f) << "what training has left stays";
}

recipe::Model ModelOf(const std::string& text) {
  recipe::Model model;
  EXPECT_TRUE(google::protobuf::TextFormat::ParseFromString(text, &model));
  return model;
}

TEST(SplinePenaltiesTest, SumOverAllSplinesWithTheirLinearTerms) {
  for (const std::string linear : {"", ", linear"}) {
    ParameterStore store(1);
    const auto model =
        MakeNetwork(ModelOf("mlp { hidden: 3 hidden: 2 activation: 'spline(9, 1, relu" + linear +
                            ")' norm { kind: NONE } } spline_penalty { kind: BV2 weight { initial: 0.5 } }"),
                    {1, 2, 1}, 2, store);
    ASSERT_TRUE(model.ok()) << model.status();
    if (!linear.empty()) store.Find("hidden2/spline/slope")->value.mutable_data<float>()[1] = 3;
    ExecContext context({.threads = 1});
    store.SetScalars(context, {});
    Tape tape(context);
    (*model)->Forward(tape.Input(Filled({4, 2}, 0.5f)));
    const Var penalty = (*model)->Penalty(tape);
    ASSERT_TRUE(tape.Backward(penalty).ok()) << tape.status();
    // Five ReLUs of BV2 2, of which one is x 3 steeper at 1.
    EXPECT_NEAR((*tape.Value(penalty))->data<float>()[0], 0.5 * (10 + (linear.empty() ? 0 : 3)), 1e-4);
    EXPECT_FALSE(store.Find("hidden1/spline/coefficients")->gradient.is_null());
    if (linear.empty()) continue;
    EXPECT_NEAR(store.Find("hidden2/spline/slope")->gradient.data<float>()[1], 0.5, 1e-5);
  }
}

TEST(SplinePenaltiesTest, ANetWithoutSplinesIsAnError) {
  ParameterStore store(1);
  const auto model = MakeNetwork(
      ModelOf("mlp { hidden: 3 activation: 'relu' } spline_penalty { weight { initial: 1 } }"), {1, 2, 1}, 2, store);
  ASSERT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1});
  Tape tape(context);
  (*model)->Forward(tape.Input(Filled({4, 2}, 0.5f)));
  (*model)->Penalty(tape);
  EXPECT_THAT(std::string(tape.status().message()), HasSubstr("spline(21, 1)"));
}

double ValueOf(Model& model, const std::string& name) {
  ExecContext context({.threads = 1});
  for (const ModelValue& value : model.Report(context)) {
    if (value.layer.empty() && value.name == name) return value.value;
  }
  return std::nan("");
}

// A random net of such layers, with splines far from what they begin as.
void Roughen(ParameterStore& store, std::mt19937& random) {
  for (Parameter* parameter : store.parameters()) {
    for (float& value : parameter->value.mutable_span<float>()) {
      value += std::uniform_real_distribution<float>(-0.4f, 0.4f)(random);
    }
  }
}

// The largest ||f(x) - f(z)||_1 / ||x - z||_1 of random pairs, near and far.
double LargestQuotient(Model& model, int64_t features, int64_t pairs, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-2, 2), exponent(-12, 1);
  Tensor x({pairs, features}, DType::kFloat32), z({pairs, features}, DType::kFloat32);
  for (int64_t i = 0; i < pairs; ++i) {
    const float size = std::exp2(exponent(random));
    for (int64_t j = 0; j < features; ++j) {
      x.mutable_data<float>()[i * features + j] = uniform(random);
      // Often along an axis, where the l1 norm of an operator is reached.
      const float step = i % 2 == 0 || i / 2 % features == j ? size * uniform(random) : 0;
      z.mutable_data<float>()[i * features + j] = x.data<float>()[i * features + j] + step;
    }
  }
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  const Var fx = model.Forward(tape.Input(x)), fz = model.Forward(tape.Input(z));
  EXPECT_TRUE(tape.status().ok()) << tape.status();
  const Tensor &y = **tape.Value(fx), &w = **tape.Value(fz);
  const int64_t outputs = y.num_elements() / pairs;
  double largest = 0;
  for (int64_t i = 0; i < pairs; ++i) {
    double before = 0, after = 0;
    for (int64_t j = 0; j < features; ++j) {
      before += std::fabs(double{x.data<float>()[i * features + j]} - z.data<float>()[i * features + j]);
    }
    for (int64_t j = 0; j < outputs; ++j) {
      after += std::fabs(double{y.data<float>()[i * outputs + j]} - w.data<float>()[i * outputs + j]);
    }
    // Roundings of values near 10 are no slope.
    if (before > 0) largest = std::fmax(largest, (after - 2e-5 * static_cast<double>(outputs)) / before);
  }
  return largest;
}

TEST(LipschitzTest, NoPairOfPointsIsSteeperThanTheBounds) {
  for (const uint32_t seed : {1u, 2u, 3u}) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    ParameterStore store(seed);
    const auto model = MakeNetwork(ModelOf("mlp { hidden: 4 hidden: 3 activation: 'spline(9, 1, even_odd, linear, "
                                           "threshold=0.2)' norm { kind: NONE } hidden_bias: false }"),
                                   {1, 2, 1}, /*classes=*/1, store);
    ASSERT_TRUE(model.ok()) << model.status();
    Roughen(store, random);
    const double steepest = LargestQuotient(**model, 2, 100000, random);
    const double bound = ValueOf(**model, "lipschitz_bound"), paper = ValueOf(**model, "paper_bound");
    EXPECT_GT(steepest, 0.01 * bound) << "the bound says something";
    EXPECT_LE(steepest, bound);
    EXPECT_LE(steepest, paper) << "with one output the paper's bound holds";
    EXPECT_LE(bound, paper);
    const double knots = ValueOf(**model, "active_knots");
    EXPECT_GT(knots, 0);
    EXPECT_LT(knots, 7 * 7) << "the threshold has removed some";
  }
}

// By hand: |w| is 2 and 3 in the one column, the steepest spline has slope 4.
TEST(LipschitzTest, OfASmallNetByHand) {
  ParameterStore store(1);
  const auto model =
      MakeNetwork(ModelOf("mlp { hidden: 2 activation: 'spline(3, 1, relu)' norm { kind: NONE } hidden_bias: false }"),
                  {1, 1, 1}, 1, store);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto set = [&](const char* name, const std::vector<float>& values) {
    std::copy(values.begin(), values.end(), store.Find(name)->value.mutable_data<float>());
  };
  set("hidden1/weight", {2, -3});
  set("hidden1/spline/coefficients", {0, 0, 1, /**/ -4, 0, 1});
  set("output/weight", {0.5f, -0.25f});
  EXPECT_DOUBLE_EQ(ValueOf(**model, "lipschitz_bound"), 5 * 4 * 0.5);
  // BV2: 1 + 0 + 1, and |1 - 4| + 0 + 1.
  EXPECT_DOUBLE_EQ(ValueOf(**model, "paper_bound"), 3 * (2 + 4) * 0.5);
  EXPECT_EQ(ValueOf(**model, "active_knots"), 2);
}

class ConvModel final : public Model {
 public:
  ConvModel(const Scope& scope, int64_t kernel, int64_t filters) {
    layers_.Add<Conv2d>(scope / "conv",
                        Conv2dOptions{.in = 1, .out = filters, .kernel = kernel, .pad = kernel / 2, .bias = true});
    layers_.Add<Activation>(*ActivationForm::Parse("spline(5, 1, relu)"), scope, filters);
  }
  Var Forward(const Var& x) override { return layers_(x); }

 private:
  Sequential layers_;
};

// One filter of nine ones and an identity behind it: the paper's product is 1 times BV2 = 1, but a pixel more is nine
// times as much in the sum of all outputs.
TEST(LipschitzTest, ThePapersBoundIsNoneForConvolutionsAndTheOperatorNormIs) {
  ParameterStore store(1);
  ConvModel model(store.Root(), 3, 1);
  for (float& w : store.Find("conv/weight")->value.mutable_span<float>()) w = 1;
  float* const c = store.Find("spline/coefficients")->value.mutable_data<float>();
  for (int k = 0; k < 5; ++k) c[k] = 0.5f * static_cast<float>(k - 2);
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  Tensor x = Tensor::Zeros({2, 5, 5, 1});
  x.mutable_data<float>()[12] = 0.5f;
  const Var input = tape.Input(x);
  const LipschitzBounds bounds(tape, input);
  const Var output = model.Forward(input);
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  double distance = 0;
  for (const float y : (*tape.Value(output))->span<float>()) distance += y;
  EXPECT_NEAR(distance / 0.5, 9, 1e-5);
  EXPECT_NEAR(bounds.Of(output).paper, 1, 1e-5) << "which 9 exceeds";
  EXPECT_NEAR(bounds.Of(output).operator_norm, 9, 1e-5);
}

TEST(LipschitzTest, PoolsGroupsNormsAndWhatHasNoBound) {
  ParameterStore store(3);
  const auto model = MakeNetwork(
      ModelOf(
          "conv_net { block { filters: 4 kernel: 3 } block { filters: 4 kernel: 3 groups: 2 pool: 3 pool_stride: 2 }"
          " activation: 'spline(9, 1)' pools_last: true global_average: true }"),
      {8, 8, 2}, 3, store);
  ASSERT_TRUE(model.ok()) << model.status();
  std::mt19937 random(3);
  for (Parameter* parameter : store.parameters()) {
    if (!parameter->trainable) continue;
    for (float& value : parameter->value.mutable_span<float>()) {
      value += std::uniform_real_distribution<float>(-0.3f, 0.3f)(random);
    }
  }
  const double bound = ValueOf(**model, "lipschitz_bound");
  EXPECT_TRUE(std::isfinite(bound));
  EXPECT_LE(LargestQuotient(**model, 128, 500, random), bound);

  ParameterStore quantized(1);
  const auto jumps = MakeNetwork(ModelOf("mlp { hidden: 3 activation: 'spline(9, 1)' activation_quantizer: 'sign' }"),
                                 {1, 2, 1}, 2, quantized);
  ASSERT_TRUE(jumps.ok()) << jumps.status();
  EXPECT_TRUE(std::isinf(ValueOf(**jumps, "lipschitz_bound"))) << "signs jump";
}

TEST(LipschitzTest, NetsWithoutSplinesReportNothing) {
  ParameterStore store(1);
  const auto model = MakeNetwork(ModelOf("mlp { hidden: 3 activation: 'relu' }"), {1, 2, 1}, 2, store);
  ASSERT_TRUE(model.ok());
  ExecContext context({.threads = 1});
  EXPECT_TRUE((*model)->Report(context).empty());
}

}  // namespace
}  // namespace bitgrad
