#include "bitgrad/runtime/pool_step.h"

#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/packed_weights.h"

namespace bitgrad {

PoolStep::PoolStep(const PackedModel& model, int i, Frame& frame)
    : is_max_(model.header().instructions(i).has_max_pool()),
      is_bits_(model.value(i + 1).is_bits),
      operand_(model.header().instructions(i).operands(0)),
      result_(i + 1) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Pool& pool = is_max_ ? instruction.max_pool() : instruction.average_pool();
  geometry_ = *GeometryOf(pool, model.value(operand_).example);  // The program has been checked.
  if (pool.has_flips()) flips_ = Flags(model, pool.flips(), geometry_.channels, frame.context());
}

void PoolStep::Run(Frame& frame) {
  const Kernels& kernels = frame.kernels();
  geometry_.batch = frame.batch();
  if (is_bits_) {
    const ConstBitMatrixView x = frame.bits(operand_);
    kernels.max_pool_bits(frame.context(), geometry_, x, flips_.is_null() ? nullptr : flips_.data<uint8_t>(),
                          frame.NewBits(result_));
    return;
  }
  const float* const x = frame.floats(operand_).data;
  float* const y = frame.NewFloats(result_).data;
  if (is_max_) {
    kernels.max_pool_forward(frame.context(), geometry_, x, y, nullptr);
  } else {
    kernels.average_pool_forward(frame.context(), geometry_, x, y);
  }
}

}  // namespace bitgrad
