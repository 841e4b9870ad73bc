// Frozen nets with float activations: logits within a bound that follows from the arithmetic, the
// same classes.

#include <algorithm>
#include <cmath>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr double kEps = 0x1p-24;  // half a unit in the last place of 1

// One value in exact arithmetic and a bound on what float arithmetic, in any order of summation,
// makes of it.
struct Bounded {
  double value = 0;
  double error = 0;
};

// (Dense -> BatchNorm -> ReLU) x n, Dense -> BatchNorm, in double, with error bounds: a sum of k
// products errs by at most k eps sum|terms| and what its operands err; each of batch norm's five
// operations by eps of its result.
class BoundedMlp {
 public:
  BoundedMlp(const ParameterStore& store, const MlpOptions& options) : store_(store), options_(options) {}

  std::vector<Bounded> Run(absl::Span<const float> x) const {
    std::vector<Bounded> values;
    for (const float v : x) {
      // q_8 of a pixel is the pixel; freezing and graph make the same codes, so its error counts
      // once, as rounding.
      values.push_back({v, kEps * std::abs(v)});
    }
    for (size_t layer = 0; layer <= options_.hidden.size(); ++layer) {
      const bool last = layer == options_.hidden.size();
      const std::string path = last ? "output" : absl::StrCat("hidden", layer + 1);
      values = Norm(path, Dense(path, values));
      if (!last) {
        for (Bounded& v : values) v.value = std::max(v.value, 0.0);
      }
    }
    return values;
  }

 private:
  absl::Span<const float> Get(const std::string& name) const { return store_.Find(name)->value.span<float>(); }

  std::vector<Bounded> Dense(const std::string& path, const std::vector<Bounded>& x) const {
    const auto latent = Get(path + "/weight");
    const size_t in = x.size(), out = latent.size() / in;
    const bool binary = !options_.weight.is_identity() &&
                        options_.weight.In(QuantizerRole::kWeight).AtEvaluation().info().name == "sign";
    std::vector<Bounded> y(out);
    for (size_t j = 0; j < out; ++j) {
      double magnitude = 0;
      for (size_t i = 0; i < in; ++i) {
        const double w = binary ? (latent[j * in + i] >= 0 ? 1.0 : -1.0) : double{latent[j * in + i]};
        y[j].value += w * x[i].value;
        y[j].error += std::abs(w) * x[i].error;
        magnitude += std::abs(w) * (std::abs(x[i].value) + x[i].error);
      }
      y[j].error += (static_cast<double>(in) + 1) * kEps * magnitude;
    }
    return y;
  }

  std::vector<Bounded> Norm(const std::string& path, std::vector<Bounded> x) const {
    const auto gamma = Get(path + "/norm/gamma"), beta = Get(path + "/norm/beta"),
               mean = Get(path + "/norm/running_mean"), variance = Get(path + "/norm/running_statistic");
    for (size_t j = 0; j < x.size(); ++j) {
      const double scale = gamma[j] / std::sqrt(double{variance[j]} + double{options_.norm.epsilon});
      const double centered = x[j].value - mean[j];
      const double scaled = centered * scale;
      // inv_std itself carries a few roundings: 8 eps cover them and the two products.
      const double error = std::abs(scale) * (x[j].error + kEps * std::abs(centered)) + 8 * kEps * std::abs(scaled);
      x[j].value = scaled + beta[j];
      x[j].error = error + kEps * (std::abs(x[j].value) + error);
    }
    return x;
  }

  const ParameterStore& store_;
  const MlpOptions& options_;
};

