#include "bitgrad/core/threads.h"

#include <condition_variable>
#include <mutex>
#include <string>
#include <system_error>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"

namespace bitgrad {

absl::Status CheckThreads(int count) {
  std::mutex mutex;
  std::condition_variable changed;
  bool done = false;
  std::vector<std::thread> threads;
  std::string error;
  try {
    while (static_cast<int>(threads.size()) < count) {
      threads.emplace_back([&] {
        std::unique_lock<std::mutex> lock(mutex);
        changed.wait(lock, [&] { return done; });
      });
    }
  } catch (const std::system_error& failure) {
    error = failure.code().message();
  }
  {
    const std::lock_guard<std::mutex> lock(mutex);
    done = true;
  }
  changed.notify_all();
  for (std::thread& thread : threads) thread.join();
  if (error.empty()) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("only ", threads.size(), " of ", count, " threads can be started (", error,
                   "); use fewer (--threads, --data_workers), or raise the limit of processes (ulimit -u) or of "
                   "addresses (ulimit -v)"));
}

}  // namespace bitgrad
