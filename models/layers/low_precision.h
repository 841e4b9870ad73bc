// Training in arithmetic of low precision (Courbariaux et al., arXiv 1412.7024): which numbers of a layer are rounded.
//
// Each layer has ten groups of numbers, whose ranges are apart from each other:
//
//   weight, bias          as they are stored, in the format `update`; products read them rounded to `computation`
//   output (z)            of the product and its bias
//   activation (y)
//   the four gradients    with respect to weight, bias, z and y
//   the two updates       the steps of the optimizer for weight and bias, with a momentum also the velocities
//
// The last eight are rounded to `computation`. A dynamic format has a range for each group, below the path of the
// numbers: "hidden1/weight/range", "hidden1/output/gradient/range", "hidden1/bias/update/range". They begin at
// RangeControl::first_range and are adjusted after each step (TrainingStep); beside each lies what was counted for it,
// "overflows" [3].

#ifndef BITGRAD_MODELS_LAYERS_LOW_PRECISION_H_
#define BITGRAD_MODELS_LAYERS_LOW_PRECISION_H_

#include <string>

#include "bitgrad/core/number_format.h"
#include "bitgrad/graph/number_group.h"
#include "bitgrad/graph/parameter.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/models/layers/layer.h"
#include "bitgrad/models/scope.h"

namespace bitgrad {

struct PrecisionOptions {
  NumberFormat computation;
  NumberFormat update;  // of the same kind
  RangeControl control;

  bool rounds() const { return !computation.is_float() || !update.is_float(); }
};

// A weight or a bias.
class RoundedParameter {
 public:
  // Makes the groups of "scope/name" and tells the parameter how the optimizer rounds it.
  RoundedParameter(const Scope& scope, const PrecisionOptions& options, Parameter& parameter);
  // The parameter as products read it.
  Var operator()(Tape& tape) const;

 private:
  Parameter* parameter_;
  NumberGroup value_, gradient_;
};

// Values of a layer, outputs or activations, and the gradient that arrives at them: y = x, rounded (ops/round.h).
class RoundValues final : public Layer {
 public:
  RoundValues(const Scope& scope, const PrecisionOptions& options);
  Var operator()(const Var& x) override;

 private:
  std::string path_;
  NumberGroup value_, gradient_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_LAYERS_LOW_PRECISION_H_
