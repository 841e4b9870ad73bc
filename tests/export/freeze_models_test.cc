// Frozen models as users write them give the graph's logits to the last bit, where the sums are integers. Seeds are
// fixed and printed on failure.

#include <cstdint>
#include <memory>
#include <random>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/models/layers/batch_norm.h"
#include "bitgrad/models/layers/dense.h"
#include "bitgrad/models/layers/dropout.h"
#include "bitgrad/ops/activations.h"
#include "bitgrad/ops/arithmetic.h"
#include "bitgrad/ops/concat.h"
#include "bitgrad/ops/linear.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/dorefa_weight.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/ternary.h"
#include "bitgrad/ops/reshape.h"
#include "bitgrad/tests/export/freeze_testing.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using FreezeModelsTest = OnTestDevice<testing::Test>;

Quantizer Q(const std::string& text) { return *ParseQuantizer(text); }

// Two branches joined by concat; one of them goes through a standalone quantizer.
class ConcatModel final : public Model {
 public:
  explicit ConcatModel(const Scope& scope)
      : a_(scope / "a", {.in = 33, .out = 31, .input = KBit(8), .weight = Sign()}),
        norm_a_(scope / "a", {.features = 31}),
        b_(scope / "b", {.in = 33, .out = 5, .input = Sign(), .weight = Ternary(0.5f), .bias = true}),
        joined_(scope / "joined", {.in = 36, .out = 9, .input = Sign(), .weight = Sign()}),
        norm_(scope / "joined", {.features = 9}),
        out_(scope / "out", {.in = 9, .out = 4, .input = Sign(), .weight = KBit(3)}) {}
  Var Forward(const Var& x) override {
    const Var b = Quantize(b_(x), KBit(2));
    return out_(Relu(norm_(joined_(Concat({norm_a_(a_(x)), b})))));
  }

 private:
  Dense a_;
  BatchNorm norm_a_;
  Dense b_, joined_;
  BatchNorm norm_;
  Dense out_;
};

// What depends on no input is a constant, however the model computes it: a shift that is the tanh of a sum of
// parameters, a weight that is scaled before it is quantized.
class ConstantsModel final : public Model {
 public:
  explicit ConstantsModel(const Scope& scope)
      : in_(scope / "in", {.in = 33, .out = 24, .input = KBit(8), .weight = Sign()}),
        norm_(scope / "in", {.features = 24}),
        w_(scope.NewParameter("w", {7, 24}, Initializer::Uniform(1))),
        a_(scope.NewParameter("a", {24}, Initializer::Uniform(1))),
        b_(scope.NewParameter("b", {24}, Initializer::Uniform(1))) {}
  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    const Var shift = Tanh(Add(tape.Use(a_), tape.Use(b_)));
    const Var h = Quantize(Add(norm_(in_(x)), shift), Sign());
    const Var w = Mul(tape.Use(w_), tape.Use(a_));
    return Linear(h, Quantize(w, Sign().In(QuantizerRole::kWeight)));
  }

 private:
  Dense in_;
  BatchNorm norm_;
  Parameter &w_, &a_, &b_;
};

// Layers that quantize one value in different ways: it folds where the codes are the same.
class TwoReadersModel final : public Model {
 public:
  TwoReadersModel(const Scope& scope, const std::string& left, const std::string& right)
      : in_(scope / "in", {.in = 33, .out = 50, .input = KBit(8), .weight = Sign()}),
        norm_(scope / "in", {.features = 50}),
        left_(scope / "left", {.in = 50, .out = 7, .input = Q(left), .weight = Sign()}),
        right_(scope / "right", {.in = 50, .out = 7, .input = Q(right), .weight = KBit(2)}) {}
  Var Forward(const Var& x) override {
    const Var h = norm_(in_(x));
    return Add(left_(h), right_(h));
  }

 private:
  Dense in_;
  BatchNorm norm_;
  Dense left_, right_;
};

