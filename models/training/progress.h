// ProgressBar: how far an epoch has come, in one line that is redrawn in place on a terminal. Where the output is no
// terminal (a file, a pipe) nothing is written.

#ifndef BITGRAD_MODELS_TRAINING_PROGRESS_H_
#define BITGRAD_MODELS_TRAINING_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"

namespace bitgrad {

struct EpochProgress {
  absl::string_view label;  // "epoch 3/20"
  int64_t done = 0;         // batches
  int64_t total = 0;
  double loss = 0;
  double examples_per_second = 0;
  // What the two are called.
  absl::string_view loss_name = "loss";
  absl::string_view examples = "examples";
  double data_wait = 0;     // the share of the time, in [0, 1], that steps waited for their batches
  double seconds_left = 0;  // until the end of training
};

class ProgressBar {
 public:
  explicit ProgressBar(std::FILE* out);

  // Draws the line, at most ten times a second. It fits the terminal as wide as it is now.
  void Update(const EpochProgress& progress);
  // Removes the line, so that another one can be printed in its place.
  void Clear();

 private:
  std::FILE* out_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

// The line in at most `columns` characters. Where there is not enough room for all of it, first the bar becomes
// shorter, then parts are left out, the least important first: the wait for data, the speed, the bar, the loss, the
// time left. What remains in the end, the label and the percentage, is cut off.
std::string ProgressLine(const EpochProgress& progress, int columns);

// The width of the terminal behind `descriptor` in characters: the environment variable COLUMNS where it is a positive
// number, else what the terminal says now (it changes with the window), else 80.
int TerminalColumns(int descriptor);

// "[=====>    ]", `width` characters between the brackets.
std::string Bar(int64_t done, int64_t total, int width);
// "42 s", "3:07", "1:02:45"; "?" for a number that is not finite or longer than a thousand years.
std::string FormatSeconds(double seconds);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_PROGRESS_H_
