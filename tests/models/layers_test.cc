// Layers, Mlp and the store that owns their parameters.

#include <cmath>
#include <string>
#include <vector>

#include "bitgrad/models/layers/activation.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/dropout.h"
#include "bitgrad/models/layers/pool.h"
#include "bitgrad/models/layers/sequential.h"
#include "bitgrad/models/mlp.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

std::vector<std::string> Names(const ParameterStore& store) {
  std::vector<std::string> names;
  for (const Parameter* parameter : store.parameters()) names.push_back(parameter->name);
  return names;
}

std::string Message(const ParameterStore& store) { return std::string(store.status().message()); }

// What comes after an error gets no memory, or a wrong width would ask for all there is.
TEST(ScopeTest, NothingIsAllocatedAfterAnError) {
  ParameterStore store(1);
  const Scope root = store.Root();
  root.NewParameter("w", {int64_t{1} << 36, 16}, Initializer::Constant(1));
  EXPECT_THAT(Message(store), AllOf(HasSubstr("'w'"), HasSubstr("memory")));
  EXPECT_EQ(root.NewParameter("v", {int64_t{1} << 31}, Initializer::Constant(1)).value.num_elements(), 0);
}

// Uniform in [-bound, bound): inside, centred, and near both ends.
void ExpectUniform(const Tensor& tensor, float bound) {
  float least = bound, largest = -bound;
  double sum = 0, squares = 0;
  for (const float v : tensor.span<float>()) {
    ASSERT_GE(v, -bound);
    ASSERT_LT(v, bound);
    least = std::min(least, v);
    largest = std::max(largest, v);
    sum += v;
    squares += double{v} * v;
  }
  const double n = static_cast<double>(tensor.num_elements());
  const double deviation = bound / std::sqrt(3.0);
  EXPECT_LT(least, -0.98f * bound);
  EXPECT_GT(largest, 0.98f * bound);
  EXPECT_NEAR(sum / n, 0, 5 * deviation / std::sqrt(n));
  EXPECT_NEAR(squares / n, deviation * deviation, 0.1 * deviation * deviation);
}

TEST(DenseTest, QuantizedWeightsStartInTheClipAndStayThere) {
  for (const float clip : {1.0f, 0.25f, 3.0f}) {
    ParameterStore store(3);
    const Dense dense(store.Root() / "fc", {.in = 50, .out = 40, .weight = Sign(), .clip = clip});
    ASSERT_TRUE(store.status().ok());
    const Parameter& weight = *store.Find("fc/weight");
    EXPECT_EQ(weight.value.shape(), Shape({40, 50}));
    ExpectUniform(weight.value, clip);
    EXPECT_EQ(weight.least, -clip);
    EXPECT_EQ(weight.most, clip);
    EXPECT_EQ(weight.kind, ParameterKind::kQuantizedWeight);
    EXPECT_TRUE(weight.is_binary() && weight.decays && weight.trainable);
    EXPECT_EQ(weight.fan_in, 50);
    EXPECT_EQ(weight.fan_out, 40);
  }
}

TEST(DenseTest, FloatWeightsStartInGlorotsRangeWithoutClip) {
  ParameterStore store(3);
  const Dense dense(store.Root() / "fc", {.in = 50, .out = 40, .bias = true});
  const Parameter& weight = *store.Find("fc/weight");
  ExpectUniform(weight.value, std::sqrt(6.0f / 90));
  EXPECT_TRUE(std::isinf(weight.least) && std::isinf(weight.most));
  EXPECT_EQ(weight.kind, ParameterKind::kWeight);
  EXPECT_EQ(store.Find("fc/bias")->kind, ParameterKind::kOther);
  EXPECT_THAT(Names(store), ElementsAre("fc/weight", "fc/bias"));
  EXPECT_EQ(store.Find("fc/bias")->value.shape(), Shape({40}));
  for (const float b : store.Find("fc/bias")->value.span<float>()) EXPECT_EQ(b, 0);
  EXPECT_FALSE(store.Find("fc/bias")->decays);
}

TEST(DenseTest, InitialValuesFollowFromSeedAndOrder) {
  const auto weights = [](uint64_t seed, const char* first) {
    ParameterStore store(seed);
    const Dense a(store.Root() / first, {.in = 5, .out = 4, .weight = Sign()});
    const Dense b(store.Root() / "b", {.in = 5, .out = 4, .weight = Sign()});
    const auto one = store.parameters()[0]->value.span<float>();
    const auto two = store.parameters()[1]->value.span<float>();
    EXPECT_NE(one, two) << "two layers start alike";
    return std::vector<float>(two.begin(), two.end());
  };
  EXPECT_EQ(weights(1, "a"), weights(1, "other"));
  EXPECT_NE(weights(1, "a"), weights(2, "a"));
}

