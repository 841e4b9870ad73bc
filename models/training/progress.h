// ProgressBar: where an epoch stands, redrawn in place on a terminal; silent when the output is piped.

#ifndef BITGRAD_MODELS_TRAINING_PROGRESS_H_
#define BITGRAD_MODELS_TRAINING_PROGRESS_H_

#include <chrono>
#include <cstdint>
#include <cstdio>
#include <string>

#include "absl/strings/string_view.h"

namespace bitgrad {

class ProgressBar {
 public:
  explicit ProgressBar(std::FILE* out);

  // Draws at most ten times a second. `label`: "epoch 3/20"; `data_wait`: the share of the time, in [0, 1], that steps
  // waited for their batches.
  void Update(absl::string_view label, int64_t done, int64_t total, double loss, double examples_per_second,
              double data_wait, double seconds_left);
  // Removes the bar, so that a whole line can be printed.
  void Clear();

 private:
  std::FILE* out_;
  bool terminal_;
  bool drawn_ = false;
  std::chrono::steady_clock::time_point last_;
};

// "[=====>    ]", `width` characters between the brackets.
std::string Bar(int64_t done, int64_t total, int width);
// "42 s", "3:07", "1:02:45".
std::string FormatSeconds(double seconds);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_PROGRESS_H_
