// Signals that ask a run to stop: SIGINT (Ctrl-C), SIGTERM and SIGHUP (the terminal was closed), all treated alike.
//
//   const InterruptGuard guard;                  // a signal now ends the process: there is nothing to save
//   LoadData();
//   const InterruptGuard::Deferral deferral;     // a signal now sets a flag
//   while (!InterruptGuard::interrupted()) Step();
//   Save();

#ifndef BITGRAD_MODELS_TRAINING_INTERRUPT_H_
#define BITGRAD_MODELS_TRAINING_INTERRUPT_H_

namespace bitgrad {

// While a guard lives, one of these signals ends the process at once, with one line on stderr and exit status 1:
// nothing that it does has to be saved. While a Deferral lives too, the first signal sets a flag instead; whoever works
// then polls the flag, saves its state and ends with an error. A second SIGINT or SIGTERM ends the process as if there
// were no guard, in case it hangs; SIGHUP, which a closing terminal may send more than once, does not.
//
// A SIGHUP that was ignored when the guard was made, as nohup does, stays ignored. Guards may be nested; when the last
// one goes, the signals are treated as before the first.
//
// The handlers run on a stack of their own (sigaltstack of the thread that made the guard, which should be the main
// thread: the system prefers it), because oneDNN's matrix kernels do not keep the stack pointer on the stack. A program
// that installs handlers of its own while nets run must do the same (SA_ONSTACK).
class InterruptGuard {
 public:
  InterruptGuard();
  ~InterruptGuard();
  InterruptGuard(const InterruptGuard&) = delete;
  InterruptGuard& operator=(const InterruptGuard&) = delete;

  // REQUIRES: a guard lives.
  class Deferral {
   public:
    Deferral();
    ~Deferral();
    Deferral(const Deferral&) = delete;
    Deferral& operator=(const Deferral&) = delete;
  };

  // Whether a signal came during a Deferral since the first of the living guards was made.
  static bool interrupted();
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_INTERRUPT_H_
