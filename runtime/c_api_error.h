// How the functions of the C API fail: no exception leaves them, and the text of an error waits on its thread.

#ifndef BITGRAD_RUNTIME_C_API_ERROR_H_
#define BITGRAD_RUNTIME_C_API_ERROR_H_

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "bitgrad/runtime/c_api.h"

namespace bitgrad {

// Runs `body` and returns its status as a code; where it is an error, or something was thrown, bitgrad_last_error()
// tells of it. `function` is the name of the C function, which begins the text.
bitgrad_code CallForC(const char* function, absl::FunctionRef<absl::Status()> body) noexcept;

// InvalidArgument with "`name` is null".
absl::Status NullError(const char* name);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_C_API_ERROR_H_
