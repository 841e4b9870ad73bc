#include "bitgrad/runtime/pool_step.h"

#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/packed_weights.h"

namespace bitgrad {

PoolStep::PoolStep(const PackedModel& model, int i, Frame& frame)
    : is_max_(model.header().instructions(i).has_max_pool()),
      operand_(model.header().instructions(i).operands(0)),
      result_(i + 1),
      x_(model.value(operand_)),
      y_(model.value(result_)) {
  const packed::Instruction& instruction = model.header().instructions(i);
  const packed::Pool& pool = is_max_ ? instruction.max_pool() : instruction.average_pool();
  geometry_ = *GeometryOf(pool, x_.example);  // The program has been checked.
  if (pool.has_flips()) flips_ = Flags(model, pool.flips(), geometry_.channels, frame.context());
  if (!pool.has_threshold()) return;
  thresholds_ = frame.blobs().ints(pool.threshold().thresholds());
  flips_ = Flags(model, pool.threshold().flips(), geometry_.channels, frame.context());
}

void PoolStep::Run(Frame& frame) {
  geometry_.batch = frame.batch();
  if (is_max_) {
    RunMax(frame);
  } else {
    RunAverage(frame);
  }
}

void PoolStep::RunMax(Frame& frame) {
  const Kernels& kernels = frame.kernels();
  const uint8_t* const flips = flips_.is_null() ? nullptr : flips_.data<uint8_t>();
  if (x_.is_bits()) {
    const ConstBitMatrixView x = frame.bits(operand_, x_.features());
    const int64_t cols = geometry_.out_height() * geometry_.out_width() * geometry_.channels;
    kernels.max_pool_bits(frame.context(), geometry_, x, flips, frame.NewBits(result_, cols));
  } else if (x_.is_coded()) {
    const uint8_t* const x = frame.codes(operand_).data;
    kernels.max_pool_codes(frame.context(), geometry_, x, static_cast<int>(x_.encoding.largest_stored()), flips,
                           frame.NewCodes(result_).data);
  } else {
    const float* const x = frame.floats(operand_).data;
    kernels.max_pool_forward(frame.context(), geometry_, x, frame.NewFloats(result_).data, nullptr);
  }
}

void PoolStep::RunAverage(Frame& frame) {
  if (!SumIsExact(x_.encoding, geometry_)) {
    const float* const x = frame.floats(operand_).data;
    frame.kernels().average_pool_forward(frame.context(), geometry_, x, frame.NewFloats(result_).data);
    return;
  }
  const uint8_t* const x = frame.codes(operand_).data;
  DotOutput out = {.scale = x_.scale};
  const int64_t windows = geometry_.pixels(), channels = geometry_.channels;
  if (thresholds_ == nullptr) {
    out.floats = {frame.NewFloats(result_).data, windows, channels};
  } else {
    out.codes = {frame.NewCodes(result_).data, windows, channels};
    out.levels = static_cast<int>(y_.encoding.largest_stored());
    out.threshold = thresholds_;
    out.flip = flips_.data<uint8_t>();
  }
  frame.kernels().average_pool_codes(frame.context(), geometry_, x_.encoding, x, out);
}

}  // namespace bitgrad
