#include "bitgrad/core/commit_all.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

std::string Contents(const std::string& path) {
  std::stringstream contents;
  contents << std::ifstream(path).rdbuf();
  return contents.str();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// "a" is there before, "b" is not, "c" is.
class CommitAllTest : public testing::Test {
 protected:
  CommitAllTest() {
    mkdir(folder_.c_str(), 0777);
    for (const char* name : {"a", "b", "c"}) Remove(name);
    std::ofstream(Path("a")) << "old a";
    std::ofstream(Path("c")) << "old c";
    for (const char* name : {"a", "b", "c"}) {
      auto file = AtomicFile::Create(Path(name));
      EXPECT_TRUE(file.ok()) << file.status();
      EXPECT_TRUE(file->Append(std::string("new ") + name).ok());
      files_.push_back(*std::move(file));
    }
  }
  ~CommitAllTest() override {
    for (const char* name : {"a", "b", "c"}) Remove(name);
  }
  std::string Path(const std::string& name) const { return folder_ + "/" + name; }
  void Remove(const std::string& name) const {
    std::remove((Path(name) + "/inside").c_str());
    std::remove(Path(name).c_str());
  }
  void ExpectNothingElse() {
    files_.clear();
    for (const char* name : {"a", "b", "c"}) {
      EXPECT_FALSE(Exists(Path(name) + ".tmp")) << name;
      EXPECT_FALSE(Exists(Path(name) + ".old")) << name;
    }
  }

  const std::string folder_ = testing::TempDir() + "/commit_all_test";
  std::vector<AtomicFile> files_;
};

TEST_F(CommitAllTest, WritesAll) {
  const absl::Status status = CommitAll(files_);
  ASSERT_TRUE(status.ok()) << status;
  for (const char* name : {"a", "b", "c"}) EXPECT_EQ(Contents(Path(name)), std::string("new ") + name);
  ExpectNothingElse();
}

TEST_F(CommitAllTest, WhereOneFailsAllAreWhatTheyWere) {
  // A folder that is not empty takes the last file's place meanwhile.
  Remove("c");
  mkdir(Path("c").c_str(), 0777);
  std::ofstream(Path("c") + "/inside") << "kept";
  EXPECT_FALSE(CommitAll(files_).ok());
  EXPECT_EQ(Contents(Path("a")), "old a");
  EXPECT_FALSE(Exists(Path("b")));
  EXPECT_EQ(Contents(Path("c") + "/inside"), "kept");
  ExpectNothingElse();
}

}  // namespace
}  // namespace bitgrad
