// Layers of recurrent cells: values, gradients, states, and what their products multiply.

#include "bitgrad/models/layers/recurrent.h"

#include <algorithm>
#include <cmath>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/max_abs.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/xnor.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/reference/recurrent.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr int64_t kSteps = 4, kStreams = 3, kIn = 5, kHidden = 6;

struct CellCase {
  const char* name;
  RecurrentCell cell;
  reference::Cell reference;
};
constexpr CellCase kCells[] = {{"lstm", RecurrentCell::kLstm, reference::Cell::kLstm},
                               {"gru", RecurrentCell::kGru, reference::Cell::kGru},
                               {"tanh", RecurrentCell::kRnnTanh, reference::Cell::kRnnTanh},
                               {"relu", RecurrentCell::kRnnRelu, reference::Cell::kRnnRelu}};

std::vector<double> Doubles(const Tensor& tensor) { return {tensor.span<float>().begin(), tensor.span<float>().end()}; }

ExecContext::Options OneThread() {
  return {.device = TestDevice(), .threads = 1, .backward = BackwardPrecision::kFloat32};
}

// A layer "r" with random parameters, on the context's device, and beginning states.
struct Fixture {
  explicit Fixture(RecurrentOptions options, uint64_t seed = 5) : random(seed), options(Sized(options)) {
    EXPECT_TRUE(store.status().ok()) << store.status();
    for (Parameter* parameter : store.parameters()) {
      if (parameter->kind == ParameterKind::kQuantizerVariable) continue;
      parameter->value = ToDevice(context, random.UniformTensor(parameter->value.shape(), -0.9f, 0.9f));
    }
    for (const char* name : {"r/h", "r/c"}) {
      beginning.push_back(random.UniformTensor({kStreams, kHidden}, -0.9f, 0.9f));
      if (options.cell != RecurrentCell::kLstm && name[2] == 'c') continue;
      EXPECT_TRUE(states.Set(name, beginning.back()).ok());
    }
  }
  static RecurrentOptions Sized(RecurrentOptions options) {
    options.in = kIn;
    options.hidden = kHidden;
    return options;
  }
  Tensor Value(const char* name) { return ToHost(context, store.Find(std::string("r/") + name)->value).Clone(); }
  Tensor RandomInput(int64_t steps = kSteps) { return random.UniformTensor({steps, kStreams, kIn}, -1, 1); }
  // The layer as the slow formula sees it. Weights pass `weight`.
  reference::RecurrentLayer Reference(const std::function<double(double)>& weight = nullptr) {
    reference::RecurrentLayer layer{.cell = kCells[static_cast<int>(options.cell)].reference,
                                    .in = kIn,
                                    .hidden = kHidden,
                                    .input_weight = Doubles(Value("input_weight")),
                                    .hidden_weight = Doubles(Value("hidden_weight"))};
    const bool is_gru = options.cell == RecurrentCell::kGru;
    layer.bias = Doubles(Value(is_gru ? "input_bias" : "bias"));
    if (is_gru) layer.hidden_bias = Doubles(Value("hidden_bias"));
    for (auto* values : {&layer.input_weight, &layer.hidden_weight}) {
      for (double& w : *values) w = weight ? weight(w) : w;
    }
    return layer;
  }
  std::vector<reference::RecurrentState> ReferenceStates() const {
    std::vector<reference::RecurrentState> result;
    for (int64_t s = 0; s < kStreams; ++s) {
      reference::RecurrentState state;
      for (int i = 0; i < 2; ++i) {
        const float* row = beginning[i].data<float>() + s * kHidden;
        (i == 0 ? state.h : state.c).assign(row, row + kHidden);
      }
      result.push_back(state);
    }
    return result;
  }
  Tensor Run(const Tensor& x, Mode mode = Mode::kEval) {
    Tape tape(context, mode);
    tape.set_states(&states);
    const Var y = layer(tape.Input(ToDevice(context, x)));
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    if (!tape.status().ok()) return Tensor::Zeros({1});
    Tensor value = ToHost(context, **tape.Value(y)).Clone();
    EXPECT_TRUE(states.Commit().ok());
    return value;
  }

  TestRandom random;
  RecurrentOptions options;
  ExecContext context{OneThread()};
  ParameterStore store{1};
  Recurrent layer{store.Root() / "r", options};
  StateStore states{context};
  std::vector<Tensor> beginning;  // h, c
};

class RecurrentTest : public OnTestDevice<testing::TestWithParam<CellCase>> {};

