#include "bitgrad/tests/cli/cli_testing.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <filesystem>
#include <random>
#include <thread>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {

std::string ProgramPath(const std::string& name) {
  // Tests start in the root directory of their runfiles.
  return (std::filesystem::current_path() / name).string();
}

std::string ProgramResult::last_line() const {
  const std::vector<std::string> lines = absl::StrSplit(out, '\n', absl::SkipEmpty());
  return lines.empty() ? "" : lines.back();
}

RunningProgram::RunningProgram(const std::string& name, const std::vector<std::string>& arguments,
                               const std::function<bool()>& in_child) {
  const std::string directory = NewDirectory();
  out_path_ = directory + "/stdout";
  err_path_ = directory + "/stderr";
  const std::string path = ProgramPath(name);
  std::vector<char*> argv = {const_cast<char*>(path.c_str())};
  for (const std::string& argument : arguments) argv.push_back(const_cast<char*>(argument.c_str()));
  argv.push_back(nullptr);
  pid_ = fork();
  if (pid_ != 0) return;
  const int out = open(out_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  const int err = open(err_path_.c_str(), O_WRONLY | O_CREAT | O_TRUNC, 0666);
  dup2(out, STDOUT_FILENO);
  dup2(err, STDERR_FILENO);
  if (in_child && !in_child()) _exit(77);
  execv(path.c_str(), argv.data());
  _exit(78);
}

RunningProgram::~RunningProgram() {
  if (pid_ <= 0) return;
  kill(pid_, SIGKILL);
  waitpid(pid_, &wait_status_, 0);
}

void RunningProgram::Signal(int signal) {
  if (pid_ > 0) kill(pid_, signal);
}

bool RunningProgram::IsRunning() {
  if (pid_ > 0 && waitpid(pid_, &wait_status_, WNOHANG) == pid_) pid_ = -1;
  return pid_ > 0;
}

void RunningProgram::WaitFor(const std::string& text) {
  while (IsRunning()) {
    if (std::filesystem::exists(out_path_) && ReadFile(out_path_).find(text) != std::string::npos) return;
    std::this_thread::sleep_for(std::chrono::milliseconds(2));
  }
}

ProgramResult RunningProgram::Wait() {
  if (pid_ > 0) waitpid(pid_, &wait_status_, 0);
  pid_ = -1;
  ProgramResult result;
  result.status = WIFEXITED(wait_status_) ? WEXITSTATUS(wait_status_) : -WTERMSIG(wait_status_);
  result.out = ReadFile(out_path_);
  result.err = ReadFile(err_path_);
  return result;
}

ProgramResult RunProgram(const std::string& name, const std::vector<std::string>& arguments,
                         const std::function<bool()>& in_child) {
  SCOPED_TRACE(absl::StrCat(name, " ", absl::StrJoin(arguments, " ")));
  return RunningProgram(name, arguments, in_child).Wait();
}

void ExpectError(const ProgramResult& result, const std::string& text) {
  EXPECT_EQ(result.status, 1) << result.err;
  EXPECT_EQ(std::count(result.err.begin(), result.err.end(), '\n'), 1) << result.err;
  EXPECT_THAT(result.err, testing::MatchesRegex("(train|evaluate|count|freeze|predict|inspect): .*\n"));
  EXPECT_THAT(result.err, testing::HasSubstr(text));
}

std::string IdxFile(const std::vector<uint32_t>& dims, const std::string& data) {
  std::string bytes = {0, 0, 8, static_cast<char>(dims.size())};
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(dim >> shift));
  }
  return bytes + data;
}

std::string MakeTinyMnist(uint32_t train, uint32_t test) {
  const std::string directory = NewDirectory();
  std::mt19937 random(1);
  const auto write = [&](const std::string& prefix, uint32_t count) {
    std::string images, labels;
    for (uint32_t i = 0; i < count; ++i) {
      const uint32_t label = i % 10;
      labels.push_back(static_cast<char>(label));
      for (uint32_t pixel = 0; pixel < 16; ++pixel) {
        images.push_back(static_cast<char>(random() % 120 + (pixel * 7 % 10 == label ? 130 : 0)));
      }
    }
    WriteFile(directory + "/" + prefix + "-images-idx3-ubyte", IdxFile({count, 4, 4}, images));
    WriteFile(directory + "/" + prefix + "-labels-idx1-ubyte", IdxFile({count}, labels));
  };
  write("train", train);
  write("t10k", test);
  return directory;
}

std::vector<std::string> TinyTrainArguments(const std::string& data_dir, const std::string& out,
                                            const std::vector<std::string>& more) {
  std::vector<std::string> arguments = {"--recipe=mnist_bnn_mlp_small",
                                        "--data_dir=" + data_dir,
                                        "--out=" + out,
                                        "--epochs=2",
                                        "--threads=1",
                                        "--set=model.mlp.hidden=8",
                                        "--set=data.validation_examples=10",
                                        "--set=batch_size=10"};
  arguments.insert(arguments.end(), more.begin(), more.end());
  return arguments;
}

}  // namespace bitgrad
