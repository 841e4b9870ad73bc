#include "bitgrad/ops/cuda/wgmma_gemm.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// Whether there are enough tiles: with fewer, tensor_gemm.h's smaller tiles share the work more evenly (an estimate,
// not measured).
bool UsesWgmma(const TensorProblem& problem, int64_t cols) {
  constexpr int64_t kLeastTiles = 66;
  const int64_t tiles =
      ((problem.a.rows + WgmmaTile::kRows - 1) / WgmmaTile::kRows) * ((cols + WgmmaTile::kCols - 1) / WgmmaTile::kCols);
  return ComputeCapability() == 90 && problem.pairs == 1 && problem.row_bytes >= WgmmaTile::kSliceBytes &&
         tiles >= kLeastTiles;
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
