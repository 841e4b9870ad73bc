// A training that is killed and resumed ends with the same tensors as one that was not. The times of the kills are
// drawn with a seed, which is printed and can be given: BITGRAD_KILL_SEED=N.

#include <signal.h>
#include <time.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <thread>
#include <vector>

#include "bitgrad/tests/cli/cli_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

uint32_t Seed() {
  const char* given = std::getenv("BITGRAD_KILL_SEED");
  return given != nullptr ? static_cast<uint32_t>(std::strtoul(given, nullptr, 10))
                          : static_cast<uint32_t>(time(nullptr));
}

double Now() { return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count(); }

// Trains to the end with up to `kills` kills on the way, each after a random part of `seconds`, the time that a whole
// run takes. Returns how many of them hit a program that was still running.
int TrainThroughKills(const std::string& out, std::vector<std::string> arguments, double seconds, int kills,
                      std::mt19937& random) {
  const std::string checkpoint = out + "/checkpoint.bgc";
  std::uniform_real_distribution<double> part(0.02, 0.35);
  int killed = 0;
  for (int i = 0; i < kills; ++i) {
    std::vector<std::string> run = arguments;
    const bool resume = std::filesystem::exists(checkpoint);
    if (resume) run.push_back("--resume");
    // The first epoch's best model may have been written without the checkpoint that follows it.
    if (!resume) std::filesystem::remove(out + "/best.bgc");
    RunningProgram program("models/train", run);
    std::this_thread::sleep_for(std::chrono::duration<double>(seconds * part(random)));
    program.Signal(SIGKILL);
    const ProgramResult result = program.Wait();
    killed += result.status == -SIGKILL;
    EXPECT_TRUE(result.status == -SIGKILL || result.status == 0) << result.err;
    // Whatever was being written, a checkpoint that exists is complete.
    EXPECT_TRUE(std::filesystem::exists(checkpoint) || !resume) << "the checkpoint is gone";
    for (const std::string& path : {checkpoint, out + "/best.bgc"}) {
      if (!std::filesystem::exists(path)) continue;
      const auto opened = Checkpoint::Open(path);
      EXPECT_TRUE(opened.ok()) << opened.status();
    }
    if (result.status == 0) break;
  }
  if (std::filesystem::exists(checkpoint)) {
    arguments.push_back("--resume");
  } else {
    std::filesystem::remove(out + "/best.bgc");
  }
  const ProgramResult result = RunProgram("models/train", arguments);
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_FALSE(std::filesystem::exists(checkpoint + ".tmp"));
  return killed;
}

void ExpectKillsLeaveNoTrace(const std::vector<std::string>& more, int kills) {
  const uint32_t seed = Seed();
  SCOPED_TRACE("BITGRAD_KILL_SEED=" + std::to_string(seed));
  std::mt19937 random(seed);
  const std::string data = MakeTinyMnist(1000, 100), whole = NewDirectory(), parts = NewDirectory();
  const double start = Now();
  const ProgramResult result = RunProgram("models/train", TinyTrainArguments(data, whole, more));
  ASSERT_EQ(result.status, 0) << result.err;
  const double seconds = Now() - start;
  const int killed = TrainThroughKills(parts, TinyTrainArguments(data, parts, more), seconds, kills, random);
  EXPECT_GT(killed, 0);
  std::printf("%d of %d kills met a running program\n", killed, kills);
  ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
  ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
}

// Most of the time goes into steps; dropout and stochastic weights need their random streams back.
TEST(KillTest, InTheMidstOfSteps) {
  ExpectKillsLeaveNoTrace({"--epochs=6", "--set=batch_size=2", "--set=model.mlp.hidden=64,64",
                           "--set=model.mlp.weight_quantizer=stochastic_sign", "--set=model.mlp.hidden_keep=0.5"},
                          5);
}

// Most of the time goes into writing checkpoints of several megabytes.
TEST(KillTest, InTheMidstOfWriting) {
  ExpectKillsLeaveNoTrace({"--epochs=8", "--set=model.mlp.hidden=512,512", "--set=batch_size=900"}, 6);
}

// The command that an interrupted run names, as a shell reads it.
ProgramResult RunCommandOf(const ProgramResult& stopped) {
  const std::string prefix = "continue with: ";
  const size_t begin = stopped.err.find(prefix);
  EXPECT_NE(begin, std::string::npos) << stopped.err;
  const std::string script = NewDirectory() + "/script";
  WriteFile(script, "exec " + stopped.err.substr(begin + prefix.size()));
  return RunProgram("/bin/sh", {script});
}

constexpr int kSignals[] = {SIGINT, SIGTERM, SIGHUP};

// nohup, under which the tests may run, would let the program ignore SIGHUP.
bool HangUps() { return signal(SIGHUP, SIG_DFL) != SIG_ERR; }

