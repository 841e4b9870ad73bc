// Losses: a batch of predictions and its targets -> one number.
//
//   SoftmaxCrossEntropy  mean over the batch of -log softmax(logits)[label]
//       dlogits = (softmax - onehot) / batch
//   SquaredHinge         max(0, 1 - t y)^2 with t = +1 for the label's class, -1 for the others (L2-SVM,
//       Tang, arXiv 1306.0239); dlogits = -2 t max(0, 1 - t y), reduced as chosen
//   MeanSquaredError     mean over all elements of (y - target)^2;  dy = 2 (y - target) / count
//
// logits [batch, classes] float32, labels [batch] int32 in [0, classes). Whatever the device, labels and targets may be
// given in the host's memory: there labels are checked, and from there they are copied. Labels that are already on a
// GPU are not checked. Errors: shapes, dtypes, tensors of another device, a label out of range (named), an empty batch.

#ifndef BITGRAD_OPS_LOSSES_H_
#define BITGRAD_OPS_LOSSES_H_

#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/var.h"

namespace bitgrad {

Var SoftmaxCrossEntropy(const Var& logits, const Tensor& labels);

// The two reductions found in the papers' codes; their gradients differ by the number of classes.
enum class HingeReduction {
  kMeanOverBatchAndClasses,      // BNN and later BinaryConnect (Lasagne)
  kSumOverClassesMeanOverBatch,  // early BinaryConnect, few-multiplications
};
Var SquaredHinge(const Var& logits, const Tensor& labels,
                 HingeReduction reduction = HingeReduction::kMeanOverBatchAndClasses);

Var MeanSquaredError(const Var& y, const Tensor& target);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_LOSSES_H_