// A block whose result is added to its input: the sum's operands are needed as floats.
class ResidualModel final : public Model {
 public:
  explicit ResidualModel(const Scope& scope)
      : in_(scope / "in", {.in = 31, .out = 65, .input = KBit(8), .weight = Sign()}),
        norm_in_(scope / "in", {.features = 65}),
        block_(scope / "block", {.in = 65, .out = 65, .input = Sign(), .weight = Sign()}),
        norm_block_(scope / "block", {.features = 65}),
        out_(scope / "out", {.in = 65, .out = 3, .input = Sign(), .weight = Sign()}) {}
  Var Forward(const Var& x) override {
    const Var h = norm_in_(in_(x));
    return out_(Add(h, norm_block_(block_(h))));
  }

 private:
  Dense in_;
  BatchNorm norm_in_;
  Dense block_;
  BatchNorm norm_block_;
  Dense out_;
};

// One value is the sign input of two layers: it folds once and is read twice. The two results meet
// in a product.
class SharedSignModel final : public Model {
 public:
  explicit SharedSignModel(const Scope& scope)
      : in_(scope / "in", {.in = 33, .out = 100, .input = KBit(8), .weight = Sign(), .bias = true}),
        norm_in_(scope / "in", {.features = 100}),
        left_(scope / "left", {.in = 100, .out = 7, .input = Sign(), .weight = Sign()}),
        norm_left_(scope / "left", {.features = 7}),
        right_(scope / "right", {.in = 100, .out = 7, .input = ApproxSign(), .weight = DorefaWeight(2)}) {}
  Var Forward(const Var& x) override {
    const Var h = Hardtanh(norm_in_(in_(x)));
    return Sub(norm_left_(left_(h)), Mul(left_(h), right_(h)));
  }

 private:
  Dense in_;
  BatchNorm norm_in_;
  Dense left_;
  BatchNorm norm_left_;
  Dense right_;
};

// A value that a layer binarizes and something else reads as it is does not fold.
class ReadTwiceModel final : public Model {
 public:
  explicit ReadTwiceModel(const Scope& scope)
      : in_(scope / "in", {.in = 33, .out = 7, .input = KBit(8), .weight = Sign()}),
        norm_(scope / "in", {.features = 7}),
        out_(scope / "out", {.in = 7, .out = 7, .input = Sign(), .weight = Sign()}) {}
  Var Forward(const Var& x) override {
    const Var h = norm_(in_(x));
    return Add(out_(h), Tanh(h));
  }

 private:
  Dense in_;
  BatchNorm norm_;
  Dense out_;
};

// Examples of two dimensions, a layer on the last of three, constants that are scaled and shifted
// by.
class ReshapeModel final : public Model {
 public:
  explicit ReshapeModel(const Scope& scope)
      : in_(scope / "in", {.in = 12, .out = 24, .input = KBit(8), .weight = Sign()}),
        scale_(scope.NewParameter("scale", {24}, Initializer::Uniform(2))),
        shift_(scope.NewParameter("shift", {24}, Initializer::Uniform(1))),
        parts_(scope / "parts", {.in = 8, .out = 5, .input = Sign(), .weight = Sign()}),
        norm_(scope / "parts", {.features = 5}),
        dropout_(0.5f),
        out_(scope / "out", {.in = 15, .out = 4, .input = Ternary(0.5f), .weight = Sign()}) {}
  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    Var h = Sub(Mul(in_(Flatten(x)), tape.Use(scale_)), tape.Use(shift_));
    h = norm_(parts_(Reshape(h, {-1, 3, 8})));
    return out_(dropout_(Flatten(h)));
  }

 private:
  Dense in_;
  Parameter& scale_;
  Parameter& shift_;
  Dense parts_;
  BatchNorm norm_;
  Dropout dropout_;
  Dense out_;
};

// Linear, scale by a constant of both signs, bias in front: no batch norm at all.
class ScaledModel final : public Model {
 public:
  explicit ScaledModel(const Scope& scope)
      : in_(scope / "in", {.in = 12, .out = 24, .input = KBit(8), .weight = Sign()}),
        scale_(scope.NewParameter("scale", {24}, Initializer::Uniform(2))),
        shift_(scope.NewParameter("shift", {24}, Initializer::Uniform(1))),
        out_(scope / "out", {.in = 24, .out = 4, .input = Sign(), .weight = Sign()}) {}
  Var Forward(const Var& x) override {
    Tape& tape = *x.tape();
    // A constant in front of the value is no reason to fail.
    return Mul(out_(LeakyRelu(Sub(Mul(in_(x), tape.Use(scale_)), tape.Use(shift_)), 0.0f)), out_(in_(x)));
  }

