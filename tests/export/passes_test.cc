// The passes of Freeze() on programs that are built by hand.

#include <cstdint>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/export/emit.h"
#include "bitgrad/export/fold_constants.h"
#include "bitgrad/export/fold_thresholds.h"
#include "bitgrad/export/program.h"
#include "bitgrad/ops/quantizers/dorefa_activation.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using program::Program;
using program::Value;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

int Add(Program& program, program::Operation operation, std::vector<int> operands, const Shape& shape) {
  return program.Add({.operation = std::move(operation),
                      .operands = std::move(operands),
                      .op = "op",
                      .layer = "layer",
                      .shape = shape});
}

int AddFloats(Program& program, const std::string& name, const Shape& shape, std::vector<float> values) {
  const int i = Add(program, program::Constant{.name = name, .is_parameter = true}, {}, shape);
  program.value(i).floats = Tensor::Of<float>(shape, values);
  return i;
}

int AddQuantize(Program& program, int x, const Quantizer& quantizer) {
  const int i = Add(program, program::Quantize{.quantizer = quantizer}, {x}, program.value(x).shape);
  program.value(i).encoding = quantizer.encoding();
  program.value(i).scale = quantizer.scale(1);
  return i;
}

// A weight [2, 3] of signs: + + + and - + -.
int AddWeight(Program& program) {
  const int w = AddFloats(program, "w", {2, 3}, {1, 2, 3, -1, 2, -3});
  const int i = AddQuantize(program, w, Sign().In(QuantizerRole::kWeight));
  auto bits = std::make_shared<BitMatrix>(BitMatrix::Zeros(2, 3));
  bits->mutable_view().row(0)[0] = 7;
  bits->mutable_view().row(1)[0] = 2;
  auto coded = std::make_shared<CodedTensor>();
  coded->encoding = {EncodingKind::kBinary, 1};
  coded->matrix = Shape({2, 3});
  coded->bits = bits;
  program.value(i).coded = coded;
  return i;
}

// Input [1, 3] -> sign -> linear by AddWeight() -> what `chain` adds -> quantizer -> the result.
struct Net {
  Program program;
  int input, signs, weight, product, quantize;
};
template <typename AddChain>
Net MakeNet(const Quantizer& quantizer, const AddChain& chain) {
  Net net;
  Program& program = net.program;
  net.input = Add(program, program::Input(), {}, {1, 3});
  net.signs = AddQuantize(program, net.input, Sign());
  net.weight = AddWeight(program);
  net.product = Add(program, program::Linear(), {net.signs, net.weight}, {1, 2});
  net.quantize = AddQuantize(program, chain(program, net.product), quantizer);
  program.set_result(net.quantize);
  return net;
}

int Shift(Program& program, int x) {
  const int b = AddFloats(program, "b", {2}, {0.5f, 0});
  return Add(program, program::BinaryOp{Binary::kAdd}, {x, b}, {1, 2});
}

TEST(PassesTest, WhatIsKnownBecomesAConstant) {
  Net net = MakeNet(Sign(), Shift);
  FoldConstants(net.program);
  EXPECT_TRUE(net.program.is_constant(net.weight));
  // A quantized weight has its name.
  EXPECT_EQ(net.program.value(net.weight).as<program::Constant>()->name, "w");
  EXPECT_FALSE(program::Uses(net.program).is_used(net.weight - 1)) << "the latent weight";
  EXPECT_FALSE(net.program.is_constant(net.signs));
}

TEST(PassesTest, AChainBecomesThresholds) {
  ExecContext context({.threads = 1});
  // Sums are -3, -1, 1, 3. x + 0.5 and x, quantized by round(3 clip(x, 0, 1)): 0 for x <= 0, 3 from 1 on.
  Net net = MakeNet(DorefaActivation(2), Shift);
  FoldConstants(net.program);
  ASSERT_TRUE(FoldThresholds(context, 3, net.program).ok());
  const Value& result = net.program.value(net.quantize);
  const auto* compare = result.as<program::Compare>();
  ASSERT_NE(compare, nullptr);
  EXPECT_THAT(result.operands, ElementsAre(net.product));
  EXPECT_EQ(result.encoding, DorefaActivation(2).encoding());
  EXPECT_EQ(result.scale, DorefaActivation(2).scale(1));
  EXPECT_EQ(compare->thresholds.levels, 3);
  // 0.5 gives code 2.
  EXPECT_THAT(compare->thresholds.threshold, ElementsAre(0, 1, 0, 1, 1, 1));
  EXPECT_THAT(compare->thresholds.flip, ElementsAre(0, 0));
  const auto writer = Emit(net.program, 1);
  ASSERT_TRUE(writer.ok()) << writer.status();
  PackedModelWriter packed = *writer;
  ASSERT_EQ(packed.header().instructions_size(), 2);
  EXPECT_TRUE(packed.header().instructions(1).linear().has_threshold());
  EXPECT_EQ(packed.header().instructions(1).linear().threshold().encoding(), packed::Blob::UNSIGNED);
}

TEST(PassesTest, ChainsThatDoNotFold) {
  ExecContext context({.threads = 1});
  const auto folds = [&](Net net, int max_levels = 15) {
    FoldConstants(net.program);
    EXPECT_TRUE(FoldThresholds(context, max_levels, net.program).ok());
    return net.program.value(net.quantize).as<program::Compare>() != nullptr;
  };
  EXPECT_TRUE(folds(MakeNet(KBit(4), Shift)));
  EXPECT_FALSE(folds(MakeNet(KBit(4), Shift), 14)) << "16 codes";
  EXPECT_FALSE(folds(MakeNet(KBit(5), Shift))) << "32 codes";
  EXPECT_FALSE(folds(MakeNet(Sign(), [](Program& program, int x) {
    return Add(program, program::BinaryOp{Binary::kAdd}, {x, x}, {1, 2});
  }))) << "no function of one sum and constants";
  EXPECT_FALSE(folds(MakeNet(Sign(), [](Program& program, int x) {
    return Add(program, program::UnaryOp{Unary::kLeakyRelu, -0.5f}, {x}, {1, 2});
  }))) << "not monotone";
  Net read_twice = MakeNet(Sign(), Shift);
  const int other =
      Add(read_twice.program, program::BinaryOp{Binary::kMul}, {read_twice.quantize, read_twice.product}, {1, 2});
  read_twice.program.set_result(other);
  EXPECT_FALSE(folds(std::move(read_twice))) << "somebody needs the sums";
  Net float_input = MakeNet(Sign(), Shift);
  float_input.program.value(float_input.product).operands[0] = float_input.input;
  EXPECT_FALSE(folds(std::move(float_input))) << "sums of floats";
}

TEST(PassesTest, WhatCannotBeEmittedIsNamed) {
  Net net = MakeNet(Sign(), [](Program& program, int x) { return Add(program, program::Other(), {x}, {1, 2}); });
  net.program.value(net.product + 1).op = "fft";
  FoldConstants(net.program);
  EXPECT_THAT(std::string(Emit(net.program, 1).status().message()),
              StartsWith("layer 'layer': fft is not in the packed format"));
  EXPECT_THAT(std::string(Emit(net.program, 2).status().message()), HasSubstr("every value has to keep the batch"));
}

}  // namespace
}  // namespace bitgrad
