// From a device to its kernels. Called once per op; the result lives for the process.

#ifndef BITGRAD_OPS_DISPATCH_H_
#define BITGRAD_OPS_DISPATCH_H_

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/device.h"
#include "bitgrad/ops/kernels/kernels.h"

namespace bitgrad {

const Kernels& KernelsFor(Device device);

// Whether the device counts the ones of a vector's words in one instruction, so that bit planes are fast
// (ops/dot_kernel.h).
bool CountsWords(Device device);

// Of "cpu" and "cuda", as programs' flag --device says it.
absl::StatusOr<Device> ParseDevice(absl::string_view name);

// Whether kernels can run on the device, here and in this build; if not, why, and what to do.
absl::Status DeviceStatus(Device device);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_DISPATCH_H_
