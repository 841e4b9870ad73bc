// Kernel<F>: a named, possibly missing function of a device's table.
//
// Contract of every kernel: the first argument is the ExecContext; pointers are on its device; outputs do
// not overlap inputs unless the header says so; a failure goes to context.ReportError. On a GPU a call
// only enqueues work on the context's stream. Violated REQUIRES are bugs of the caller (BITGRAD_DCHECK).

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

  // A kernel that the device lacks is an error, never a detour over another device.
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
