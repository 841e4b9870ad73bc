#include "bitgrad/bench/cuda_baselines.h"

#include "bitgrad/ops/cuda/launch.h"

namespace bitgrad {

void SignsOfSums(ExecContext& context, const float* sums, const int32_t* threshold, int64_t m, int64_t n,
                 float* signs) {
  cuda::ForCells(context, "signs_of_sums", m, n, [=] __device__(int64_t i, int64_t j) {
    signs[i * n + j] = sums[i * n + j] >= static_cast<float>(threshold[j]) ? 1.0f : -1.0f;
  });
}

void SignsOfSums(ExecContext& context, const float* sums, const int32_t* threshold, int64_t m, int64_t n,
                 uint16_t* signs) {
  cuda::ForCells(context, "signs_of_sums", m, n, [=] __device__(int64_t i, int64_t j) {
    signs[i * n + j] = sums[i * n + j] >= static_cast<float>(threshold[j]) ? 0x3f80 : 0xbf80;
  });
}

}  // namespace bitgrad
