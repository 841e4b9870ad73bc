#include "bitgrad/core/program_command.h"

#include <errno.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <string>
#include <system_error>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/shell_quote.h"

namespace bitgrad {
namespace {

std::string Environment(const char* name) {
  const char* value = std::getenv(name);
  return value == nullptr ? "" : value;
}

absl::string_view NameOf(absl::string_view target) { return target.substr(target.rfind(':') + 1); }

// What the target's program is called beside this one: "bitgrad-freeze" beside bitgrad-train.
std::string SiblingOf(absl::string_view own_name, absl::string_view target) {
  const size_t prefix = own_name.find_last_of("_-");
  return absl::StrCat(prefix == absl::string_view::npos ? "" : own_name.substr(0, prefix + 1), NameOf(target));
}

bool IsProgram(const std::filesystem::path& path) {
  std::error_code error;
  return std::filesystem::is_regular_file(path, error) && access(path.c_str(), X_OK) == 0;
}

}  // namespace

std::string ProgramCommand(absl::string_view target) {
  // `bazel run` tells where the checkout is and where the user stands.
  if (const std::string checkout = Environment("BUILD_WORKSPACE_DIRECTORY"); !checkout.empty()) {
    const bool is_here = Environment("BUILD_WORKING_DIRECTORY") == checkout;
    return absl::StrCat(is_here ? "./bazelw" : ShellQuoted(checkout + "/bazelw"), " run ", target, " --");
  }
  const absl::string_view name = NameOf(target);
  const std::string called = program_invocation_name;
  const std::string own_name = program_invocation_short_name;
  if (own_name == name || absl::EndsWith(own_name, absl::StrCat("_", name)) ||
      absl::EndsWith(own_name, absl::StrCat("-", name))) {
    return ShellQuoted(called);
  }
  const std::string sibling = SiblingOf(own_name, target);
  const std::string directory = called.substr(0, called.size() - own_name.size());
  // Without a directory in its name the shell has found this program in PATH, and will find the other one there.
  std::error_code error;
  const std::filesystem::path place = directory.empty()
                                          ? std::filesystem::read_symlink("/proc/self/exe", error).parent_path()
                                          : std::filesystem::path(directory);
  if (access((place / sibling).c_str(), X_OK) == 0) return ShellQuoted(directory + sibling);
  return absl::StrCat("./bazelw run ", target, " --");
}

absl::StatusOr<std::string> ProgramPath(absl::string_view target) {
  std::error_code error;
  const std::filesystem::path self = std::filesystem::read_symlink("/proc/self/exe", error);
  const std::filesystem::path sibling = self.parent_path() / SiblingOf(self.filename().string(), target);
  if (IsProgram(sibling)) return sibling.string();
  // bazel-bin/tools/sweep -> bazel-bin/models/train
  const std::string package(target.substr(2, target.rfind(':') - 2));
  for (std::filesystem::path folder = self.parent_path(); folder.has_relative_path(); folder = folder.parent_path()) {
    const std::filesystem::path built = folder / package / std::string(NameOf(target));
    if (IsProgram(built)) return built.string();
  }
  return absl::NotFoundError(
      absl::StrCat("the program ", target, " is not there: neither '", sibling.string(), "' nor, above it, ", package,
                   "/", NameOf(target), "; install both programs in one folder, or build it: ./bazelw build ", target));
}

}  // namespace bitgrad
