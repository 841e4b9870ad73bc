// The arithmetic of a training step: the multiplications of arXiv 1510.03009, layers counted by hand, and that counting
// leaves no trace.

#include "bitgrad/models/training/step_arithmetic.h"

#include <algorithm>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/models/training/classification.h"
#include "bitgrad/models/training/energy.h"
#include "bitgrad/ops/quantizers/exponential_round.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_ternary.h"
#include "bitgrad/optim/optimizers.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// The paper's net, with and without batch norms.
class PaperNet final : public SequentialModel {
 public:
  PaperNet(const Scope& scope, bool has_norms, const Quantizer& weight, const Quantizer& for_weight_gradient) {
    const int64_t widths[] = {784, 1024, 1024, 1024, 10};
    for (int i = 0; i < 4; ++i) {
      const Scope layer = scope / ("layer" + std::to_string(i));
      layers_.Add<Dense>(layer, DenseOptions{.in = widths[i],
                                             .out = widths[i + 1],
                                             .weight = weight,
                                             .input_for_weight_gradient = for_weight_gradient});
      if (has_norms) layers_.Add<BatchNorm>(layer / "norm", BatchNormLayerOptions{.features = widths[i + 1]});
    }
  }
};

int64_t PaperMultiplications(bool has_norms, const Quantizer& weight, const Quantizer& for_weight_gradient = {}) {
  ParameterStore store(1);
  PaperNet net(store.Root(), has_norms, weight, for_weight_gradient);
  ExecContext context({.threads = 1});
  const auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 0.1});
  const auto task = Classification({.features = 784, .classes = 10});
  const auto layers =
      CountStep({.threads = 1}, net, store, *task, *optimizer, /*batch_size=*/200, CountingConvention::kPaper);
  EXPECT_TRUE(layers.ok()) << layers.status();
  return layers.ok() ? SumOf(*layers).float_multiplications : 0;
}

