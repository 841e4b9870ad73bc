#include "bitgrad/ops/spline_kernel.h"

#include "bitgrad/ops/cpu/spline.h"

namespace bitgrad {

const SplineKernels* SplineKernelsFor(Device device) {
  static constexpr SplineKernels kCpu = {cpu::SplineForward, cpu::SplineBackward, cpu::SplineBackwardInput};
  return device == Device::kCpu ? &kCpu : nullptr;
}

}  // namespace bitgrad
