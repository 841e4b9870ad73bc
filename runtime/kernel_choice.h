// Which kernel computes the sums of an instruction: ops/dot_kernel.h and ops/conv_kernel.h, asked about a packed model
// on this machine's CPU, so that `inspect` prints what `predict` runs there. Whether sums are integers or floats does
// not depend on the device.

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

// Encoding of what linear or conv2d instruction `i` multiplies its weights with.
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
