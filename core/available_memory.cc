#include "bitgrad/core/available_memory.h"

#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <fstream>
#include <limits>
#include <sstream>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_split.h"
#include "absl/types/optional.h"

namespace bitgrad {
namespace {

using Bytes = absl::optional<int64_t>;  // absent: no such file, or "max"

std::string ReadText(const std::string& path) {
  std::ifstream file(path);
  std::stringstream text;
  if (file) text << file.rdbuf();
  return text.str();
}

Bytes ReadNumber(const std::string& path) {
  int64_t number;
  if (!absl::SimpleAtoi(ReadText(path), &number) || number < 0) return absl::nullopt;
  return number;
}

// The number behind `key` at the beginning of a line.
Bytes ReadField(const std::string& path, absl::string_view key) {
  const std::string text = ReadText(path);
  for (const absl::string_view line : absl::StrSplit(text, '\n')) {
    const std::vector<absl::string_view> words = absl::StrSplit(line, absl::ByAnyChar(" \t"), absl::SkipEmpty());
    int64_t number;
    if (words.size() >= 2 && words[0] == key && absl::SimpleAtoi(words[1], &number)) return number;
  }
  return absl::nullopt;
}

std::string Gigabytes(int64_t bytes) { return absl::StrFormat("%.2f GB", 1e-9 * static_cast<double>(bytes)); }

class Least {
 public:
  void Limit(int64_t available, std::string limit) {
    if (available >= least_.bytes) return;
    least_ = {std::max<int64_t>(available, 0), std::move(limit)};
  }
  AvailableMemory least() const { return least_; }

 private:
  AvailableMemory least_ = {std::numeric_limits<int64_t>::max(), "there is no limit"};
};

struct GroupFiles {
  const char *limit, *usage, *cache;  // cache: the field of memory.stat
};
constexpr GroupFiles kVersion1 = {"memory.limit_in_bytes", "memory.usage_in_bytes", "total_inactive_file"};
constexpr GroupFiles kVersion2 = {"memory.max", "memory.current", "inactive_file"};

// The limits of a group and of all groups around it, up to the mount.
void LimitByGroups(const std::string& mount, std::string group, const GroupFiles& files, Least& least) {
  while (true) {
    const std::string directory = group == "/" ? mount : mount + group;
    const Bytes limit = ReadNumber(absl::StrCat(directory, "/", files.limit));
    const Bytes usage = ReadNumber(absl::StrCat(directory, "/", files.usage));
    if (limit.has_value() && usage.has_value()) {
      const int64_t cache = ReadField(directory + "/memory.stat", files.cache).value_or(0);
      least.Limit(*limit - std::max<int64_t>(*usage - cache, 0),
                  absl::StrCat("control group '", directory, "' has ", Gigabytes(*limit)));
    }
    const size_t slash = group.rfind('/');
    if (group == "/" || slash == std::string::npos) return;
    group = slash == 0 ? "/" : group.substr(0, slash);
  }
}

}  // namespace

AvailableMemory FindAvailableMemory(const std::string& root) {
  Least least;
  const std::string meminfo = root + "/proc/meminfo";
  if (const Bytes available = ReadField(meminfo, "MemAvailable:"); available.has_value()) {
    constexpr int64_t kUnit = 1024;
    const int64_t swap = ReadField(meminfo, "SwapFree:").value_or(0);
    least.Limit((*available + swap) * kUnit,
                absl::StrCat("this machine has ", Gigabytes(ReadField(meminfo, "MemTotal:").value_or(0) * kUnit)));
  }
  // Lines "number:controllers:path". In a container the path may be that outside of it; then the mount is the group.
  const std::string groups = ReadText(root + "/proc/self/cgroup");
  for (const absl::string_view line : absl::StrSplit(groups, '\n')) {
    const std::vector<std::string> parts = absl::StrSplit(line, absl::MaxSplits(':', 2));
    if (parts.size() != 3 || parts[2].empty() || parts[2][0] != '/') continue;
    if (parts[1].empty()) {
      LimitByGroups(root + "/sys/fs/cgroup", parts[2], kVersion2, least);
    } else if (absl::StrContains(absl::StrCat(",", parts[1], ","), ",memory,")) {
      LimitByGroups(root + "/sys/fs/cgroup/memory", parts[2], kVersion1, least);
    }
  }
  if (root.empty()) {
    rlimit limit;
    long pages = 0;  // of addresses: the first number of statm
    std::ifstream("/proc/self/statm") >> pages;
    if (getrlimit(RLIMIT_AS, &limit) == 0 && limit.rlim_cur != RLIM_INFINITY) {
      const auto most = static_cast<int64_t>(limit.rlim_cur);
      least.Limit(most - int64_t{pages} * sysconf(_SC_PAGE_SIZE),
                  absl::StrCat("the process may have ", Gigabytes(most), " of addresses (ulimit -v)"));
    }
  }
  return least.least();
}

}  // namespace bitgrad