TEST(DenseTest, SizesThatMakeNoSenseAreTheStoresError) {
  const auto message = [](const DenseOptions& options) {
    ParameterStore store(1);
    Dense dense(store.Root() / "fc", options);
    EXPECT_FALSE(store.status().ok());
    // The object is usable all the same; the tape reports what it is applied to.
    ExecContext context({.threads = 1});
    Tape tape(context);
    dense(tape.Input(Tensor::Zeros({2, 3})));
    EXPECT_FALSE(tape.status().ok());
    return Message(store);
  };
  EXPECT_THAT(message({.in = 0, .out = 5}), AllOf(HasSubstr("'fc'"), HasSubstr("[5, 0]")));
  EXPECT_THAT(message({.in = 5, .out = 0}), AllOf(HasSubstr("'fc'"), HasSubstr("[0, 5]")));
  EXPECT_THAT(message({.in = -4, .out = 5}), AllOf(HasSubstr("'fc'"), HasSubstr("-4")));
  EXPECT_THAT(message({.in = 4, .out = -5, .weight = Sign()}), AllOf(HasSubstr("'fc'"), HasSubstr("-5")));
  EXPECT_THAT(message({.in = int64_t{1} << 40, .out = int64_t{1} << 40}), HasSubstr("'fc'"));
  EXPECT_THAT(message({.in = int64_t{1} << 32, .out = 1024}), HasSubstr("'fc'"));
}

TEST(DenseTest, TheClipHasToBePositive) {
  for (const float clip : {0.0f, -1.0f, std::nanf("")}) {
    ParameterStore store(1);
    const Dense dense(store.Root() / "fc", {.in = 3, .out = 5, .weight = Sign(), .clip = clip});
    EXPECT_THAT(Message(store), AllOf(HasSubstr("layer 'fc'"), HasSubstr("clip"), HasSubstr("positive")));
  }
}

TEST(BatchNormTest, Parameters) {
  ParameterStore store(1);
  const BatchNorm norm(store.Root() / "bn", {.features = 7});
  EXPECT_THAT(Names(store), ElementsAre("bn/gamma", "bn/beta", "bn/running_mean", "bn/running_statistic"));
  const float initial[] = {1, 0, 0, 1};
  const bool trainable[] = {true, true, false, false};
  for (int i = 0; i < 4; ++i) {
    const Parameter& parameter = *store.parameters()[i];
    EXPECT_EQ(parameter.value.shape(), Shape({7}));
    for (const float v : parameter.value.span<float>()) EXPECT_EQ(v, initial[i]);
    EXPECT_EQ(parameter.trainable, trainable[i]) << parameter.name;
    EXPECT_FALSE(parameter.decays);
  }
  EXPECT_EQ(store.trainable_elements(), 14);
}

TEST(BatchNormTest, FeaturesHaveToBePositive) {
  for (const int64_t features : {0, -3}) {
    ParameterStore store(1);
    const BatchNorm norm(store.Root() / "bn", {.features = features});
    EXPECT_THAT(Message(store), HasSubstr("layer 'bn'")) << features;
  }
}

TEST(ScopeTest, PathsAndRoot) {
  ParameterStore store(1);
  const Scope root = store.Root();
  EXPECT_EQ(root.path(), "");
  EXPECT_EQ((root / "a").path(), "a");
  EXPECT_EQ((root / "a" / "b").path(), "a/b");
  root.NewParameter("w", {2}, Initializer::Constant(5));
  EXPECT_EQ(store.parameters()[0]->name, "w");
  EXPECT_EQ(store.Find("w"), store.parameters()[0]);
  EXPECT_EQ(store.Find("v"), nullptr);
}

TEST(ScopeTest, ANameUsedTwiceIsAnErrorAndTheFirstErrorStays) {
  ParameterStore store(1);
  const Dense a(store.Root() / "fc", {.in = 3, .out = 3});
  ASSERT_TRUE(store.status().ok());
  const Dense b(store.Root() / "fc", {.in = 3, .out = 3});
  EXPECT_THAT(Message(store), AllOf(HasSubstr("layer 'fc'"), HasSubstr("'weight' exists already")));
  const Dense c(store.Root() / "other", {.in = -1, .out = 3});
  EXPECT_THAT(Message(store), HasSubstr("exists already"));
}

