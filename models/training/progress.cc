#include "bitgrad/models/training/progress.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdlib>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {
namespace {

constexpr int kBarWidth = 24;
constexpr int kShortestBar = 6;
constexpr double kLongestTime = 1000.0 * 365 * 24 * 3600;  // seconds

}  // namespace

ProgressBar::ProgressBar(std::FILE* out) : out_(out), terminal_(isatty(fileno(out)) != 0) {}

void ProgressBar::Update(const EpochProgress& progress) {
  if (!terminal_) return;
  const auto now = std::chrono::steady_clock::now();
  if (drawn_ && now - last_ < std::chrono::milliseconds(100)) return;
  last_ = now;
  drawn_ = true;
  // \r to the line's beginning; ESC[K clears what an earlier, longer line left. The last column stays free: a terminal
  // may begin a new line as soon as there is a character in it.
  absl::FPrintF(out_, "\r%s\x1b[K", ProgressLine(progress, TerminalColumns(fileno(out_)) - 1));
  std::fflush(out_);
}

void ProgressBar::Clear() {
  if (!drawn_) return;
  absl::FPrintF(out_, "\r\x1b[K");
  drawn_ = false;
}

std::string ProgressLine(const EpochProgress& progress, int columns) {
  const int64_t percent = progress.total > 0 ? 100 * progress.done / progress.total : 100;
  const std::string share = absl::StrFormat(" %3d%%", percent);
  const std::string loss = absl::StrFormat("  %s %.4f", progress.loss_name, progress.loss);
  const std::string speed = absl::StrFormat("  %.0f %s/s", progress.examples_per_second, progress.examples);
  const std::string wait = absl::StrFormat("  data wait %.0f%%", 100 * progress.data_wait);
  const std::string left = absl::StrCat("  ", FormatSeconds(progress.seconds_left), " left");
  const auto room = static_cast<size_t>(std::max(columns, 0));
  const auto line = [&](int bar_width, int parts) {
    std::string text(progress.label);
    if (parts >= 3) absl::StrAppend(&text, " ", Bar(progress.done, progress.total, bar_width));
    text += share;
    if (parts >= 2) text += loss;
    if (parts >= 4) text += speed;
    if (parts >= 5) text += wait;
    if (parts >= 1) text += left;
    return text;
  };
  // Every part that is left out makes room for a long bar again.
  for (int parts = 5; parts >= 0; --parts) {
    const std::string shortest = line(kShortestBar, parts);
    if (shortest.size() > room) continue;
    const size_t spare = room - shortest.size();
    return line(kShortestBar + static_cast<int>(std::min<size_t>(spare, kBarWidth - kShortestBar)), parts);
  }
  return line(0, 0).substr(0, room);
}

int TerminalColumns(int descriptor) {
  int columns = 0;
  const char* const wanted = std::getenv("COLUMNS");
  if (wanted != nullptr && absl::SimpleAtoi(wanted, &columns) && columns > 0) return columns;
  winsize size = {};
  if (ioctl(descriptor, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) return size.ws_col;
  return 80;
}

std::string Bar(int64_t done, int64_t total, int width) {
  const int filled = total > 0 ? static_cast<int>(std::clamp<int64_t>(width * done / total, 0, width)) : width;
  std::string bar(filled, '=');
  if (filled < width) bar += '>';
  bar.resize(width, ' ');
  return "[" + bar + "]";
}

std::string FormatSeconds(double seconds) {
  if (!(seconds < kLongestTime)) return "?";
  const int64_t s = static_cast<int64_t>(std::max(0.0, seconds + 0.5));
  if (s < 60) return absl::StrFormat("%d s", s);
  if (s < 3600) return absl::StrFormat("%d:%02d", s / 60, s % 60);
  return absl::StrFormat("%d:%02d:%02d", s / 3600, s / 60 % 60, s % 60);
}

}  // namespace bitgrad
