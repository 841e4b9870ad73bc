#include "bitgrad/data/call.h"

#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

const std::vector<CallForm>& Forms() {
  static const auto* const forms = new std::vector<CallForm>{
      {"crop", {4}, 1, 100, true, "crops"},
      {"flip", {}, 0, 0, false, "flips"},
      {"jitter", {0.4f, 0.3f}, 0, 1, false, "jitters"},
  };
  return *forms;
}

TEST(ParseCallTest, ReadsNamesAndNumbers) {
  const struct {
    const char* text;
    int form;
    std::vector<float> arguments;
  } cases[] = {
      {"crop", 0, {4}},
      {"crop(8)", 0, {8}},
      {" flip ", 1, {}},
      {"jitter", 2, {0.4f, 0.3f}},
      {"jitter(0.5,1)", 2, {0.5f, 1}},
      {"jitter( 0.5 , 0 )", 2, {0.5f, 0}},
  };
  for (const auto& c : cases) {
    const absl::StatusOr<Call> call = ParseCall("augmentation", c.text, Forms());
    ASSERT_TRUE(call.ok()) << call.status();
    EXPECT_EQ(call->form, c.form) << c.text;
    EXPECT_EQ(call->arguments, c.arguments) << c.text;
  }
}

TEST(ParseCallTest, ErrorsSayWhatIsKnownOrAllowed) {
  const struct {
    const char* text;
    const char* error;
  } cases[] = {
      {"", "unknown; known: crop, flip, jitter"},
      {"corp(4)", "unknown (did you mean 'crop'?); known: crop, flip, jitter"},
      {"crop(4", "missing ')'"},
      {"crop(4) ,flip", "missing ')'"},
      {"crop()", "'crop' takes 1 whole number(s) from 1 to 100; for example crop(4)"},
      {"crop(x)", "'crop' takes 1 whole"},
      {"crop(1.5)", "'crop' takes 1 whole"},
      {"crop(0)", "'crop' takes 1 whole"},
      {"crop(101)", "'crop' takes 1 whole"},
      {"crop(nan)", "'crop' takes 1 whole"},
      {"crop(1,2)", "'crop' takes 1 whole"},
      {"flip(1)", "'flip' takes no arguments"},
      {"flip()", "'flip' takes no arguments"},
      {"jitter(0.4)", "'jitter' takes 2 number(s) from 0 to 1; for example jitter(0.4,0.3)"},
      {"jitter(0.4,)", "'jitter' takes 2"},
      {"jitter(0.4,-1)", "'jitter' takes 2"},
  };
  for (const auto& c : cases) {
    const absl::Status status = ParseCall("augmentation", c.text, Forms()).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << c.text;
    EXPECT_THAT(std::string(status.message()),
                testing::AllOf(HasSubstr("augmentation '" + std::string(c.text) + "'"), HasSubstr(c.error)));
  }
}

TEST(ParseCallTest, HelpIsALinePerForm) {
  EXPECT_THAT(CallsHelp(Forms()),
              testing::AllOf(HasSubstr("  crop(4) "), HasSubstr("  flip "), HasSubstr("  jitter(0.4,0.3) ")));
}

}  // namespace
}  // namespace bitgrad
