// Copies of tensors between the host and a context's device. On the CPU both are the same memory, and the result is
// another handle to it.

#ifndef BITGRAD_CORE_TRANSFER_H_
#define BITGRAD_CORE_TRANSFER_H_

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// The tensor in the memory of the context's device, taken from the context's pool. For a tensor that is already there
// the result is another handle to it. REQUIRES: the tensor is on the CPU or on the context's device.
Tensor ToDevice(ExecContext& context, const Tensor& tensor);

// The tensor in the host's memory, after all work enqueued so far. For a tensor that is already there the result is
// another handle to it. REQUIRES: the tensor is on the CPU or on the context's device.
Tensor ToHost(ExecContext& context, const Tensor& tensor);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_TRANSFER_H_
