// Which kernel computes the sums of a linear instruction: ops/dot_kernel.h, asked about a packed model on this machine's CPU,
// so that `inspect` prints what `predict` runs.

#ifndef BITGRAD_RUNTIME_KERNEL_CHOICE_H_
#define BITGRAD_RUNTIME_KERNEL_CHOICE_H_

#include <string>

#include "core/encoding.h"
#include "ops/dot_kernel.h"
#include "runtime/packed_model.h"

namespace bitgrad {

struct KernelChoice {
  DotKernel kernel;         // for a batch of one
  std::string description;  // for people, for every batch size
};

// Encoding of what linear instruction `i` multiplies its weights with.
Encoding InputEncoding(const PackedModel& model, int i);

// REQUIRES: instruction `i` is linear.
KernelChoice ChooseKernel(const PackedModel& model, int i);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_KERNEL_CHOICE_H_
