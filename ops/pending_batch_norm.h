// The pending output of batch norm in training. It is computed from batch norm's input when somebody reads it. A binary
// quantizer does not read it: it takes the signs with Signs(), and then the output is never computed. Internal to ops/.

#ifndef BITGRAD_OPS_PENDING_BATCH_NORM_H_
#define BITGRAD_OPS_PENDING_BATCH_NORM_H_

#include <utility>

#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/pending_value.h"
#include "bitgrad/ops/dispatch.h"

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
        .batch_norm_eval(context, x_.matrix<float>(), mean_.data<float>(), inv_std_.data<float>(), gamma_.data<float>(),
                         beta_.data<float>(), y.mutable_matrix<float>());
    return y;
  }

  bool has_signs() const override { return true; }
  void Signs(ExecContext& context, BitMatrixView bits, BitMatrixView window) const override;

 private:
  const Tensor x_, mean_, inv_std_, gamma_, beta_;
};

inline void PendingBatchNorm::Signs(ExecContext& context, BitMatrixView bits, BitMatrixView window) const {
  const Kernels& kernels = KernelsFor(context.device());
  const int64_t n = x_.shape().cols();
  if (bits.cols == n) {
    kernels.batch_norm_signs(context, x_.matrix<float>(), mean_.data<float>(), inv_std_.data<float>(),
                             gamma_.data<float>(), beta_.data<float>(), bits, window);
    return;
  }
  // The statistics, repeated for each pixel of a row, make the bit image a matrix for the kernel. A row is a line of
  // the image where the bits of a line are whole cache lines, for then lines follow each other without gaps; so the
  // repeated statistics are short enough to stay in the cache. Otherwise a row is a whole image.
  int64_t cols = bits.cols;
  if (x_.shape().rank() == 4) {
    const int64_t line = x_.shape().dim(2) * n;
    if (line % (64 * BitMatrix::kWordsPerLine) == 0) cols = line;
  }
  const int64_t repeats = cols / n;
  const auto repeated = [&](const Tensor& vector) {
    Tensor all({repeats, n}, DType::kFloat32, context.allocator());
    kernels.copy_matrix(context, {vector.data<float>(), repeats, n, 0}, all.mutable_matrix<float>());
    return all;
  };
  const Tensor mean = repeated(mean_), inv_std = repeated(inv_std_), gamma = repeated(gamma_), beta = repeated(beta_);
  const int64_t rows = x_.num_elements() / cols;
  const auto lines = [&](const BitMatrixView& view) {
    return view.words == nullptr || cols == bits.cols ? view : BitMatrixView{view.words, rows, cols, cols / 64};
  };
  kernels.batch_norm_signs(context, {x_.data<float>(), rows, cols}, mean.data<float>(), inv_std.data<float>(),
                           gamma.data<float>(), beta.data<float>(), lines(bits), lines(window));
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_PENDING_BATCH_NORM_H_
