// Running the trainer from within a test, on the test's device (test_device.h).

#ifndef BITGRAD_TESTS_MODELS_TRAINER_TESTING_H_
#define BITGRAD_TESTS_MODELS_TRAINER_TESTING_H_

#include <signal.h>
#include <sys/types.h>
#include <unistd.h>

#include <cstdio>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/models/training/trainer.h"
#include "bitgrad/tests/testing/test_device.h"

namespace bitgrad {

// A log that may send the process a signal when a line about an epoch is written to it: from within Run(), at a known
// moment.
class Log {
 public:
  explicit Log(int interrupt_at_line = 0, int signal = SIGINT)
      : interrupt_at_line_(interrupt_at_line), signal_(signal) {
    file_ = fopencookie(this, "w", {.write = [](void* self, const char* bytes, size_t count) -> ssize_t {
                          return static_cast<Log*>(self)->Write(bytes, count);
                        }});
    setvbuf(file_, nullptr, _IOLBF, 1 << 16);
  }
  ~Log() { std::fclose(file_); }
  std::FILE* file() { return file_; }
  const std::string& text() const { return text_; }

 private:
  ssize_t Write(const char* bytes, size_t count) {
    text_.append(bytes, count);
    if (absl::string_view(bytes, count).substr(0, 6) == "epoch " && ++lines_ == interrupt_at_line_) {
      kill(getpid(), signal_);
    }
    return static_cast<ssize_t>(count);
  }
  int interrupt_at_line_;
  int signal_;
  int lines_ = 0;
  std::string text_;
  std::FILE* file_;
};

inline absl::StatusOr<TrainResult> Train(const recipe::Recipe& recipe, TrainOptions options, Log& log) {
  if (options.device == Device::kCpu) options.device = TestDevice();
  options.threads = options.threads == 0 ? 1 : options.threads;
  options.log = log.file();
  const auto trainer = Trainer::Create(recipe, options);
  if (!trainer.ok()) return trainer.status();
  return (*trainer)->Run();
}

inline absl::StatusOr<TrainResult> Train(const recipe::Recipe& recipe, const TrainOptions& options) {
  Log log;
  return Train(recipe, options, log);
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_TRAINER_TESTING_H_
