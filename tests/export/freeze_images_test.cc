// A thousand images through frozen convolutional and residual nets, with every quantizer that has integer codes as that
// of all activations or of all weights, in equal parts with every variant of batch norm: the graph's logits to the last
// bit. All sums are of integers, in every kernel. An emulated device computes thread by thread, so it gets a few images
// with one of the variants, which is drawn. Seeds are fixed and printed on failure.

#include <cstdint>
#include <iterator>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/layer_quantizer.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/residual.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using FreezeImagesTest = OnTestDevice<testing::Test>;

// Instructions of a kind that predict runs, "conv2d + threshold".
int CountOps(const FrozenModel& frozen, const std::string& op) {
  int count = 0;
  for (const LayerCost& layer : CostOf(*frozen.packed).layers) count += layer.op == op;
  return count;
}

// Quantizes activations where no product follows.
class QuantizeLayer final : public Layer {
 public:
  QuantizeLayer(const Scope& scope, const Quantizer& quantizer)
      : quantizer_(scope / "input", quantizer, QuantizerRole::kActivation, /*rows=*/1) {}
  Var operator()(const Var& x) override { return quantizer_(x); }

 private:
  LayerQuantizer quantizer_;
};

constexpr int64_t kChannels = 6;
const Shape kImage({5, 4, 2});

// Nets of small images whose every product is one of codes.
class ImageNet final : public Model {
 public:
  enum class Kind {
    kConvs,            // with a max pool in front of a batch norm, or behind one, or none
    kResidual,         // two blocks, with a shortcut of floats
    kCodedResidual,    // the same with a shortcut of codes
    kAverages,         // codes are averaged between two convolutions, and quantized again
    kNormalizedMeans,  // the same with a batch norm between mean and quantizer
    kMeansAtBorder,    // windows reach over the border, where they have fewer elements
    kMeansOfMaxima,    // of the largest codes, which the graph has as floats
  };
  struct Options {
    Kind kind = Kind::kConvs;
    Quantizer activation, weight;
    BatchNormOptions norm;
    int variant = 0;  // of padding, pools and activations
  };

  ImageNet(const Scope& scope, const Options& options) : options_(options) {
    layers_.Add<Unflatten>(kImage);
    AddConv(layers_, scope / "stem", kImage.dim(2), *ParseQuantizer("k_bit(8)"), Padding::kZero);
    switch (options.kind) {
      case Kind::kConvs: AddConvs(scope); break;
      case Kind::kResidual:
      case Kind::kCodedResidual:
        AddBlock(scope / "block1");
        AddBlock(scope / "block2");
        break;
      case Kind::kAverages:
      case Kind::kNormalizedMeans:
      case Kind::kMeansAtBorder:
      case Kind::kMeansOfMaxima:
        layers_.Add<QuantizeLayer>(scope / "codes", options.activation);
        if (options.kind == Kind::kMeansOfMaxima) {
          layers_.Add<MaxPool2d>(scope / "maxima", PoolOptions{.kernel = 2, .stride = 1});
        }
        layers_.Add<AvgPool2d>(
            scope / "means",
            PoolOptions{.kernel = {2, 3}, .stride = {1, 1}, .pad = options.kind == Kind::kMeansAtBorder ? 1 : 0});
        if (options.kind == Kind::kNormalizedMeans) AddNorm(layers_, scope / "means");
        AddConv(layers_, scope / "conv", kChannels, options.activation, Padding::kZero);
        break;
    }
    layers_.Add<GlobalMaxPool>();
    layers_.Add<Dense>(scope / "output",
                       DenseOptions{.in = kChannels, .out = 4, .input = options.activation, .weight = options.weight});
  }
  Var Forward(const Var& x) override { return layers_(x); }

 private:
  // The largest of each channel, [N, H, W, C] -> [N, C].
  class GlobalMaxPool final : public Layer {
   public:
    Var operator()(const Var& x) override {
      if (x.tape() == nullptr || x.shape().rank() != 4) return x;
      return Flatten(MaxPool(x, {.kernel = {x.shape().dim(1), x.shape().dim(2)}, .stride = 1}));
    }
  };

