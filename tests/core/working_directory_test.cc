#include "bitgrad/core/working_directory.h"

#include <cstdlib>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(WorkingDirectoryTest, RelativePathsStartWhereTheUserStands) {
  setenv("BUILD_WORKING_DIRECTORY", "/home/user", 1);
  EXPECT_EQ(ResolvePath("net.bgm"), "/home/user/net.bgm");
  EXPECT_EQ(ResolvePath("../net.bgm"), "/home/user/../net.bgm");
  EXPECT_EQ(ResolvePath("/net.bgm"), "/net.bgm");
  EXPECT_EQ(ResolvePath(""), "");
  setenv("BUILD_WORKING_DIRECTORY", "", 1);
  EXPECT_EQ(ResolvePath("net.bgm"), "net.bgm");
  unsetenv("BUILD_WORKING_DIRECTORY");
  EXPECT_EQ(ResolvePath("net.bgm"), "net.bgm");
}

}  // namespace
}  // namespace bitgrad
