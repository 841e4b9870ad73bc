// Step: an instruction that is prepared once, when the interpreter is created, and then run for every piece of a batch.
// Preparing means choosing the kernel, expanding weights and building tables.

#ifndef BITGRAD_RUNTIME_STEP_H_
#define BITGRAD_RUNTIME_STEP_H_

#include "bitgrad/runtime/frame.h"

namespace bitgrad {

class Step {
 public:
  virtual ~Step() = default;
  virtual void Run(Frame& frame) = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_STEP_H_
