// Checks of invariants that only a bug in bitgrad can break. Faults that a user can cause are reported as absl::Status.

#ifndef BITGRAD_CORE_CHECK_H_
#define BITGRAD_CORE_CHECK_H_

#include <cstdio>
#include <cstdlib>

#define BITGRAD_CHECK(condition)                                                           \
  do {                                                                                     \
    if (!(condition)) {                                                                    \
      std::fprintf(stderr, "%s:%d: internal error: %s\n", __FILE__, __LINE__, #condition); \
      std::abort();                                                                        \
    }                                                                                      \
  } while (false)

// BITGRAD_DCHECK checks the REQUIRES of kernels; it costs nothing in optimized builds.
#ifdef NDEBUG
#define BITGRAD_DCHECK(condition) \
  do {                            \
    (void)sizeof(condition);      \
  } while (false)
#else
#define BITGRAD_DCHECK(condition) BITGRAD_CHECK(condition)
#endif

#endif  // BITGRAD_CORE_CHECK_H_
