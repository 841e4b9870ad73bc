#include "bitgrad/models/training/interrupt.h"

#include <errno.h>
#include <unistd.h>

#include <atomic>
#include <csignal>
#include <cstring>

namespace bitgrad {
namespace {

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};
constexpr int kSignalCount = 3;

// A signal handler can reach nothing but statics.
std::atomic<int> g_guards = 0, g_deferrals = 0;
std::atomic<bool> g_interrupted = false;
struct sigaction g_before[kSignalCount];
stack_t g_stack_before;
// Room for the largest set of registers that the kernel stores (with AMX about 11 KiB) and for the handler.
alignas(16) char g_stack[64 << 10];
static_assert(std::atomic<int>::is_always_lock_free && std::atomic<bool>::is_always_lock_free);

// Only functions that a signal handler may call.
void Print(const char* text) {
  const ssize_t written = write(STDERR_FILENO, text, std::strlen(text));
  static_cast<void>(written);  // a terminal that is gone is no reason to do anything else
}

void OnSignal(int signal) {
  if (g_deferrals > 0) {
    g_interrupted = true;
    if (signal == SIGHUP) return;
    // The default is back: the next such signal ends the process.
    struct sigaction action = {};
    action.sa_handler = SIG_DFL;
    sigaction(signal, &action, nullptr);
    return;
  }
  Print(program_invocation_short_name);
  Print(": interrupted while there was nothing to save; run the same command again\n");
  _exit(1);
}

// oneDNN's matrix kernels use the stack pointer as one more register, which then points into a matrix or at a
// workspace. Where a signal arrives meanwhile, the kernel would write the handler's frame there, over whatever the
// memory holds: handlers need a stack of their own.
void UseOwnStack() {
  sigaltstack(nullptr, &g_stack_before);
  if ((g_stack_before.ss_flags & SS_DISABLE) == 0) return;  // There is one (a sanitizer's, say); it serves.
  stack_t stack = {};
  stack.ss_sp = g_stack;
  stack.ss_size = sizeof(g_stack);
  sigaltstack(&stack, nullptr);
}

}  // namespace

InterruptGuard::InterruptGuard() {
  if (g_guards++ > 0) return;
  g_interrupted = false;
  UseOwnStack();
  for (int i = 0; i < kSignalCount; ++i) {
    sigaction(kSignals[i], nullptr, &g_before[i]);
    if (kSignals[i] == SIGHUP && g_before[i].sa_handler == SIG_IGN) continue;
    struct sigaction action = {};
    action.sa_handler = OnSignal;
    action.sa_flags = SA_RESTART | SA_ONSTACK;
    sigaction(kSignals[i], &action, nullptr);
  }
}

InterruptGuard::~InterruptGuard() {
  if (--g_guards > 0) return;
  for (int i = 0; i < kSignalCount; ++i) sigaction(kSignals[i], &g_before[i], nullptr);
  sigaltstack(&g_stack_before, nullptr);
}

InterruptGuard::Deferral::Deferral() { ++g_deferrals; }
InterruptGuard::Deferral::~Deferral() { --g_deferrals; }

bool InterruptGuard::interrupted() { return g_interrupted; }

}  // namespace bitgrad