void ExpectNear(const Tensor& y, const std::vector<double>& expected, double bound) {
  ASSERT_EQ(y.num_elements(), static_cast<int64_t>(expected.size()));
  for (size_t i = 0; i < expected.size(); ++i) ASSERT_NEAR(y.data<float>()[i], expected[i], bound) << i;
}

TEST_P(RecurrentTest, FloatValuesAreThoseOfTheFormula) {
  Fixture f({.cell = GetParam().cell});
  const Tensor x = f.RandomInput();
  auto states = f.ReferenceStates();
  ExpectNear(f.Run(x), reference::RunRecurrent(f.Reference(), Doubles(x), kSteps, states), 2e-6);
  // What the next tape reads is the state after the last step.
  const std::vector<NamedState> left = f.states.states();
  ASSERT_EQ(left.size(), GetParam().cell == RecurrentCell::kLstm ? 2u : 1u);
  for (const NamedState& state : left) {
    std::vector<double> expected;
    for (const auto& s : states) {
      const auto& row = state.name == "r/h" ? s.h : s.c;
      expected.insert(expected.end(), row.begin(), row.end());
    }
    ExpectNear(state.value, expected, 2e-6);
  }
}

double KBit4(double x) { return 2 * std::floor(15 * std::clamp((x + 1) / 2, 0.0, 1.0) + 0.5) / 15 - 1; }
double KBit8(double x) { return 2 * std::floor(255 * std::clamp((x + 1) / 2, 0.0, 1.0) + 0.5) / 255 - 1; }

TEST_P(RecurrentTest, QuantizedValuesAreThoseOfTheFormula) {
  const bool has_gates = GetParam().cell == RecurrentCell::kLstm || GetParam().cell == RecurrentCell::kGru;
  Fixture f({.cell = GetParam().cell,
             .input = KBit(8),
             .state = KBit(4),
             .input_weight = KBit(4),
             .hidden_weight = Sign(),
             .gate = has_gates ? KBit(4) : Quantizer()});
  const Tensor x = f.RandomInput();
  reference::RecurrentLayer layer = f.Reference(KBit4);
  layer.hidden_weight = f.Reference([](double w) { return w >= 0 ? 1.0 : -1.0; }).hidden_weight;
  layer.quantize_state = KBit4;
  if (has_gates) layer.quantize_gate = KBit4;
  std::vector<double> quantized = Doubles(x);
  for (double& v : quantized) v = KBit8(v);
  auto states = f.ReferenceStates();
  ExpectNear(f.Run(x), reference::RunRecurrent(layer, quantized, kSteps, states), 4e-6);
}

// Of all weights and of x, through all steps, from states that are not zero.
TEST_P(RecurrentTest, GradientsAreThoseOfCentralDifferences) {
  Fixture f({.cell = GetParam().cell});
  const Tensor x = f.RandomInput();
  const Tensor r = f.random.UniformTensor({kSteps, kStreams, kHidden}, 0.5f, 2);
  Tape tape(f.context);
  tape.set_states(&f.states);
  const Var input = tape.Differentiable(ToDevice(f.context, x));
  const absl::Status status = tape.Backward(Sum(Mul(f.layer(input), tape.Input(ToDevice(f.context, r)))));
  ASSERT_TRUE(status.ok()) << status;

  reference::RecurrentLayer layer = f.Reference();
  std::vector<double> values = Doubles(x);
  const auto loss = [&] {
    auto states = f.ReferenceStates();
    const std::vector<double> y = reference::RunRecurrent(layer, values, kSteps, states);
    double sum = 0;
    for (size_t i = 0; i < y.size(); ++i) sum += y[i] * r.data<float>()[i];
    return sum;
  };
  const auto check = [&](const std::string& name, std::vector<double>& variable, const Tensor& gradient) {
    SCOPED_TRACE(name);
    const Tensor computed = ToHost(f.context, gradient).Clone();
    ASSERT_EQ(computed.num_elements(), static_cast<int64_t>(variable.size()));
    for (size_t i = 0; i < variable.size(); ++i) {
      const double before = variable[i], step = 1e-5;
      variable[i] = before + step;
      const double above = loss();
      variable[i] = before - step;
      const double slope = (above - loss()) / (2 * step);
      variable[i] = before;
      ASSERT_NEAR(computed.data<float>()[i], slope, 1e-5 * (1 + std::fabs(slope))) << i;
    }
  };
  const auto gradient_of = [&](const char* name) -> const Tensor& {
    return f.store.Find(std::string("r/") + name)->gradient;
  };
  const bool is_gru = GetParam().cell == RecurrentCell::kGru;
  check("x", values, **tape.Gradient(input));
  check("W_x", layer.input_weight, gradient_of("input_weight"));
  check("W_h", layer.hidden_weight, gradient_of("hidden_weight"));
  check("b", layer.bias, gradient_of(is_gru ? "input_bias" : "bias"));
  if (is_gru) check("b_h", layer.hidden_bias, gradient_of("hidden_bias"));
}

