// The scalar functions of quantizers as values, and what to try them with.

#ifndef BITGRAD_TESTS_OPS_QUANTIZERS_SCALAR_FUNCTIONS_H_
#define BITGRAD_TESTS_OPS_QUANTIZERS_SCALAR_FUNCTIONS_H_

#include <cmath>
#include <limits>
#include <ostream>
#include <vector>

#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/reference/quantizers.h"

namespace bitgrad {

inline constexpr float kInfinity = std::numeric_limits<float>::infinity();
inline constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

inline void PrintTo(const Quantizer& quantizer, std::ostream* out) { *out << quantizer.ToString(); }

// What a quantizer reads beside x, and its scale where that is learned.
struct Numbers {
  float statistic = 1, variable = 1, scale = 1;

  QuantizerNumbers of_form() const { return {.statistic = statistic, .variable = variable}; }
  reference::Numbers exact() const { return {statistic, variable, scale}; }
};

inline std::ostream& operator<<(std::ostream& out, const Numbers& numbers) {
  return out << "statistic " << numbers.statistic << ", variable " << numbers.variable << ", scale " << numbers.scale;
}

inline float Code(const Quantizer& q, float x, const Numbers& numbers = {}, float uniform = 0.5f) {
  float code = 0;
  DispatchQuantizer(q.info(), [&]<typename Q>() { code = Q::Code(x, q.args(), numbers.of_form(), uniform); });
  return code;
}

inline float ScaleOf(const Quantizer& q, const Numbers& numbers) {
  switch (q.scale_operand()) {
    case ScaleOperand::kOne: break;
    case ScaleOperand::kStatistic: return q.scale(numbers.statistic);
    case ScaleOperand::kVariable: return q.scale(numbers.variable);
    case ScaleOperand::kScale: return q.scale(numbers.scale);
  }
  return q.scale(1.0f);
}

inline float Value(const Quantizer& q, float x, const Numbers& numbers = {}, float uniform = 0.5f) {
  return Code(q, x, numbers, uniform) * ScaleOf(q, numbers);
}

inline float Surrogate(const Quantizer& q, float x, const Numbers& numbers = {}) {
  float surrogate = 0;
  DispatchQuantizer(q.info(), [&]<typename Q>() { surrogate = Q::Surrogate(x, q.args(), numbers.of_form()); });
  return surrogate;
}

inline float VariableSurrogate(const Quantizer& q, float x, const Numbers& numbers) {
  float surrogate = 0;
  DispatchQuantizer(q.info(), [&]<typename Q>() { surrogate = Q::VariableSurrogate(x, q.args(), numbers.of_form()); });
  return surrogate;
}

// Numbers of the size that the quantizer's have.
inline std::vector<Numbers> NumbersFor(const Quantizer& q) {
  std::vector<float> statistics = {1}, variables = {1}, scales = {1};
  if (q.statistic() != Statistic::kNone) statistics = {0.0f, 0.3f, 0.5f, 1.0f, 2.0f};
  // One half, and one that is no power of two; and bit lengths.
  if (q.has_variable()) variables = {0.5f, 1.5f};
  if (q.info().name == "bit_pruning") variables = {1.0f, 1.25f, 2.0f, 3.9f, 7.5f, 8.0f};
  if (q.has_learned_scale()) scales = {0.25f, 1.7f};
  std::vector<Numbers> all;
  for (const float statistic : statistics) {
    for (const float variable : variables) {
      for (const float scale : scales) all.push_back({statistic, variable, scale});
    }
  }
  return all;
}

// Whether a quantizer is another one for weights than for activations.
inline bool DependsOnRole(const Quantizer& q) {
  const Quantizer weight = q.In(QuantizerRole::kWeight);
  return weight.encoding() != q.encoding() || Code(weight, -0.4f) != Code(q, -0.4f);
}

// Every quantizer with several arguments: all numbers of bits; the ends and the default of a real parameter. Those that
// depend on it in both roles, and all with every scale and granularity that they take.
inline std::vector<Quantizer> Quantizers() {
  std::vector<Quantizer> quantizers;
  const auto add = [&](const Quantizer& q) {
    quantizers.push_back(q);
    const Quantizer weight = q.In(QuantizerRole::kWeight);
    if (weight.status().ok() && DependsOnRole(q)) quantizers.push_back(weight);
  };
  for (const QuantizerInfo& info : AllQuantizers()) {
    std::vector<QuantizerArgs> args;
    switch (info.argument) {
      case QuantizerArgument::kNone: args = {{}}; break;
      case QuantizerArgument::kBits:
        for (int bits = static_cast<int>(info.min_argument); bits <= static_cast<int>(info.max_argument); ++bits) {
          args.push_back({.bits = bits});
          if (info.zero_is_optional) args.push_back({.bits = bits, .zero = false});
        }
        break;
      case QuantizerArgument::kParameter:
        for (float value :
             {info.default_argument, info.min_argument, info.default_argument * 0.7f, info.max_argument}) {
          args.push_back({.parameter = value});
        }
        break;
    }
    for (const QuantizerArgs& a : args) add(Quantizer(&info, a));
    const Quantizer some(&info, args[args.size() / 3]);
    if (some.PerRow() != some && some.PerRow().status().ok()) add(some.PerRow());
    if (!info.scalable) continue;
    for (const Quantizer& scaled : {some.WithLearnedScale(), some.WithMeanScale()}) {
      add(scaled);
      add(scaled.PerRow());
    }
    add(some.WithFixedScale(0.3f));
  }
  add(SwishSignWithLearnedBeta(5));
  add(SwishSignWithLearnedBeta(2).WithLearnedScale().PerRow());
  add(ExponentialRound({.least = -4, .most = 3}));
  add(ExponentialRound({.least = -2, .most = 0, .as_authors = true}));
  return quantizers;
}

// Ascending: a fine grid over [-3, 3], the neighbours of every multiple of 1/8, and far away.
inline std::vector<float> Inputs() {
  std::vector<float> inputs = {-kInfinity, -std::numeric_limits<float>::max(), -1e10f, -100.0f};
  for (int i = -600; i <= 600; ++i) {
    const float x = static_cast<float>(i) / 200.0f;
    if (i % 25 == 0) inputs.push_back(std::nextafter(x, -kInfinity));
    if (i == 0) inputs.push_back(-0.0f);
    inputs.push_back(x);
    if (i % 25 == 0) inputs.push_back(std::nextafter(x, kInfinity));
  }
  for (float x : {100.0f, 1e10f, std::numeric_limits<float>::max(), kInfinity}) inputs.push_back(x);
  return inputs;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_QUANTIZERS_SCALAR_FUNCTIONS_H_
