#include "bitgrad/core/run_main.h"

#include <unistd.h>

#include <algorithm>
#include <csignal>
#include <cstdio>
#include <cstdlib>
#include <exception>
#include <map>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/did_you_mean.h"
#include "bitgrad/core/out_of_memory.h"
#include "bitgrad/core/version.h"

namespace bitgrad {
namespace {

absl::Status UsageError(absl::string_view message) {
  return absl::InvalidArgumentError(absl::StrCat(message, "; see --help"));
}

std::string Quoted(const std::string& value) { return absl::StrCat("\"", value, "\""); }

// The program's own flags by name. Abseil's are not for users: --flagfile and the like mean nothing to
// ParseArguments().
std::map<std::string, absl::CommandLineFlag*> FlagsOfTheProgram() {
  std::map<std::string, absl::CommandLineFlag*> flags;
  for (const auto& [name, flag] : absl::GetAllFlags()) {
    if (!absl::StrContains(flag->Filename(), "absl/")) flags[std::string(name)] = flag;
  }
  return flags;
}

void PrintHelp(absl::string_view program, const MainOptions& options) {
  std::printf("%s: %s\n", std::string(program).c_str(), options.usage);
  if (options.more_help != nullptr) std::printf("\n%s", options.more_help().c_str());
  std::printf("\nFlags:\n");
  for (const auto& [name, flag] : FlagsOfTheProgram()) {
    const bool repeatable = std::count(options.repeatable.begin(), options.repeatable.end(), name) > 0;
    const std::string value = flag->DefaultValue();
    std::printf("  --%-12s %s%s%s\n", name.c_str(), flag->Help().c_str(), repeatable ? " May be repeated." : "",
                value.empty() ? "" : absl::StrCat(" Default: ", value, ".").c_str());
  }
  std::printf("  --%-12s %s\n", "version", "Prints the version and does nothing else.");
}

absl::Status UnknownFlag(absl::string_view name, const std::map<std::string, absl::CommandLineFlag*>& flags) {
  std::vector<std::string> names = {"--help", "--version"};
  for (const auto& [known, flag] : flags) names.push_back(absl::StrCat("--", known));
  return UsageError(absl::StrCat("unknown flag --", name, DidYouMean(absl::StrCat("--", name), names)));
}

// Sets the flags. *help, *version: whether --help, --version was among them.
absl::Status ParseArguments(absl::Span<char* const> arguments, const MainOptions& options, bool* help, bool* version) {
  const std::map<std::string, absl::CommandLineFlag*> flags = FlagsOfTheProgram();
  const auto find = [&](absl::string_view name) -> absl::CommandLineFlag* {
    const auto found = flags.find(std::string(name));
    return found == flags.end() ? nullptr : found->second;
  };
  std::map<std::string, std::string> repeated;
  for (size_t i = 0; i < arguments.size(); ++i) {
    const absl::string_view argument = arguments[i];
    absl::string_view name = argument;
    if (options.arguments != nullptr && !argument.empty() && !absl::StartsWith(argument, "-")) {
      options.arguments->push_back(std::string(argument));
      continue;
    }
    if (!absl::ConsumePrefix(&name, "--") || name.empty()) {
      return UsageError(
          absl::StrCat("unexpected argument ", Quoted(std::string(argument)), ": everything is a flag, --name=value"));
    }
    std::string value;
    bool has_value = false;
    if (const size_t equals = name.find('='); equals != absl::string_view::npos) {
      value = std::string(name.substr(equals + 1));
      name = name.substr(0, equals);
      has_value = true;
    }
    if ((name == "help" || name == "version") && !has_value) {
      *(name == "help" ? help : version) = true;
      continue;
    }
    absl::CommandLineFlag* flag = find(name);
    if (flag == nullptr && !has_value && absl::StartsWith(name, "no")) {
      flag = find(name.substr(2));
      if (flag != nullptr && !flag->IsOfType<bool>()) flag = nullptr;
      value = "false";
      has_value = true;
    }
    if (flag == nullptr) return UnknownFlag(name, flags);
    if (!has_value) {
      if (flag->IsOfType<bool>()) {
        value = "true";
      } else if (i + 1 < arguments.size() && !absl::StartsWith(arguments[i + 1], "--")) {
        value = arguments[++i];
      } else {
        // The end, or the next flag: `--out $OUT --resume` with OUT not set has no value for --out.
        return UsageError(absl::StrCat("flag --", name, " has no value: write --", name, "=VALUE"));
      }
    }
    if (value.empty()) {
      return UsageError(absl::StrCat("flag --", name, "= is empty: give it a value, or leave it out (was it a shell ",
                                     "variable that is not set?)"));
    }
    if (std::count(options.repeatable.begin(), options.repeatable.end(), std::string(name)) > 0) {
      std::string& all = repeated[std::string(name)];
      absl::StrAppend(&all, all.empty() ? "" : "\n", value);
      value = all;
    }
    std::string error;  // "Illegal value '3x' specified for flag 'threads'"
    if (!flag->ParseFrom(value, &error)) return UsageError(error);
  }
  return absl::OkStatus();
}

}  // namespace

std::string OneLine(const absl::Status& status) {
  std::string text(absl::StripAsciiWhitespace(status.message()));
  for (char& c : text) {
    if (absl::ascii_iscntrl(static_cast<unsigned char>(c))) c = ' ';
  }
  return text.empty() ? absl::StatusCodeToString(status.code()) : text;
}

// Starts the program once more with OMP_WAIT_POLICY=passive, unless the user has said how threads should wait.
//
// By default GNU's OpenMP lets a thread that waits at the end of a parallel loop spin for milliseconds. As soon as
// another process wants a core, that spinning keeps the thread that is waited for from running: a training step of two
// threads then took 20 times as long as with threads that sleep (docs/performance.md). libgomp reads the variable
// before main(), hence the new start, which costs a few milliseconds.
static void WaitWithoutSpinning(char** argv) {
  if (std::getenv("OMP_WAIT_POLICY") != nullptr || std::getenv("GOMP_SPINCOUNT") != nullptr) return;
  if (setenv("OMP_WAIT_POLICY", "passive", /*overwrite=*/1) != 0) return;
  execv("/proc/self/exe", argv);
  // Still here: it could not be started again, so it goes on as it is.
}

// What a library throws (a thread that cannot be started, say) is an error like any other.
static absl::Status RunBody(absl::FunctionRef<absl::Status()> body) {
  try {
    return body();
  } catch (const std::exception& failure) {
    return absl::InternalError(failure.what());
  }
}

int RunMain(int argc, char** argv, const MainOptions& options, absl::FunctionRef<absl::Status()> body) {
  WaitWithoutSpinning(argv);
  // A file that may not grow further (ulimit -f) is an error of its write, with a message, not the process's end.
  std::signal(SIGXFSZ, SIG_IGN);
  absl::string_view program = argc > 0 ? argv[0] : "bitgrad";
  if (const size_t slash = program.rfind('/'); slash != absl::string_view::npos) {
    program = program.substr(slash + 1);
  }
  ExitWhereOutOfMemory(program.data());
  bool help = false, version = false;
  absl::Status status = ParseArguments(absl::MakeConstSpan(argv, static_cast<size_t>(argc)).subspan(argc > 0 ? 1 : 0),
                                       options, &help, &version);
  if (status.ok()) {
    if (help) {
      PrintHelp(program, options);
    } else if (version) {
      std::printf("%s: bitgrad %s\n", std::string(program).c_str(), kVersion);
    } else {
      status = RunBody(body);
    }
  }
  // What was promised on stdout must have arrived there (a full disk shows only here, or in a write before).
  if ((std::fflush(stdout) != 0 || std::ferror(stdout) != 0) && status.ok()) {
    status = absl::DataLossError("cannot write the output: the disk is full or the pipe is closed");
  }
  if (status.ok()) return 0;
  std::fprintf(stderr, "%s: %s\n", std::string(program).c_str(), OneLine(status).c_str());
  return 1;
}

}  // namespace bitgrad
