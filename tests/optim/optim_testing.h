// Helpers of the optimizer tests: a small model that consists only of parameters, and random gradients.

#ifndef BITGRAD_TESTS_OPTIM_OPTIM_TESTING_H_
#define BITGRAD_TESTS_OPTIM_OPTIM_TESTING_H_

#include <cstdint>
#include <initializer_list>
#include <memory>
#include <ostream>
#include <string>
#include <utility>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/optim/optimizers.h"

namespace bitgrad {

// A model without layers: parameters in the order in which Add() made them.
class BareModel {
 public:
  Parameter& Add(const std::string& name, std::vector<float> values) {
    auto parameter = std::make_unique<Parameter>();
    parameter->name = name;
    parameter->value = Vector(values);
    pointers_.push_back(parameter.get());
    owned_.push_back(std::move(parameter));
    return *pointers_.back();
  }

  absl::Span<Parameter* const> parameters() const { return pointers_; }
  Parameter& operator[](size_t i) { return *pointers_[i]; }

  static Tensor Vector(const std::vector<float>& values) {
    return Tensor::Of<float>(Shape({static_cast<int64_t>(values.size())}), values);
  }

 private:
  std::vector<std::unique_ptr<Parameter>> owned_;
  std::vector<Parameter*> pointers_;
};

inline std::vector<float> Values(const Tensor& tensor) {
  return {tensor.span<float>().begin(), tensor.span<float>().end()};
}

// Random values, uniform in [-1, 1).
inline std::vector<float> RandomValues(int64_t count, uint32_t stream) {
  const RngStream rng{.seed = 17, .purpose = RngPurpose::kTest, .stream = stream};
  std::vector<float> values(count);
  for (int64_t i = 0; i < count; ++i) values[i] = 2 * Uniform(rng, i) - 1;
  return values;
}

// Random gradients of both signs with magnitudes in [0.5, 1): so no state of an optimizer comes near 0, and the
// rounding errors of its steps have a bound.
inline std::vector<float> RandomGradient(int64_t count, uint32_t stream) {
  std::vector<float> values = RandomValues(count, 1000 + stream);
  for (float& value : values) value = value < 0 ? value / 2 - 0.5f : value / 2 + 0.5f;
  return values;
}

// An optimizer of the table, with hyperparameters.
struct OptimizerCase {
  std::string name;
  Hyperparameters hyperparameters;

  std::string TestName() const {
    std::string result = name;
    for (const auto& [key, value] : hyperparameters) result += "_" + key;
    return result;
  }
  friend std::ostream& operator<<(std::ostream& out, const OptimizerCase& value) { return out << value.TestName(); }
};

// Every rule of the table that can train any parameter with its defaults, and those whose formula has branches also
// with an option for each branch.
inline std::vector<OptimizerCase> OptimizerCases() {
  std::vector<OptimizerCase> cases;
  for (const UpdateRuleInfo& info : AllUpdateRules()) {
    if (!(*info.make({}))->traits().binary_weights_only) cases.push_back({info.name, {}});
  }
  cases.push_back({"sgd", {{"momentum", 0.9}}});
  cases.push_back({"sgd", {{"momentum", 0.9}, {"nesterov", 1}}});
  cases.push_back({"adam", {{"beta1", 0.5}, {"beta2", 0.75}, {"epsilon", 0.125}}});
  for (const char* name : {"adamax", "shift_adamax", "shift_adamax_torch"}) {
    cases.push_back({name, {{"beta1", 0.5}, {"beta2", 0.75}, {"epsilon", 0.125}}});
  }
  return cases;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPTIM_OPTIM_TESTING_H_