RecurrentOptions FourBits(RecurrentCell cell) {
  return {.cell = cell,
          .input = KBit(4),
          .state = KBit(4),
          .input_weight = MaxAbs(4).PerRow(),
          .hidden_weight = MaxAbs(4).PerRow()};
}

// One tape of six steps, and tapes of two, three and one of rank 2, give the same bits: all sums are of integers.
TEST_P(RecurrentTest, StatesCarriedOverTapesAreOneLongTape) {
  Fixture whole(FourBits(GetParam().cell)), parts(FourBits(GetParam().cell));
  const Tensor x = whole.RandomInput(6);
  const auto part = [&](int64_t begin, int64_t count, bool is_step) {
    const std::vector<float> all = ValuesOf(x);
    const int64_t row = kStreams * kIn;
    return Floats(is_step ? Shape{kStreams, kIn} : Shape{count, kStreams, kIn},
                  {all.begin() + begin * row, all.begin() + (begin + count) * row});
  };
  std::vector<float> joined;
  for (const Tensor& y : {parts.Run(part(0, 2, false)), parts.Run(part(2, 3, false)), parts.Run(part(5, 1, true))}) {
    EXPECT_EQ(y.shape().rank(), y.num_elements() == kStreams * kHidden ? 2 : 3);
    joined.insert(joined.end(), y.span<float>().begin(), y.span<float>().end());
  }
  EXPECT_EQ(joined, ValuesOf(whole.Run(x)));
  // The same part with other states before it is something else.
  Fixture fresh(FourBits(GetParam().cell));
  EXPECT_NE(ValuesOf(fresh.Run(part(5, 1, true))), std::vector<float>(joined.end() - kStreams * kHidden, joined.end()));
}

// Each weight is quantized once, x once for all steps, h once a step; and codes reach all products.
TEST_P(RecurrentTest, ProductsMultiplyCodes) {
  Fixture f(FourBits(GetParam().cell));
  Tape tape(f.context, Mode::kEval);
  f.layer(tape.Input(ToDevice(f.context, f.RandomInput())));
  ASSERT_TRUE(tape.status().ok()) << tape.status();
  int products = 0, quantized_weights = 0, quantized_values = 0;
  for (const Tape::Node& node : tape.nodes()) {
    if (node.descriptor.op == "quantize") {
      const bool is_weight = tape.nodes()[node.inputs[0]].parameter != nullptr;
      (is_weight ? quantized_weights : quantized_values) += 1;
    }
    if (node.descriptor.op != "linear") continue;
    ++products;
    Encoding encodings[2];
    for (int i = 0; i < 2; ++i) {
      const Tape::Node& operand = tape.nodes()[node.inputs[i]];
      ASSERT_EQ(operand.descriptor.op, "quantize");
      encodings[i] = operand.descriptor.Get<Quantizer>("quantizer", Quantizer()).encoding();
    }
    EXPECT_NE(ChooseDotKernel(encodings[0], encodings[1], kHidden, kStreams, /*counts_words=*/true),
              DotKernel::kFloatGemm);
  }
  EXPECT_EQ(products, 1 + kSteps);
  EXPECT_EQ(quantized_weights, 2);
  EXPECT_EQ(quantized_values, 1 + kSteps);
  const int64_t rows = f.Value("input_weight").shape().dim(0);
  EXPECT_EQ(tape.arithmetic().integer_multiplications, kSteps * kStreams * rows * (kIn + kHidden));
}

INSTANTIATE_TEST_SUITE_P(Cells, RecurrentTest, testing::ValuesIn(kCells),
                         [](const auto& info) { return std::string(info.param.name); });

using RecurrentLayerTest = OnTestDevice<testing::Test>;

