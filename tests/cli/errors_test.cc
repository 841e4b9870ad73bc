// Errors of flags, of data, and of training that diverges.

#include <functional>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/cli/errors_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

// ---- Flags -------------------------------------------------------------------------------------

TEST_F(ErrorsTest, FlagsOfEveryProgram) {
  for (const char* program :
       {"models/train", "models/evaluate", "models/count", "export/freeze", "runtime/predict", "runtime/inspect"}) {
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

// As they come from shell variables that are not set: the program must not go on with what it does by default.
TEST_F(ErrorsTest, EmptyFlags) {
  for (const char* flag : {"--recipe=", "--epochs=", "--out=", "--data_dir=", "--metrics=", "--set=", "--seed=",
                           "--device=", "--resume="}) {
    ExpectTrainError({flag}, std::string("flag ") + flag + " is empty");
  }
  ExpectProgramError("models/train", {"--recipe", ""}, "flag --recipe= is empty");
  ExpectProgramError("models/train", {"--out", "--resume"}, "flag --out has no value");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--packed="}, "flag --packed= is empty");
  ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir="}, "flag --data_dir= is empty");
  ExpectProgramError("export/freeze", {"--checkpoint=", "--out=x"}, "flag --checkpoint= is empty");
  ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--batch="}, "flag --batch= is empty");
  ExpectProgramError("runtime/inspect", {"--model="}, "flag --model= is empty");
}

TEST_F(ErrorsTest, MisspeltFlags) {
  ExpectProgramError("models/train", {"--epoch=3"}, "unknown flag --epoch (did you mean '--epochs'?)");
  ExpectProgramError("models/train", {"--data-dir=x"}, "(did you mean '--data_dir'?)");
  ExpectProgramError("models/train", {"--resmue"}, "(did you mean '--resume'?)");
  ExpectProgramError("models/evaluate", {"--check_point=x"}, "(did you mean '--checkpoint'?)");
  ExpectProgramError("models/count", {"--convention=lin"}, "--convention=lin is neither 'executed' nor 'paper'");
  ExpectProgramError("models/count", {"--recipe=mnist_float_mlp", "--set=data.name=idx"}, "data set 'idx'");
  ExpectProgramError("export/freeze", {"--checkpont=x"}, "(did you mean '--checkpoint'?)");
  ExpectProgramError("runtime/predict", {"--modle=x"}, "(did you mean '--model'?)");
  ExpectProgramError("runtime/inspect", {"--models=x"}, "(did you mean '--model'?)");
}

TEST_F(ErrorsTest, NumbersOutOfRange) {
  for (const char* threads : {"--threads=-1", "--threads=100000"}) {
    ExpectProgramError("models/evaluate", {"--checkpoint=" + world.best, "--data_dir=" + world.data, threads}, threads);
    ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + world.data, threads}, threads);
  }
  for (const char* batch : {"--batch=0", "--batch=-1"}) {
    ExpectProgramError("runtime/predict", {"--model=" + world.packed, "--data_dir=" + world.data, batch}, batch);
  }
  for (const char* workers : {"--data_workers=-1", "--data_workers=100000"}) {
    ExpectTrainError({workers}, std::string(workers) + " is not in 0 .. 1024");
  }
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
  ExpectTrainError({"--set=data.name=cifar_10"}, "no data set 'cifar_10' (did you mean 'cifar10'?)");
  ExpectTrainError({"--set=data.augmentation=flipp"}, "augmentation 'flipp': unknown (did you mean 'flip'?)");
  ExpectTrainError({"--set=data.preprocessing=zac(0.1)"}, "preprocessing 'zac(0.1)': unknown (did you mean 'zca'?)");
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
