// How programs are called, for every way in which this one may have been.

#include "bitgrad/core/program_command.h"

#include <errno.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// As if the shell had called this program so.
class ProgramCommandTest : public testing::Test {
 protected:
  ProgramCommandTest() {
    unsetenv("BUILD_WORKSPACE_DIRECTORY");
    unsetenv("BUILD_WORKING_DIRECTORY");
  }
  ~ProgramCommandTest() override {
    program_invocation_name = name_;
    program_invocation_short_name = short_name_;
    unsetenv("BUILD_WORKSPACE_DIRECTORY");
    unsetenv("BUILD_WORKING_DIRECTORY");
  }
  void CalledAs(const std::string& path) {
    called_ = path;
    program_invocation_name = called_.data();
    program_invocation_short_name = called_.data() + (called_.rfind('/') + 1);  // npos + 1 is 0
  }

 private:
  char* const name_ = program_invocation_name;
  char* const short_name_ = program_invocation_short_name;
  std::string called_;
};

void MakeProgram(const std::string& path) {
  std::ofstream(path) << "#!/bin/sh\n";
  std::filesystem::permissions(path, std::filesystem::perms::owner_all);
}

TEST_F(ProgramCommandTest, ByBazel) {
  setenv("BUILD_WORKSPACE_DIRECTORY", "/home/user/bit grad", 1);
  setenv("BUILD_WORKING_DIRECTORY", "/home/user/bit grad", 1);
  EXPECT_EQ(ProgramCommand("//export:freeze"), "./bazelw run //export:freeze --");
  setenv("BUILD_WORKING_DIRECTORY", "/elsewhere", 1);
  EXPECT_EQ(ProgramCommand("//export:freeze"), "'/home/user/bit grad/bazelw' run //export:freeze --");
}

TEST_F(ProgramCommandTest, ItselfAndWhatLiesBesideIt) {
  const std::string directory = testing::TempDir() + "/some programs";
  std::filesystem::create_directories(directory);
  for (const std::string prefix : {"", "bitgrad_", "bitgrad-"}) {
    CalledAs(directory + "/" + prefix + "train");
    EXPECT_EQ(ProgramCommand("//models:train"), "'" + directory + "/" + prefix + "train'");
    EXPECT_EQ(ProgramCommand("//export:freeze"), "./bazelw run //export:freeze --") << "it is not there";
    MakeProgram(directory + "/" + prefix + "freeze");
    EXPECT_EQ(ProgramCommand("//export:freeze"), "'" + directory + "/" + prefix + "freeze'");
  }
}

// Called by a name that the shell looked up in PATH.
TEST_F(ProgramCommandTest, FromThePath) {
  CalledAs("train");
  EXPECT_EQ(ProgramCommand("//models:train"), "train");
  EXPECT_EQ(ProgramCommand("//export:freeze"), "./bazelw run //export:freeze --");
  const std::string own = std::filesystem::read_symlink("/proc/self/exe").filename();
  CalledAs("train");
  EXPECT_EQ(ProgramCommand("//tests:" + own), own) << "this test lies beside itself";
}

// As bazel-bin has programs: each in the folder of its package.
TEST(ProgramPathTest, InTheFolderOfItsPackage) {
  const std::string self = std::filesystem::read_symlink("/proc/self/exe");
  const absl::StatusOr<std::string> path = ProgramPath("//tests/core:program_command_test");
  ASSERT_TRUE(path.ok()) << path.status();
  EXPECT_EQ(*path, self);
  const absl::Status missing = ProgramPath("//models:no_such_program").status();
  EXPECT_EQ(missing.code(), absl::StatusCode::kNotFound);
  EXPECT_NE(missing.message().find("./bazelw build //models:no_such_program"), std::string::npos) << missing;
}

}  // namespace
}  // namespace bitgrad
