// Whatever a user can do wrong is one line on stderr and exit status 1: no crash, nothing half
// done.

#include <fcntl.h>
#include <sched.h>
#include <signal.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <unistd.h>

#include <filesystem>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/cli/cli_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

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
    const std::string checkpoint = ReadFile(best), model = ReadFile(packed);
    WriteFile(scratch + "/cut.bgc", checkpoint.substr(0, checkpoint.size() - 64));
    WriteFile(scratch + "/cut.bgm", model.substr(0, model.size() - 64));
    std::string flipped = checkpoint;
    flipped[flipped.size() / 3] ^= 4;
    WriteFile(scratch + "/flipped.bgc", flipped);
  }
  std::string data, run, best, latest, packed, scratch;
};

const World& TheWorld() {
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

TEST_F(ErrorsTest, FlagsOfEveryProgram) {
  for (const char* program :
       {"models/train", "models/evaluate", "export/freeze", "runtime/predict", "runtime/inspect"}) {
    ExpectProgramError(program, {"--no_such_flag=1"}, "unknown flag --no_such_flag");
    ExpectProgramError(program, {"stray"}, "unexpected argument \"stray\"");
    ExpectProgramError(program, {"-x"}, "unexpected argument \"-x\"");
    ExpectProgramError(program, {"--"}, "unexpected argument \"--\"");
    const ProgramResult help = RunProgram(program, {"--help"});
    EXPECT_EQ(help.status, 0);
    EXPECT_EQ(help.err, "");
    EXPECT_THAT(help.out, HasSubstr("Flags:"));
  }
  ExpectProgramError("models/train", {"--epochs"}, "flag --epochs has no value");
  ExpectProgramError("models/train", {"--epochs=many"}, "many");
  ExpectProgramError("models/train", {"--seed=1.5"}, "1.5");
  ExpectProgramError("models/train", {"--resume=perhaps"}, "perhaps");
}

TEST_F(ErrorsTest, Recipes) {
  ExpectProgramError("models/train", {"--recipe=mnist_bnn_mpl"}, "mnist_bnn_mlp_small");
  ExpectProgramError("models/train", {"--recipe=" + world.scratch}, world.scratch);
  ExpectProgramError("models/train", {"--recipe=" + world.scratch + "/missing"}, "No such file");
  ExpectProgramError("models/train", {"--recipe=" + world.scratch + "/text"}, "line 1, column");
  ExpectProgramError("models/train", {"--recipe=" + world.scratch + "/empty"}, "epochs is 0");
  ExpectProgramError("models/train", {"--recipe=" + world.best}, "line 1");
}

TEST_F(ErrorsTest, Set) {
  ExpectTrainError({"--set=optimizer.lr=1"}, "no field 'lr' in Optimizer");
  ExpectTrainError({"--set=optimizer.learning_rate=fast"}, "'fast' is not a number");
  ExpectTrainError({"--set=optimizer=adam"}, "group of fields");
  ExpectTrainError({"--set=epochs"}, "write --set=field.path=value");
  ExpectTrainError({"--set=seed=1", "--set=sed=1"}, "no field 'sed'");
}

TEST_F(ErrorsTest, SizesAndRates) {
  ExpectTrainError({"--epochs=-1"}, "--epochs=-1");
  ExpectTrainError({"--epochs=0"}, "--epochs=0");
  ExpectTrainError({"--threads=-1"}, "--threads=-1");
  ExpectTrainError({"--threads=100000"}, "--threads=100000");
  for (const char* value : {"0", "-1"}) {
    ExpectTrainError({absl::StrCat("--set=batch_size=", value)}, absl::StrCat("batch_size is ", value));
    ExpectTrainError({absl::StrCat("--set=optimizer.learning_rate=", value)},
                     absl::StrCat("optimizer.learning_rate is ", value));
    ExpectTrainError({absl::StrCat("--set=model.mlp.hidden=8,", value)}, "model.mlp.hidden");
    ExpectTrainError({absl::StrCat("--set=model.mlp.clip=", value)}, "clip");
    ExpectTrainError({absl::StrCat("--set=model.mlp.hidden_keep=", value)}, "hidden_keep");
    ExpectTrainError({absl::StrCat("--set=schedule.final_learning_rate=", value)}, "final_learning_rate");
  }
  ExpectProgramError(
      "models/train",
      {"--recipe=mnist_bnn_mlp_small", "--data_dir=" + world.data, "--out=" + NewDirectory(), "--set=epochs=0"},
      "epochs is 0");
  ExpectTrainError({"--set=data.validation_examples=-1"}, "data.validation_examples");
  ExpectTrainError({"--set=data.validation_examples=60"}, "60");
  ExpectTrainError({"--set=batch_size=51"}, "51");
  ExpectTrainError({"--set=model.mlp.hidden=2000000000"}, "hidden1");
  ExpectTrainError({"--set=model.mlp.weight_quantizer=k_bit(9)"}, "k_bit");
}

TEST_F(ErrorsTest, Devices) {
  ExpectTrainError({"--device=tpu"}, "--device=tpu");
  ExpectTrainError({"--device="}, "--device=");
  ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--device=tpu"}, "--device=tpu");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--device=tpu"}, "--device=tpu");
  if (DeviceStatus(Device::kCuda).ok()) GTEST_SKIP() << "this build runs on CUDA";
  const std::string why(DeviceStatus(Device::kCuda).message());
  ExpectTrainError({"--device=cuda"}, why);
  ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + world.data, "--device=cuda"}, why);
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir=" + world.data, "--device=cuda"},
                     why);
}

// ---- Data --------------------------------------------------------------------------------------