void ExpectWithinBounds(const MlpOptions& options, uint32_t seed) {
  SCOPED_TRACE(absl::StrCat("seed ", seed));
  std::mt19937 random(seed);
  ParameterStore store(seed);
  Mlp net(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random);
  ExecContext context({.threads = 2});
  const auto frozen = FreezeToMemory(context, net, {1, options.features});
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ((*frozen)->thresholds(), 0);

  const int64_t batch = 200;
  Tensor x({batch, options.features}, DType::kFloat32);
  for (float& v : x.mutable_span<float>()) v = (2 * static_cast<float>(random() % 256) - 255) / 255;
  const Tensor graph = GraphLogits(context, net, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  const BoundedMlp exact(store, options);
  int disagreements = 0;
  for (int64_t i = 0; i < batch; ++i) {
    const std::vector<Bounded> bounds = exact.Run(x.span<float>().subspan(i * options.features, options.features));
    const auto g = graph.span<float>().subspan(i * options.classes, options.classes);
    const auto p = packed->span<float>().subspan(i * options.classes, options.classes);
    for (int64_t j = 0; j < options.classes; ++j) {
      ASSERT_NEAR(g[j], bounds[j].value, bounds[j].error) << "graph, example " << i << " class " << j;
      ASSERT_NEAR(p[j], bounds[j].value, bounds[j].error) << "packed, example " << i << " class " << j;
    }
    disagreements +=
        std::max_element(g.begin(), g.end()) - g.begin() != std::max_element(p.begin(), p.end()) - p.begin();
  }
  EXPECT_EQ(disagreements, 0);
}

MlpOptions ReluNet(const char* weight) {
  return {.features = 100,
          .hidden = {65, 33},
          .classes = 10,
          .input = KBit(8),
          .weight = *ParseQuantizer(weight),
          .activation = "relu"};
}

TEST(FreezeFloatTest, DeterministicBinaryConnect) {
  for (uint32_t seed = 1; seed <= 5; ++seed) ExpectWithinBounds(ReluNet("sign"), seed);
}

// Evaluated, and frozen, with the real weights.
TEST(FreezeFloatTest, StochasticBinaryConnect) {
  for (uint32_t seed = 1; seed <= 3; ++seed) ExpectWithinBounds(ReluNet("stochastic_sign"), seed);
}

TEST(FreezeFloatTest, StochasticTernaryWeights) { ExpectWithinBounds(ReluNet("stochastic_ternary"), 1); }

TEST(FreezeFloatTest, FloatNet) {
  for (uint32_t seed = 1; seed <= 3; ++seed) ExpectWithinBounds(ReluNet("identity"), seed);
}

// Logits of graph and frozen net differ by what sums in another order may.
void ExpectClose(Model& net, ParameterStore& store, const Shape& example, uint32_t seed) {
  std::mt19937 random(seed);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random, 0.1f);
  ExecContext context({.threads = 1});
  const auto frozen = FreezeToMemory(context, net, example);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  const Tensor x = RandomInputs({50, example.num_elements()}, random);
  const Tensor graph = GraphLogits(context, net, x);
  const auto packed = (*frozen)->interpreter->Run(x.matrix<float>());
  ASSERT_TRUE(packed.ok()) << packed.status();
  float largest = 1;
  for (const float logit : graph.span<float>()) largest = std::max(largest, std::fabs(logit));
  for (int64_t i = 0; i < graph.num_elements(); ++i) {
    ASSERT_NEAR(packed->data<float>()[i], graph.data<float>()[i], 1e-5 * largest) << "logit " << i;
  }
}

// Quantizers whose values are no codes keep their scale.
TEST(FreezeFloatTest, QuantizersWithoutCodes) {
  for (const char* quantizer :
       {"log_quant(7)", "log_quant(7, scale=0.3)", "log_quant(7, scale=learned)", "log_quant(6, zero=false)",
        "identity(scale=0.5)", "identity(scale=learned)", "exponential_round"}) {
    for (const char* weight : {"sign", "log_quant(4, scale=0.3)", "stochastic_sign(scale=glorot)"}) {
      SCOPED_TRACE(absl::StrCat(quantizer, ", ", weight));
      ParameterStore store(3);
      MlpOptions options = ReluNet(weight);
      options.activation_quantizer = *ParseQuantizer(quantizer);
      Mlp net(store.Root(), options);
      ExpectClose(net, store, {1, options.features}, 3);
    }
  }
}

TEST(FreezeFloatTest, NetsWithoutBatchNorms) {
  for (const char* quantizer : {"identity", "sign", "k_bit(2)"}) {
    SCOPED_TRACE(quantizer);
    ParameterStore store(4);
    MlpOptions options = ReluNet("sign");
    options.activation_quantizer = *ParseQuantizer(quantizer);
    options.normalizes = false;
    Mlp net(store.Root(), options);
    EXPECT_NE(store.Find("hidden1/bias"), nullptr);
    EXPECT_EQ(store.Find("hidden1/norm/gamma"), nullptr);
    ExpectClose(net, store, {1, options.features}, 4);

    ParameterStore conv_store(5);
    ConvNet conv(conv_store.Root(), {.image = {8, 8, 2},
                                     .blocks = {{.filters = 5, .pad = 1, .pool = 2, .pool_stride = 2}},
                                     .hidden = {7},
                                     .classes = 3,
                                     .input = KBit(8),
                                     .activation_quantizer = *ParseQuantizer(quantizer),
                                     .weight = Sign(),
                                     .normalizes = false});
    EXPECT_NE(conv_store.Find("conv1/bias"), nullptr);
    ExpectClose(conv, conv_store, {1, 8 * 8 * 2}, 5);
  }
}

}  // namespace
}  // namespace bitgrad
