// What a training step of a model computes, by layer: the numbers of scalar operations that the tape has counted
// (graph/arithmetic.h, docs/conventions.md), and those of the optimizer.
//
//   BITGRAD_ASSIGN_OR_RETURN(const std::vector<LayerArithmetic> layers,
//                            CountStep(options, *model, *store, *task, *optimizer, 200,
//                            CountingConvention::kExecuted));

#ifndef BITGRAD_MODELS_TRAINING_STEP_ARITHMETIC_H_
#define BITGRAD_MODELS_TRAINING_STEP_ARITHMETIC_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/graph/arithmetic.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/optim/optimizer.h"

namespace bitgrad {

enum class CountingConvention {
  kExecuted,  // what the ops of the step compute
  // Float multiplications as Lin et al. count them (arXiv 1510.03009, section 5; the formulas are derived from the
  // paper's digits). For a batch of B, and a product of M outputs for each example:
  //   the forward product, and in the backward pass those for the input and for the weight: B times the product's
  //     multiply-accumulates each, and none where an operand is -1, 0 or +1 or a power of two. The product for the
  //     input of the first layer, which nobody needs, counts;
  //   3 B M: the gradient times the derivative of the activation, twice, and times the learning rate;
  //   batch norm: 9 (B + 1) for each feature, B being the elements that it is over.
  // Nothing else has a multiplication. The other kinds of operations are those of kExecuted.
  kPaper,
};

// One step with `batch_size` examples of zeros; which numbers they are changes no count. Parameters, gradients and
// running statistics are as before afterwards. In training `forward`, `backward` and `update` of each layer.
absl::StatusOr<std::vector<LayerArithmetic>> CountStep(const ExecContext::Options& options, Model& model,
                                                       ParameterStore& parameters, const Task& task,
                                                       const Optimizer& optimizer, int64_t batch_size,
                                                       CountingConvention convention);

// The forward pass of an evaluation of one example.
absl::StatusOr<ArithmeticCounts> CountInference(const ExecContext::Options& options, Model& model,
                                                ParameterStore& parameters, const Task& task);

ArithmeticCounts SumOf(absl::Span<const LayerArithmetic> layers);

// The layers as people read them: a line for each part of each layer that computes something, then the total.
std::string ArithmeticTable(absl::Span<const LayerArithmetic> layers);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_STEP_ARITHMETIC_H_
