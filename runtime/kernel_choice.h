// Which kernel computes the sums of an instruction on this machine's CPU. The choice is made by ops/dot_kernel.h and
// ops/conv_kernel.h; here they are asked about the instructions of a packed model, so that `inspect` prints the kernel
// that `predict` runs. Whether sums are integers or floats does not depend on the device.

#ifndef BITGRAD_RUNTIME_KERNEL_CHOICE_H_
#define BITGRAD_RUNTIME_KERNEL_CHOICE_H_

#include <string>

#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/conv_kernel.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

struct KernelChoice {
  DotKernel kernel;         // for a batch of one
  std::string description;  // for people, for every batch size
};

// The encoding of the operand of linear or conv2d instruction `i`; kFloat where it is floats.
Encoding InputEncoding(const PackedModel& model, int i);

// REQUIRES: instruction `i` is linear.
KernelChoice ChooseKernel(const PackedModel& model, int i);

struct ConvChoice {
  ConvGeometry geometry;  // of one example
  ConvKernel kernel;
  std::string description;
};

// REQUIRES: instruction `i` is conv2d.
ConvChoice ChooseConvKernel(const PackedModel& model, int i);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_KERNEL_CHOICE_H_
