// Finds the kernels of a device. An op does so once; the table lives as long as the process.

#ifndef BITGRAD_OPS_DISPATCH_H_
#define BITGRAD_OPS_DISPATCH_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/device.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& KernelsFor(Device device);

// Whether the device has an instruction that counts the ones in each word of a vector, which makes bit planes fast
// (ops/dot_kernel.h).
bool CountsWords(Device device);

// Reads "cpu" or "cuda", the values of the programs' flag --device.
absl::StatusOr<Device> ParseDevice(absl::string_view name);

// OK if kernels can run on the device, on this machine and in this build; otherwise the error says why not and what to
// do.
absl::Status DeviceStatus(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DISPATCH_H_
