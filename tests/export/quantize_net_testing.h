// Float nets with random batch norms, and what quantizing after training makes of them.

#ifndef BITGRAD_TESTS_EXPORT_QUANTIZE_NET_TESTING_H_
#define BITGRAD_TESTS_EXPORT_QUANTIZE_NET_TESTING_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <random>
#include <string>
#include <utility>

#include "bitgrad/export/quantize_net.h"
#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/residual.h"
#include "bitgrad/models/sequential_model.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline constexpr int64_t kSide = 8, kChannels = 3, kFeatures = kSide * kSide * kChannels, kClasses = 10;
inline constexpr int64_t kSimulated = 1000;

class Net : public SequentialModel {
 public:
  explicit Net(const std::function<void(Sequential&)>& fill) { fill(layers_); }
};

inline void AddConv(Sequential& net, const Scope& scope, int64_t in, int64_t out, int64_t kernel = 3,
                    int64_t stride = 1, bool bias = false) {
  net.Add<Conv2d>(
      scope, Conv2dOptions{.in = in, .out = out, .kernel = kernel, .stride = stride, .pad = kernel / 2, .bias = bias});
}

inline void AddNorm(Sequential& net, const Scope& scope, int64_t features) {
  net.Add<BatchNorm>(scope, BatchNormLayerOptions{.features = features});
}

// A function that has no parameters, so that nothing of the store is left in the layer.
inline void AddFunction(Sequential& net, const char* name) {
  ParameterStore none(/*seed=*/0);
  net.Add<Activation>(*ActivationForm::Parse(name), none.Root(), /*width=*/1);
}
inline void AddRelu(Sequential& net) { AddFunction(net, "relu"); }

// conv - bn - relu - conv - pool - bn - relu - dense - bn - relu - dense - bn, the pool between product and norm.
inline void Vgg(Sequential& net, const Scope& s) {
  net.Add<Unflatten>(Shape({kSide, kSide, kChannels}));
  AddConv(net, s / "conv1", kChannels, 10);
  AddNorm(net, s / "conv1/norm", 10);
  AddRelu(net);
  AddConv(net, s / "conv2", 10, 20, 3, 1, /*bias=*/true);
  net.Add<MaxPool2d>(s / "pool", PoolOptions{.kernel = 2, .stride = 2});
  AddNorm(net, s / "conv2/norm", 20);
  AddRelu(net);
  net.Add<FlattenLayer>();
  net.Add<Dense>(s / "hidden", DenseOptions{.in = 4 * 4 * 20, .out = 31});
  AddNorm(net, s / "hidden/norm", 31);
  AddRelu(net);
  net.Add<Dense>(s / "output", DenseOptions{.in = 31, .out = kClasses});
  AddNorm(net, s / "output/norm", kClasses);
}

inline std::unique_ptr<Sequential> Body(const Scope& s, int64_t in, int64_t out, int64_t stride) {
  auto body = std::make_unique<Sequential>();
  AddConv(*body, s / "a", in, out, 3, stride);
  AddNorm(*body, s / "a/norm", out);
  AddRelu(*body);
  AddConv(*body, s / "b", out, out);
  AddNorm(*body, s / "b/norm", out);
  return body;
}

// Two residual blocks, one with an identity as shortcut, one with a convolution of stride 2; 4 x 4 averages.
inline void ResNet(Sequential& net, const Scope& s) {
  net.Add<Unflatten>(Shape({kSide, kSide, kChannels}));
  AddConv(net, s / "stem", kChannels, 8);
  AddNorm(net, s / "stem/norm", 8);
  AddRelu(net);
  net.Add<Residual>(s / "block1", Body(s / "block1", 8, 8, 1));
  AddRelu(net);
  auto shortcut = std::make_unique<Sequential>();
  AddConv(*shortcut, s / "block2/shortcut", 8, 18, 1, 2);
  AddNorm(*shortcut, s / "block2/shortcut/norm", 18);
  net.Add<Residual>(s / "block2", Body(s / "block2", 8, 18, 2), std::move(shortcut));
  AddRelu(net);
  net.Add<GlobalAvgPool2d>(s / "average");
  net.Add<Dense>(s / "output", DenseOptions{.in = 18, .out = kClasses, .bias = true});
}

// Sums of pooled values, which no product can be unified with, and codes side by side.
class Branches : public Model {
 public:
  explicit Branches(const Scope& s) {
    left_.Add<Unflatten>(Shape({kSide, kSide, kChannels}));
    AddConv(left_, s / "left", kChannels, 8);
    AddNorm(left_, s / "left/norm", 8);
    AddRelu(left_);
    left_.Add<AvgPool2d>(s / "left/pool", PoolOptions{.kernel = 2, .stride = 2});
    right_.Add<Unflatten>(Shape({kSide, kSide, kChannels}));
    AddConv(right_, s / "right", kChannels, 8, 5);
    right_.Add<MaxPool2d>(s / "right/pool", PoolOptions{.kernel = 2, .stride = 2});
    AddNorm(right_, s / "right/norm", 8);
    top_.Add<FlattenLayer>();
    top_.Add<Dense>(s / "output", DenseOptions{.in = 4 * 4 * 24, .out = kClasses, .bias = true});
  }
  Var Forward(const Var& x) override {
    const Var left = left_(x), right = right_(x);
    return top_(Concat({left, right, Relu(Add(left, right))}));
  }

 private:
  Sequential left_, right_, top_;
};

enum class Kind { kVgg, kResNet, kBranches };

struct Quantized {
  Quantized(Kind kind, int bits, int64_t calibration = 50) : store(3) {
    const Scope root = store.Root();
    if (kind == Kind::kBranches) {
      model = std::make_unique<Branches>(root);
    } else {
      model = std::make_unique<Net>([&](Sequential& net) { kind == Kind::kVgg ? Vgg(net, root) : ResNet(net, root); });
    }
    std::mt19937 random(5);
    RandomizeBatchNorms(store, random);
    images = Tensor({calibration, kFeatures}, DType::kFloat32);
    for (float& v : images.mutable_span<float>()) v = (2.0f * static_cast<float>(random() % 256) - 255.0f) / 255.0f;
    pixels = Tensor({kSimulated, kFeatures}, DType::kUint8);
    for (uint8_t& v : pixels.mutable_span<uint8_t>()) v = static_cast<uint8_t>(random() % 256);
    absl::StatusOr<QuantizedNet> made = QuantizeNet(context, *model, images, {.bits = bits, .name = "net"});
    if (!made.ok()) {
      ADD_FAILURE() << made.status();
      return;
    }
    net = std::make_unique<QuantizedNet>(*std::move(made));
    const absl::StatusOr<std::string> bytes = net->writer.Serialize();
    if (!bytes.ok()) {
      ADD_FAILURE() << bytes.status();
      return;
    }
    auto opened = PackedModel::FromBytes("net", *bytes);
    if (!opened.ok()) {
      ADD_FAILURE() << opened.status();
      return;
    }
    packed = *std::move(opened);
  }

  ExecContext context{{.threads = 1}};
  ParameterStore store;
  std::unique_ptr<Model> model;
  Tensor images, pixels;
  std::unique_ptr<QuantizedNet> net;
  std::unique_ptr<PackedModel> packed;
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_QUANTIZE_NET_TESTING_H_
