// Errors of files: places that cannot be written, damaged and mistaken checkpoints and packed models.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/tests/cli/errors_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// ---- Places to write to ------------------------------------------------------------------------

TEST_F(ErrorsTest, Outputs) {
  ExpectTrainError({"--out=" + world.scratch + "/text"}, world.scratch + "/text");
  ExpectTrainError({"--out=" + world.scratch + "/text/below"}, world.scratch + "/text/below");
  ExpectTrainError({"--out=/proc/bitgrad"}, "/proc/bitgrad");
  ExpectTrainError({"--metrics=" + world.scratch + "/missing/m.jsonl"}, world.scratch + "/missing/m.jsonl");
  ExpectTrainError({"--metrics=" + world.scratch}, world.scratch);
  const std::string checkpoint = "--checkpoint=" + world.best;
  ExpectProgramError("export/freeze", {checkpoint}, "--out=FILE is missing");
  ExpectProgramError("export/freeze", {checkpoint, "--out=" + world.scratch}, "it is a directory");
  ExpectProgramError("export/freeze", {checkpoint, "--out=" + world.scratch + "/missing/m.bgm"}, "/missing/m.bgm");
}

// No program writes over what it reads, whatever name it is given for it.
TEST_F(ErrorsTest, OutputsOverInputs) {
  const std::string run = NewDirectory();
  for (const char* file : {"/best.bgc", "/checkpoint.bgc"}) std::filesystem::copy_file(world.run + file, run + file);
  const std::string best = run + "/best.bgc";
  std::filesystem::create_symlink(best, run + "/link.bgm");
  std::filesystem::create_hard_link(best, run + "/hard.bgm");
  const std::string before = ReadFile(best);
  for (const std::string& checkpoint : {best, run}) {
    for (const char* out : {"/best.bgc", "/./best.bgc", "/link.bgm", "/hard.bgm"}) {
      ExpectProgramError("export/freeze", {"--checkpoint=" + checkpoint, "--out=" + run + out},
                         "same file as --checkpoint");
    }
  }
  ExpectProgramError("export/freeze", {"--checkpoint=" + best, "--out=" + run + "/checkpoint.bgc"},
                     "is a checkpoint, which would be overwritten");
  EXPECT_TRUE(ReadFile(best) == before);
  EXPECT_TRUE(ReadFile(run + "/checkpoint.bgc") == ReadFile(world.latest));

  const std::string recipe = run + "/recipe.textproto";
  std::filesystem::copy_file(world.scratch + "/recipe.textproto", recipe);
  ExpectTrainError({"--recipe=" + recipe, "--metrics=" + recipe}, "same file as --recipe");
  EXPECT_TRUE(ReadFile(recipe) == ReadFile(world.scratch + "/recipe.textproto"));
  const std::string out = NewDirectory();
  for (const char* file : {"/best.bgc", "/checkpoint.bgc"}) {
    ExpectTrainError({"--out=" + out, "--metrics=" + out + file}, "--metrics '" + out + file + "' is the same file");
  }
  // Files that are read in the course of training.
  const std::string data = MakeTinyMnist(60, 20);
  const std::string images = data + "/train-images-idx3-ubyte", image_bytes = ReadFile(images);
  ExpectTrainError({"--data_dir=" + data, "--metrics=" + images}, "a file of another kind");
  EXPECT_TRUE(ReadFile(images) == image_bytes);
}

// A checkpoint has more than this many bytes, text files have less.
bool LimitFiles() {
  const rlimit limit = {4096, 4096};
  signal(SIGXFSZ, SIG_DFL);  // as a shell's `ulimit -f` leaves it
  return setrlimit(RLIMIT_FSIZE, &limit) == 0;
}

TEST_F(ErrorsTest, ACheckpointThatCannotBeWrittenIsFoundBeforeTraining) {
  const std::string directory = NewDirectory();
  ASSERT_TRUE(std::filesystem::create_directory(directory + "/checkpoint.bgc"));
  const ProgramResult result = RunProgram("models/train", TinyTrainArguments(world.data, directory));
  ExpectError(result, directory + "/checkpoint.bgc");
  // The first epoch would have ended with a best model.
  EXPECT_FALSE(std::filesystem::exists(directory + "/best.bgc"));
}

