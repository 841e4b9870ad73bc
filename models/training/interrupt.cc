#include "bitgrad/models/training/interrupt.h"

#include <csignal>

namespace bitgrad {
namespace {

// A signal handler can reach nothing but a static.
volatile std::sig_atomic_t g_interrupted = 0;

void OnSignal(int) { g_interrupted = 1; }

void Install(void (*handler)(int)) {
  struct sigaction action = {};
  action.sa_handler = handler;
  // After the first signal the default is back: a second one ends a process that hangs.
  action.sa_flags = handler == OnSignal ? static_cast<int>(SA_RESETHAND) : 0;
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGTERM, &action, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  g_interrupted = 0;
  Install(OnSignal);
}
InterruptGuard::~InterruptGuard() { Install(SIG_DFL); }
bool InterruptGuard::interrupted() const { return g_interrupted != 0; }

}  // namespace bitgrad
