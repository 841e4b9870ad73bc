// What kernels that round to number formats share: the rounding of one number, and counts of overflows.

#ifndef BITGRAD_OPS_CUDA_ROUNDING_H_
#define BITGRAD_OPS_CUDA_ROUNDING_H_

#include <cmath>
#include <cstdint>
#include <initializer_list>

#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/kernels/round_numbers.h"
#include "bitgrad/ops/kernels/scratch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {

// How many numbers were at the largest of the format, and at half of it or more.
struct OverflowCell {
  unsigned long long at_most, at_half;
};

// A thread's part of them.
struct OverflowSum {
  int64_t at_most = 0, at_half = 0;
  // `cell` may be null. REQUIRES: all threads of a block of kThreads call.
  __device__ void AddTo(OverflowCell* cell) {
    if (cell == nullptr) return;
    const int64_t most = BlockSum(at_most), half = BlockSum(at_half);
    if (threadIdx.x != 0) return;
    atomicAdd(&cell->at_most, static_cast<unsigned long long>(most));
    atomicAdd(&cell->at_half, static_cast<unsigned long long>(half));
  }
};

class Rounder {
 public:
  __device__ explicit Rounder(const Rounding& rounding)
      : kind_(rounding.kind),
        fixed_(kind_ == NumberFormatKind::kFixed || kind_ == NumberFormatKind::kDynamicFixed
                   ? FixedPoint::Of(rounding.bits, rounding.range == nullptr ? rounding.fixed_range
                                                                             : static_cast<int>(*rounding.range))
                   : FixedPoint{1, 1, 1}) {}

  __device__ float operator()(float x, OverflowSum& sum) const {
    switch (kind_) {
      case NumberFormatKind::kFloat: return x;
      case NumberFormatKind::kHalf: return RoundToHalf(x);
      case NumberFormatKind::kBfloat16: return RoundToBfloat16(x);
      case NumberFormatKind::kFixed:
      case NumberFormatKind::kDynamicFixed: break;
    }
    const float code = fixed_.Code(x);
    sum.at_most += fabsf(code) >= fixed_.most;
    sum.at_half += fabsf(code) >= 0.5f * fixed_.most;
    return code * fixed_.step;
  }

 private:
  NumberFormatKind kind_;
  FixedPoint fixed_;
};

// Where up to two Roundings of a kernel count; null for one that counts nothing.
struct OverflowTargets {
  float* overflows[2] = {nullptr, nullptr};
};

inline void EnqueueZero(ExecContext& context, const char* name, OverflowCell* cells, int64_t size) {
  ForElements(context, name, size, [=] __device__(int64_t i) { cells[i] = {0, 0}; });
}

// Adds the shares of `count` numbers to the targets.
inline void EnqueueStore(ExecContext& context, const char* name, const OverflowCell* cells,
                         const OverflowTargets& targets, int64_t size, int64_t count) {
  ForElements(context, name, size, [=] __device__(int64_t i) {
    float* const overflows = targets.overflows[i];
    if (overflows == nullptr) return;
    overflows[0] += static_cast<float>(static_cast<double>(cells[i].at_most) / static_cast<double>(count));
    overflows[1] += static_cast<float>(static_cast<double>(cells[i].at_half) / static_cast<double>(count));
    overflows[2] += 1.0f;
  });
}

// The cells of one or two Roundings of a kernel; none where nothing is counted.
class OverflowCells {
 public:
  OverflowCells(ExecContext& context, const char* name, std::initializer_list<Rounding> roundings)
      : context_(context), name_(name), cells_(context, static_cast<int64_t>(roundings.size())) {
    for (const Rounding& rounding : roundings) targets_.overflows[size_++] = rounding.overflows;
    if (counts()) EnqueueZero(context, name, cells_.data(), size_);
  }
  // Null where the Rounding counts nothing.
  OverflowCell* cell(int i) const { return targets_.overflows[i] == nullptr ? nullptr : cells_.data() + i; }
  void Store(int64_t count) const {
    if (counts()) EnqueueStore(context_, name_, cells_.data(), targets_, size_, count);
  }

 private:
  bool counts() const { return targets_.overflows[0] != nullptr || targets_.overflows[1] != nullptr; }
  ExecContext& context_;
  const char* const name_;
  Scratch<OverflowCell> cells_;
  OverflowTargets targets_ = {};
  int size_ = 0;
};

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE

#endif  // BITGRAD_OPS_CUDA_ROUNDING_H_