TEST(StepArithmeticTest, MultiplicationsOfThePaper) {
  EXPECT_EQ(PaperMultiplications(false, {}), 1'747'974'000);
  EXPECT_EQ(PaperMultiplications(true, {}), 1'753'549'338);
  // Binary weights leave one of three products: 200 sum MN, and 3 * 200 sum M.
  EXPECT_EQ(PaperMultiplications(false, Sign()), 200 * (2'910'208 + 3 * 3'082));
  // Ternary weights and inputs of powers of two leave none.
  EXPECT_EQ(PaperMultiplications(false, StochasticTernary(), ExponentialRound()), 1'849'200);
  EXPECT_EQ(PaperMultiplications(true, StochasticTernary(), ExponentialRound()), 7'424'538);
}

TEST(StepArithmeticTest, ByLayerWithTheUpdate) {
  constexpr int64_t b = 5, in = 12, hidden = 7, classes = 3;
  ParameterStore store(1);
  Mlp net(store.Root(),
          {.features = in, .hidden = {hidden}, .classes = classes, .activation_quantizer = Sign(), .weight = Sign()});
  ExecContext context({.threads = 1});
  const auto optimizer = *MakeOptimizer(context, "adam", {});
  const auto task = Classification({.features = in, .classes = classes});
  const auto layers = CountStep({.threads = 1}, net, store, *task, *optimizer, b, CountingConvention::kExecuted);
  ASSERT_TRUE(layers.ok()) << layers.status();
  const auto of = [&](const std::string& name) {
    for (const LayerArithmetic& layer : *layers) {
      if (layer.layer == name) return layer;
    }
    ADD_FAILURE() << "no layer " << name;
    return LayerArithmetic();
  };
  // Float images, binary weights: additions. Nobody wants the gradient of images; dw is a product of floats.
  EXPECT_EQ(of("hidden1").forward, (ArithmeticCounts{.float_additions = b * in * hidden}));
  EXPECT_EQ(of("hidden1").backward,
            (ArithmeticCounts{.float_multiplications = b * in * hidden, .float_additions = b * in * hidden}));
  // The gradient's square, and Adam.
  EXPECT_EQ(of("hidden1").update, (ArithmeticCounts{.float_multiplications = 11 * in * hidden,
                                                    .float_additions = 6 * in * hidden,
                                                    .square_roots = in * hidden}));
  EXPECT_EQ(of("output").forward, (ArithmeticCounts{.xnor_popcounts = b * hidden * classes}));
  EXPECT_EQ(of("output").backward, (ArithmeticCounts{.float_additions = 2 * b * hidden * classes}));
  EXPECT_EQ(of("output/norm").update.square_roots, 2 * classes);  // gamma and beta
  const std::string table = ArithmeticTable(*layers);
  EXPECT_THAT(table, HasSubstr("hidden1/norm  forward             119            140"));
  EXPECT_THAT(table, HasSubstr(std::to_string(SumOf(*layers).float_multiplications)));
}

// Products with powers of two: shifts and additions, of integers where both operands are codes.
TEST(StepArithmeticTest, LogarithmicOperandsAreShifts) {
  constexpr int64_t b = 5, hidden = 7, classes = 3, macs = b * hidden * classes;
  const struct {
    const char *activation, *weight;
    ArithmeticCounts forward, dx, dw;  // the products alone
  } kCases[] = {
      {"log_quant(4)",
       "log_quant(4)",
       {.integer_additions = macs, .shifts = macs},
       {.float_additions = macs, .shifts = macs},
       {.float_additions = macs, .shifts = macs}},
      {"log_quant(4, zero=false)",
       "k_bit(2)",
       {.integer_additions = macs, .shifts = macs},
       {.float_multiplications = macs, .float_additions = macs},
       {.float_additions = macs, .shifts = macs}},
      {"log_quant(4)",
       "ternary",
       {.integer_additions = macs},
       {.float_additions = macs},
       {.float_additions = macs, .shifts = macs}},
      {"k_bit(2)",
       "log_quant(3, zero=false)",
       {.integer_additions = macs, .shifts = macs},
       {.float_additions = macs, .shifts = macs},
       {.float_multiplications = macs, .float_additions = macs}},
      {"log_quant(4)",
       "identity",
       {.float_additions = macs, .shifts = macs},
       {.float_multiplications = macs, .float_additions = macs},
       {.float_additions = macs, .shifts = macs}},
      {"identity",
       "log_quant(4)",
       {.float_additions = macs, .shifts = macs},
       {.float_additions = macs, .shifts = macs},
       {.float_multiplications = macs, .float_additions = macs}},
  };
  for (const auto& [activation, weight, forward, dx, dw] : kCases) {
    SCOPED_TRACE(testing::Message() << activation << " x " << weight);
    ParameterStore store(1);
    const Quantizer x = *ParseQuantizer(activation), w = *ParseQuantizer(weight);
    Mlp net(store.Root(),
            {.features = 4, .hidden = {hidden}, .classes = classes, .activation_quantizer = x, .weight = w});
    ExecContext context({.threads = 1});
    const auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 0.1});
    const auto task = Classification({.features = 4, .classes = classes});
    const auto layers = CountStep({.threads = 1}, net, store, *task, *optimizer, b, CountingConvention::kExecuted);
    ASSERT_TRUE(layers.ok()) << layers.status();
    const auto output = std::find_if(layers->begin(), layers->end(),
                                     [](const LayerArithmetic& layer) { return layer.layer == "output"; });
    ASSERT_NE(output, layers->end());
    // Beside the products, the quantizers' divisions, and products with scales that are not 1.
    ArithmeticCounts of_forward = forward, of_backward = dx;
    of_backward += dw;
    const auto has_scale = [](const Quantizer& q) { return !q.is_identity() && q.scale(1) != 1; };
    of_forward.float_multiplications += (x.is_identity() ? 0 : b * hidden) + (w.is_identity() ? 0 : hidden * classes) +
                                        (has_scale(x) || has_scale(w.In(QuantizerRole::kWeight)) ? b * classes : 0);
    of_backward.float_multiplications +=
        (has_scale(w.In(QuantizerRole::kWeight)) ? b * hidden : 0) + (has_scale(x) ? hidden * classes : 0);
    EXPECT_EQ(output->forward, of_forward);
    EXPECT_EQ(output->backward, of_backward);
  }
}

// BNN's shift-based batch norm and AdaMax.
TEST(StepArithmeticTest, Shifts) {
  constexpr int64_t b = 5, in = 12, hidden = 7, classes = 3;
  for (const auto arithmetic : {BatchNormArithmetic::kShiftPaper, BatchNormArithmetic::kShiftTorch}) {
    const bool is_paper = arithmetic == BatchNormArithmetic::kShiftPaper;
    SCOPED_TRACE(is_paper ? "paper" : "Torch");
    ParameterStore store(1);
    Mlp net(store.Root(), {.features = in,
                           .hidden = {hidden},
                           .classes = classes,
                           .activation_quantizer = Sign(),
                           .weight = Sign(),
                           .norm = {.arithmetic = arithmetic}});
    ExecContext context({.threads = 1});
    const auto optimizer = *MakeOptimizer(context, is_paper ? "shift_adamax" : "shift_adamax_torch", {});
    const auto task = Classification({.features = in, .classes = classes});
    const auto layers = CountStep({.threads = 1}, net, store, *task, *optimizer, b, CountingConvention::kExecuted);
    ASSERT_TRUE(layers.ok()) << layers.status();
    LayerArithmetic norm;
    for (const LayerArithmetic& layer : *layers) {
      if (layer.layer == "hidden1/norm") norm = layer;
    }
    constexpr int64_t elements = b * hidden;
    EXPECT_EQ(norm.forward, (ArithmeticCounts{.float_multiplications = 2 * hidden,
                                              .float_additions = 4 * elements,
                                              .shifts = 3 * elements,
                                              .square_roots = hidden}));
    EXPECT_EQ(norm.backward, (ArithmeticCounts{.float_multiplications = (is_paper ? 2 : 0) * elements,
                                               .float_additions = 4 * elements,
                                               .shifts = (is_paper ? 4 : 6) * elements}));
    // Of gamma and beta, with the gradient's square.
    const ArithmeticCounts update =
        is_paper ? ArithmeticCounts{.float_multiplications = 3, .float_additions = 7, .shifts = 6}
                 : ArithmeticCounts{.float_multiplications = 7, .float_additions = 5, .shifts = 2};
    EXPECT_EQ(norm.update, update * (2 * hidden));
  }
}

TEST(StepArithmeticTest, LeavesNoTrace) {
  ParameterStore store(1);
  Mlp net(store.Root(), {.features = 8, .hidden = {6}, .classes = 3, .activation_quantizer = Lsq(2), .weight = Lsq(2)});
  ExecContext context({.threads = 1});
  const auto optimizer = *MakeOptimizer(context, "sgd", {.learning_rate = 0.1});
  const auto task = Classification({.features = 8, .classes = 3});
  std::vector<Tensor> before;
  for (const Parameter* parameter : store.parameters()) before.push_back(parameter->value.Clone());
  const auto layers = CountStep({.threads = 1}, net, store, *task, *optimizer, 4, CountingConvention::kExecuted);
  ASSERT_TRUE(layers.ok()) << layers.status();
  const auto inference = CountInference({.threads = 1}, net, store, *task);
  ASSERT_TRUE(inference.ok()) << inference.status();
  EXPECT_EQ(inference->integer_multiplications, 6 * 3);
  for (size_t i = 0; i < before.size(); ++i) {
    const Parameter& parameter = *store.parameters()[i];
    EXPECT_THAT(parameter.value.span<float>(), testing::ElementsAreArray(before[i].span<float>())) << parameter.name;
    EXPECT_TRUE(parameter.gradient.is_null()) << parameter.name;
  }
  EXPECT_FALSE(store.Find("output/input/quantizer/step")->is_set);
}

TEST(EnergyTest, AddsUp) {
  EXPECT_DOUBLE_EQ(PicojoulesOf({.float_multiplications = 2, .float_additions = 10}), 2 * 3.7 + 10 * 0.9);
  EXPECT_DOUBLE_EQ(PicojoulesOf({.integer_multiplications = 1, .integer_additions = 1, .shifts = 1}), 0.43);
}

}  // namespace
}  // namespace bitgrad
