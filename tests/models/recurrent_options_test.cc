// That the options of recurrent layers and nets arrive at every product and every quantizer, also where the values of a
// forward pass do not show it.

#include <map>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/layers/recurrent.h"
#include "bitgrad/models/recurrent_net.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/losses.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/reduce.h"
#include "bitgrad/tests/testing/tensors.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;

constexpr RecurrentCell kCells[] = {RecurrentCell::kLstm, RecurrentCell::kGru, RecurrentCell::kRnnTanh,
                                    RecurrentCell::kRnnRelu};

Quantizer GradientQuantizer() { return *ParseQuantizer("dorefa_gradient(2)"); }

// The gradients of both weights after a single step, in which the gradient of each is a product of what that step reads
// with what arrives at its own sums: no other product's gradient quantizer has a part in it.
std::vector<std::vector<float>> WeightGradients(RecurrentCell cell, const Quantizer& gradient) {
  ExecContext context({.threads = 1});
  ParameterStore store(3);
  Recurrent layer(store.Root() / "r", {.cell = cell, .in = 5, .hidden = 6, .gradient = gradient});
  EXPECT_TRUE(store.status().ok()) << store.status();
  TestRandom random(1);
  StateStore states(context);
  EXPECT_TRUE(states.Set("r/h", random.UniformTensor({3, 6}, 0.1f, 0.9f)).ok());
  if (cell == RecurrentCell::kLstm) {
    EXPECT_TRUE(states.Set("r/c", random.UniformTensor({3, 6}, 0.1f, 0.9f)).ok());
  }
  Tape tape(context);
  tape.set_states(&states);
  const Var x = tape.Input(random.UniformTensor({3, 5}, 0.1f, 1)),
            r = tape.Input(random.UniformTensor({3, 6}, 0.5f, 2));
  const absl::Status status = tape.Backward(Sum(Mul(layer(x), r)));
  EXPECT_TRUE(status.ok()) << status;
  return {ValuesOf(store.Find("r/input_weight")->gradient), ValuesOf(store.Find("r/hidden_weight")->gradient)};
}

TEST(RecurrentOptionsTest, TheGradientOfBothProductsIsQuantized) {
  for (const RecurrentCell cell : kCells) {
    SCOPED_TRACE(static_cast<int>(cell));
    const auto whole = WeightGradients(cell, Quantizer()), quantized = WeightGradients(cell, GradientQuantizer());
    EXPECT_NE(quantized[0], whole[0]);
    EXPECT_NE(quantized[1], whole[1]);
  }
}

// The additions of the backward pass, by layer: rounding a gradient takes one for each of its elements.
std::map<std::string, int64_t> BackwardAdditions(const Quantizer& gradient) {
  ExecContext context({.threads = 1});
  ParameterStore store(3);
  RecurrentNet net(store.Root(), {.hidden = {4, 5}, .classes = 7, .embedding = 3, .gradient = gradient});
  Tape tape(context);
  const Tensor tokens = Tensor::Of<int32_t>({2, 2}, {1, 2, 3, 4}), targets = Tensor::Of<int32_t>({4}, {2, 3, 4, 5});
  const absl::Status status = tape.Backward(SoftmaxCrossEntropy(net.Forward(tape.Input(tokens)), targets));
  EXPECT_TRUE(status.ok()) << status;
  std::map<std::string, int64_t> additions;
  for (const LayerArithmetic& layer : tape.layer_arithmetic()) additions[layer.layer] = layer.backward.float_additions;
  return additions;
}

TEST(RecurrentOptionsTest, TheGradientsOfAllLayersOfANetAreQuantized) {
  std::map<std::string, int64_t> whole = BackwardAdditions(Quantizer()),
                                 quantized = BackwardAdditions(GradientQuantizer());
  // The product with x of all steps and the ones with h: 16 and 20 sums for each of 4 tokens, twice; 7 logits for each.
  EXPECT_EQ(quantized["lstm1"] - whole["lstm1"], 2 * 4 * 16);
  EXPECT_EQ(quantized["lstm2"] - whole["lstm2"], 2 * 4 * 20);
  EXPECT_EQ(quantized["output"] - whole["output"], 4 * 7);
}

TEST(RecurrentOptionsTest, QuantizersAreVisitedInTheOrderOfTheirWork) {
  const auto visited = [](RecurrentCell cell) {
    ParameterStore store(1);
    Recurrent layer(store.Root() / "r", {.cell = cell, .in = 3, .hidden = 2});
    std::vector<std::string> paths;
    layer.VisitQuantizers([&](LayerQuantizer& quantizer) { paths.push_back(quantizer.path()); });
    return paths;
  };
  for (const RecurrentCell cell : {RecurrentCell::kLstm, RecurrentCell::kGru}) {
    EXPECT_THAT(visited(cell), ElementsAre("r/input", "r/input_weight", "r/hidden", "r/hidden_weight", "r/gate"));
  }
  // A plain RNN has no gates.
  for (const RecurrentCell cell : {RecurrentCell::kRnnTanh, RecurrentCell::kRnnRelu}) {
    EXPECT_THAT(visited(cell), ElementsAre("r/input", "r/input_weight", "r/hidden", "r/hidden_weight"));
  }
}

// For the Glorot learning-rate scale: of one gate, as the scale of values is.
TEST(RecurrentOptionsTest, FansOfTheWeights) {
  ParameterStore store(1);
  Recurrent layer(store.Root() / "r", {.in = 90, .hidden = 60, .input_weight = Sign(), .hidden_weight = Sign()});
  const Parameter &input = *store.Find("r/input_weight"), &hidden = *store.Find("r/hidden_weight");
  EXPECT_EQ(input.fan_in, 90);
  EXPECT_EQ(input.fan_out, 60);
  EXPECT_EQ(hidden.fan_in, 60);
  EXPECT_EQ(hidden.fan_out, 60);
}

}  // namespace
}  // namespace bitgrad
