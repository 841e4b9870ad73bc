// Errors of recipes: names, --set, numbers, nets that cannot learn.

#include <filesystem>
#include <string>

#include "absl/strings/str_cat.h"
#include "bitgrad/tests/cli/errors_testing.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

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
  ExpectTrainError({"--set=model.mlp.hidden=2000000000"}, "not enough memory");
  // More elements than a tensor may have.
  ExpectTrainError({"--set=model.mlp.hidden=2000000000,2000000000"}, "hidden2");
  ExpectTrainError({"--set=model.mlp.weight_quantizer=k_bit(9)"}, "k_bit");
}

TEST_F(ErrorsTest, MisspeltNames) {
  ExpectProgramError("models/train", {"--recipe=mnist_bnn_mpl"}, "(did you mean 'mnist_bnn_mlp'?)");
  ExpectTrainError({"--set=model.mlp.hiden=8"}, "(did you mean 'hidden'?)");
  ExpectTrainError({"--set=loss=SQUARED_HING"}, "(did you mean 'SQUARED_HINGE'?)");
  ExpectTrainError({"--set=model.mlp.weight_quantizer=sing"}, "(did you mean 'sign'?)");
  ExpectTrainError({"--set=model.mlp.activation=hard_tanh"}, "(did you mean 'hardtanh'?)");
  ExpectTrainError({"--set=optimizer.name=adma"}, "no optimizer 'adma' (did you mean 'adam'?)");
  ExpectTrainError({"--set=schedule.name=cosin"}, "no schedule 'cosin' (did you mean 'cosine'?)");
}

// Not a float MLP under the name of a binary VGG, and no abort in protobuf.
TEST_F(ErrorsTest, SetKeepsTheNetwork) {
  const auto expect = [&](const std::string& assignment, const std::string& text) {
    ExpectProgramError("models/train", {"--recipe=cifar10_bnn_vgg_tiny", "--set=" + assignment}, text);
  };
  expect("model.mlp.hidden=32", "did you mean 'model.conv_net.hidden'?");
  expect("model.conv_net.block.filters=8", "block[*] for all");
  expect("model.conv_net.block[6].filters=8", "there is no block[6]");
  expect("model.conv_net.hidden=", "the value is empty");
}

TEST_F(ErrorsTest, RecipesThatAreNotUtf8) {
  ExpectTrainError({"--set=description=\xff"}, "not UTF-8");
  const std::string path = NewDirectory() + "/recipe.textproto";
  const std::string text = ReadFile(world.scratch + "/recipe.textproto");
  const size_t place = text.find("description: \"") + std::string("description: \"").size();
  WriteFile(path, text.substr(0, place) + "\xff" + text.substr(place));
  ExpectTrainError({"--recipe=" + path}, "description is not UTF-8");
  WriteFile(path, "\xef\xbb\xbf" + text);
  const ProgramResult result =
      RunProgram("models/train", TinyTrainArguments(world.data, NewDirectory(), {"--recipe=" + path, "--epochs=1"}));
  EXPECT_EQ(result.status, 0) << result.err;
}

// They would train to the end, and learn nothing or be of no use.
TEST_F(ErrorsTest, NetsThatCannotLearn) {
  const std::string out = NewDirectory();
  ExpectTrainError({"--set=batch_size=1", "--out=" + out}, "layer 'hidden1/norm': batch norm has a single value");
  EXPECT_TRUE(std::filesystem::is_empty(out));
  for (const char* field : {"activation_quantizer", "input_quantizer"}) {
    ExpectTrainError(
        {absl::StrCat("--set=model.mlp.", field, "=xnor")},
        absl::StrCat("recipe: model.mlp.", field, ": quantizer 'xnor' has numbers for each output; it is for weights"));
  }
}

}  // namespace
}  // namespace bitgrad
