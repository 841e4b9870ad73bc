// Frozen nets with learned splines give the graph's answers to the last bit.

#include <memory>
#include <random>
#include <string>

#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// A convolution, dense layers, and codes behind splines, which are not monotone: their chains must not fold.
class SplineNet final : public Model {
 public:
  SplineNet(const Scope& scope, const std::string& activation, bool quantized) {
    const ActivationForm form = *ActivationForm::Parse(activation);
    const Quantizer weight = quantized ? Sign() : Quantizer(), input = quantized ? Sign() : Quantizer();
    layers_.Add<Unflatten>(Shape({6, 6, 2}));
    layers_.Add<Conv2d>(
        scope / "conv",
        Conv2dOptions{
            .in = 2, .out = 5, .kernel = 3, .pad = 1, .input = quantized ? KBit(8) : Quantizer(), .weight = weight});
    layers_.Add<BatchNorm2d>(scope / "conv" / "norm", BatchNormLayerOptions{.features = 5});
    layers_.Add<Activation>(form, scope / "conv", 5);
    layers_.Add<MaxPool2d>(scope / "pool", PoolOptions{.kernel = 2, .stride = 2});
    layers_.Add<FlattenLayer>();
    layers_.Add<Dense>(scope / "fc1", DenseOptions{.in = 45, .out = 33, .input = input, .weight = weight});
    layers_.Add<BatchNorm>(scope / "fc1" / "norm", BatchNormLayerOptions{.features = 33});
    layers_.Add<Activation>(form, scope / "fc1", 33);
    layers_.Add<Dense>(scope / "fc2", DenseOptions{.in = 33, .out = 3, .input = input, .weight = weight});
  }
  Var Forward(const Var& x) override { return layers_(x); }

 private:
  Sequential layers_;
};

using FreezeSplineTest = OnTestDevice<testing::Test>;

TEST_F(FreezeSplineTest, HasTheGraphsBits) {
  uint32_t seed = 1;
  for (const std::string activation : {"spline(21, 1)", "spline(3, 0.5, even_odd)", "spline(51, 4, linear)",
                                       "spline(9, 1, linear, threshold=0.3)", "prelu"}) {
    for (const bool quantized : {false, true}) {
      // Another device may add up floats in another order.
      if (!quantized && TestDevice() != Device::kCpu) continue;
      SCOPED_TRACE(activation + (quantized ? " of signs" : " of floats"));
      std::mt19937 random(seed++);
      ParameterStore store(seed);
      SplineNet net(store.Root(), activation, quantized);
      ASSERT_TRUE(store.status().ok()) << store.status();
      RandomizeBatchNorms(store, random);
      for (Parameter* parameter : store.parameters()) {
        if (parameter->kind != ParameterKind::kSpline) continue;
        for (float& value : parameter->value.mutable_span<float>()) {
          value += std::uniform_real_distribution<float>(-0.5f, 0.5f)(random);
        }
      }
      ExecContext context({.threads = 2});
      const auto frozen =
          ExpectBitEqual(context, net, {1, 72}, ImagesOnDevice(40, 6), random, /*one_by_one=*/quantized);
      ASSERT_NE(frozen, nullptr);
      int splines = 0;
      for (const auto& instruction : frozen->packed->header().instructions()) splines += instruction.has_spline();
      EXPECT_EQ(splines, activation == "prelu" ? 0 : 2);
    }
  }
}

}  // namespace
}  // namespace bitgrad
