#include "bitgrad/models/training/progress.h"

#include <unistd.h>

#include <algorithm>

#include "absl/strings/str_format.h"

namespace bitgrad {

ProgressBar::ProgressBar(std::FILE* out) : out_(out), terminal_(isatty(fileno(out)) != 0) {}

void ProgressBar::Update(absl::string_view label, int64_t done, int64_t total, double loss, double examples_per_second,
                         double data_wait, double seconds_left) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  // \r to the line's beginning, ESC[K clears what an earlier, longer line left.
  absl::FPrintF(out_, "\r%s %s %3d%%  loss %.4f  %.0f examples/s  data wait %.0f%%  %s left\x1b[K", label,
                Bar(done, total, 24), total > 0 ? static_cast<int>(100 * done / total) : 100, loss, examples_per_second,
                100 * data_wait, FormatSeconds(seconds_left));
  std::fflush(out_);
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  absl::FPrintF(out_, "\r\x1b[K");
  drawn_ = false;
}

std::string Bar(int64_t done, int64_t total, int width) {
  const int filled = total > 0 ? static_cast<int>(std::clamp<int64_t>(width * done / total, 0, width)) : width;
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  return "[" + bar + "]";
}

std::string FormatSeconds(double seconds) {
  const int64_t s = std::max<int64_t>(0, static_cast<int64_t>(seconds + 0.5));
  if (s < 60) return absl::StrFormat("%d s", s);
  if (s < 3600) return absl::StrFormat("%d:%02d", s / 60, s % 60);
  return absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace bitgrad
