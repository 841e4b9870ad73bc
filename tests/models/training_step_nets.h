// The nets that training_step_test trains, each by the name of its case.

#ifndef BITGRAD_TESTS_MODELS_TRAINING_STEP_NETS_H_
#define BITGRAD_TESTS_MODELS_TRAINING_STEP_NETS_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "bitgrad/models/mlp.h"
#include "bitgrad/models/penalties.h"
#include "bitgrad/models/residual_net.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {

inline constexpr int64_t kFeatures = 70;
inline constexpr int32_t kClasses = 4;

struct NetCase {
  const char* name;
  std::vector<std::string> quantizers;  // input, activation, weight, gradient
  float keep = 1.0f;
  const char* optimizer = "adam";
  double max_gradient_norm = 0;
  BatchNormArithmetic arithmetic = BatchNormArithmetic::kExact;
  const char* activation = "identity";
  // Of the connections of a small residual net; none: a net of dense layers.
  std::optional<ResidualConnection> connection = std::nullopt;
};

// Dense layers whose activations are splines, which are fined for their norm.
class FinedSplines final : public Model {
 public:
  FinedSplines(const Scope& scope, const MlpOptions& options) : mlp_(scope, options) {}
  Var Forward(const Var& x) override { return mlp_.Forward(x); }
  Var Penalty(Tape& tape) override { return SumOfSplinePenalties(tape, SplinePenaltyKind::kBv2); }

 private:
  Mlp mlp_;
};

inline std::unique_ptr<Model> ModelOf(const NetCase& c, const Scope& scope) {
  if (c.connection.has_value()) {
    const ResidualNetOptions options = {.image = {5, 7, 2},
                                        .stem_filters = 6,
                                        .stages = {{.filters = 12, .blocks = 1, .stride = 2}},
                                        .connection = *c.connection,
                                        .classes = kClasses,
                                        .activation_quantizer = *ParseQuantizer(c.quantizers[1]),
                                        .weight = *ParseQuantizer(c.quantizers[2]),
                                        .gradient = *ParseQuantizer(c.quantizers[3])};
    return std::make_unique<ResidualNet>(scope, options);
  }
  const MlpOptions options = {.features = kFeatures,
                              .hidden = {33, 20},
                              .classes = kClasses,
                              .input = *ParseQuantizer(c.quantizers[0]),
                              .activation_quantizer = *ParseQuantizer(c.quantizers[1]),
                              .weight = *ParseQuantizer(c.quantizers[2]),
                              .gradient = *ParseQuantizer(c.quantizers[3]),
                              .activation = c.activation,
                              .norm = {.arithmetic = c.arithmetic},
                              .input_keep = c.keep,
                              .hidden_keep = c.keep};
  if (std::string(c.activation) != "identity") return std::make_unique<FinedSplines>(scope, options);
  return std::make_unique<Mlp>(scope, options);
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_TRAINING_STEP_NETS_H_