TEST_F(ErrorsTest, FilesThatMayNotGrow) {
  const std::string out = NewDirectory();
  ExpectError(
      RunProgram("models/train", TinyTrainArguments(world.data, out, {"--set=model.mlp.hidden=64"}), LimitFiles),
      out + "/best.bgc");
  EXPECT_TRUE(std::filesystem::is_empty(out)) << "something half written was left";
  // The files that were there stay.
  const std::string wide = NewDirectory();
  const std::vector<std::string> arguments = TinyTrainArguments(world.data, wide, {"--set=model.mlp.hidden=64"});
  ASSERT_EQ(RunProgram("models/train", arguments).status, 0);
  const std::string before = ReadFile(wide + "/checkpoint.bgc");
  std::vector<std::string> longer = arguments;
  longer.insert(longer.end(), {"--resume", "--epochs=3"});
  const ProgramResult limited = RunProgram("models/train", longer, LimitFiles);
  ExpectError(limited, wide + "/");
  EXPECT_THAT(limited.err, HasSubstr("ulimit"));
  EXPECT_TRUE(ReadFile(wide + "/checkpoint.bgc") == before);
  ExpectError(RunProgram("export/freeze", {"--checkpoint=" + wide + "/best.bgc", "--out=" + wide + "/model.bgm"},
                         [] {
                           const rlimit limit = {1024, 1024};
                           signal(SIGXFSZ, SIG_DFL);
                           return setrlimit(RLIMIT_FSIZE, &limit) == 0;
                         }),
              wide + "/model.bgm");
  EXPECT_FALSE(std::filesystem::exists(wide + "/model.bgm"));
}

TEST_F(ErrorsTest, AFullDisk) {
  const std::string out = NewDirectory();
  // A file system of 16 KiB that only this child sees.
  const auto mount_small = [&] {
    return unshare(CLONE_NEWNS) == 0 && mount("none", "/", nullptr, MS_REC | MS_PRIVATE, nullptr) == 0 &&
           mount("none", out.c_str(), "tmpfs", 0, "size=16k") == 0;
  };
  const std::vector<std::string> arguments = TinyTrainArguments(world.data, out, {"--set=model.mlp.hidden=64,64"});
  const ProgramResult result = RunProgram("models/train", arguments, mount_small);
  if (result.status == 77) GTEST_SKIP() << "mounting a file system is not allowed here";
  ExpectError(result, "No space left on device");
  EXPECT_THAT(result.err, HasSubstr(out + "/best.bgc"));
}

TEST_F(ErrorsTest, AFullStandardOutput) {
  if (!std::filesystem::exists("/dev/full")) GTEST_SKIP() << "there is no /dev/full here";
  const auto to_full = [] { return dup2(open("/dev/full", O_WRONLY), STDOUT_FILENO) >= 0; };
  ExpectError(
      RunProgram("export/freeze", {"--checkpoint=" + world.best, "--out=" + NewDirectory() + "/m.bgm"}, to_full),
      "cannot write the output");
}

// ---- Checkpoints and packed models -------------------------------------------------------------

TEST_F(ErrorsTest, Checkpoints) {
  for (const char* program : {"models/evaluate", "export/freeze"}) {
    const auto expect = [&](const std::string& path, const std::string& text) {
      std::vector<std::string> arguments = {"--checkpoint=" + path};
      arguments.push_back(std::string(program) == "export/freeze" ? "--out=" + NewDirectory() + "/m.bgm"
                                                                  : "--data_dir=" + world.data);
      ExpectProgramError(program, arguments, text);
    };
    expect("", "--checkpoint= is empty");
    expect("/nowhere.bgc", "cannot open '/nowhere.bgc'");
    expect(world.scratch, world.scratch);
    expect(world.scratch + "/text", "cut off");
    expect(world.scratch + "/empty", "empty");
    expect(world.scratch + "/cut.bgc", "bytes where it should have");
    expect(world.scratch + "/flipped.bgc", "flipped.bgc");
    expect(world.packed, "is a packed model, not a checkpoint");
  }
}

