#include "bitgrad/core/number_format.h"

#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(NumberFormatTest, TextFormsGoBothWays) {
  const struct {
    const char* text;
    NumberFormat format;
  } cases[] = {
      {"float", {}},
      {"half", {NumberFormatKind::kHalf}},
      {"bfloat16", {NumberFormatKind::kBfloat16}},
      {"fixed(20, 5)", {NumberFormatKind::kFixed, 20, 5}},
      {"fixed(2, -60)", {NumberFormatKind::kFixed, 2, -60}},
      {"dynamic_fixed(32)", {NumberFormatKind::kDynamicFixed, 32}},
  };
  for (const auto& [text, format] : cases) {
    const auto parsed = ParseNumberFormat(text);
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    EXPECT_EQ(*parsed, format) << text;
    EXPECT_EQ(ToString(*parsed), text);
    EXPECT_EQ(parsed->is_fixed(), std::string(text).find("fixed") != std::string::npos);
  }
  EXPECT_TRUE(ParseNumberFormat("")->is_float());
  EXPECT_EQ(*ParseNumberFormat(" fixed( 20,5 ) "), (NumberFormat{NumberFormatKind::kFixed, 20, 5}));
}

TEST(NumberFormatTest, ErrorsSayWhatIsWrong) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"hlaf",
       "unknown number format 'hlaf' (did you mean 'half'?); known: float, half, bfloat16, fixed(bits, range), "
       "dynamic_fixed(bits)"},
      {"fixed", "number format 'fixed' has 0 numbers; write fixed(bits, range)"},
      {"fixed(20)", "number format 'fixed(20)' has 1 numbers; write fixed(bits, range)"},
      {"dynamic_fixed(10, 5)", "number format 'dynamic_fixed(10, 5)' has 2 numbers; write dynamic_fixed(bits)"},
      {"half(16)", "number format 'half(16)' has 1 numbers; write half"},
      {"fixed(20, 5", "number format 'fixed(20, 5' lacks its closing parenthesis"},
      {"fixed(x, 5)", "number format 'fixed(x, 5)': 'x' is not a whole number"},
      {"fixed(1, 5)", "number format 'fixed(1, 5)': the number of bits, with the sign, is 1, must be in [2, 32]"},
      {"dynamic_fixed(33)",
       "number format 'dynamic_fixed(33)': the number of bits, with the sign, is 33, must be in [2, 32]"},
      {"fixed(20, 61)", "number format 'fixed(20, 61)': the range is 61, must be in [-60, 60]"},
      {"fixed(99999999999, 5)", "number format 'fixed(99999999999, 5)': '99999999999' is not a whole number"},
  };
  for (const auto& [text, error] : cases) EXPECT_EQ(ParseNumberFormat(text).status().message(), error);
}

}  // namespace
}  // namespace bitgrad
