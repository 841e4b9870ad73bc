#include "bitgrad/core/shell_quote.h"

#include <cstdio>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(ShellQuoteTest, PlainTextStaysAsItIs) {
  EXPECT_EQ(ShellQuoted("/runs/a-b_c.1/best.bgc"), "/runs/a-b_c.1/best.bgc");
  EXPECT_EQ(ShellQuoted("--set=a=1,2"), "--set=a=1,2");
  EXPECT_EQ(ShellQuoted("my run"), "'my run'");
  EXPECT_EQ(ShellQuoted(""), "''");
}

// What a shell makes of it is the text again.
TEST(ShellQuoteTest, AShellReadsItBack) {
  for (const std::string text :
       {"my run", "it's", "''",       "$HOME", "`id`", "a\\b", "\"x\"",       "*",         "~",     "a;b",
        "a&b",    "(x)",  "k_bit(2)", "[0]",   "#",    "!x",   "caf\xc3\xa9", "new\nline", "{a,b}", "a b  c"}) {
    std::FILE* shell = popen(("printf %s " + ShellQuoted(text)).c_str(), "r");
    ASSERT_NE(shell, nullptr);
    std::string read;
    for (int c = std::fgetc(shell); c != EOF; c = std::fgetc(shell)) read.push_back(static_cast<char>(c));
    EXPECT_EQ(pclose(shell), 0);
    EXPECT_EQ(read, text);
  }
}

}  // namespace
}  // namespace bitgrad