TEST_F(ErrorsTest, Resume) {
  ExpectProgramError("models/train", {"--resume"}, "--resume needs --out=DIR");
  ExpectTrainError({"--resume"}, "checkpoint.bgc");  // a new directory
  const std::string out = "--out=" + world.run;
  ExpectTrainError({out, "--resume", "--epochs=1"}, "so it cannot have 1 epochs in all");
  ExpectTrainError({out, "--resume", "--set=model.mlp.hidden=9"},
                   "another recipe: model.mlp.hidden was 8 and is 9 now");
  ExpectTrainError({out, "--resume", "--recipe=mnist_float_mlp"}, "another recipe");
  const std::string damaged = NewDirectory();
  for (const char* file : {"/text", "/cut.bgc", "/flipped.bgc"}) {
    WriteFile(damaged + "/checkpoint.bgc", ReadFile(world.scratch + file));
    ExpectTrainError({"--out=" + damaged, "--resume"}, damaged + "/checkpoint.bgc");
    ExpectProgramError("models/train", {"--out=" + damaged, "--resume"}, damaged + "/checkpoint.bgc");
  }
  // best.bgc is for evaluation: it does not hold what a run needs to go on.
  WriteFile(damaged + "/checkpoint.bgc", ReadFile(world.best));
  ExpectTrainError({"--out=" + damaged, "--resume"}, "no optimizer state");
  // Other data than the run had: 5x5 images.
  const std::string data = NewDirectory();
  for (const char* prefix : {"/train", "/t10k"}) {
    WriteFile(data + prefix + "-images-idx3-ubyte", IdxFile({60, 5, 5}, std::string(60 * 25, '\7')));
    WriteFile(data + prefix + "-labels-idx1-ubyte", IdxFile({60}, std::string(30, '\3') + std::string(30, '\7')));
  }
  ExpectTrainError({out, "--resume", "--data_dir=" + data},
                   "is for images of 4x4x1 in 10 classes; data set 'mnist' has");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir=" + data}, "images of 5x5x1");
  ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + data}, "images of 5x5x1");
  // Images of the same shape, but not those of the run.
  ExpectTrainError({out, "--resume", "--data_dir=" + MakeTinyMnist(61, 20)},
                   "was trained with other data. Its training set has: 61 images instead of 60");
}

// Another test set of the same kind may be what is wanted; that it is another one is said.
TEST_F(ErrorsTest, OtherTestData) {
  const std::string other = MakeTinyMnist(60, 30);
  for (const std::string& data : {world.data, other}) {
    for (const auto& [program, file] : {std::pair{"models/evaluate", "--checkpoint=" + world.best},
                                        std::pair{"runtime/predict", "--model=" + world.packed}}) {
      const ProgramResult result = RunProgram(program, {file, "--data_dir=" + data});
      EXPECT_EQ(result.status, 0) << result.err;
      const bool says = result.out.find("note: this is not the ") != std::string::npos &&
                        result.out.find("30 images instead of 20, other labels") != std::string::npos;
      EXPECT_EQ(says, data == other) << result.out;
    }
  }
}

// Nothing of a run is lost to another one.
TEST_F(ErrorsTest, ASecondRunIntoTheSameFolder) {
  const std::string before = ReadFile(world.latest);
  ExpectTrainError({"--out=" + world.run},
                   "'" + world.run + "' holds a run already (checkpoint.bgc); continue that run");
  EXPECT_TRUE(before == ReadFile(world.latest));
  // While a process runs in the folder no other one does.
  const std::string out = NewDirectory() + "/run";
  RunningProgram first("models/train", TinyTrainArguments(world.data, out, {"--epochs=100000"}));
  first.WaitFor("epoch 1/");
  ExpectTrainError({"--out=" + out}, "another process is running in '" + out);
  ExpectTrainError({"--out=" + out, "--resume", "--epochs=100000"}, "another process is running in '" + out);
  first.Signal(SIGKILL);
  first.Wait();
  ExpectTrainError({"--out=" + out}, "holds a run already");
}

