// PoolStep: a max_pool or average_pool instruction, prepared for running.

#ifndef BITGRAD_RUNTIME_POOL_STEP_H_
#define BITGRAD_RUNTIME_POOL_STEP_H_

#include <cstdint>

#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/runtime/frame.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/step.h"

namespace bitgrad {

class PoolStep final : public Step {
 public:
  // REQUIRES: instruction `i` is max_pool or average_pool; the frame outlives the step.
  PoolStep(const PackedModel& model, int i, Frame& frame);

  void Run(Frame& frame) override;

 private:
  void RunMax(Frame& frame);
  void RunAverage(Frame& frame);

  const bool is_max_;
  const int operand_;
  const int result_;
  const PackedValue &x_, &y_;
  PoolGeometry geometry_;
  Tensor flips_;                         // null: none
  const int32_t* thresholds_ = nullptr;  // of an average_pool; null: none
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_POOL_STEP_H_
