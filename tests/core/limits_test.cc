// Memory and threads that are refused, and what tells so before: limits of the machine, of control groups and of
// processes.

#include <sys/resource.h>
#include <unistd.h>

#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <new>
#include <string>

#include "bitgrad/core/allocator.h"
#include "bitgrad/core/available_memory.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/threads.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ExitedWithCode;
using testing::HasSubstr;

// More than any machine has; volatile, so that the compiler does not say so.
volatile size_t too_many_bytes = size_t{1} << 50;

#ifdef __SANITIZE_ADDRESS__
constexpr bool kSanitizer = true;  // It ends the process itself, and reserves terabytes of addresses.
#else
constexpr bool kSanitizer = false;
#endif

TEST(OutOfMemoryTest, ThrowsWhereNobodyHandlesIt) {
  if (kSanitizer) GTEST_SKIP();
  EXPECT_THROW(HeapAllocator().Allocate(too_many_bytes), std::bad_alloc);
  PoolAllocator* const pool = PoolAllocator::New();
  void* const block = pool->Allocate(1000);
  const size_t live = pool->live_bytes(), peak = pool->peak_bytes(), reserved = pool->reserved_bytes();
  EXPECT_THROW(pool->Allocate(too_many_bytes), std::bad_alloc);
  EXPECT_EQ(pool->live_bytes(), live);
  EXPECT_EQ(pool->peak_bytes(), peak);
  EXPECT_EQ(pool->reserved_bytes(), reserved);
  EXPECT_EQ(pool->system_allocations(), 1);
  pool->Deallocate(block, 1000);
  pool->Abandon();
}

TEST(OutOfMemoryTest, ProgramsEndWithOneLine) {
  if (kSanitizer) GTEST_SKIP();
  const std::string hidden = "hidden2", weight = "hidden2/weight";
  EXPECT_EXIT(
      {
        ExitWhereOutOfMemory("train");
        const MemoryUser layer("layer", hidden);
        { const MemoryUser parameter("parameter", weight); }
        HeapAllocator().Allocate(too_many_bytes);
      },
      ExitedWithCode(1),
      "^train: out of memory: layer 'hidden2' asked for 1125899906842624 bytes \\(1.13e\\+06 GB\\); make [a-z ]*\n$");
  EXPECT_EXIT(
      {
        ExitWhereOutOfMemory("train");
        const MemoryUser layer("layer", hidden);
        const MemoryUser parameter("parameter", weight);
        PoolAllocator::New()->Allocate(too_many_bytes);
      },
      ExitedWithCode(1), "^train: out of memory: parameter 'hidden2/weight' asked for 1125899906842624 bytes");
  EXPECT_EXIT(
      {
        ExitWhereOutOfMemory("train");
        HeapAllocator().Allocate(too_many_bytes);
      },
      ExitedWithCode(1), "^train: out of memory: asked for 1125899906842624 bytes");
  EXPECT_EXIT(
      {
        ExitWhereOutOfMemory("train");
        static_cast<char*>(operator new(too_many_bytes))[0] = 1;
      },
      ExitedWithCode(1), "^train: out of memory; make the batch or the model smaller\n$");
}

// The handler may have freed something.
TEST(OutOfMemoryTest, IsTriedAgainWhereTheHandlerReturns) {
  if (kSanitizer) GTEST_SKIP();
  static int calls = 0;
  std::set_new_handler([] {
    if (++calls == 3) throw std::bad_alloc();
  });
  EXPECT_THROW(HeapAllocator().Allocate(too_many_bytes), std::bad_alloc);
  std::set_new_handler(nullptr);
  EXPECT_EQ(calls, 3);
}

// ---- Available memory ------------------------------------------------------------------------------------

class AvailableMemoryTest : public testing::Test {
 protected:
  AvailableMemoryTest() {
    std::filesystem::remove_all(root_);
    // 16 GiB, of which 8 GiB are free or can be freed, and 1 GiB of swap.
    Write("/proc/meminfo",
          "MemTotal:       16777216 kB\nMemFree:          100000 kB\nMemAvailable:    8388608 kB\nSwapFree: 1048576 "
          "kB\n");
  }
  void Write(const std::string& path, const std::string& text) {
    std::filesystem::create_directories(std::filesystem::path(root_ + path).parent_path());
    std::ofstream(root_ + path) << text;
  }
  void Expect(int64_t bytes, const std::string& limit) {
    const AvailableMemory available = FindAvailableMemory(root_);
    EXPECT_EQ(available.bytes, bytes);
    EXPECT_THAT(available.limit, HasSubstr(limit));
  }

  const std::string root_ = testing::TempDir() + "/root";
};

constexpr int64_t kMiB = int64_t{1} << 20;

