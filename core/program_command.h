// How a user calls the programs of bitgrad, for commands that are printed to be copied.

#ifndef BITGRAD_CORE_PROGRAM_COMMAND_H_
#define BITGRAD_CORE_PROGRAM_COMMAND_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

// The beginning of a command, quoted for a shell, to which flags are appended. It is the first of these that applies:
//
//   - Where `bazel run` has started this program, "./bazelw run //export:freeze --", with the path to bazelw where the
//     user stands elsewhere.
//   - Where `target` is this program itself, the name under which it was called.
//   - Where the other program lies beside this one, its path there: "/usr/local/bin/freeze", or
//     "/usr/local/bin/bitgrad-freeze" where this program is bitgrad-train.
//   - "./bazelw run //export:freeze --".
//
// target: a label of one of the programs, "//export:freeze".
std::string ProgramCommand(absl::string_view target);

// The file of another program, for one that starts it: beside this one, under the name that ProgramCommand() gives it,
// or in the folder of its package, where Bazel builds both. NotFound, saying where it was looked for and what to do.
absl::StatusOr<std::string> ProgramPath(absl::string_view target);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_PROGRAM_COMMAND_H_
