// Texts as JSON has them.

#include "bitgrad/core/json_quoted.h"

#include "absl/strings/string_view.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(JsonQuotedTest, EscapesWhatJsonDoesNotTake) {
  EXPECT_EQ(JsonQuoted(""), R"("")");
  EXPECT_EQ(JsonQuoted("a/b c"), R"("a/b c")");
  EXPECT_EQ(JsonQuoted(R"(say "no" \ yes)"), R"("say \"no\" \\ yes")");
  EXPECT_EQ(JsonQuoted("1\n2\t\x1f"), R"("1\u000a2\u0009\u001f")");
  EXPECT_EQ(JsonQuoted(absl::string_view("\0", 1)), R"("\u0000")");
  EXPECT_EQ(JsonQuoted("\xc3\xa4\x7f"), "\"\xc3\xa4\x7f\"");
}

}  // namespace
}  // namespace bitgrad
