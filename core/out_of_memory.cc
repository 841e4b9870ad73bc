#include "bitgrad/core/out_of_memory.h"

#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <new>
#include <utility>

namespace bitgrad {
namespace {

thread_local MemoryUser::User current_user;
// What HandleOutOfMemory() was called with; 0 where operator new calls the handler itself.
thread_local size_t refused_bytes = 0;
thread_local const char* refused_memory = "memory";

const char* program_name = "bitgrad";

// There may be no memory left at all, and other threads are running: neither allocates nor runs destructors.
[[noreturn]] void ExitWithOneLine() {
  char who[200] = "", what[100] = "", line[600];
  if (current_user.kind != nullptr) {
    std::snprintf(who, sizeof(who), ": %s '%s'", current_user.kind, current_user.name->c_str());
  }
  if (refused_bytes > 0) {
    std::snprintf(what, sizeof(what), "%s %zu bytes (%.3g GB)",
                  current_user.kind != nullptr ? " asked for" : ": asked for", refused_bytes,
                  1e-9 * static_cast<double>(refused_bytes));
  }
  const int length = std::snprintf(line, sizeof(line), "%s: out of %s%s%s; make the batch or the model smaller\n",
                                   program_name, refused_memory, who, what);
  if (length > 0) {
    const size_t size = std::min(static_cast<size_t>(length), sizeof(line) - 1);
    if (write(STDERR_FILENO, line, size) < 0) _exit(1);
  }
  _exit(1);
}

}  // namespace

MemoryUser::User MemoryUser::Set(User user) { return std::exchange(current_user, user); }

void HandleOutOfMemory(size_t bytes, const char* memory) {
  const std::new_handler handler = std::get_new_handler();
  if (handler == nullptr) throw std::bad_alloc();
  refused_bytes = bytes;
  refused_memory = memory;
  handler();
  refused_bytes = 0;
  refused_memory = "memory";
}

void ExitWhereOutOfMemory(const char* program) {
  program_name = program;
  std::set_new_handler(ExitWithOneLine);
}

}  // namespace bitgrad
