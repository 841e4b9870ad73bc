// What cannot be frozen is an error that names the layer, the op and the reason.

#include <cmath>
#include <functional>
#include <limits>
#include <string>

#include "absl/status/status.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/matmul.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

class FunctionModel final : public Model {
 public:
  explicit FunctionModel(std::function<Var(const Var&)> forward) : forward_(std::move(forward)) {}
  Var Forward(const Var& x) override { return forward_(x); }

 private:
  std::function<Var(const Var&)> forward_;
};

std::string ErrorOf(std::function<Var(const Var&)> forward, const Shape& example = {1, 4}) {
  FunctionModel model(std::move(forward));
  ExecContext context({.threads = 1});
  const auto frozen = FreezeToMemory(context, model, example);
  EXPECT_FALSE(frozen.ok());
  return std::string(frozen.status().message());
}

TEST(FreezeErrorsTest, UnknownOpsAreNamedWithTheirLayer) {
  EXPECT_THAT(ErrorOf([](const Var& x) {
                Tape::LayerScope layer(*x.tape(), "attention");
                return MatMul(x, x.tape()->Input(Tensor::Zeros({4, 3})));
              }),
              AllOf(StartsWith("layer 'attention': matmul"), HasSubstr("not in the packed format")));
  EXPECT_THAT(ErrorOf([](const Var& x) {
                Tape::LayerScope layer(*x.tape(), "pool");
                return Sum(x);
              }),
              AllOf(HasSubstr("layer 'pool': sum"), HasSubstr("batch")));
  EXPECT_THAT(ErrorOf([](const Var& x) {
                Tape::LayerScope layer(*x.tape(), "pool");
                return Reshape(Mean(x), {1, 1});
              }),
              HasSubstr("layer 'pool': mean"));
}

TEST(FreezeErrorsTest, AConstantOfTheBatchsShape) {
  EXPECT_THAT(ErrorOf(
                  [](const Var& x) {
                    Tape::LayerScope layer(*x.tape(), "offset");
                    return Add(x, x.tape()->Input(Tensor::Of<float>({2, 4}, {1, 2, 3, 4, 5, 6, 7, 8})));
                  },
                  {2, 4}),
              AllOf(HasSubstr("layer 'offset': add"), HasSubstr("[2, 4]"), HasSubstr("one example")));
}

TEST(FreezeErrorsTest, AWeightThatIsComputed) {
  EXPECT_THAT(ErrorOf([](const Var& x) {
                Tape::LayerScope layer(*x.tape(), "self");
                return Linear(x, x);
              }),
              AllOf(HasSubstr("layer 'self': linear"), HasSubstr("weight that is computed")));
}

TEST(FreezeErrorsTest, InputScalesThatDependOnTheData) {
  for (const char* quantizer : {"dorefa_weight(1)", "dorefa_weight(3)"}) {
    ParameterStore store(1);
    Dense dense(store.Root() / "fc", {.in = 4, .out = 2, .input = *ParseQuantizer(quantizer), .weight = Sign()});
    EXPECT_THAT(ErrorOf([&](const Var& x) { return dense(x); }),
                AllOf(HasSubstr("layer 'fc': quantize"), HasSubstr(quantizer), HasSubstr("depends on each batch")));
    EXPECT_THAT(ErrorOf([&](const Var& x) {
                  Tape::LayerScope layer(*x.tape(), "alone");
                  return Quantize(x, *ParseQuantizer(quantizer));
                }),
                AllOf(HasSubstr("layer 'alone': quantize"), HasSubstr(quantizer)));
  }
}

TEST(FreezeErrorsTest, AModelThatComputesNothing) {
  EXPECT_THAT(ErrorOf([](const Var& x) { return x; }), HasSubstr("does not return a value computed from its input"));
  EXPECT_THAT(ErrorOf([](const Var&) { return Var(); }), HasSubstr("does not return a value computed from its input"));
  EXPECT_THAT(ErrorOf([](const Var& x) {
                return x.tape()->Input(Tensor::Zeros({1, 3}));
              }),
              HasSubstr("does not return a value computed from its input"));
  EXPECT_THAT(ErrorOf([](const Var& x) {
                const Var a = x.tape()->Input(Tensor::Zeros({1, 3}));
                return Add(a, a);
              }),
              HasSubstr("does not return a value computed from its input"));
}

TEST(FreezeErrorsTest, TheModelsOwnErrorComesThrough) {
  ParameterStore store(1);
  Dense dense(store.Root() / "fc", {.in = 5, .out = 2});
  EXPECT_THAT(ErrorOf([&](const Var& x) { return dense(x); }), AllOf(HasSubstr("fc"), HasSubstr("linear")));
}

TEST(FreezeErrorsTest, TheExampleNeedsABatch) {
  FunctionModel model([](const Var& x) { return Mul(x, x); });
  ExecContext context({.threads = 1});
  for (const Shape& shape : {Shape({4}), Shape({0, 4})}) {
    const auto frozen = Freeze(context, model, Tensor::Zeros(shape), {});
    EXPECT_THAT(std::string(frozen.status().message()), HasSubstr("batch of at least 1")) << shape.ToString();
  }
  EXPECT_FALSE(Freeze(context, model, Tensor(), {}).ok());
}

// A damaged parameter, in a batch norm that folds and in one that does not, of each kind.
TEST(FreezeErrorsTest, BatchNormsThatAreNotFinite) {
  for (const char* path : {"hidden1", "output"}) {
    for (const char* name : {"gamma", "beta", "running_mean", "running_statistic"}) {
      for (const float bad : {std::numeric_limits<float>::quiet_NaN(), std::numeric_limits<float>::infinity()}) {
        // An infinite variance is a scale of zero.
        if (std::string(name) == "running_statistic" && std::isinf(bad)) continue;
        ParameterStore store(1);
        Mlp net(store.Root(), {.features = 5,
                               .hidden = {7},
                               .classes = 3,
                               .input = KBit(8),
                               .activation_quantizer = Sign(),
                               .weight = Sign()});
        store.Find(std::string(path) + "/norm/" + name)->value.mutable_data<float>()[2] = bad;
        ExecContext context({.threads = 1});
        const auto frozen = FreezeToMemory(context, net, {1, 5});
        EXPECT_FALSE(frozen.ok()) << path << " " << name << " " << bad;
        EXPECT_THAT(std::string(frozen.status().message()), HasSubstr(path)) << name << " " << bad;
      }
    }
  }
}

TEST(FreezeErrorsTest, WeightsThatAreNotFinite) {
  for (const char* quantizer : {"sign", "identity", "k_bit(3)", "dorefa_weight(1)"}) {
    ParameterStore store(1);
    Mlp net(store.Root(), {.features = 5, .hidden = {7}, .classes = 3, .weight = *ParseQuantizer(quantizer)});
    store.Find("hidden1/weight")->value.mutable_data<float>()[4] = std::nanf("");
    ExecContext context({.threads = 1});
    EXPECT_THAT(std::string(FreezeToMemory(context, net, {1, 5}).status().message()),
                AllOf(HasSubstr("hidden1/weight"), HasSubstr("NaN")))
        << quantizer;
  }
}

}  // namespace
}  // namespace bitgrad
