// Tensors between the host and a context's device. On the CPU both are the same memory: the result is another handle to
// it.

#ifndef BITGRAD_CORE_TRANSFER_H_
#define BITGRAD_CORE_TRANSFER_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// The bytes in memory of the context's device, from its pool. A tensor of the device stays where it is. REQUIRES: the
// tensor is on the CPU or on the context's device.
Tensor ToDevice(ExecContext& context, const Tensor& tensor);

// The bytes in the host's memory, when all work that the context was given before is done. A tensor of the host stays
// where it is. REQUIRES: the tensor is on the CPU or on the context's device.
Tensor ToHost(ExecContext& context, const Tensor& tensor);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_TRANSFER_H_