TEST_F(RecurrentLayerTest, TheLastStepAlone) {
  RecurrentOptions options = FourBits(RecurrentCell::kLstm);
  Fixture all(options);
  options.last_only = true;
  Fixture last(options);
  const Tensor x = all.RandomInput();
  const std::vector<float> y = ValuesOf(all.Run(x));
  const Tensor h = last.Run(x);
  EXPECT_EQ(h.shape(), Shape({kStreams, kHidden}));
  EXPECT_EQ(ValuesOf(h), std::vector<float>(y.end() - kStreams * kHidden, y.end()));
}

// A state of zeros says nothing of the step; it begins with 1, and learns.
TEST_F(RecurrentLayerTest, AStepOfHIsLearnedFromZeros) {
  Fixture f({.cell = RecurrentCell::kRnnRelu, .state = Lsq(4)});
  f.states.Reset();
  Tape tape(f.context);
  tape.set_states(&f.states);
  const absl::Status status = tape.Backward(Sum(f.layer(tape.Input(ToDevice(f.context, f.RandomInput())))));
  ASSERT_TRUE(status.ok()) << status;
  const Parameter& step = *f.store.Find("r/hidden/quantizer/step");
  EXPECT_EQ(ToHost(f.context, step.value).data<float>()[0], 1);
  EXPECT_NE(ToHost(f.context, step.gradient).data<float>()[0], 0);
}

TEST_F(RecurrentLayerTest, WithoutCarriedStatesEachTapeBeginsWithZeros) {
  Fixture f({.cell = RecurrentCell::kLstm, .carries_state = false});
  const Tensor x = f.RandomInput();
  std::vector<reference::RecurrentState> zeros(kStreams,
                                               {std::vector<double>(kHidden, 0.0), std::vector<double>(kHidden, 0.0)});
  const Tensor first = f.Run(x);
  ExpectNear(first, reference::RunRecurrent(f.Reference(), Doubles(x), kSteps, zeros), 2e-6);
  EXPECT_EQ(ValuesOf(f.Run(x)), ValuesOf(first));
}

// Training sees values dropped from the quantized x; h is whole.
TEST_F(RecurrentLayerTest, DropoutIsOnTheQuantizedInput) {
  Fixture f({.cell = RecurrentCell::kRnnTanh, .input = Sign(), .input_keep = 0.5f, .carries_state = false});
  const Tensor x = Filled({1, kStreams, kIn}, 0.1f);
  EXPECT_NE(ValuesOf(f.Run(x, Mode::kTrain)), ValuesOf(f.Run(x, Mode::kTrain)));
  std::vector<reference::RecurrentState> zeros(kStreams, {std::vector<double>(kHidden, 0.0), {}});
  const std::vector<double> ones(kStreams * kIn, 1.0);
  ExpectNear(f.Run(x), reference::RunRecurrent(f.Reference(), ones, 1, zeros), 2e-6);
}

std::vector<std::string> Names(const ParameterStore& store) {
  std::vector<std::string> names;
  for (const Parameter* parameter : store.parameters()) {
    names.push_back(parameter->name + " " + parameter->value.shape().ToString());
  }
  return names;
}

TEST(RecurrentParametersTest, NamesAndShapes) {
  ParameterStore lstm(1), gru(1), rnn(1);
  const Recurrent a(lstm.Root() / "a", {.in = 3, .hidden = 2, .input_weight = Lsq(4)});
  EXPECT_THAT(Names(lstm), ElementsAre("a/input_weight/quantizer/step [1]", "a/input_weight [8, 3]",
                                       "a/hidden_weight [8, 2]", "a/bias [8]"));
  const Recurrent b(gru.Root() / "b", {.cell = RecurrentCell::kGru, .in = 3, .hidden = 2});
  EXPECT_THAT(Names(gru),
              ElementsAre("b/input_weight [6, 3]", "b/hidden_weight [6, 2]", "b/input_bias [6]", "b/hidden_bias [6]"));
  const Recurrent c(rnn.Root() / "c", {.cell = RecurrentCell::kRnnRelu, .in = 3, .hidden = 2});
  EXPECT_THAT(Names(rnn), ElementsAre("c/input_weight [2, 3]", "c/hidden_weight [2, 2]", "c/bias [2]"));
}

