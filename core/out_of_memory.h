// What happens where memory is not given: the same as for operator new, so that there is one rule for all of a process.
//
// The handler that std::set_new_handler() installed is called and, where there is none, std::bad_alloc is thrown: a
// program that uses bitgrad as a library decides. bitgrad's own programs (core/run_main.h) install a handler that ends
// the process with status 1 and one line, which names who asked and for how much:
//
//   train: out of memory: layer 'hidden2' asked for 1600000000 bytes (1.6 GB); make the batch or the model smaller
//
// Who asked is known where somebody has said so on the same thread, as the tape does for each layer.

#ifndef BITGRAD_CORE_OUT_OF_MEMORY_H_
#define BITGRAD_CORE_OUT_OF_MEMORY_H_

#include <cstddef>
#include <string>

namespace bitgrad {

// As long as it lives, memory that the thread asks for is asked for by "kind 'name'", or by what a MemoryUser inside of
// it says. Objects nest like scopes. REQUIRES: kind and name outlive it.
class MemoryUser {
 public:
  // kind: "layer", "parameter"; null: nobody in particular.
  struct User {
    const char* kind = nullptr;
    const std::string* name = nullptr;
  };
  MemoryUser(const char* kind, const std::string& name) : previous_(Set({kind, &name})) {}
  ~MemoryUser() { Set(previous_); }
  MemoryUser(const MemoryUser&) = delete;
  MemoryUser& operator=(const MemoryUser&) = delete;

  // For those whose beginning and end are not a scope. The user that was set before.
  static User Set(User user);

 private:
  const User previous_;
};

// To be called where `bytes` bytes were refused, by "GPU memory", say. Returns where the handler has returned: it may
// have freed something, so the caller tries again, as operator new does.
void HandleOutOfMemory(size_t bytes, const char* memory = "memory");

// Installs the handler of bitgrad's programs. REQUIRES: `program`, its name, outlives the process.
void ExitWhereOutOfMemory(const char* program);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_OUT_OF_MEMORY_H_
