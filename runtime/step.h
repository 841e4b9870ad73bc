// Step: an instruction that is made ready once and run for every piece of a batch.

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
