#include "bitgrad/runtime/c_api_error.h"

#include <cstdio>
#include <exception>
#include <new>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/version.h"

namespace bitgrad {
namespace {

// An array: to remember an error must not need memory, and nothing is left to destroy when the thread ends.
thread_local char last_error[2048] = "";

bitgrad_code CodeOf(absl::StatusCode code) {
  switch (code) {
    case absl::StatusCode::kOk: return BITGRAD_OK;
    case absl::StatusCode::kInvalidArgument:
    case absl::StatusCode::kOutOfRange: return BITGRAD_INVALID_ARGUMENT;
    case absl::StatusCode::kNotFound: return BITGRAD_NOT_FOUND;
    case absl::StatusCode::kPermissionDenied: return BITGRAD_PERMISSION_DENIED;
    case absl::StatusCode::kDataLoss: return BITGRAD_DATA_LOSS;
    case absl::StatusCode::kUnimplemented: return BITGRAD_UNIMPLEMENTED;
    case absl::StatusCode::kFailedPrecondition: return BITGRAD_FAILED_PRECONDITION;
    case absl::StatusCode::kResourceExhausted: return BITGRAD_RESOURCE_EXHAUSTED;
    default: return BITGRAD_INTERNAL;
  }
}

bitgrad_code Fail(const char* function, bitgrad_code code, const char* message) {
  std::snprintf(last_error, sizeof last_error, "%s: %s", function, message);
  return code;
}

}  // namespace

bitgrad_code CallForC(const char* function, absl::FunctionRef<absl::Status()> body) noexcept {
  try {
    const absl::Status status = body();
    if (status.ok()) return BITGRAD_OK;
    return Fail(function, CodeOf(status.code()), std::string(status.message()).c_str());
  } catch (const std::bad_alloc&) {
    return Fail(function, BITGRAD_OUT_OF_MEMORY, "out of memory; run fewer examples at a time, or a smaller model");
  } catch (const std::exception& error) {
    return Fail(function, BITGRAD_INTERNAL, error.what());
  } catch (...) {
    return Fail(function, BITGRAD_INTERNAL, "something was thrown that is no std::exception");
  }
}

absl::Status NullError(const char* name) { return absl::InvalidArgumentError(absl::StrCat("`", name, "` is null")); }

}  // namespace bitgrad

extern "C" {

int32_t bitgrad_abi_version(void) { return BITGRAD_ABI_VERSION; }

const char* bitgrad_version(void) { return bitgrad::kVersion; }

const char* bitgrad_last_error(void) { return bitgrad::last_error; }

const char* bitgrad_code_name(int32_t code) {
  switch (code) {
    case BITGRAD_OK: return "OK";
    case BITGRAD_INVALID_ARGUMENT: return "INVALID_ARGUMENT";
    case BITGRAD_NOT_FOUND: return "NOT_FOUND";
    case BITGRAD_PERMISSION_DENIED: return "PERMISSION_DENIED";
    case BITGRAD_DATA_LOSS: return "DATA_LOSS";
    case BITGRAD_UNIMPLEMENTED: return "UNIMPLEMENTED";
    case BITGRAD_FAILED_PRECONDITION: return "FAILED_PRECONDITION";
    case BITGRAD_RESOURCE_EXHAUSTED: return "RESOURCE_EXHAUSTED";
    case BITGRAD_OUT_OF_MEMORY: return "OUT_OF_MEMORY";
    case BITGRAD_INTERNAL: return "INTERNAL";
    default: return "unknown code";
  }
}

}  // extern "C"
