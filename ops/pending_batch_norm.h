// The output of batch norm in training, pending: made of batch norm's input when somebody reads it, or never, where a binary
// layer takes its signs. Internal to ops/.

#ifndef BITGRAD_OPS_PENDING_BATCH_NORM_H_
#define BITGRAD_OPS_PENDING_BATCH_NORM_H_

#include <utility>

#include "core/bit_matrix.h"
#include "core/tensor.h"
#include "graph/pending_value.h"
#include "ops/dispatch.h"

namespace bitgrad {

class PendingBatchNorm final : public PendingValue {
 public:
  // x [.., n], the others [n].
  PendingBatchNorm(Tensor x, Tensor mean, Tensor inv_std, Tensor gamma, Tensor beta)
      : x_(std::move(x)),
        mean_(std::move(mean)),
        inv_std_(std::move(inv_std)),
        gamma_(std::move(gamma)),
        beta_(std::move(beta)) {}

  Tensor Compute(ExecContext& context) const override {
    Tensor y(x_.shape(), DType::kFloat32, context.allocator());
    KernelsFor(context.device())
        .batch_norm_eval(context, x_.matrix<float>(), mean_.data<float>(), inv_std_.data<float>(),
                         gamma_.data<float>(), beta_.data<float>(), y.mutable_matrix<float>());
    return y;
  }

  // The signs of the value and, where window.words is not null, whether it lies in [-1, 1].
  void Signs(ExecContext& context, BitMatrixView bits, BitMatrixView window) const {
    KernelsFor(context.device())
        .batch_norm_signs(context, x_.matrix<float>(), mean_.data<float>(), inv_std_.data<float>(),
                          gamma_.data<float>(), beta_.data<float>(), bits, window);
  }

 private:
  const Tensor x_, mean_, inv_std_, gamma_, beta_;
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_PENDING_BATCH_NORM_H_