TEST_F(ErrorsTest, DataDirectories) {
  ExpectProgramError("models/train", {"--recipe=mnist_bnn_mlp_small", "--out=" + NewDirectory()}, "--data_dir=DIR");
  ExpectTrainError({"--data_dir=" + world.scratch}, "found neither train-images-idx3-ubyte");
  ExpectTrainError({"--data_dir=/nowhere/at/all"}, "/nowhere/at/all");
  ExpectTrainError({"--set=data.name=fashion"}, "no data set 'fashion'");
}

std::function<std::string(std::string)> Byte(size_t place, char value) {
  return [=](std::string bytes) {
    bytes.at(place) = value;
    return bytes;
  };
}

TEST_F(ErrorsTest, DamagedData) {
  const std::string images = "train-images-idx3-ubyte", labels = "train-labels-idx1-ubyte",
                    test_labels = "t10k-labels-idx1-ubyte";
  const auto expect = [&](const std::string& file, const std::function<std::string(std::string)>& damage,
                          const std::string& text) {
    const std::string data = MakeTinyMnist(60, 20);
    WriteFile(data + "/" + file, damage(ReadFile(data + "/" + file)));
    ExpectTrainError({"--data_dir=" + data}, text);
  };
  expect(
      images, [](std::string b) { return b.substr(0, b.size() - 1); }, images);
  expect(
      images, [](std::string b) { return b.substr(0, 7); }, images);
  expect(
      images, [](std::string) { return ""; }, images);
  expect(
      images, [](std::string b) { return b + "x"; }, images);
  expect(images, Byte(2, 0x0d), images);
  expect(images, Byte(0, 'P'), images);
  expect(images, Byte(4, '\x7f'), images);
  expect(labels, Byte(30, 10), "10");
  expect(labels, Byte(30, '\xff'), "255");
  expect(test_labels, Byte(20, 10), "10");
  expect(
      labels, [](std::string) { return IdxFile({59}, std::string(59, '\1')); }, "59");
  expect(
      labels, [](std::string) { return std::string("\x1f\x8b and no gzip"); }, labels);
}

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

// A checkpoint has more than this many bytes, text files have less.
bool LimitFiles() {
  const rlimit limit = {4096, 4096};
  // As a shell would after `trap '' XFSZ`: the write fails, instead of the signal ending the
  // process.
  signal(SIGXFSZ, SIG_IGN);
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
  ExpectError(RunProgram("models/train", arguments, LimitFiles), wide + "/best.bgc");
  EXPECT_TRUE(ReadFile(wide + "/checkpoint.bgc") == before);
  ExpectError(RunProgram("export/freeze", {"--checkpoint=" + wide + "/best.bgc", "--out=" + wide + "/model.bgm"},
                         [] {
                           const rlimit limit = {1024, 1024};
                           signal(SIGXFSZ, SIG_IGN);
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
    expect("", "--checkpoint=FILE is missing");
    expect("/nowhere.bgc", "cannot open '/nowhere.bgc'");
    expect(world.scratch, world.scratch);
    expect(world.scratch + "/text", "cut off");
    expect(world.scratch + "/empty", "empty");
    expect(world.scratch + "/cut.bgc", "bytes where it should have");
    expect(world.scratch + "/flipped.bgc", "flipped.bgc");
    expect(world.packed, "not a checkpoint");
  }
}

TEST_F(ErrorsTest, Resume) {
  ExpectProgramError("models/train", {"--resume"}, "--resume needs --out=DIR");
  ExpectTrainError({"--resume"}, "checkpoint.bgc");  // a new directory
  const std::string out = "--out=" + world.run;
  ExpectTrainError({out, "--resume", "--epochs=3"}, "another recipe");
  ExpectTrainError({out, "--resume", "--set=model.mlp.hidden=9"}, "another recipe");
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
  ExpectTrainError({out, "--resume", "--data_dir=" + data}, "another model");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir=" + data},
                     "the test images of data set 'mnist' are 5x5x1");
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
    expect(world.best, "magic");
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

TEST_F(ErrorsTest, NumbersOfEvaluateAndPredict) {
  for (const char* threads : {"--threads=-1", "--threads=100000"}) {
    ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir=" + world.data, threads}, threads);
    ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + world.data, threads}, threads);
  }
  for (const char* batch : {"--batch=0", "--batch=-1"}) {
    ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + world.data, batch}, batch);
  }
}

// ---- Training that diverges --------------------------------------------------------------------

TEST_F(ErrorsTest, ALossThatIsNotANumberNamesLayerAndCheckpoint) {
  const std::vector<std::string> net = {"--recipe=mnist_float_mlp", "--set=optimizer.name=sgd",
                                        "--set=schedule.name=constant"};
  std::vector<std::string> at_once = net, later = net;
  at_once.push_back("--set=optimizer.learning_rate=1e30");
  ExpectTrainError(at_once, "no checkpoint was written yet");
  ExpectTrainError(at_once, "layer '");
  ExpectTrainError(at_once, "learning_rate");
  // A rate that becomes absurd in the third epoch: there is a checkpoint to name.
  later.insert(later.end(), {"--epochs=4", "--set=schedule.name=exponential", "--set=optimizer.learning_rate=1e-3",
                             "--set=schedule.final_learning_rate=1e37"});
  const std::string out = NewDirectory();
  const ProgramResult result = RunProgram("models/train", TinyTrainArguments(world.data, out, later));
  ExpectError(result, "the last good checkpoint, of epoch ");
  EXPECT_THAT(result.err, testing::AllOf(HasSubstr(out + "/checkpoint.bgc"), HasSubstr("a NaN or an infinity")));
  EXPECT_TRUE(Checkpoint::Open(out + "/checkpoint.bgc").ok());
}

}  // namespace
}  // namespace bitgrad
