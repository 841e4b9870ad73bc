#include <algorithm>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/onednn.h"
#include "bitgrad/ops/cpu/onednn_matmul.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad::cpu {
namespace {

// An operand in the form that BLAS accepts: rows are at least their own length apart. Rows that overlap (a row
// broadcast by stride 0) are copied.
class Operand {
 public:
  Operand(ExecContext& context, ConstMatrixView<float> view) : allocator_(context.allocator()) {
    data_ = view.data;
    stride_ = std::max<int64_t>(1, view.rows > 1 ? view.stride : view.cols);
    if (stride_ >= view.cols) return;
    bytes_ = static_cast<size_t>(view.size()) * sizeof(float);
    copy_ = static_cast<float*>(allocator_.Allocate(bytes_));
    for (int64_t i = 0; i < view.rows; ++i) {
      std::memcpy(copy_ + i * view.cols, view.row(i), view.cols * sizeof(float));
    }
    data_ = copy_;
    stride_ = view.cols;
  }
  Operand(const Operand&) = delete;
  Operand& operator=(const Operand&) = delete;
  ~Operand() {
    if (copy_ != nullptr) allocator_.Deallocate(copy_, bytes_);
  }

  const float* data() const { return data_; }
  int64_t stride() const { return stride_; }

 private:
  Allocator& allocator_;
  const float* data_;
  int64_t stride_;
  float* copy_ = nullptr;
  size_t bytes_ = 0;
};

// c = beta c, where beta = 0 does not read c.
void ScaleRows(float beta, MatrixView<float> c) {
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.cols; ++j) c.at(i, j) = beta == 0.0f ? 0.0f : beta * c.at(i, j);
  }
}

// Up to this many rows, oneDNN's matmul was faster than its sgemm (docs/performance.md).
constexpr int64_t kMatmulRows = 512;

// c = a b^T by oneDNN's matmul. Neither it nor dnnl_sgemm is the best everywhere: with few rows, dnnl_sgemm copies b
// before it multiplies, and does not share that work between threads. REQUIRES: rows of c are at least its width apart.
dnnl_status_t MultiplyByTransposed(const Operand& a, const Operand& b, int64_t k, MatrixView<float> c,
                                   int64_t c_stride) {
  try {
    const OneDnnMatmul product(c.rows, c.cols, k, a.stride(), b.stride(), c_stride, dnnl::scratchpad_mode::library);
    product.Execute(a.data(), b.data(), c.data, /*scratchpad=*/nullptr);
  } catch (const dnnl::error& error) {
    return error.status;
  }
  return dnnl_success;
}

}  // namespace

void GemmF32(ExecContext& context, bool transpose_a, bool transpose_b, float alpha, ConstMatrixView<float> a,
             ConstMatrixView<float> b, float beta, MatrixView<float> c) {
  const int64_t k = transpose_a ? a.rows : a.cols;
  BITGRAD_DCHECK((transpose_a ? a.cols : a.rows) == c.rows);
  BITGRAD_DCHECK((transpose_b ? b.cols : b.rows) == k);
  BITGRAD_DCHECK((transpose_b ? b.rows : b.cols) == c.cols);
  if (c.rows == 0 || c.cols == 0) return;
  if (k == 0) return ScaleRows(beta, c);

  const Operand left(context, a);
  const Operand right(context, b);
  const OmpThreads threads(context.threads());
  const int64_t c_stride = std::max<int64_t>(c.cols, c.rows > 1 ? c.stride : c.cols);
  const bool few_rows = c.rows > 1 && c.rows <= kMatmulRows;
  const dnnl_status_t status =
      !transpose_a && transpose_b && alpha == 1.0f && beta == 0.0f && few_rows
          ? MultiplyByTransposed(left, right, k, c, c_stride)
          // Unlike Fortran's, oneDNN's sgemm is row-major.
          : dnnl_sgemm(transpose_a ? 'T' : 'N', transpose_b ? 'T' : 'N', c.rows, c.cols, k, alpha, left.data(),
                       left.stride(), right.data(), right.stride(), beta, c.data, c_stride);
  if (status != dnnl_success) {
    context.ReportError(
        absl::InternalError(absl::StrCat("gemm_f32: oneDNN failed with status ", static_cast<int>(status), " for [",
                                         c.rows, ", ", k, "] x [", k, ", ", c.cols, "]")));
  }
}

}  // namespace bitgrad::cpu
