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

// Few, so that the blocks of a persistent grid take several tiles each in a test.
int Multiprocessors() { return 3; }
int ComputeCapability() { return cuda_emulator::ComputeCapability(); }

}  // namespace bitgrad::cuda_emulated
