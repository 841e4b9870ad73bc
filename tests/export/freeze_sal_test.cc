// SAL: the numbers of its nets, their temperature, and frozen ones against the graph's hardened evaluation.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/models/residual_net.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr ResidualConnection kShifts[] = {ResidualConnection::kShiftAttention,
                                          ResidualConnection::kSharedShiftAttention, ResidualConnection::kShift};

ResidualNetOptions ResNet20(ResidualConnection connection, int64_t width, int64_t classes) {
  return {.image = {32, 32, 3},
          .stem_filters = width,
          .stages = {{.filters = width, .blocks = 3},
                     {.filters = 2 * width, .blocks = 3, .stride = 2},
                     {.filters = 4 * width, .blocks = 3, .stride = 2}},
          .connection = connection,
          .classes = classes};
}

double Kept(ResidualConnection connection, int64_t width, int64_t classes) {
  ParameterStore store(1);
  ResidualNet net(store.Root(), ResNet20(connection, width, classes));
  EXPECT_TRUE(store.status().ok()) << store.status();
  return net.KeptParameters();
}

// As the authors' code counts them.
TEST(SalTest, ParametersAreThoseOfThePaper) {
  EXPECT_EQ(Kept(ResidualConnection::kShiftAttention, 83, 10), 981609.5);
  EXPECT_EQ(Kept(ResidualConnection::kShiftAttention, 83, 100), 1011579.5);
  EXPECT_EQ(Kept(ResidualConnection::kSharedShiftAttention, 83, 10), 882123.625);
  EXPECT_EQ(Kept(ResidualConnection::kConv, 34, 10), 1224044);
  ParameterStore store(1);
  ResidualNet net(store.Root(), ResNet20(ResidualConnection::kShiftAttention, 83, 10));
  EXPECT_THAT(net.Description(), testing::HasSubstr("parameters: 981609.5 once hardened"));
}

TEST(SalTest, TheTemperatureEndsExactlyWithTheLastIteration) {
  ParameterStore store(1);
  ResidualNet net(store.Root(), ResNet20(ResidualConnection::kShiftAttention, 4, 10));
  ExecContext context({.threads = 1});
  const Parameter* const temperature = store.Find("temperature");
  ASSERT_NE(temperature, nullptr);
  const auto at = [&](int64_t epoch, int64_t batch) {
    store.SetScalars(context, {.epoch = epoch, .epochs = 300, .batch = batch, .batches = 391});
    return temperature->value.data<float>()[0];
  };
  EXPECT_EQ(at(0, 0), 20.0f);
  EXPECT_EQ(at(299, 390), 70.0f);
  EXPECT_LT(at(299, 389), 70.0f);
  // The paper's factor of an iteration.
  EXPECT_NEAR(at(150, 1) / at(150, 0), 1.00001068, 1e-7);
  EXPECT_NEAR(at(150, 0), std::sqrt(20.0 * 70.0), 0.01);
}

std::vector<std::string> OpsOf(const FrozenModel& frozen) {
  std::vector<std::string> ops;
  for (const LayerCost& layer : CostOf(*frozen.packed).layers) ops.push_back(layer.op);
  return ops;
}

