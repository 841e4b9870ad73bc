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

}  // namespace

std::string ProgramCommand(absl::string_view target) {
  // `bazel run` tells where the checkout is and where the user stands.
  if (const std::string checkout = Environment("BUILD_WORKSPACE_DIRECTORY"); !checkout.empty()) {
    const bool is_here = Environment("BUILD_WORKING_DIRECTORY") == checkout;
    return absl::StrCat(is_here ? "./bazelw" : ShellQuoted(checkout + "/bazelw"), " run ", target, " --");
  }
  const absl::string_view name = target.substr(target.rfind(':') + 1);
  const std::string called = program_invocation_name;
  const std::string own_name = program_invocation_short_name;
  if (own_name == name || absl::EndsWith(own_name, absl::StrCat("_", name)) ||
      absl::EndsWith(own_name, absl::StrCat("-", name))) {
    return ShellQuoted(called);
  }
  // "bitgrad_" of bitgrad_train.
  const size_t prefix = own_name.find_last_of("_-");
  const std::string sibling = absl::StrCat(prefix == std::string::npos ? "" : own_name.substr(0, prefix + 1), name);
  const std::string directory = called.substr(0, called.size() - own_name.size());
  // Without a directory in its name the shell has found this program in PATH, and will find the other one there.
  std::error_code error;
  const std::filesystem::path place = directory.empty()
                                          ? std::filesystem::read_symlink("/proc/self/exe", error).parent_path()
                                          : std::filesystem::path(directory);
  if (access((place / sibling).c_str(), X_OK) == 0) return ShellQuoted(directory + sibling);
  return absl::StrCat("./bazelw run ", target, " --");
}

}  // namespace bitgrad
