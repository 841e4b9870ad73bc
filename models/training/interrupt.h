// Ctrl-C (SIGINT) and SIGTERM as a flag, so that training ends between two steps.

#ifndef BITGRAD_MODELS_TRAINING_INTERRUPT_H_
#define BITGRAD_MODELS_TRAINING_INTERRUPT_H_

namespace bitgrad {

// While it lives, the first signal sets the flag and the second one ends the process. One at a time in a process.
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;
  bool interrupted() const;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_INTERRUPT_H_
