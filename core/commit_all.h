// CommitAll: several files, of which all are written or none.

#ifndef BITGRAD_CORE_COMMIT_ALL_H_
#define BITGRAD_CORE_COMMIT_ALL_H_

#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/atomic_file.h"

namespace bitgrad {

// Commits them one after the other. Where one fails, those before it become again what they were: the old file, or
// none. Meanwhile the old ones lie beside them as "<path>.old"; after a crash these may be left, and some files be new.
// REQUIRES: nothing has been committed, and each path is there once.
absl::Status CommitAll(std::vector<AtomicFile>& files);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_COMMIT_ALL_H_
