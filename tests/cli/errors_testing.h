// What the tests of errors share: whatever a user can do wrong is one line on stderr and exit status 1, no crash, and
// nothing half done.

#ifndef BITGRAD_TESTS_CLI_ERRORS_TESTING_H_
#define BITGRAD_TESTS_CLI_ERRORS_TESTING_H_

#include <string>
#include <vector>

#include "absl/strings/str_join.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/tests/cli/cli_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {

// What all tests use: data, a run on it, its frozen model.
struct World {
  World() {
    data = MakeTinyMnist(60, 20);
    run = NewDirectory();
    const ProgramResult trained = RunProgram("models/train", TinyTrainArguments(data, run));
    EXPECT_EQ(trained.status, 0) << trained.err;
    best = run + "/best.bgc";
    latest = run + "/checkpoint.bgc";
    packed = run + "/model.bgm";
    const ProgramResult frozen = RunProgram("export/freeze", {"--checkpoint=" + best, "--out=" + packed});
    EXPECT_EQ(frozen.status, 0) << frozen.err;
    scratch = NewDirectory();
    WriteFile(scratch + "/text", "neither checkpoint nor model\n");
    WriteFile(scratch + "/empty", "");
    for (const BuiltInRecipe& recipe : BuiltInRecipes()) {
      if (recipe.name == std::string("mnist_bnn_mlp_small")) WriteFile(scratch + "/recipe.textproto", recipe.text);
    }
    const std::string checkpoint = ReadFile(best), model = ReadFile(packed);
    WriteFile(scratch + "/cut.bgc", checkpoint.substr(0, checkpoint.size() - 64));
    WriteFile(scratch + "/cut.bgm", model.substr(0, model.size() - 64));
    std::string flipped = checkpoint;
    flipped[flipped.size() / 3] ^= 4;
    WriteFile(scratch + "/flipped.bgc", flipped);
  }
  std::string data, run, best, latest, packed, scratch;
};

inline const World& TheWorld() {
  static const World* const world = new World;
  return *world;
}

class ErrorsTest : public testing::Test {
 protected:
  const World& world = TheWorld();

  void ExpectTrainError(const std::vector<std::string>& more, const std::string& text) {
    SCOPED_TRACE(absl::StrJoin(more, " "));
    ExpectError(RunProgram("models/train", TinyTrainArguments(world.data, NewDirectory(), more)), text);
  }
  void ExpectProgramError(const std::string& program, const std::vector<std::string>& arguments,
                          const std::string& text) {
    SCOPED_TRACE(program + " " + absl::StrJoin(arguments, " "));
    ExpectError(RunProgram(program, arguments), text);
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_CLI_ERRORS_TESTING_H_
