// Kernel<F>: an entry of a device's table of kernels: a named function, which may be missing.
//
// The contract of every kernel: the first argument is the ExecContext. Pointers are to the memory of its device.
// Outputs do not overlap inputs unless the header says so. Errors are reported with context.ReportError(). On a GPU a
// call only enqueues work on the context's stream. A call that violates the REQUIRES is a bug of the caller
// (BITGRAD_DCHECK).

#ifndef BITGRAD_OPS_KERNELS_KERNEL_H_
#define BITGRAD_OPS_KERNELS_KERNEL_H_

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"

namespace bitgrad {

template <typename F>
struct Kernel;

template <typename... Args>
struct Kernel<void(ExecContext&, Args...)> {
  const char* name;
  void (*function)(ExecContext&, Args...) = nullptr;

  // A call of a missing kernel is an error; it never takes a detour over another device.
  void operator()(ExecContext& context, Args... args) const {
    if (function == nullptr) {
      context.ReportError(
          absl::UnimplementedError(absl::StrCat("kernel '", name, "' does not exist on ", Name(context.device()))));
      return;
    }
    function(context, args...);
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_OPS_KERNELS_KERNEL_H_