 private:
  Dense in_;
  Parameter& scale_;
  Parameter& shift_;
  Dense out_;
};

// A constant minus a value: the constant has a row for each example, all alike.
class MinusModel final : public Model {
 public:
  explicit MinusModel(const Scope& scope)
      : out_(scope / "out", {.in = 12, .out = 4, .input = KBit(8), .weight = Sign()}) {}
  Var Forward(const Var& x) override {
    Tensor constant({x.shape().dim(0), 4}, DType::kFloat32);
    for (int64_t i = 0; i < constant.num_elements(); ++i) {
      constant.mutable_data<float>()[i] = 0.3f * static_cast<float>(i % 4) - 0.5f;
    }
    return Sub(x.tape()->Input(ToDevice(x.tape()->context(), constant)), out_(x));
  }

 private:
  Dense out_;
};

template <typename M>
std::unique_ptr<FrozenModel> ExpectUserModelBitEqual(const Shape& example) {
  std::unique_ptr<FrozenModel> frozen;
  for (uint32_t seed = 1; seed <= 10; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937 random(seed);
    ParameterStore store(seed);
    M model(store.Root());
    EXPECT_TRUE(store.status().ok()) << store.status();
    RandomizeBatchNorms(store, random, seed % 2 == 0 ? 1.0f : 1.0f / 255);
    ExecContext context({.threads = 2});
    frozen = ExpectBitEqual(context, model, example, ImagesOnDevice(1000, 200), random);
    if (frozen == nullptr) break;
  }
  return frozen;
}

TEST_F(FreezeModelsTest, AConstantMinusAValue) { ASSERT_NE(ExpectUserModelBitEqual<MinusModel>({1, 12}), nullptr); }

TEST_F(FreezeModelsTest, Concat) {
  const auto frozen = ExpectUserModelBitEqual<ConcatModel>({1, 33});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 2);  // b -> the quantizer, joined -> out
}

TEST_F(FreezeModelsTest, WhatDependsOnNoInput) {
  const auto frozen = ExpectUserModelBitEqual<ConstantsModel>({1, 33});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 1);
}

TEST_F(FreezeModelsTest, OneValueQuantizedTwice) {
  const struct {
    const char *left, *right;
    int thresholds;
  } cases[] = {{"sign", "approx_sign", 1},
               {"k_bit(2)", "k_bit(2)", 1},
               {"k_bit(2)", "k_bit(3)", 0},
               {"sign", "sign(scale=0.5)", 0},
               {"k_bit(2)", "k_bit(5)", 0}};
  for (const auto& [left, right, thresholds] : cases) {
    SCOPED_TRACE(absl::StrCat(left, " ", right));
    std::mt19937 random(3);
    ParameterStore store(3);
    TwoReadersModel model(store.Root(), left, right);
    RandomizeBatchNorms(store, random, 1.0f / 255);
    ExecContext context({.threads = 1});
    const auto frozen = ExpectBitEqual(context, model, {1, 33}, ImagesOnDevice(1000, 100), random);
    ASSERT_NE(frozen, nullptr);
    EXPECT_EQ(frozen->thresholds(), thresholds);
  }
}

TEST_F(FreezeModelsTest, Residual) {
  const auto frozen = ExpectUserModelBitEqual<ResidualModel>({1, 31});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 0);
}

TEST_F(FreezeModelsTest, SignInputOfTwoLayers) {
  const auto frozen = ExpectUserModelBitEqual<SharedSignModel>({1, 33});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 1);
}

TEST_F(FreezeModelsTest, ValueAlsoReadAsFloat) {
  const auto frozen = ExpectUserModelBitEqual<ReadTwiceModel>({1, 33});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 0);
}

TEST_F(FreezeModelsTest, Reshape) { EXPECT_NE(ExpectUserModelBitEqual<ReshapeModel>({1, 2, 6}), nullptr); }

TEST_F(FreezeModelsTest, ConstantsOfBothSigns) {
  const auto frozen = ExpectUserModelBitEqual<ScaledModel>({1, 12});
  ASSERT_NE(frozen, nullptr);
  EXPECT_EQ(frozen->thresholds(), 2);
}

}  // namespace
}  // namespace bitgrad
