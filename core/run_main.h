// RunMain: what every program of bitgrad does around its work.
//
//   ABSL_FLAG(std::string, model, "", "Packed model file.");
//
//   int main(int argc, char** argv) {
//     return bitgrad::RunMain(argc, argv, {.usage = "Runs a packed model."}, [] { return Predict(); });
//   }
//
// Flags are Abseil's, read as --name=value, --name value, --flag or --noflag. A flag that does not exist is an error
// that suggests the nearest one. So is a flag whose value is empty: it comes from a shell variable that is not set, and
// to go on with the default would be to do something else than was asked for.
//
// Every error, of the command line or of the work, is one line on stderr that says what is wrong, where, and what to
// do. That includes memory that is refused (core/out_of_memory.h) and exceptions. The exit status is then 1; it is 0
// only on success.

#ifndef BITGRAD_CORE_RUN_MAIN_H_
#define BITGRAD_CORE_RUN_MAIN_H_

#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"

namespace bitgrad {

struct MainOptions {
  // What the program does; --help prints it, then more_help(), then the flags.
  const char* usage = "";
  // Tables of quantizers, optimizers, recipes, ...; null: none.
  std::string (*more_help)() = nullptr;
  // Flags of type std::string that may be given several times; their values arrive joined by '\n'.
  std::vector<std::string> repeatable;
  // What the program takes beside flags, in order: files, folders. Null: it takes nothing but flags.
  std::vector<std::string>* arguments = nullptr;
};

// REQUIRES: the flags of the program are defined before the call (ABSL_FLAG at namespace scope).
int RunMain(int argc, char** argv, const MainOptions& options, absl::FunctionRef<absl::Status()> body);

// "message" with line breaks made spaces: what RunMain prints behind the program's name.
std::string OneLine(const absl::Status& status);

}  // namespace bitgrad

#endif  // BITGRAD_CORE_RUN_MAIN_H_
