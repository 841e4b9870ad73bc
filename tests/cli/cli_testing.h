// Helpers that run bitgrad's programs as users do, and that make small data sets for them.

#ifndef BITGRAD_TESTS_CLI_CLI_TESTING_H_
#define BITGRAD_TESTS_CLI_CLI_TESTING_H_

#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <string>
#include <vector>

namespace bitgrad {

// The path of a program: "models/train", say. REQUIRES: the program is among the test's `data`.
std::string ProgramPath(const std::string& name);

struct ProgramResult {
  int status = 0;  // exit status; -N if signal N ended it
  std::string out, err;

  std::string last_line() const;
};

// A running program whose output goes to files. Its destruction kills it.
class RunningProgram {
 public:
  // `in_child` is called between fork and exec. If it returns false, the child ends with status 77.
  RunningProgram(const std::string& name, const std::vector<std::string>& arguments,
                 const std::function<bool()>& in_child = nullptr);
  ~RunningProgram();
  RunningProgram(const RunningProgram&) = delete;
  RunningProgram& operator=(const RunningProgram&) = delete;

  void Signal(int signal);
  bool IsRunning();
  // Waits until the program has written `text` to stdout, or has ended.
  void WaitFor(const std::string& text);
  ProgramResult Wait();

 private:
  std::string out_path_, err_path_;
  pid_t pid_ = -1;
  int wait_status_ = 0;
};

ProgramResult RunProgram(const std::string& name, const std::vector<std::string>& arguments,
                         const std::function<bool()>& in_child = nullptr);

// Expects exit status 1 and exactly one line on stderr: "<program>: ...", which contains `text`.
void ExpectError(const ProgramResult& result, const std::string& text);

// The bytes of an idx file with these dimensions.
std::string IdxFile(const std::vector<uint32_t>& dims, const std::string& data);

// Makes a directory with the four files of an MNIST-like data set: 4x4 images in 10 classes that are easy to tell
// apart.
std::string MakeTinyMnist(uint32_t train, uint32_t test);

// Arguments for `train`: a net of 16-8-10 on that data, 10 examples for validation, batches of 10.
std::vector<std::string> TinyTrainArguments(const std::string& data_dir, const std::string& out,
                                            const std::vector<std::string>& more = {});

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_CLI_CLI_TESTING_H_