TEST(RecurrentParametersTest, InitialValues) {
  const auto largest = [](const RecurrentOptions& options, const char* name) {
    ParameterStore store(1);
    const Recurrent layer(store.Root() / "r", options);
    EXPECT_TRUE(store.status().ok()) << store.status();
    float most = 0;
    for (const float v : store.Find(std::string("r/") + name)->value.span<float>()) most = std::max(most, std::fabs(v));
    return most;
  };
  const auto near = [](float bound) { return AllOf(testing::Le(bound), testing::Gt(0.98f * bound)); };
  RecurrentOptions options{.in = 30, .hidden = 64};
  for (const Quantizer& quantizer : {Quantizer(), MaxAbs(4), Lsq(2), Xnor()}) {
    options.input_weight = options.hidden_weight = quantizer;
    EXPECT_THAT(largest(options, "input_weight"), near(1.0f / 8)) << quantizer.ToString();
    EXPECT_THAT(largest(options, "hidden_weight"), near(1.0f / 8)) << quantizer.ToString();
  }
  options.input_weight = options.hidden_weight = KBit(4).WithGlorotScale();
  EXPECT_THAT(largest(options, "input_weight"), near(1));
  options.clip = 0.5f;
  EXPECT_THAT(largest(options, "hidden_weight"), near(0.5f));
  options.initial_range = 0.25f;
  EXPECT_THAT(largest(options, "hidden_weight"), near(0.25f));

  options.forget_bias = 1;
  ParameterStore store(1);
  const Recurrent layer(store.Root() / "r", options);
  const absl::Span<const float> bias = store.Find("r/bias")->value.span<float>();
  for (int64_t i = 0; i < 256; ++i) EXPECT_EQ(bias[i], i >= 64 && i < 128 ? 1 : 0) << i;
  EXPECT_EQ(store.Find("r/hidden_weight")->most, 0.5f);
  EXPECT_TRUE(store.Find("r/hidden_weight")->is_quantized());
  EXPECT_EQ(store.Find("r/input_weight")->fan_out, 64);
}

// A glorot scale is that of one gate's fans, not of all rows.
TEST(RecurrentParametersTest, TheGlorotScaleIsOfOneGate) {
  ParameterStore store(1);
  Recurrent layer(store.Root() / "r", {.in = 90, .hidden = 60, .input_weight = Sign().WithGlorotScale()});
  float scale = 0;
  layer.VisitQuantizers([&](LayerQuantizer& quantizer) {
    if (quantizer.path() == "r/input_weight") scale = quantizer.quantizer().scale(1);
  });
  EXPECT_FLOAT_EQ(scale, 0.1f);
}

TEST(RecurrentParametersTest, WhatMakesNoSenseIsTheStoresError) {
  const auto message = [](const RecurrentOptions& options) {
    ParameterStore store(1);
    Recurrent layer(store.Root() / "r", options);
    EXPECT_FALSE(store.status().ok());
    return std::string(store.status().message());
  };
  EXPECT_THAT(message({.in = 0, .hidden = 5}), AllOf(HasSubstr("layer 'r'"), HasSubstr("[20, 0]")));
  EXPECT_THAT(message({.in = 5, .hidden = -1}), HasSubstr("layer 'r'"));
  EXPECT_THAT(message({.in = 5, .hidden = 5, .clip = 0}), HasSubstr("clip = 0"));
  EXPECT_THAT(message({.in = 5, .hidden = 5, .initial_range = -1.0f}), HasSubstr("initial_range = -1"));
  EXPECT_THAT(message({.in = 5, .hidden = 5, .input_keep = 0}), HasSubstr("input_keep = 0"));
  EXPECT_THAT(message({.cell = RecurrentCell::kRnnTanh, .in = 5, .hidden = 5, .gate = KBit(2)}),
              AllOf(HasSubstr("no gates"), HasSubstr("k_bit(2)")));
  EXPECT_THAT(message({.cell = RecurrentCell::kGru, .in = 5, .hidden = 5, .forget_bias = 1}), HasSubstr("forget gate"));
}

TEST(RecurrentParametersTest, AnInputOfAnotherShapeIsTheTapesError) {
  ExecContext context({.threads = 1});
  ParameterStore store(1);
  Recurrent layer(store.Root() / "r", {.in = 5, .hidden = 4});
  for (const Shape& shape : {Shape{5}, Shape{2, 4}, Shape{2, 3, 4}, Shape{2, 3, 4, 5}}) {
    Tape tape(context);
    layer(tape.Input(Tensor::Zeros(shape)));
    EXPECT_THAT(std::string(tape.status().message()),
                AllOf(HasSubstr("layer 'r'"), HasSubstr(shape.ToString()), HasSubstr("[steps, streams, 5]")));
  }
  EXPECT_EQ(layer(Var()).tape(), nullptr);
}

}  // namespace
}  // namespace bitgrad
