// How much memory this process can still take, and who sets the limit: the machine, a control group that it runs in (a
// container, a batch job), or ulimit -v. For refusing work that cannot end well before it begins: where a limit is
// passed Linux kills the process without a word.

#ifndef BITGRAD_CORE_AVAILABLE_MEMORY_H_
#define BITGRAD_CORE_AVAILABLE_MEMORY_H_

#include <cstdint>
#include <string>

namespace bitgrad {

struct AvailableMemory {
  int64_t bytes = 0;
  std::string limit;  // "this machine has 16.00 GB", "control group '/sys/fs/cgroup/job' has 4.00 GB"
};

// The least of
//   - the machine's memory that is free or can be freed, its swap included (MemAvailable + SwapFree of /proc/meminfo);
//   - the limit of each control group that the process is in, of version 1 or 2, less what it uses, files that are only
//     cached left out;
//   - the limit of addresses (RLIMIT_AS) less those that are taken.
// A file that is missing or makes no sense sets no limit. `root` stands before the paths of /proc and /sys, for tests;
// with one, RLIMIT_AS is left out.
AvailableMemory FindAvailableMemory(const std::string& root = "");

}  // namespace bitgrad

#endif  // BITGRAD_CORE_AVAILABLE_MEMORY_H_
