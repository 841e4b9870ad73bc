#include "core/exec_context.h"

#include <algorithm>
#include <thread>

namespace bitgrad {

ExecContext::ExecContext(const Options& options)
    : device_(options.device),
      threads_(options.threads > 0
                   ? options.threads
                   : std::max(1, static_cast<int>(std::thread::hardware_concurrency()))),
      seed_(options.seed) {}

}  // namespace bitgrad