TEST_F(ErrorsTest, PackedModels) {
  for (const char* program : {"models/evaluate", "runtime/predict", "runtime/inspect"}) {
    const auto expect = [&](const std::string& path, const std::string& text) {
      std::vector<std::string> arguments;
      if (std::string(program) == "models/evaluate") {
        arguments = {"--checkpoint=" + world.best, "--packed=" + path, "--data_dir=" + world.data};
      } else {
        arguments = {"--model=" + path};
        if (std::string(program) == "runtime/predict") arguments.push_back("--data_dir=" + world.data);
      }
      ExpectProgramError(program, arguments, text);
    };
    expect("/nowhere.bgm", "cannot open '/nowhere.bgm'");
    expect(world.scratch, world.scratch);
    expect(world.scratch + "/text", "text");
    expect(world.scratch + "/empty", "empty");
    expect(world.scratch + "/cut.bgm", "cut off");
    expect(world.best, "freeze it first: ./bazelw run //export:freeze -- --checkpoint=" + world.best);
    const std::string model = ReadFile(world.packed), bad = NewDirectory() + "/bad.bgm";
    for (size_t size = 0; size < model.size(); size += 64 * (std::string(program) == "runtime/inspect" ? 2 : 9)) {
      WriteFile(bad, model.substr(0, size));
      expect(bad, bad);
    }
    std::mt19937 random(7);
    for (int i = 0; i < 12; ++i) {
      std::string flipped = model;
      flipped[random() % model.size()] ^= static_cast<char>(1 << random() % 8);
      WriteFile(bad, flipped);
      expect(bad, bad);
    }
  }
}

// A checkpoint is no damaged model: the error has the command that makes a model of it.
TEST_F(ErrorsTest, ACheckpointForAModelIsToBeFrozen) {
  const std::string folder = NewDirectory() + "/my run";
  std::filesystem::create_directory(folder);
  std::filesystem::copy_file(world.best, folder + "/best.bgc");
  for (const char* program : {"runtime/predict", "runtime/inspect"}) {
    for (const std::string& path : {folder + "/best.bgc", folder}) {
      const ProgramResult result = RunProgram(program, {"--model=" + path});
      const std::string arguments = "--checkpoint='" + path + "' --out='" + folder + "/model.bgm'";
      ExpectError(result, "first: ./bazelw run //export:freeze -- " + arguments);
    }
  }
  // What the command does: the folder of a run stands for its best checkpoint.
  const ProgramResult frozen =
      RunProgram("export/freeze", {"--checkpoint=" + folder, "--out=" + folder + "/model.bgm"});
  EXPECT_EQ(frozen.status, 0) << frozen.err;
  EXPECT_TRUE(ReadFile(folder + "/model.bgm") == ReadFile(world.packed));
}

TEST_F(ErrorsTest, ARunsFolderIsItsBestCheckpoint) {
  const std::string data = "--data_dir=" + world.data;
  const ProgramResult of_file = RunProgram("models/evaluate", {"--checkpoint=" + world.best, data});
  const ProgramResult of_folder = RunProgram("models/evaluate", {"--checkpoint=" + world.run + "/", data});
  EXPECT_EQ(of_folder.status, 0) << of_folder.err;
  EXPECT_EQ(of_folder.out, of_file.out);
  // A run that was stopped in its first epoch has none.
  const std::string stopped = NewDirectory();
  std::filesystem::copy_file(world.latest, stopped + "/checkpoint.bgc");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + stopped, data}, "without a best checkpoint");
  ExpectProgramError("export/freeze", {"--checkpoint=" + stopped, "--out=" + stopped + "/m.bgm"},
                     "without a best checkpoint");
}

}  // namespace
}  // namespace bitgrad