  void AddNorm(Sequential& layers, const Scope& scope) {
    layers.Add<BatchNorm2d>(scope / "norm", BatchNormLayerOptions{.features = kChannels, .norm = options_.norm});
  }
  void AddConv(Sequential& layers, const Scope& scope, int64_t in, const Quantizer& input, Padding padding,
               bool pool = false) {
    layers.Add<Conv2d>(scope, Conv2dOptions{.in = in,
                                            .out = kChannels,
                                            .kernel = 3,
                                            .pad = 1,
                                            .padding = padding,
                                            .input = input,
                                            .weight = options_.weight,
                                            .bias = options_.variant % 3 == 0});
    if (pool) layers.Add<MaxPool2d>(scope / "pool", PoolOptions{.kernel = 2, .stride = 1});
    AddNorm(layers, scope);
  }
  void AddConvs(const Scope& scope) {
    const int variant = options_.variant;
    if (variant % 3 == 0) layers_.Add<MaxPool2d>(scope / "pool", PoolOptions{.kernel = 2, .stride = 1});
    // +1 and -1 are values of sign only.
    const Padding padding = options_.activation.ToString() != "sign" ? Padding::kZero
                            : variant % 2 == 0                       ? Padding::kPlusOne
                                                                     : Padding::kMinusOne;
    AddConv(layers_, scope / "conv", kChannels, options_.activation, padding, /*pool=*/variant % 3 == 1);
    if (variant % 2 == 0) {
      layers_.Add<Activation>(*ActivationForm::Parse("leaky_relu"), scope / "activation", kChannels);
    }
  }
  void AddBlock(const Scope& scope) {
    const bool coded = options_.kind == Kind::kCodedResidual;
    if (coded) layers_.Add<QuantizeLayer>(scope / "codes", options_.activation);
    auto body = std::make_unique<Sequential>();
    AddConv(*body, scope / "conv", kChannels, coded ? Quantizer() : options_.activation, Padding::kZero);
    layers_.Add<Residual>(scope, std::move(body));
  }

  Options options_;
  Sequential layers_;
};

// How many chains end in thresholds, "conv2d + threshold" and "average_pool + threshold".
struct Thresholded {
  int convs, averages;
};
Thresholded ThresholdedOf(const ImageNet::Options& options) {
  if (options.activation.encoding().largest_stored() > 15 || !options.activation.info().monotone) return {0, 0};
  switch (options.kind) {
    case ImageNet::Kind::kConvs: return {options.variant % 3 == 1 ? 1 : 2, 0};  // a chain has one pool
    case ImageNet::Kind::kResidual: return {0, 0};
    // The sums of floats are quantized as such; the stem's are not.
    case ImageNet::Kind::kCodedResidual: return {1, 0};
    case ImageNet::Kind::kAverages:
    case ImageNet::Kind::kNormalizedMeans: return {2, 1};
    case ImageNet::Kind::kMeansAtBorder:
    case ImageNet::Kind::kMeansOfMaxima: return {2, 0};
  }
  return {0, 0};
}

// `kernel`: what inspect says of averages, or of the sums of residual nets, if that is to be looked at.
void ExpectTheGraphsLogits(const ImageNet::Options& options, uint32_t seed, int64_t images, const char* kernel = "") {
  SCOPED_TRACE(absl::StrCat("seed ", seed, ": kind ", static_cast<int>(options.kind), ", activations ",
                            options.activation.ToString(), ", weights ", options.weight.ToString(), ", variant ",
                            options.variant, ", placement ", static_cast<int>(options.norm.placement), ", statistic ",
                            static_cast<int>(options.norm.statistic)));
  std::mt19937 random(seed);
  ParameterStore store(seed);
  ImageNet net(store.Root(), options);
  ASSERT_TRUE(store.status().ok()) << store.status();
  RandomizeBatchNorms(store, random, random() % 2 == 0 ? 1.0f : 1.0f / 255);
  ExecContext context({.threads = 1 + static_cast<int>(random() % 2)});
  const bool one_by_one = random() % 8 == 0;
  const auto frozen = ExpectBitEqual(context, net, {1, kImage.num_elements()}, images, random, one_by_one);
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(CostOf(*frozen->packed).float_layers, 0);
  const Thresholded expected = ThresholdedOf(options);
  EXPECT_EQ(CountOps(*frozen, "conv2d + threshold"), expected.convs);
  EXPECT_EQ(CountOps(*frozen, "average_pool + threshold"), expected.averages);
  if (*kernel == 0) return;
  int seen = 0;
  for (const LayerCost& layer : CostOf(*frozen->packed).layers) {
    if (layer.op.substr(0, 12) != "average_pool" && layer.op != "binary") continue;
    if (layer.layer.find("conv") != std::string::npos) continue;  // a bias
    EXPECT_EQ(layer.kernel, kernel) << layer.layer;
    ++seen;
  }
  EXPECT_GE(seen, 1);
}