TEST(ActivationTest, EveryNameAndAnUnknownOne) {
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  const float values[] = {-2, -0.5f, 0, 0.5f, 2};
  const Var x = tape.Input(Tensor::Of<float>({5}, values));
  ParameterStore store(1);
  for (const ActivationInfo& info : AllActivations()) {
    const bool is_spline = std::string(info.name) == "spline";
    const auto form = ActivationForm::Parse(is_spline ? "spline(5, 1)" : info.name);
    ASSERT_TRUE(form.ok()) << form.status();
    Activation activation(*form, store.Root() / info.name, 5);
    const Var y = activation(x);
    EXPECT_EQ(y.shape(), Shape({5})) << info.name;
    const auto value = tape.Value(y);
    ASSERT_TRUE(value.ok()) << info.name;
    for (int i = 1; i < 5; ++i) EXPECT_GE((*value)->data<float>()[i], (*value)->data<float>()[i - 1]);
  }
  EXPECT_TRUE(store.status().ok());
  EXPECT_THAT(Names(store), ElementsAre("prelu/prelu/slope", "spline/spline/coefficients"));
  for (const char* text :
       {"relu(3)", "spline", "spline(", "spline(21)", "spline(20, 1)", "spline(21, 0)", "spline(21, -1)",
        "spline(21, nan)", "spline(21, inf)", "spline(21, 1, cosine)", "spline(21, 1, threshold=-1)"}) {
    EXPECT_THAT(std::string(ActivationForm::Parse(text).status().message()), HasSubstr(std::string("'") + text + "'"));
  }
  EXPECT_TRUE(ActivationForm::Parse(" spline( 21 , 1 ) ").ok());
  EXPECT_THAT(std::string(ActivationForm::Parse("spline(20, 1)").status().message()), HasSubstr("odd number"));
  EXPECT_THAT(std::string(ActivationForm::Parse("softplus").status().message()),
              AllOf(HasSubstr("'softplus'"), HasSubstr("identity, relu, leaky_relu, hardtanh, sigmoid, tanh")));
}

TEST(MlpTest, ParametersInOrder) {
  ParameterStore store(1);
  const Mlp mlp(store.Root(), {.features = 6, .hidden = {5, 4}, .classes = 3, .weight = Sign()});
  ASSERT_TRUE(store.status().ok());
  std::vector<std::string> expected;
  for (const char* layer : {"hidden1", "hidden2", "output"}) {
    for (const char* name : {"weight", "norm/gamma", "norm/beta", "norm/running_mean", "norm/running_statistic"}) {
      expected.push_back(std::string(layer) + "/" + name);
    }
  }
  EXPECT_EQ(Names(store), expected);
  EXPECT_EQ(store.Find("hidden1/weight")->value.shape(), Shape({5, 6}));
  EXPECT_EQ(store.Find("hidden2/weight")->value.shape(), Shape({4, 5}));
  EXPECT_EQ(store.Find("output/weight")->value.shape(), Shape({3, 4}));
  EXPECT_EQ(store.trainable_elements(), 30 + 10 + 20 + 8 + 12 + 6);
}

TEST(MlpTest, WithoutHiddenLayersItIsLinear) {
  ParameterStore store(1);
  Mlp mlp(store.Root(), {.features = 6, .hidden = {}, .classes = 3});
  EXPECT_EQ(store.parameters().size(), 5u);
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  EXPECT_EQ(mlp.Forward(tape.Input(Tensor::Zeros({2, 6}))).shape(), Shape({2, 3}));
  EXPECT_TRUE(tape.status().ok());
}

TEST(MlpTest, Errors) {
  const auto message = [](const MlpOptions& options) {
    ParameterStore store(1);
    const Mlp mlp(store.Root(), options);
    return Message(store);
  };
  EXPECT_THAT(message({.features = 6, .hidden = {5, 0}, .classes = 3}), HasSubstr("hidden2"));
  EXPECT_THAT(message({.features = 0, .hidden = {5}, .classes = 3}), HasSubstr("hidden1"));
  EXPECT_THAT(message({.features = 6, .hidden = {5}, .classes = -3}), HasSubstr("output"));
  EXPECT_THAT(message({.features = 6, .hidden = {5}, .classes = 3, .activation = "softplus"}), HasSubstr("softplus"));
}

