#include "bitgrad/core/same_file.h"

#include <filesystem>
#include <fstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::HasSubstr;

class SameFileTest : public testing::Test {
 protected:
  SameFileTest() {
    std::filesystem::remove_all(folder_);
    std::filesystem::create_directories(folder_ + "/sub");
    for (const char* name : {"/a", "/b"}) std::ofstream(folder_ + name) << "text";
  }
  const std::string folder_ = testing::TempDir() + "/same_file";
};

TEST_F(SameFileTest, OneFileUnderManyNames) {
  const std::string a = folder_ + "/a";
  std::filesystem::create_symlink(a, folder_ + "/link");
  std::filesystem::create_hard_link(a, folder_ + "/hard");
  std::filesystem::create_directory_symlink(folder_, folder_ + "/sub/up");
  for (const char* name : {"/a", "//a", "/./a", "/sub/../a", "/link", "/hard", "/sub/up/a"}) {
    EXPECT_TRUE(SameFile(a, folder_ + name)) << name;
    EXPECT_TRUE(SameFile(folder_ + name, a)) << name;
  }
  EXPECT_FALSE(SameFile(a, folder_ + "/b")) << "equal contents are no reason";
  EXPECT_FALSE(SameFile(a, folder_));
}

TEST_F(SameFileTest, FilesThatDoNotExistYet) {
  EXPECT_TRUE(SameFile(folder_ + "/new", folder_ + "/sub/../new"));
  EXPECT_TRUE(SameFile(folder_ + "/missing/new", folder_ + "/missing/../missing/new"));
  std::filesystem::create_directory_symlink(folder_, folder_ + "/sub/up");
  EXPECT_TRUE(SameFile(folder_ + "/new", folder_ + "/sub/up/new"));
  EXPECT_TRUE(SameFile("new", std::filesystem::current_path().string() + "/new"));
  EXPECT_FALSE(SameFile(folder_ + "/new", folder_ + "/newer"));
  EXPECT_FALSE(SameFile(folder_ + "/new", folder_ + "/a"));
  EXPECT_FALSE(SameFile("", ""));
  EXPECT_FALSE(SameFile("", folder_ + "/a"));
}

TEST_F(SameFileTest, OutputsAndInputs) {
  const std::string a = folder_ + "/a", b = folder_ + "/b", c = folder_ + "/c";
  EXPECT_TRUE(CheckOutputIsNotInput({{"--out", c}, {"--metrics", ""}}, {{"--recipe", a}, {"--model", a}}).ok());
  EXPECT_THAT(
      std::string(CheckOutputIsNotInput({{"--out", folder_ + "/./a"}}, {{"--recipe", b}, {"--model", a}}).message()),
      AllOf(HasSubstr("--out '"), HasSubstr("same file as --model"), HasSubstr("choose another --out")));
  EXPECT_THAT(std::string(CheckOutputIsNotInput({{"--out", c}, {"--metrics", c}}, {}).message()),
              AllOf(HasSubstr("--metrics '"), HasSubstr("same file as --out")));
}

}  // namespace
}  // namespace bitgrad
