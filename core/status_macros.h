// Early return for absl::Status and absl::StatusOr.
//
//   BITGRAD_RETURN_IF_ERROR(file.Close());
//   BITGRAD_ASSIGN_OR_RETURN(Tensor images, ReadIdxImages(path));

#ifndef BITGRAD_CORE_STATUS_MACROS_H_
#define BITGRAD_CORE_STATUS_MACROS_H_

#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

#define BITGRAD_CONCAT_INNER(a, b) a##b
#define BITGRAD_CONCAT(a, b) BITGRAD_CONCAT_INNER(a, b)

#define BITGRAD_RETURN_IF_ERROR(expr)                                 \
  do {                                                                \
    if (absl::Status bitgrad_status = (expr); !bitgrad_status.ok()) { \
      return bitgrad_status;                                          \
    }                                                                 \
  } while (false)

#define BITGRAD_ASSIGN_OR_RETURN_IMPL(result, lhs, expr) \
  auto result = (expr);                                  \
  if (!result.ok()) return result.status();              \
  lhs = std::move(result).value()

#define BITGRAD_ASSIGN_OR_RETURN(lhs, expr) \
  BITGRAD_ASSIGN_OR_RETURN_IMPL(BITGRAD_CONCAT(status_or_, __LINE__), lhs, expr)

#endif  // BITGRAD_CORE_STATUS_MACROS_H_
