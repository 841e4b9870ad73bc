// The progress bar: its parts, the line they make, and what of it a terminal shows.

#include "bitgrad/models/training/progress.h"

#include <fcntl.h>
#include <poll.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <limits>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr EpochProgress kProgress = {.label = "epoch 1/2",
                                     .done = 5,
                                     .total = 10,
                                     .loss = 0.5,
                                     .examples_per_second = 1234,
                                     .data_wait = 0.034,
                                     .seconds_left = 90};

TEST(ProgressTest, TheBar) {
  EXPECT_EQ(Bar(0, 10, 10), "[>         ]");
  EXPECT_EQ(Bar(1, 10, 10), "[=>        ]");
  EXPECT_EQ(Bar(5, 10, 10), "[=====>    ]");
  EXPECT_EQ(Bar(9, 10, 10), "[=========>]");
  EXPECT_EQ(Bar(10, 10, 10), "[==========]");
  EXPECT_EQ(Bar(11, 10, 10), "[==========]");
  EXPECT_EQ(Bar(999, 1000, 4), "[===>]");
  EXPECT_EQ(Bar(0, 0, 4), "[====]");
}

TEST(ProgressTest, Seconds) {
  EXPECT_EQ(FormatSeconds(0), "0 s");
  EXPECT_EQ(FormatSeconds(-3), "0 s");
  EXPECT_EQ(FormatSeconds(0.6), "1 s");
  EXPECT_EQ(FormatSeconds(42), "42 s");
  EXPECT_EQ(FormatSeconds(59.4), "59 s");
  EXPECT_EQ(FormatSeconds(59.6), "1:00");
  EXPECT_EQ(FormatSeconds(187), "3:07");
  EXPECT_EQ(FormatSeconds(3599.9), "1:00:00");
  EXPECT_EQ(FormatSeconds(3765), "1:02:45");
}

TEST(ProgressTest, SilentWhereNobodyLooks) {
  std::FILE* file = std::tmpfile();
  ASSERT_NE(file, nullptr);
  ProgressBar bar(file);
  bar.Update(kProgress);
  bar.Clear();
  std::fflush(file);
  EXPECT_EQ(std::ftell(file), 0);
  std::fclose(file);
}

TEST(ProgressTest, TimesThatAreNone) {
  EXPECT_EQ(FormatSeconds(std::nan("")), "?");
  EXPECT_EQ(FormatSeconds(std::numeric_limits<double>::infinity()), "?");
  EXPECT_EQ(FormatSeconds(-std::numeric_limits<double>::infinity()), "0 s");
  EXPECT_EQ(FormatSeconds(1e300), "?");
}

TEST(ProgressTest, TheLineFitsAndLosesItsLeastImportantPartsFirst) {
  const std::string full =
      "epoch 1/2 [============>           ]  50%  loss 0.5000  1234 examples/s  data wait 3%  1:30 left";
  EXPECT_EQ(ProgressLine(kProgress, 1000), full);
  EXPECT_EQ(ProgressLine(kProgress, static_cast<int>(full.size())), full);
  EXPECT_EQ(ProgressLine(kProgress, 80),
            "epoch 1/2 [====>   ]  50%  loss 0.5000  1234 examples/s  data wait 3%  1:30 left");
  EXPECT_EQ(ProgressLine(kProgress, 70), "epoch 1/2 [======>     ]  50%  loss 0.5000  1234 examples/s  1:30 left");
  EXPECT_EQ(ProgressLine(kProgress, 50), "epoch 1/2 [====>    ]  50%  loss 0.5000  1:30 left");
  EXPECT_EQ(ProgressLine(kProgress, 40), "epoch 1/2  50%  loss 0.5000  1:30 left");
  EXPECT_EQ(ProgressLine(kProgress, 30), "epoch 1/2  50%  1:30 left");
  EXPECT_EQ(ProgressLine(kProgress, 20), "epoch 1/2  50%");
  EXPECT_EQ(ProgressLine(kProgress, 10), "epoch 1/2 ");
  for (int columns = -1; columns < 120; ++columns) {
    EXPECT_LE(ProgressLine(kProgress, columns).size(), static_cast<size_t>(std::max(0, columns))) << columns;
  }
}

// A pseudo-terminal: what is written to it comes out of `master`.
class TerminalTest : public testing::Test {
 protected:
  void SetUp() override {
    unsetenv("COLUMNS");
    master_ = posix_openpt(O_RDWR | O_NOCTTY);
    if (master_ < 0 || grantpt(master_) != 0 || unlockpt(master_) != 0) GTEST_SKIP() << "no pseudo-terminals here";
    terminal_ = std::fopen(ptsname(master_), "w");
    if (terminal_ == nullptr) GTEST_SKIP() << "no pseudo-terminals here";
    Resize(200);
  }
  void TearDown() override {
    if (terminal_ != nullptr) std::fclose(terminal_);
    if (master_ >= 0) close(master_);
    unsetenv("COLUMNS");
  }
  void Resize(unsigned short columns) {
    const winsize size = {.ws_row = 24, .ws_col = columns, .ws_xpixel = 0, .ws_ypixel = 0};
    ASSERT_EQ(ioctl(master_, TIOCSWINSZ, &size), 0);
  }
  std::string Shown() {
    std::fflush(terminal_);
    std::string text;
    pollfd ready{.fd = master_, .events = POLLIN, .revents = 0};
    while (poll(&ready, 1, 200) == 1) {
      char buffer[1000];
      const ssize_t count = read(master_, buffer, sizeof(buffer));
      if (count <= 0) break;
      text.append(buffer, static_cast<size_t>(count));
    }
    return text;
  }
  // The width of the line that a new bar draws.
  size_t Width() {
    ProgressBar bar(terminal_);
    bar.Update(kProgress);
    const std::string shown = Shown();
    EXPECT_THAT(shown, AllOf(StartsWith("\repoch 1/2"), EndsWith("\x1b[K"), Not(HasSubstr("\n"))));
    return shown.size() - std::string("\r\x1b[K").size();
  }

  int master_ = -1;
  std::FILE* terminal_ = nullptr;
};

TEST_F(TerminalTest, RedrawnInPlace) {
  ProgressBar bar(terminal_);
  bar.Update(kProgress);
  EXPECT_THAT(Shown(), AllOf(HasSubstr("\r" + ProgressLine(kProgress, 200)), Not(HasSubstr("\n"))));
  bar.Update(kProgress);
  bar.Clear();
  EXPECT_THAT(Shown(), EndsWith("\r\x1b[K"));
}

TEST_F(TerminalTest, TheLineFollowsTheWindow) {
  for (const unsigned short columns : {80, 41, 20, 120}) {
    Resize(columns);
    EXPECT_EQ(TerminalColumns(fileno(terminal_)), columns);
    EXPECT_LT(Width(), columns);  // the last column stays free
  }
  // A terminal that does not know its width.
  Resize(0);
  EXPECT_EQ(TerminalColumns(fileno(terminal_)), 80);
}

TEST_F(TerminalTest, ColumnsHasPriority) {
  setenv("COLUMNS", "33", 1);
  EXPECT_EQ(TerminalColumns(fileno(terminal_)), 33);
  EXPECT_LT(Width(), 33u);
  for (const char* nonsense : {"", "0", "-5", "wide", "99999999999"}) {
    setenv("COLUMNS", nonsense, 1);
    EXPECT_EQ(TerminalColumns(fileno(terminal_)), 200) << nonsense;
  }
}

}  // namespace
}  // namespace bitgrad
