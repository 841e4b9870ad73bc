#include "bitgrad/core/run_main.h"

#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "bitgrad/core/version.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

ABSL_FLAG(std::string, text, "", "A text.");
ABSL_FLAG(int, number, 7, "A number.");
ABSL_FLAG(bool, quick, false, "A switch.");
ABSL_FLAG(std::string, set, "", "field=value.");

namespace bitgrad {
namespace {

using testing::HasSubstr;

struct Outcome {
  int status;
  bool ran;
  std::string out;
  std::string err;
};

Outcome Call(std::vector<std::string> arguments, absl::Status result = absl::OkStatus()) {
  absl::SetFlag(&FLAGS_text, "");
  absl::SetFlag(&FLAGS_number, 7);
  absl::SetFlag(&FLAGS_quick, false);
  absl::SetFlag(&FLAGS_set, "");
  arguments.insert(arguments.begin(), "/some/where/program");
  std::vector<char*> argv;
  for (std::string& argument : arguments) argv.push_back(argument.data());
  testing::internal::CaptureStdout();
  testing::internal::CaptureStderr();
  Outcome outcome{};
  outcome.status = RunMain(
      static_cast<int>(argv.size()), argv.data(),
      {.usage = "does things", .more_help = [] { return std::string("A table.\n"); }, .repeatable = {"set"}}, [&] {
        outcome.ran = true;
        return result;
      });
  outcome.out = testing::internal::GetCapturedStdout();
  outcome.err = testing::internal::GetCapturedStderr();
  return outcome;
}

void ExpectUsageError(const std::vector<std::string>& arguments, const std::string& message) {
  const Outcome outcome = Call(arguments);
  EXPECT_EQ(outcome.status, 1);
  EXPECT_FALSE(outcome.ran);
  EXPECT_EQ(outcome.err, "program: " + message + "; see --help\n");
}

TEST(RunMainTest, FlagsInAllTheirForms) {
  EXPECT_EQ(Call({}).status, 0);
  EXPECT_EQ(absl::GetFlag(FLAGS_number), 7);
  EXPECT_TRUE(Call({"--text=a=b c", "--number", "-3", "--quick"}).ran);
  EXPECT_EQ(absl::GetFlag(FLAGS_text), "a=b c");
  EXPECT_EQ(absl::GetFlag(FLAGS_number), -3);
  EXPECT_TRUE(absl::GetFlag(FLAGS_quick));
  EXPECT_EQ(Call({"--quick", "--noquick"}).status, 0);
  EXPECT_FALSE(absl::GetFlag(FLAGS_quick));
  EXPECT_EQ(Call({"--quick=true"}).status, 0);
  EXPECT_TRUE(absl::GetFlag(FLAGS_quick));
}

TEST(RunMainTest, RepeatableFlagsCollectTheirValues) {
  EXPECT_EQ(Call({"--set=a=1", "--number=1", "--number=2", "--set", "b=2", "--set=c=3"}).status, 0);
  EXPECT_EQ(absl::GetFlag(FLAGS_set), "a=1\nb=2\nc=3");
  // Of the others the last one counts.
  EXPECT_EQ(absl::GetFlag(FLAGS_number), 2);
}

TEST(RunMainTest, UsageErrorsAreOneLine) {
  ExpectUsageError({"--count=3"}, "unknown flag --count");
  ExpectUsageError({"file"}, "unexpected argument \"file\": everything is a flag, --name=value");
  ExpectUsageError({"-number=3"}, "unexpected argument \"-number=3\": everything is a flag, --name=value");
  ExpectUsageError({"--"}, "unexpected argument \"--\": everything is a flag, --name=value");
  ExpectUsageError({"--quick", "maybe"}, "unexpected argument \"maybe\": everything is a flag, --name=value");
  ExpectUsageError({"--number"}, "flag --number has no value: write --number=VALUE");
  ExpectUsageError({"--number=3x"}, "Illegal value '3x' specified for flag 'number'");
}

TEST(RunMainTest, NearFlagsAreSuggested) {
  ExpectUsageError({"--numbre=3"}, "unknown flag --numbre (did you mean '--number'?)");
  ExpectUsageError({"--nonumber"}, "unknown flag --nonumber (did you mean '--number'?)");
  ExpectUsageError({"--txt", "a"}, "unknown flag --txt (did you mean '--text'?)");
  ExpectUsageError({"--hlep"}, "unknown flag --hlep (did you mean '--help'?)");
  ExpectUsageError({"--verison"}, "unknown flag --verison (did you mean '--version'?)");
}

// Where a program takes some.
TEST(RunMainTest, ArgumentsBesideFlags) {
  std::vector<std::string> words = {"program", "first", "--number=3", "--quick", "second", "--text", "value", "third"};
  std::vector<char*> argv;
  for (std::string& word : words) argv.push_back(word.data());
  std::vector<std::string> arguments;
  EXPECT_EQ(
      RunMain(static_cast<int>(argv.size()), argv.data(), {.arguments = &arguments}, [] { return absl::OkStatus(); }),
      0);
  EXPECT_EQ(arguments, (std::vector<std::string>{"first", "second", "third"}));
  EXPECT_EQ(absl::GetFlag(FLAGS_number), 3);
  EXPECT_EQ(absl::GetFlag(FLAGS_text), "value");
  words[1] = "-first";
  argv[1] = words[1].data();
  testing::internal::CaptureStderr();
  EXPECT_EQ(RunMain(2, argv.data(), {.arguments = &arguments}, [] { return absl::OkStatus(); }), 1);
  EXPECT_THAT(testing::internal::GetCapturedStderr(), HasSubstr("unexpected argument \"-first\""));
}

// They would be read, and do nothing.
TEST(RunMainTest, FlagsOfLibrariesAreUnknown) {
  ASSERT_NE(absl::FindCommandLineFlag("flagfile"), nullptr);
  ExpectUsageError({"--flagfile=flags.txt"}, "unknown flag --flagfile");
}

// As they come from shell variables that are not set: --text=$TEXT, --text "$TEXT", --text $TEXT --quick.
TEST(RunMainTest, EmptyFlagsAreErrors) {
  const std::string advice = "= is empty: give it a value, or leave it out (was it a shell variable that is not set?)";
  for (const char* name : {"--text", "--number", "--quick", "--set"}) {
    ExpectUsageError({std::string(name) + "="}, "flag " + (name + advice));
  }
  ExpectUsageError({"--text", ""}, "flag --text" + advice);
  ExpectUsageError({"--set=a=1", "--set="}, "flag --set" + advice);
  ExpectUsageError({"--text", "--quick"}, "flag --text has no value: write --text=VALUE");
  EXPECT_EQ(Call({"--text=--quick"}).status, 0);
  EXPECT_EQ(absl::GetFlag(FLAGS_text), "--quick");
}

TEST(RunMainTest, HelpRunsNothing) {
  const Outcome outcome = Call({"--number=5", "--help"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_FALSE(outcome.ran);
  EXPECT_THAT(outcome.out, HasSubstr("program: does things\n\nA table.\n\nFlags:\n"));
  EXPECT_THAT(outcome.out, HasSubstr("  --number       A number. Default: 7.\n"));
  EXPECT_THAT(outcome.out, HasSubstr("  --set          field=value. May be repeated.\n"));
  // Abseil's and GoogleTest's own stay out.
  EXPECT_EQ(outcome.out.find("flagfile"), std::string::npos);
}

TEST(RunMainTest, VersionRunsNothing) {
  const Outcome outcome = Call({"--number=5", "--version"});
  EXPECT_EQ(outcome.status, 0);
  EXPECT_FALSE(outcome.ran);
  EXPECT_EQ(outcome.out, std::string("program: bitgrad ") + kVersion + "\n");
  EXPECT_EQ(outcome.err, "");
  EXPECT_THAT(kVersion, testing::MatchesRegex("[0-9]+[.][0-9]+[.][0-9]+")) << "not as semver.org has it";
}

TEST(RunMainTest, FailureIsOneLineAndStatusOne) {
  const Outcome outcome = Call({}, absl::NotFoundError("no such\nthing; look\telsewhere\n"));
  EXPECT_EQ(outcome.status, 1);
  EXPECT_TRUE(outcome.ran);
  EXPECT_EQ(outcome.err, "program: no such thing; look elsewhere\n");
  EXPECT_EQ(OneLine(absl::InternalError("")), "INTERNAL");
}

}  // namespace
}  // namespace bitgrad
