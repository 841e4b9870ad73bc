#include "bitgrad/sweep/processes.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include <chrono>
#include <csignal>
#include <cstring>
#include <map>
#include <thread>

#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

// How often those that run are asked whether they have ended.
constexpr std::chrono::milliseconds kPollInterval(20);

// What the child does between fork and exec: nothing but system calls. 127 is what shells say where exec fails.
[[noreturn]] void BecomeCommand(char* const* argv, int null, int log, pid_t parent) {
  setpgid(0, 0);
  prctl(PR_SET_PDEATHSIG, SIGTERM);
  if (getppid() != parent) _exit(127);  // The parent has died before it could be told of.
  dup2(null, STDIN_FILENO);
  dup2(log, STDOUT_FILENO);
  dup2(log, STDERR_FILENO);
  execv(argv[0], argv);
  const char* const error = strerror(errno);
  const ssize_t written = write(STDERR_FILENO, error, strlen(error));
  static_cast<void>(written);
  _exit(127);
}

// The child's id, or -1 with an errno.
pid_t Start(const ProcessJob& job) {
  const int log = open(job.log.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0666);
  if (log < 0) return -1;
  const int null = open("/dev/null", O_RDONLY | O_CLOEXEC);
  std::vector<char*> argv;
  for (const std::string& argument : job.command) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  const pid_t parent = getpid(), child = fork();
  if (child == 0) BecomeCommand(argv.data(), null, log, parent);
  const int error = errno;
  close(log);
  if (null >= 0) close(null);
  errno = error;
  return child;
}

ProcessResult ResultOf(int status) {
  if (WIFEXITED(status) && WEXITSTATUS(status) == 0) return {.kind = ProcessResult::Kind::kDone, .how = ""};
  if (WIFEXITED(status)) {
    return {.kind = ProcessResult::Kind::kFailed, .how = absl::StrCat("exit status ", WEXITSTATUS(status))};
  }
  return {.kind = ProcessResult::Kind::kFailed,
          .how = absl::StrCat("signal ", WTERMSIG(status), ", ", strsignal(WTERMSIG(status)))};
}

}  // namespace

std::vector<ProcessResult> RunProcesses(absl::Span<const ProcessJob> jobs, int at_once, absl::FunctionRef<bool()> stop,
                                        absl::FunctionRef<void(size_t job, const ProcessResult& result)> ended) {
  std::vector<ProcessResult> results(jobs.size());
  std::map<pid_t, size_t> running;
  size_t next = 0;
  bool stopped = false;
  const auto finish = [&](size_t job, const ProcessResult& result) {
    results[job] = result;
    ended(job, result);
  };
  while (true) {
    if (!stopped && stop()) {
      stopped = true;
      for (const auto& [process, job] : running) kill(process, SIGTERM);
    }
    while (!stopped && next < jobs.size() && running.size() < static_cast<size_t>(at_once)) {
      const size_t job = next++;
      if (const pid_t process = Start(jobs[job]); process > 0) {
        running[process] = job;
      } else {
        finish(job, {.kind = ProcessResult::Kind::kFailed,
                     .how = absl::StrCat("cannot be started: ", std::strerror(errno))});
      }
    }
    if (running.empty() && (stopped || next == jobs.size())) return results;
    for (auto i = running.begin(); i != running.end();) {
      int status = 0;
      const pid_t process = waitpid(i->first, &status, WNOHANG);
      if (process == 0 || (process < 0 && errno == EINTR)) {
        ++i;
        continue;
      }
      const size_t job = i->second;
      i = running.erase(i);
      const ProcessResult result = ResultOf(status);
      // One that ends without success after it was told to stop has been stopped.
      if (!stopped || result.kind == ProcessResult::Kind::kDone) finish(job, result);
    }
    std::this_thread::sleep_for(kPollInterval);
  }
}

}  // namespace bitgrad
