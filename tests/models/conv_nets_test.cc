// Convolutional nets: they overfit a batch, keep bits for the backward pass, and say what is wrong with their sizes.

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/models/bireal_net.h"
#include "bitgrad/models/conv_net.h"
#include "bitgrad/models/layers/conv2d.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/xnor.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

const Shape kImage = {8, 6, 3};

ConvNetOptions ConvOf(const Quantizer& activation, const Quantizer& weight) {
  return {.image = kImage,
          .blocks = {{.filters = 16}, {.filters = 24, .pool = 2, .pool_stride = 2}},
          .hidden = {32},
          .classes = 4,
          .input = KBit(8),
          .activation_quantizer = activation,
          .weight = weight};
}

// Steps of Adam on random labels until nothing is wrong.
void ExpectOverfits(Model& model, ParameterStore& store) {
  ASSERT_TRUE(store.status().ok()) << store.status();
  ExecContext context({.threads = 2});
  const auto optimizer = *MakeOptimizer(context, "adam", {.learning_rate = 0.02});
  const Examples examples = RandomExamples(20, kImage.num_elements(), 4, 3);
  const auto errors = [&] { return *CountWrong(context, *Logits(context, model, examples.x), examples.labels); };
  EXPECT_GE(errors(), 8) << "random labels, yet right before training";
  for (int step = 0; step < 150; ++step) {
    Tape tape(context);
    const Var loss = SquaredHinge(model.Forward(tape.Input(examples.x)), examples.labels);
    ASSERT_TRUE(tape.Backward(loss).ok()) << tape.status();
    ASSERT_TRUE(optimizer->Step(store.parameters()).ok());
  }
  EXPECT_EQ(errors(), 0);
}

TEST(ConvNetsTest, Overfit) {
  for (const char* activation : {"sign", "k_bit(2)", "identity"}) {
    for (const char* weight : {"sign", "ternary(0.5)", "identity"}) {
      SCOPED_TRACE(std::string(activation) + " " + weight);
      ConvNetOptions options = ConvOf(*ParseQuantizer(activation), *ParseQuantizer(weight));
      if (options.activation_quantizer.is_identity()) options.activation = "relu";
      ParameterStore store(5);
      ConvNet net(store.Root(), options);
      ExpectOverfits(net, store);
    }
  }
}

TEST(ConvNetsTest, ResidualNetOverfits) {
  ParameterStore store(5);
  BiRealNet net(store.Root(), {.image = kImage,
                               .stem_filters = 16,
                               .stages = {{.filters = 16, .blocks = 2}, {.filters = 32, .blocks = 1, .stride = 2}},
                               .classes = 4,
                               .activation_quantizer = ApproxSign(),
                               .weight = Sign()});
  ExpectOverfits(net, store);
}

// Between forward and backward a binary net holds the bits of its activations, masks and the pools' choices: next to
// nothing of what the float net holds.
TEST(ConvNetsTest, HeldForBackward) {
  const auto held = [](const Quantizer& activation, const Quantizer& weight, const char* function) {
    ConvNetOptions options = ConvOf(activation, weight);
    options.image = {16, 16, 64};
    options.blocks = {{.filters = 64}, {.filters = 64, .pool = 2, .pool_stride = 2}, {.filters = 128}};
    options.activation = function;
    ParameterStore store(5);
    ConvNet net(store.Root(), options);
    ExecContext context({.threads = 1});
    const Examples examples = RandomExamples(8, options.image.num_elements(), 4, 3);
    Tape tape(context);
    const int64_t before = static_cast<int64_t>(context.allocator().live_bytes());
    const Var loss = SquaredHinge(net.Forward(tape.Input(examples.x)), examples.labels);
    EXPECT_TRUE(tape.status().ok()) << tape.status();
    return static_cast<int64_t>(context.allocator().live_bytes()) - before;
  };
  const int64_t floats = held(Quantizer(), Quantizer(), "relu"), bits = held(Sign(), Sign(), "identity");
  EXPECT_LT(bits * 12, floats) << bits << " and " << floats << " bytes";
}

TEST(ConvNetsTest, WrongSizesNameTheLayer) {
  const auto message = [](const ConvNetOptions& options) {
    ParameterStore store(1);
    const ConvNet net(store.Root(), options);
    return std::string(store.status().message());
  };
  ConvNetOptions options = ConvOf(Sign(), Sign());
  options.image = {48};
  EXPECT_THAT(message(options), HasSubstr("image [48] is not [height, width, channels]"));
  options = ConvOf(Sign(), Sign());
  options.blocks.push_back({.filters = 8, .kernel = 7, .pad = 0});
  EXPECT_THAT(message(options), AllOf(HasSubstr("layer 'conv3'"), HasSubstr("an image of [4, 3] is too small")));
  options = ConvOf(Sign(), Sign());
  options.blocks[1].filters = 0;
  EXPECT_THAT(message(options), HasSubstr("layer 'conv2'"));
  options = ConvOf(Sign(), Sign());
  options.blocks[1].groups = 3;
  EXPECT_THAT(message(options), AllOf(HasSubstr("layer 'conv2'"), HasSubstr("groups = 3 has to divide in and out")));
}

// XNOR-Net's scale of each filter, and one that is learned.
TEST(ConvNetsTest, ScalesOfFilters) {
  for (const Quantizer& quantizer : {Xnor(), Sign().WithMeanScale().PerRow(), Sign().WithLearnedScale().PerRow()}) {
    SCOPED_TRACE(quantizer.ToString());
    ParameterStore store(3);
    Conv2d conv(store.Root() / "conv", {.in = 2, .out = 3, .kernel = 1, .input = Sign(), .weight = quantizer});
    ASSERT_TRUE(store.status().ok());
    Parameter& weight = *store.Find("conv/weight");
    const std::vector<float> values = {0.5f, -0.25f, 0.125f, 1.0f, -1.0f, -0.5f};
    std::copy(values.begin(), values.end(), weight.value.mutable_data<float>());
    Parameter* const scale = store.Find("conv/weight/quantizer/scale");
    ASSERT_EQ(scale != nullptr, quantizer.has_learned_scale());
    // A learned scale begins with the mean |w| of the filter, at the first step of a training.
    for (const Mode mode : {Mode::kEval, Mode::kTrain, Mode::kEval}) {
      ExecContext context({.threads = 1});
      Tape tape(context, mode);
      const Tensor x = Floats({1, 1, 1, 2}, {1.0f, 2.0f});
      const Var y = conv(tape.Input(x));
      ASSERT_TRUE(tape.status().ok()) << tape.status();
      EXPECT_EQ(ValuesOf(**tape.Value(y)), (std::vector<float>{0, 2 * 0.5625f, -2 * 0.75f}));
      if (scale != nullptr && mode == Mode::kTrain) {
        EXPECT_EQ(ValuesOf(scale->value), (std::vector<float>{0.375f, 0.5625f, 0.75f}));
      }
    }
    if (scale == nullptr) continue;
    scale->value.mutable_data<float>()[1] = 3;
    ExecContext context({.threads = 1});
    Tape tape(context, Mode::kEval);
    const Var y = conv(tape.Input(Floats({1, 1, 1, 2}, {1.0f, 2.0f})));
    EXPECT_EQ(ValuesOf(**tape.Value(y)), (std::vector<float>{0, 6, -2 * 0.75f}));
  }
}

}  // namespace
}  // namespace bitgrad
