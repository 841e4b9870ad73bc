#include "bitgrad/sweep/processes.h"

#include <algorithm>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::EndsWith;
using testing::StartsWith;
using Kind = ProcessResult::Kind;

ProcessJob Shell(const std::string& command, const std::string& log = testing::TempDir() + "/log") {
  return {.command = {"/bin/sh", "-c", command}, .log = log};
}

std::string Contents(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::vector<ProcessResult> RunAll(const std::vector<ProcessJob>& jobs, int at_once) {
  return RunProcesses(
      jobs, at_once, [] { return false; }, [](size_t, const ProcessResult&) {});
}

TEST(ProcessesTest, HowTheyEnd) {
  const auto results = RunAll({Shell("true"),
                               Shell("exit 3"),
                               Shell("kill -9 $$"),
                               {.command = {"/no/such/program"}, .log = "/dev/null"},
                               {.command = {"/bin/true"}, .log = "/no/such/folder/log"}},
                              2);
  ASSERT_EQ(results.size(), 5);
  EXPECT_EQ(results[0].kind, Kind::kDone);
  EXPECT_EQ(results[1].kind, Kind::kFailed);
  EXPECT_EQ(results[1].how, "exit status 3");
  EXPECT_EQ(results[2].kind, Kind::kFailed);
  EXPECT_EQ(results[2].how, "signal 9, Killed");
  EXPECT_EQ(results[3].how, "exit status 127");
  EXPECT_EQ(results[4].how, "cannot be started: No such file or directory");
}

TEST(ProcessesTest, WhatTheySayGoesToTheEndOfTheLog) {
  const std::string log = testing::TempDir() + "/said";
  std::ofstream(log) << "before\n";
  RunAll({Shell("echo out; echo err >&2; cat", log)}, 1);  // cat: stdin is empty
  EXPECT_EQ(Contents(log), "before\nout\nerr\n");
}

TEST(ProcessesTest, AtMostSoManyRunAtATime) {
  // Each job notes how many are running while it is.
  const std::string folder = testing::TempDir() + "/running", log = testing::TempDir() + "/counts";
  ASSERT_EQ(system(absl::StrCat("rm -rf ", folder, " ", log, "; mkdir ", folder).c_str()), 0);
  std::vector<ProcessJob> jobs;
  for (int i = 0; i < 6; ++i) {
    jobs.push_back(Shell(
        absl::StrCat("touch ", folder, "/", i, "; sleep 0.2; ls ", folder, " | wc -l; rm ", folder, "/", i), log));
  }
  size_t ended = 0;
  RunProcesses(
      jobs, 2, [] { return false; },
      [&](size_t, const ProcessResult& result) {
        ++ended;
        EXPECT_EQ(result.kind, Kind::kDone);
      });
  EXPECT_EQ(ended, 6);
  const std::string counts = Contents(log);
  EXPECT_EQ(std::count(counts.begin(), counts.end(), '\n'), 6);
  EXPECT_EQ(counts.find_first_not_of("12\n"), std::string::npos) << counts;
  EXPECT_NE(counts.find('2'), std::string::npos) << counts;
}

TEST(ProcessesTest, WhenStoppedTheyGetOneSignalAndTimeToEnd) {
  const std::string log = testing::TempDir() + "/stopped";
  // The first one has ended by then; the second saves something when it is told to stop; the third never begins.
  const std::vector<ProcessJob> jobs = {
      Shell("true"),
      Shell("trap 'sleep 0.3; echo saved; exit 1' TERM; echo ready; while true; do sleep 0.05; done", log),
      Shell("echo third", log)};
  std::vector<size_t> ended;
  const auto results = RunProcesses(
      jobs, 1, [&] { return Contents(log) == "ready\n"; },
      [&](size_t job, const ProcessResult&) { ended.push_back(job); });
  EXPECT_EQ(results[0].kind, Kind::kDone);
  EXPECT_EQ(results[1].kind, Kind::kNotRun);
  EXPECT_EQ(results[2].kind, Kind::kNotRun);
  EXPECT_EQ(Contents(log), "ready\nsaved\n");
  EXPECT_THAT(ended, ElementsAre(0));
}

}  // namespace
}  // namespace bitgrad