TEST(MlpTest, AWrongInputIsTheTapesErrorAndNamesTheLayer) {
  ParameterStore store(1);
  Mlp mlp(store.Root(), {.features = 6, .hidden = {5}, .classes = 3});
  ExecContext context({.threads = 1});
  Tape tape(context);
  mlp.Forward(tape.Input(Tensor::Zeros({2, 7})));
  EXPECT_THAT(std::string(tape.status().message()), AllOf(HasSubstr("hidden1"), HasSubstr("[2, 7]")));
  // Of no tape at all: no crash.
  EXPECT_EQ(mlp.Forward(Var()).tape(), nullptr);
}

// BNN drops after binarizing: training sees {-1/keep, 0, 1/keep} times signs.
TEST(DenseTest, DropoutIsOnTheQuantizedInput) {
  ParameterStore store(1);
  Dense dense(store.Root() / "fc", {.in = 400, .out = 1, .input = Sign(), .weight = Sign(), .input_keep = 0.5f});
  for (float& w : store.Find("fc/weight")->value.mutable_span<float>()) w = 0.3f;
  Tensor x({1, 400}, DType::kFloat32);
  for (float& v : x.mutable_span<float>()) v = 0.01f;
  ExecContext context({.threads = 1});
  float first = 0;
  for (int step = 0; step < 2; ++step) {
    Tape tape(context);
    const Var y = dense(tape.Input(x));
    const float sum = (*tape.Value(y))->data<float>()[0];
    EXPECT_EQ(std::fmod(sum, 2.0f), 0) << "each kept input counts 2";
    EXPECT_NEAR(sum, 400, 2 * 5 * std::sqrt(400 * 0.25));
    if (step == 0) {
      first = sum;
    } else {
      EXPECT_NE(sum, first) << "the mask of the step before";
    }
  }
  Tape tape(context, Mode::kEval);
  const Var y = dense(tape.Input(x));
  EXPECT_EQ((*tape.Value(y))->data<float>()[0], 400);
}

TEST(SequentialTest, AppliesLayersInOrder) {
  ParameterStore store(1);
  Sequential net;
  net.Add<Dense>(store.Root() / "fc1", DenseOptions{.in = 3, .out = 2});
  net.Add<BatchNorm>(store.Root() / "bn1", BatchNormLayerOptions{.features = 2});
  net.Add<Activation>(*ActivationForm::Parse("relu"), store.Root() / "relu1", 2);
  net.Add<Dropout>(0.5f);
  ExecContext context({.threads = 1});
  Tape tape(context, Mode::kEval);
  EXPECT_EQ(net(tape.Input(Tensor::Zeros({4, 3}))).shape(), Shape({4, 2}));
  std::vector<std::string> ops;
  for (const Tape::Node& node : tape.nodes()) {
    if (!node.inputs.empty()) ops.push_back(std::string(node.descriptor.op));
  }
  EXPECT_EQ(ops.at(0), "linear");
  EXPECT_EQ(ops.at(1), "batch_norm");
  EXPECT_EQ(ops.at(2), "relu");
}

TEST(UnflattenTest, AnyShapeOfAnExample) {
  ExecContext context({.threads = 1});
  const auto shape = [&](const Shape& example) {
    Tape tape(context);
    const Shape result = Unflatten(example)(tape.Input(Tensor::Zeros({2, 784}))).shape();
    return tape.status().ok() ? result.ToString() : std::string(tape.status().message());
  };
  EXPECT_EQ(shape({28, 28, 1}), "[2, 28, 28, 1]");
  EXPECT_EQ(shape({28, 28}), "[2, 28, 28]");
  EXPECT_EQ(shape({784}), "[2, 784]");
  EXPECT_EQ(shape({}), "[1568]");
  EXPECT_EQ(shape({28, 3}), "reshape: shape [2, 784] of 1568 elements does not fit into [-1, 28, 3]");
  EXPECT_THAT(shape({-1, 28}), HasSubstr("more than one -1 or a negative extent"));
}

TEST(DropoutTest, AKeepOutOfRangeIsTheTapesError) {
  for (const float keep : {0.0f, -1.0f, 1.5f}) {
    ExecContext context({.threads = 1});
    Tape tape(context);
    Dropout dropout(keep);
    dropout(tape.Input(Tensor::Zeros({4, 3})));
    EXPECT_THAT(std::string(tape.status().message()), HasSubstr("keep")) << keep;
  }
}

}  // namespace
}  // namespace bitgrad