// Packed against graph, both hardened.
void ExpectParity(ResidualConnection connection, const Quantizer& activation, const Quantizer& weight, bool exact,
                  uint32_t seed, int64_t kept_codes) {
  std::mt19937 random(seed);
  const ResidualNetOptions options = {
      .image = {11, 10, 3},
      .stem_filters = 8,
      .stages = {{.filters = 8, .blocks = 1}, {.filters = 19, .blocks = 2, .stride = 2}},
      .connection = connection,
      .classes = 5,
      .activation_quantizer = activation,
      .weight = weight,
      .norm = NormOf(seed)};
  ParameterStore store(seed);
  ResidualNet net(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  ExecContext context({.threads = 1});
  const bool learns = connection != ResidualConnection::kShift;
  if (learns) store.Find("temperature")->value = Filled({}, 12);
  const Tensor x = RandomInputs({300, options.image.num_elements()}, random);
  const Tensor soft = GraphLogits(context, net, x);
  const auto frozen = FreezeToMemory(context, net, Shape({1, options.image.num_elements()}));
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  // Freezing leaves the model as it was.
  ExpectSameBits(GraphLogits(context, net, x), soft);
  EXPECT_EQ(net.AnswerAsFrozen(true), learns);
  const Tensor graph = GraphLogits(context, net, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  if (learns) {
    EXPECT_NE(ValuesOf(graph), ValuesOf(soft));
  }
  if (exact) {
    ExpectSameBits(*packed, graph);
  } else {
    const std::vector<float> a = ValuesOf(graph), b = ValuesOf(*packed);
    int64_t disagreements = 0;
    for (size_t i = 0; i < a.size(); i += 5) {
      disagreements += std::max_element(&a[i], &a[i] + 5) - &a[i] != std::max_element(&b[i], &b[i] + 5) - &b[i];
      for (size_t j = i; j < i + 5; ++j) EXPECT_NEAR(a[j], b[j], 1e-4 * (1 + std::fabs(a[j])));
    }
    EXPECT_EQ(disagreements, 0);
  }
  const std::vector<std::string> ops = OpsOf(**frozen);
  // Two connections in each block; stem and shortcut are ordinary.
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "tap_conv2d"), 6);
  EXPECT_EQ(std::count(ops.begin(), ops.end(), "conv2d"), 2);
  for (const LayerCost& layer : CostOf(*(*frozen)->packed).layers) {
    if (layer.op != "tap_conv2d") continue;
    EXPECT_EQ(layer.weight_bits, kept_codes);
  }
  const ModelCost cost = CostOf(*(*frozen)->packed);
  EXPECT_EQ(cost.predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));
}

TEST(SalTest, FrozenFloatNetsAnswerAsTheHardenedGraph) {
  for (const ResidualConnection connection : kShifts) {
    for (uint32_t seed = 1; seed <= 4; ++seed) {
      SCOPED_TRACE(absl::StrCat("connection ", static_cast<int>(connection), " seed ", seed));
      ExpectParity(connection, Quantizer(), Quantizer(), /*exact=*/false, seed, 32);
    }
  }
}

// Sums of integers have no order.
TEST(SalTest, FrozenFewBitNetsHaveTheHardenedGraphsBits) {
  const struct {
    const char *activation, *weight;
    int64_t bits;
  } cases[] = {{"k_bit(8)", "sign", 1}, {"dorefa_activation(8)", "k_bit(3)", 3}, {"k_bit(8)", "ternary(0.5)", 1}};
  for (const ResidualConnection connection : kShifts) {
    uint32_t seed = 1;
    for (const auto& c : cases) {
      SCOPED_TRACE(absl::StrCat("connection ", static_cast<int>(connection), " ", c.weight));
      ExpectParity(connection, *ParseQuantizer(c.activation), *ParseQuantizer(c.weight), /*exact=*/true, seed++,
                   c.bits);
    }
  }
}

TEST(SalTest, ZeroKernelsAreReportedAndHardeningStays) {
  ParameterStore store(1);
  ResidualNet net(store.Root(), ResNet20(ResidualConnection::kShiftAttention, 4, 10));
  ExecContext context({.threads = 1});
  const auto zero = [&](float temperature) {
    store.Find("temperature")->value = Filled({}, temperature);
    const std::vector<ModelValue> values = net.Report(context);
    EXPECT_EQ(values.back().name, "zero_kernels");
    EXPECT_EQ(values.back().layer, "");
    double sum = 0;
    for (size_t i = 0; i + 1 < values.size(); ++i) sum += values[i].value;
    EXPECT_EQ(sum, values.back().value);
    return values.back().value;
  };
  const double kernels = 6 * 16 + 32 + 5 * 64 + 128 + 5 * 256;
  EXPECT_EQ(zero(0.01f), kernels);
  EXPECT_GT(zero(20), 0);
  EXPECT_LT(zero(70), zero(20));
  EXPECT_EQ(zero(1e6f), 0);
  const Tensor x = Filled({1, 32 * 32 * 3}, 0.5f);
  store.Find("temperature")->value = Filled({}, 1);
  net.AnswerAsFrozen(true);
  const Tensor hard = GraphLogits(context, net, x);
  ASSERT_TRUE(net.Harden(context).ok());
  net.AnswerAsFrozen(false);
  ExpectSameBits(GraphLogits(context, net, x), hard);
}

}  // namespace
}  // namespace bitgrad
