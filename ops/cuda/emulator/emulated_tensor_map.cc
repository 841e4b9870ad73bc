#include "bitgrad/ops/cuda/emulator/emulator.h"
#include "bitgrad/ops/cuda/tensor_map.h"

namespace bitgrad::cuda_emulated {

TensorMap MakeTensorMap(ExecContext&, const TensorOperand& operand, int64_t row_bytes, int box_rows) {
  return {.data = operand.planes[0],
          .row_bytes = row_bytes,
          .rows = operand.rows,
          .stride = operand.stride,
          .box_rows = box_rows};
}

// Only a few, so that in a test each block of a persistent grid works on several tiles.
int Multiprocessors() { return 3; }
int ComputeCapability() { return cuda_emulator::ComputeCapability(); }

}  // namespace bitgrad::cuda_emulated
