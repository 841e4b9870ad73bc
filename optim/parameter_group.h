// ParameterGroup: the groups of parameters that can have an update rule of their own (optimizer.h).

#ifndef BITGRAD_OPTIM_PARAMETER_GROUP_H_
#define BITGRAD_OPTIM_PARAMETER_GROUP_H_

#include "bitgrad/graph/parameter.h"

namespace bitgrad {

enum class ParameterGroup {
  kQuantizedWeights,    // latent values of weights that products take quantized
  kQuantizerVariables,  // steps, clips, bit lengths, scales of quantizers
  kSplines,             // what learned activations are made of (models/layers/spline.h)
  kOthers,              // float weights, biases, batch norm
};
inline constexpr int kParameterGroups = 4;

inline ParameterGroup GroupOf(const Parameter& parameter) {
  switch (parameter.kind) {
    case ParameterKind::kQuantizedWeight: return ParameterGroup::kQuantizedWeights;
    case ParameterKind::kQuantizerVariable: return ParameterGroup::kQuantizerVariables;
    case ParameterKind::kSpline: return ParameterGroup::kSplines;
    case ParameterKind::kWeight:
    case ParameterKind::kOther: break;
  }
  return ParameterGroup::kOthers;
}

constexpr const char* Name(ParameterGroup group) {
  switch (group) {
    case ParameterGroup::kQuantizedWeights: return "quantized weights";
    case ParameterGroup::kQuantizerVariables: return "quantizer variables";
    case ParameterGroup::kSplines: return "splines";
    case ParameterGroup::kOthers: return "other parameters";
  }
  return "unknown";
}

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_PARAMETER_GROUP_H_