// A thousand images in equal parts through nets with each variant of batch norm. What else varies, `other` draws.
template <typename Other>
void ExpectTheGraphsLogitsWithEveryNorm(ImageNet::Options options, uint32_t& seed, const Other& other) {
  for (uint32_t i = 0; i < kNormVariants; ++i, ++seed) {
    if (TestDevice() != Device::kCpu && i != std::mt19937(seed / kNormVariants)() % kNormVariants) continue;
    std::mt19937 random(~seed);  // other numbers than the net's
    options.norm = NormOf(seed);
    options.variant = static_cast<int>(random() % 6);
    other(random, options);
    ExpectTheGraphsLogits(options, seed, ImagesOnDevice(1000 / kNormVariants, 3));
  }
}

template <typename Texts>
Quantizer Pick(std::mt19937& random, const Texts& texts) {
  return *ParseQuantizer(texts[random() % std::size(texts)]);
}

TEST_F(FreezeImagesTest, EveryActivationQuantizer) {
  constexpr const char* kWeights[] = {
      "sign", "ternary", "k_bit(2)", "lsq(3)", "xnor", "lsq(2, per_output)", "dorefa_weight(2)"};
  uint32_t seed = 0;
  for (const Quantizer& activation : IntegerQuantizers(QuantizerRole::kActivation)) {
    for (const auto kind : {ImageNet::Kind::kConvs, ImageNet::Kind::kResidual, ImageNet::Kind::kCodedResidual,
                            ImageNet::Kind::kAverages, ImageNet::Kind::kNormalizedMeans}) {
      ExpectTheGraphsLogitsWithEveryNorm(
          {.kind = kind, .activation = activation}, seed,
          [&](std::mt19937& random, ImageNet::Options& options) { options.weight = Pick(random, kWeights); });
      if (HasFailure()) return;
    }
  }
}

TEST_F(FreezeImagesTest, EveryWeightQuantizer) {
  constexpr const char* kActivations[] = {"sign", "dorefa_activation(2)", "lsq(3)", "pact(4)", "ternary"};
  uint32_t seed = 1000 * kNormVariants;
  for (const Quantizer& weight : IntegerQuantizers(QuantizerRole::kWeight)) {
    for (const auto kind : {ImageNet::Kind::kConvs, ImageNet::Kind::kResidual}) {
      ExpectTheGraphsLogitsWithEveryNorm(
          {.kind = kind, .weight = weight}, seed,
          [&](std::mt19937& random, ImageNet::Options& options) { options.activation = Pick(random, kActivations); });
      if (HasFailure()) return;
    }
  }
}

// What works on floats in the graph does so in the packed model, and the table of inspect says it.
TEST_F(FreezeImagesTest, WhatIsNoSumOfIntegers) {
  constexpr struct {
    ImageNet::Kind kind;
    const char* kernel;
  } kCases[] = {{ImageNet::Kind::kAverages, "sums of codes"},
                {ImageNet::Kind::kMeansAtBorder, "sums of codes"},
                {ImageNet::Kind::kMeansOfMaxima, "floats (float input)"},
                {ImageNet::Kind::kCodedResidual, "floats (of two values, which thresholds cannot compare)"}};
  uint32_t seed = 2001;
  for (const char* text : {"sign(scale=0.3)", "dorefa_activation(2)", "lsq(3)", "k_bit(2)", "pact(4)"}) {
    for (const auto& [kind, kernel] : kCases) {
      const ImageNet::Options options = {.kind = kind,
                                         .activation = *ParseQuantizer(text),
                                         .weight = *ParseQuantizer("lsq(2)"),
                                         .norm = NormOf(seed),
                                         .variant = 1};  // without a bias
      ExpectTheGraphsLogits(options, seed++, ImagesOnDevice(1000, 3), kernel);
    }
  }
}

}  // namespace
}  // namespace bitgrad
