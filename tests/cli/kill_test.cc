// A training that is killed and resumed ends with the same tensors as one that was not. The times of the kills are
// drawn with a seed, which is printed and can be given: BITGRAD_KILL_SEED=N.

#include <signal.h>
#include <time.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
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
  if (std::filesystem::exists(checkpoint)) arguments.push_back("--resume");
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

TEST(InterruptTest, SaysHowToResumeAndResumes) {
  for (const int signal : {SIGINT, SIGTERM}) {
    const std::string data = MakeTinyMnist(1000, 100), whole = NewDirectory(), parts = NewDirectory();
    const std::vector<std::string> more = {"--epochs=5", "--set=batch_size=2", "--set=model.mlp.hidden=64,64"};
    const std::vector<std::string> arguments = TinyTrainArguments(data, parts, more);
    RunningProgram program("models/train", arguments);
    while (!std::filesystem::exists(parts + "/checkpoint.bgc") && program.IsRunning()) {
      std::this_thread::sleep_for(std::chrono::milliseconds(2));
    }
    program.Signal(signal);
    const ProgramResult stopped = program.Wait();
    ExpectError(stopped, "--resume --out=" + parts);
    EXPECT_THAT(stopped.err, testing::AllOf(HasSubstr("interrupted in epoch "), HasSubstr(parts + "/checkpoint.bgc")));
    EXPECT_TRUE(Checkpoint::Open(parts + "/checkpoint.bgc").ok());
    // As the program says, --resume, --out and the data are enough: the recipe is in the checkpoint.
    const ProgramResult resumed =
        RunProgram("models/train", {"--resume", "--out=" + parts, "--data_dir=" + data, "--threads=1"});
    EXPECT_EQ(resumed.status, 0) << resumed.err;
    ASSERT_EQ(RunProgram("models/train", TinyTrainArguments(data, whole, more)).status, 0);
    ExpectSameCheckpoints(whole + "/checkpoint.bgc", parts + "/checkpoint.bgc");
    ExpectSameCheckpoints(whole + "/best.bgc", parts + "/best.bgc");
  }
}

}  // namespace
}  // namespace bitgrad
