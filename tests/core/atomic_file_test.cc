#include "bitgrad/core/atomic_file.h"

#include <unistd.h>

#include <cstdio>
#include <fstream>
#include <sstream>
#include <string>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

std::string Contents(const std::string& path) {
  std::stringstream contents;
  contents << std::ifstream(path).rdbuf();
  return contents.str();
}

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

class AtomicFileTest : public testing::Test {
 protected:
  AtomicFileTest() { std::ofstream(path_) << "old"; }
  ~AtomicFileTest() override {
    std::remove(path_.c_str());
    std::remove((path_ + ".tmp").c_str());
  }
  const std::string path_ = testing::TempDir() + "/atomic_file_test";
};

TEST_F(AtomicFileTest, CommitReplaces) {
  auto file = AtomicFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("new ").ok());
  ASSERT_TRUE(file->Append("").ok());
  ASSERT_TRUE(file->Append(std::string(1 << 20, 'x')).ok());
  EXPECT_EQ(Contents(path_), "old");
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Contents(path_), "new " + std::string(1 << 20, 'x'));
  EXPECT_FALSE(Exists(path_ + ".tmp"));
}

TEST_F(AtomicFileTest, WithoutCommitTheOldFileStays) {
  {
    auto file = AtomicFile::Create(path_);
    ASSERT_TRUE(file.ok()) << file.status();
    ASSERT_TRUE(file->Append("new").ok());
    EXPECT_TRUE(Exists(path_ + ".tmp"));
  }
  EXPECT_EQ(Contents(path_), "old");
  EXPECT_FALSE(Exists(path_ + ".tmp"));
}

TEST_F(AtomicFileTest, WhatACrashLeftIsOverwritten) {
  std::ofstream(path_ + ".tmp") << "the longer beginning of something";
  auto file = AtomicFile::Create(path_);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append("new").ok());
  ASSERT_TRUE(file->Commit().ok());
  EXPECT_EQ(Contents(path_), "new");
}

TEST_F(AtomicFileTest, OnlyOneWriterAtATime) {
  auto first = AtomicFile::Create(path_);
  ASSERT_TRUE(first.ok()) << first.status();
  ASSERT_TRUE(first->Append("first").ok());
  const auto second = AtomicFile::Create(path_);
  EXPECT_THAT(std::string(second.status().message()), HasSubstr("another process is writing it"));
  ASSERT_TRUE(first->Commit().ok());
  EXPECT_EQ(Contents(path_), "first");
  EXPECT_TRUE(AtomicFile::Create(path_).ok());
}

TEST_F(AtomicFileTest, ErrorsSayWhatWhereAndWhatToDo) {
  const auto message = [](const std::string& path) { return std::string(AtomicFile::Create(path).status().message()); };
  EXPECT_EQ(message("/nonexistent/x"), "cannot write '/nonexistent/x': No such file or directory; check the path");
  EXPECT_EQ(message("/tmp"), "cannot write '/tmp': it is a directory; name a file");
  EXPECT_EQ(message("/dev/null"), "cannot write '/dev/null': it is no regular file; name a file");
}

}  // namespace
}  // namespace bitgrad
