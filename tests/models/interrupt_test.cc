#include "bitgrad/models/training/interrupt.h"

#include <signal.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cstddef>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

#if defined(__x86_64__)
// Sends SIGHUP to this thread while the stack pointer is `stack_pointer`, as oneDNN's matrix kernels let it point into
// their workspaces.
void SignalWithStackPointerAt(char* stack_pointer) {
  long call = SYS_tgkill;
  asm volatile(
      "mov %%rsp, %%rbx\n"
      "mov %[stack_pointer], %%rsp\n"
      "syscall\n"
      "mov %%rbx, %%rsp\n"
      : "+a"(call)
      : [stack_pointer] "r"(stack_pointer), "D"(static_cast<long>(getpid())), "S"(syscall(SYS_gettid)),
        "d"(static_cast<long>(SIGHUP))
      : "rbx", "rcx", "r11", "memory");
}

TEST(InterruptGuardTest, WritesNothingWhereTheStackPointerIsWhenASignalComes) {
  const InterruptGuard guard;
  const InterruptGuard::Deferral deferral;
  std::vector<char> workspace(1 << 20, 'x');
  SignalWithStackPointerAt(workspace.data() + workspace.size() / 2);
  EXPECT_TRUE(InterruptGuard::interrupted());
  EXPECT_EQ(workspace, std::vector<char>(workspace.size(), 'x'));
}
#endif

TEST(InterruptGuardTest, LeavesSignalsAsTheyWere) {
  stack_t stack_before;
  sigaltstack(nullptr, &stack_before);
  struct sigaction before;
  sigaction(SIGTERM, nullptr, &before);
  {
    const InterruptGuard guard;
    const InterruptGuard nested;
  }
  struct sigaction after;
  sigaction(SIGTERM, nullptr, &after);
  EXPECT_EQ(after.sa_handler, before.sa_handler);
  stack_t stack_after;
  sigaltstack(nullptr, &stack_after);
  EXPECT_EQ(stack_after.ss_sp, stack_before.ss_sp);
  EXPECT_EQ(stack_after.ss_flags, stack_before.ss_flags);
}

}  // namespace
}  // namespace bitgrad
