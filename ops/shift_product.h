// Products of fixed-point codes with an output transform of shifts (ops/kernels/shift_product.h) on the context's
// device. Only the CPU has a kernel: on a GPU the context gets an Unimplemented error.

#ifndef BITGRAD_OPS_SHIFT_PRODUCT_H_
#define BITGRAD_OPS_SHIFT_PRODUCT_H_

#include <cstdint>

#include "absl/status/status.h"
#include "bitgrad/core/device.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/kernels/shift_product.h"

namespace bitgrad {

// OK where the device has the kernel.
absl::Status ShiftProductStatus(Device device);

void RunShiftProduct(ExecContext& context, const ShiftFilters& filters, int64_t batch, const uint8_t* x,
                     const ShiftOutput& out);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_SHIFT_PRODUCT_H_
