// ApplyLoss: the recipe's loss of a batch, from logits [batch, classes] and labels [batch] to one number.

#ifndef BITGRAD_MODELS_TRAINING_LOSS_H_
#define BITGRAD_MODELS_TRAINING_LOSS_H_

#include "bitgrad/ops/losses.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

inline Var ApplyLoss(recipe::Loss loss, const Var& logits, const Tensor& labels) {
  switch (loss) {
    case recipe::SQUARED_HINGE_SUM: return SquaredHinge(logits, labels, HingeReduction::kSumOverClassesMeanOverBatch);
    case recipe::SOFTMAX_CROSS_ENTROPY: return SoftmaxCrossEntropy(logits, labels);
    default: return SquaredHinge(logits, labels);
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_LOSS_H_