TEST_F(AvailableMemoryTest, OfTheMachine) {
  Expect(9216 * kMiB, "this machine has 17.18 GB");
  Write("/proc/self/cgroup", "0::/\n");  // a group without limits
  Write("/sys/fs/cgroup/memory.max", "max\n");
  Write("/sys/fs/cgroup/memory.current", "1000\n");
  Expect(9216 * kMiB, "this machine");
  Write("/proc/self/cgroup", "nonsense\n::\n1:2\n0::\n");
  Expect(9216 * kMiB, "this machine");
}

TEST_F(AvailableMemoryTest, OfAControlGroupOfVersion2) {
  Write("/proc/self/cgroup", "0::/jobs/mine\n");
  Write("/sys/fs/cgroup/jobs/mine/memory.max", "2147483648\n");
  Write("/sys/fs/cgroup/jobs/mine/memory.current", "1073741824\n");
  Expect(1024 * kMiB, "/sys/fs/cgroup/jobs/mine' has 2.15 GB");
  // Files that are only cached can be dropped.
  Write("/sys/fs/cgroup/jobs/mine/memory.stat", "anon 12\ninactive_file 536870912\nactive_file 7\n");
  Expect(1536 * kMiB, "/sys/fs/cgroup/jobs/mine'");
  // The group around it has less.
  Write("/sys/fs/cgroup/jobs/memory.max", "1073741824\n");
  Write("/sys/fs/cgroup/jobs/memory.current", "805306368\n");
  Expect(256 * kMiB, "/sys/fs/cgroup/jobs' has 1.07 GB");
  // In use beyond its limit.
  Write("/sys/fs/cgroup/jobs/memory.current", "2147483648\n");
  Expect(0, "/sys/fs/cgroup/jobs'");
}

// In a container the group's path is that of the host, and the mount is the group.
TEST_F(AvailableMemoryTest, OfAContainer) {
  Write("/proc/self/cgroup", "0::/host/path/of/the/container\n");
  Write("/sys/fs/cgroup/memory.max", "1073741824\n");
  Write("/sys/fs/cgroup/memory.current", "536870912\n");
  Expect(512 * kMiB, "/sys/fs/cgroup' has 1.07 GB");
}

TEST_F(AvailableMemoryTest, OfAControlGroupOfVersion1) {
  Write("/proc/self/cgroup", "12:cpu,cpuacct:/x\n7:memory:/docker/abc\n0::/\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.limit_in_bytes", "1073741824\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.usage_in_bytes", "1073741824\n");
  Write("/sys/fs/cgroup/memory/docker/abc/memory.stat", "cache 1\ntotal_inactive_file 268435456\n");
  // What version 1 has for "no limit".
  Write("/sys/fs/cgroup/memory/memory.limit_in_bytes", "9223372036854771712\n");
  Write("/sys/fs/cgroup/memory/memory.usage_in_bytes", "5368709120\n");
  Expect(256 * kMiB, "/sys/fs/cgroup/memory/docker/abc'");
}

// Limits this process. The exit status 2 stands for a limit that cannot be set.
void SetLimit(decltype(RLIMIT_AS) resource, size_t most) {
  const rlimit limit = {most, most};
  if (setrlimit(resource, &limit) != 0) std::exit(2);
}

void TellAvailableMemory() {
  SetLimit(RLIMIT_AS, size_t{1} << 30);
  const AvailableMemory available = FindAvailableMemory();
  std::fprintf(stderr, "%s", available.limit.c_str());
  std::exit(available.bytes > 0 && available.bytes < 1 << 30 ? 0 : 3);
}

TEST(ProcessLimitsTest, OfThisProcess) {
  EXPECT_GT(FindAvailableMemory().bytes, 0);
  if (kSanitizer) GTEST_SKIP();
  EXPECT_EXIT(TellAvailableMemory(), ExitedWithCode(0), "the process may have 1.07 GB of addresses \\(ulimit -v\\)");
}

// ---- Threads ---------------------------------------------------------------------------------------------

TEST(ThreadsTest, CanBeStarted) {
  EXPECT_TRUE(CheckThreads(0).ok());
  EXPECT_TRUE(CheckThreads(3).ok());
}

// With addresses for the stacks of a few threads.
void StartTooManyThreads() {
  long pages = 0;
  std::ifstream("/proc/self/statm") >> pages;
  SetLimit(RLIMIT_STACK, size_t{8} << 20);
  SetLimit(RLIMIT_AS, static_cast<size_t>(pages) * static_cast<size_t>(sysconf(_SC_PAGE_SIZE)) + (100 << 20));
  const absl::Status status = CheckThreads(300);
  std::fprintf(stderr, "%s", std::string(status.message()).c_str());
  std::exit(absl::IsResourceExhausted(status) ? 0 : 3);
}

TEST(ThreadsTest, ThatCannotBeStartedAreCounted) {
  if (kSanitizer) GTEST_SKIP();
  EXPECT_EXIT(StartTooManyThreads(), ExitedWithCode(0),
              "^only [0-9]+ of 300 threads can be started \\(Resource temporarily unavailable\\); use fewer");
}

}  // namespace
}  // namespace bitgrad