TEST(InterruptTest, SaysHowToResumeAndResumes) {
  for (const int signal : kSignals) {
    SCOPED_TRACE(signal);
    // Names that a shell would take apart.
    const std::string whole = NewDirectory(), parts = NewDirectory() + "/a run's $HOME";
    const std::string data = NewDirectory() + "/the data", metrics = NewDirectory() + "/m (1).jsonl";
    std::filesystem::create_directory_symlink(MakeTinyMnist(1000, 100), data);
    const std::vector<std::string> more = {"--epochs=5", "--set=batch_size=2", "--set=model.mlp.hidden=64,64",
                                           "--data_workers=2"};
    std::vector<std::string> arguments = TinyTrainArguments(data, parts, more);
    arguments.push_back("--metrics=" + metrics);
    RunningProgram program("models/train", arguments, HangUps);
    program.WaitFor("epoch 1/5");
    program.Signal(signal);
    const ProgramResult stopped = program.Wait();
    ExpectError(stopped, "--threads=1 --data_workers=2");
    EXPECT_THAT(stopped.err, testing::AllOf(HasSubstr("interrupted in epoch "), HasSubstr(parts + "/checkpoint.bgc"),
                                            HasSubstr("models/train --resume --out='")));
    EXPECT_TRUE(Checkpoint::Open(parts + "/checkpoint.bgc").ok());
    // The printed command is all that is needed: the recipe is in the checkpoint.
    const ProgramResult resumed = RunCommandOf(stopped);
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    const std::string lines = ReadFile(metrics);
    EXPECT_EQ(std::count(lines.begin(), lines.end(), '\n'), 5);
    ASSERT_EQ(RunProgram("models/train", TinyTrainArguments(data, whole, more)).status, 0);
    ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
    ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
  }
}

// An epoch of one batch and some 800 batches of evaluation.
TEST(InterruptTest, InTheMidstOfEvaluation) {
  const std::string data = MakeTinyMnist(60, 400000), whole = NewDirectory();
  const std::vector<std::string> more = {"--epochs=2", "--set=batch_size=50", "--set=data.preprocessing=zca"};
  ASSERT_EQ(RunProgram("models/train", TinyTrainArguments(data, whole, more)).status, 0);
  for (const int signal : kSignals) {
    SCOPED_TRACE(signal);
    bool met = false;
    // On a busy machine the evaluation may be over before the signal comes.
    for (int attempt = 0; attempt < 20 && !met; ++attempt) {
      const std::string parts = NewDirectory() + "/run";
      RunningProgram program("models/train", TinyTrainArguments(data, parts, more), HangUps);
      program.WaitFor("memory of a step");  // the batch is done
      program.Signal(signal);
      const ProgramResult stopped = program.Wait();
      if (stopped.status == 0) continue;
      ExpectError(stopped, "interrupted in epoch ");
      EXPECT_THAT(stopped.err, HasSubstr(" after 1 batches"));
      met = stopped.err.find("interrupted in epoch 1 ") != std::string::npos;
      EXPECT_EQ(RunCommandOf(stopped).status, 0);
      ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
      ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
    }
    EXPECT_TRUE(met);
  }
}

// While data is loaded there is nothing to save.
TEST(InterruptTest, WhileDataIsLoaded) {
  for (const int signal : kSignals) {
    SCOPED_TRACE(signal);
    const std::string out = NewDirectory() + "/run";
    RunningProgram program("models/train", {"--out=" + out, "--threads=1"}, HangUps);
    // The folder is taken before the digits, 60,000 of them, are drawn.
    while (!std::filesystem::exists(out + "/.lock") && program.IsRunning()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(1));
    }
    program.Signal(signal);
    ExpectError(program.Wait(), "interrupted while there was nothing to save; run the same command again");
    // What is left is no obstacle.
    EXPECT_FALSE(std::filesystem::exists(out + "/checkpoint.bgc"));
    const std::vector<std::string> small = {"--out=" + out, "--epochs=1", "--set=data.limit=200",
                                            "--set=data.validation_examples=100"};
    EXPECT_EQ(RunProgram("models/train", small).status, 0);
  }
}

TEST(InterruptTest, UnderNohupAHangUpIsIgnored) {
  const std::string data = MakeTinyMnist(60, 20), out = NewDirectory() + "/run";
  RunningProgram program("models/train", TinyTrainArguments(data, out, {"--epochs=300"}),
                         [] { return signal(SIGHUP, SIG_IGN) != SIG_ERR; });
  program.WaitFor("epoch 1/300");
  program.Signal(SIGHUP);
  const ProgramResult result = program.Wait();
  EXPECT_EQ(result.status, 0) << result.err;
}

}  // namespace
}  // namespace bitgrad
