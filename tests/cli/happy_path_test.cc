// From training to inspecting, with each program called as the output of the one before says, and with the last lines
// of output that scripts read.

#include <algorithm>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_replace.h"
#include "absl/strings/str_split.h"
#include "bitgrad/tests/cli/cli_testing.h"
#include "bitgrad/tests/data/text_files.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/util/json_util.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::MatchesRegex;

constexpr char kPercent[] = "[0-9]+\\.[0-9][0-9]%";

// The arguments of the command "./bazelw run TARGET -- ..." that `out` says comes next.
std::vector<std::string> NextCommand(const std::string& out, const std::string& target) {
  const std::string prefix = absl::StrCat("  ./bazelw run ", target, " -- ");
  for (const absl::string_view line : absl::StrSplit(out, '\n')) {
    if (line.substr(0, prefix.size()) == prefix) {
      return absl::StrSplit(line.substr(prefix.size()), ' ');
    }
  }
  ADD_FAILURE() << "no next command for " << target << " in: " << out;
  return {};
}

// The value of "name=VALUE" in a last line.
std::string Field(const std::string& line, const std::string& name) {
  for (const absl::string_view part : absl::StrSplit(line, ' ')) {
    if (part.substr(0, name.size() + 1) == name + "=") return std::string(part.substr(name.size() + 1));
  }
  ADD_FAILURE() << "no " << name << " in " << line;
  return "";
}

void ExpectSuccess(const ProgramResult& result, const std::string& last_line) {
  EXPECT_EQ(result.status, 0) << result.err;
  EXPECT_EQ(result.err, "");
  EXPECT_THAT(result.last_line(), MatchesRegex(last_line));
  EXPECT_EQ(result.out.back(), '\n');
}

// Of models of text the last lines have perplexities, and bits of characters.
TEST(HappyPathTest, TrainsAndEvaluatesModelsOfText) {
  std::string text;
  for (int i = 0; i < 60; ++i) absl::StrAppend(&text, i % 3 == 0 ? "red apple " : "green leaf ", i % 7, "\n");
  const std::string words = WordsDirectory(text, "red leaf 1\n", "green apple 2\n"),
                    letters = CharactersDirectory(text);
  const std::vector<std::string> net = {"--set=model.recurrent_net.hidden=8", "--set=model.recurrent_net.embedding=4",
                                        "--set=data.steps=10", "--set=batch_size=4", "--epochs=1"};
  const struct {
    const char *recipe, *metric, *tokens;
    const std::string& data;
  } cases[] = {{"ptb_float_lstm", "perplexity", "4", words}, {"shakespeare_char_float_lstm", "bpc", "38", letters}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.recipe);
    const std::string out = NewDirectory() + "/run", number = "[0-9]+\\.[0-9]+", metric = c.metric;
    std::vector<std::string> args = {absl::StrCat("--recipe=", c.recipe), "--data_dir=" + c.data, "--out=" + out};
    args.insert(args.end(), net.begin(), net.end());
    const ProgramResult trained = RunProgram("models/train", args);
    ExpectSuccess(trained, absl::StrCat("final: epochs=1 train_", metric, "=", number, " valid_", metric, "=", number,
                                        " test_", metric, "=", number, " checkpoint=", out, "/best.bgc"));
    const ProgramResult evaluated = RunProgram("models/evaluate", {"--checkpoint=" + out, "--data_dir=" + c.data});
    ExpectSuccess(evaluated, absl::StrCat("evaluate: tokens=", c.tokens, " graph_", metric, "=", number, ".*"));
    EXPECT_EQ(Field(evaluated.last_line(), "graph_" + metric), Field(trained.last_line(), "test_" + metric));
  }
  ExpectError(RunProgram("models/count", {"--recipe=ptb_float_lstm"}), "train --count_arithmetic counts a step of it");
}

// A recurrent net that reads each example in 30 time steps, of a built-in task.
TEST(HappyPathTest, ASequenceClassifierFromTrainToInspect) {
  const std::string out = NewDirectory() + "/run", model = out + "/model.bgm";
  const ProgramResult trained =
      RunProgram("models/train", {"--recipe=temporal_order_lstm_4bit", "--out=" + out, "--epochs=1",
                                  "--set=data.limit=600", "--set=data.validation_examples=100"});
  ExpectSuccess(trained, absl::StrCat("final: epochs=1 .* checkpoint=", out, "/best\\.bgc"));
  EXPECT_THAT(trained.out, HasSubstr("linear x30"));
  ExpectSuccess(RunProgram("export/freeze", NextCommand(trained.out, "//export:freeze")),
                absl::StrCat("freeze: .* model=", model));
  const ProgramResult evaluated =
      RunProgram("models/evaluate", {"--checkpoint=" + out + "/best.bgc", "--packed=" + model});
  ExpectSuccess(evaluated, "evaluate: images=600 .* disagreements=0 max_logit_difference=0");
  EXPECT_EQ(Field(evaluated.last_line(), "packed_error"), Field(trained.last_line(), "test_error"));
  ExpectSuccess(RunProgram("runtime/predict", NextCommand(trained.out, "//runtime:predict")),
                "predict: images=[0-9]+ error=.*");
  const ProgramResult inspected = RunProgram("runtime/inspect", {"--model=" + model});
  ExpectSuccess(inspected, "inspect: .* float_layers=0");
  EXPECT_THAT(inspected.out, HasSubstr("input [30, 8] of 8-bit pixels"));
  EXPECT_THAT(inspected.out, HasSubstr("time steps: 30 of [8];"));
  EXPECT_THAT(inspected.out, HasSubstr("state: lstm1/c [32]\n"));
}

// The multiplications of arXiv 1510.03009, table 1: with and without the paper's shortcuts.
TEST(HappyPathTest, CountsTheArithmeticOfAStep) {
  const std::vector<std::string> net = {"--recipe=mnist_float_mlp", "--set=batch_size=200"};
  std::vector<std::string> args = net;
  args.push_back("--convention=paper");
  ExpectSuccess(RunProgram("models/count", args),
                "count: batch=200 float_multiplications=1753549338 float_additions=[0-9]+ integer_additions=0 shifts=0 "
                "xnor_popcounts=0 square_roots=[0-9]+");
  const ProgramResult executed = RunProgram("models/count", net);
  // Nobody computes the gradient of the images.
  ExpectSuccess(executed, "count: batch=200 float_multiplications=[0-9]+ .*");
  EXPECT_LT(std::stoll(Field(executed.last_line(), "float_multiplications")), 1753549338 - 200 * 784 * 1024 / 2);
  EXPECT_THAT(executed.out, HasSubstr("hidden1       backward"));
  EXPECT_THAT(executed.out, HasSubstr(" mJ a step"));
}

TEST(HappyPathTest, DigitsFromTrainToInspect) {
  const std::string out = NewDirectory() + "/run";
  const ProgramResult trained = RunProgram(
      "models/train", {"--out=" + out, "--epochs=2", "--set=data.limit=600", "--set=data.validation_examples=100",
                       "--set=model.mlp.hidden=32,32", "--metrics=" + out + ".jsonl", "--count_arithmetic"});
  ExpectSuccess(trained, absl::StrCat("final: epochs=2 train_error=", kPercent, " valid_error=", kPercent,
                                      " test_error=", kPercent, " checkpoint=", out, "/best\\.bgc"));
  EXPECT_THAT(trained.out, HasSubstr("epoch 2/2  loss "));
  // The table of inspect, before the first step.
  const size_t summary = trained.out.find("the net, once it is frozen:\nlayer ");
  EXPECT_LT(summary, trained.out.find("epoch 1/2")) << trained.out;
  EXPECT_LT(trained.out.find("packed XNOR-popcount", summary), trained.out.find("epoch 1/2")) << trained.out;
  EXPECT_THAT(trained.out, testing::Not(HasSubstr("\r"))) << "no bar in a file";
  const std::string json = ReadFile(out + ".jsonl");
  EXPECT_EQ(std::count(json.begin(), json.end(), '\n'), 2);
  checkpoint::EpochMetrics metrics;
  EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(json.substr(0, json.find('\n')), &metrics).ok());
  EXPECT_EQ(metrics.epoch(), 1);
  ASSERT_GT(metrics.arithmetic_size(), 0);
  EXPECT_EQ(metrics.arithmetic(0).layer(), "hidden1");
  EXPECT_EQ(metrics.arithmetic(0).update().square_roots(), 784 * 32);
  EXPECT_THAT(trained.out, HasSubstr("arithmetic of a step:\nlayer "));

  const ProgramResult frozen = RunProgram("export/freeze", NextCommand(trained.out, "//export:freeze"));
  ExpectSuccess(frozen,
                absl::StrCat("freeze: bytes=[0-9]+ float_bytes=[0-9]+ ratio=[0-9.]+ model=", out, "/model.bgm"));

  const ProgramResult predicted = RunProgram("runtime/predict", NextCommand(trained.out, "//runtime:predict"));
  ExpectSuccess(predicted, absl::StrCat("predict: images=10000 error=", kPercent, " images_per_second=[0-9]+"));

  const std::string model = out + "/model.bgm";
  const ProgramResult inspected = RunProgram("runtime/inspect", {"--model=" + model});
  const std::string bytes = absl::StrCat(std::filesystem::file_size(model));
  ExpectSuccess(inspected, absl::StrCat("inspect: parameters=[0-9]+ bytes_on_disk=", bytes, " predicted_bytes=", bytes,
                                        " float_bytes=[0-9]+ ratio=[0-9.]+ float_layers=0"));
  EXPECT_EQ(Field(inspected.last_line(), "parameters"),
            absl::StrCat(784 * 32 + 32 * 32 + 32 * 10 + 2 * (32 + 32 + 10)));
  EXPECT_EQ(Field(inspected.last_line(), "float_bytes"), Field(frozen.last_line(), "float_bytes"));
  EXPECT_EQ(Field(frozen.last_line(), "bytes"), bytes);

  // The graph and the packed model agree to the last bit, frozen in memory or on disk; and with
  // what training said.
  for (const bool on_disk : {false, true}) {
    std::vector<std::string> arguments = {"--checkpoint=" + out + "/best.bgc"};
    if (on_disk) arguments.push_back("--packed=" + model);
    const ProgramResult evaluated = RunProgram("models/evaluate", arguments);
    ExpectSuccess(evaluated, absl::StrCat("evaluate: images=600 graph_error=", kPercent, " packed_error=", kPercent,
                                          " disagreements=0 max_logit_difference=0"));
    EXPECT_EQ(Field(evaluated.last_line(), "graph_error"), Field(trained.last_line(), "test_error"));
    EXPECT_EQ(Field(evaluated.last_line(), "packed_error"), Field(trained.last_line(), "test_error"));
  }
}

TEST(HappyPathTest, DataFromFilesAndRelativePaths) {
  const std::string home = NewDirectory(), data = MakeTinyMnist(200, 50);
  std::filesystem::create_directory_symlink(data, home + "/data");
  setenv("BUILD_WORKING_DIRECTORY", home.c_str(), 1);
  const ProgramResult trained = RunProgram("models/train", TinyTrainArguments("data", "runs/first"));
  ExpectSuccess(trained, absl::StrCat("final: epochs=2 .* checkpoint=", home, "/runs/first/best\\.bgc"));
  ExpectSuccess(RunProgram("export/freeze", {"--checkpoint=runs/first/best.bgc", "--out=runs/first/m.bgm"}),
                absl::StrCat("freeze: .* model=", home, "/runs/first/m\\.bgm"));
  ExpectSuccess(RunProgram("models/evaluate", {"--checkpoint=runs/first/best.bgc", "--packed=runs/first/m.bgm",
                                               "--data_dir=data", "--threads=1"}),
                "evaluate: images=50 .* disagreements=0 max_logit_difference=0");
  ExpectSuccess(RunProgram("runtime/predict", {"--model=runs/first/m.bgm", "--data_dir=data", "--batch=7"}),
                "predict: images=50 error=.*");
  // Without --out the directory has the recipe's name.
  std::vector<std::string> arguments = TinyTrainArguments("data", "unused");
  arguments.erase(arguments.begin() + 2);
  ExpectSuccess(RunProgram("models/train", arguments),
                absl::StrCat("final: .* checkpoint=", home, "/bitgrad_mnist_bnn_mlp_small/best\\.bgc"));
  // The same command once more begins another run, in a folder of its own.
  const ProgramResult again = RunProgram("models/train", arguments);
  ExpectSuccess(again, absl::StrCat("final: .* checkpoint=", home, "/bitgrad_mnist_bnn_mlp_small_2/best\\.bgc"));
  EXPECT_THAT(again.out, HasSubstr(absl::StrCat("'", home, "/bitgrad_mnist_bnn_mlp_small' holds another run; this one ",
                                                "goes to '", home, "/bitgrad_mnist_bnn_mlp_small_2'\n")));
  EXPECT_THAT(NextCommand(again.out, "//export:freeze"),
              testing::Contains("--out=" + home + "/bitgrad_mnist_bnn_mlp_small_2/model.bgm"));
  unsetenv("BUILD_WORKING_DIRECTORY");

  // What is printed as the next command has the data set's files in it.
  const std::vector<std::string> next = NextCommand(trained.out, "//runtime:predict");
  EXPECT_THAT(next, testing::Contains("--data_dir=" + home + "/data"));
  ExpectSuccess(RunProgram("export/freeze", NextCommand(trained.out, "//export:freeze")), "freeze: .*");
  ExpectSuccess(RunProgram("runtime/predict", next), "predict: images=50 .*");
}

// What is printed can be copied to a shell, whatever the folders are named.
TEST(HappyPathTest, PrintedCommandsAreQuoted) {
  const std::string data = NewDirectory() + "/the data", out = NewDirectory() + "/a run's $(false)";
  std::filesystem::create_directory_symlink(MakeTinyMnist(60, 20), data);
  const ProgramResult trained = RunProgram("models/train", TinyTrainArguments(data, out));
  ASSERT_EQ(trained.status, 0) << trained.err;
  std::string script;
  for (const absl::string_view line : absl::StrSplit(trained.out, '\n')) {
    if (absl::StartsWith(line, "  ./bazelw run //")) absl::StrAppend(&script, line, " || exit 1\n");
  }
  script = absl::StrReplaceAll(script, {{"./bazelw run //export:freeze --", ProgramPath("export/freeze")},
                                        {"./bazelw run //runtime:predict --", ProgramPath("runtime/predict")}});
  const std::string path = NewDirectory() + "/script";
  WriteFile(path, script);
  ExpectSuccess(RunProgram("/bin/sh", {path}), "predict: images=20 .*");
}

// A finished run is trained for longer, and knows its recipe.
TEST(HappyPathTest, ResumedWithMoreEpochs) {
  const std::string data = MakeTinyMnist(60, 20), out = NewDirectory();
  ASSERT_EQ(RunProgram("models/train", TinyTrainArguments(data, out)).status, 0);
  const ProgramResult longer =
      RunProgram("models/train", {"--resume", "--out=" + out, "--data_dir=" + data, "--epochs=4"});
  ExpectSuccess(longer, "final: epochs=4 .*");
  EXPECT_THAT(longer.out, HasSubstr("epochs: 2 -> 4"));
  EXPECT_THAT(longer.out, HasSubstr("schedule 'exponential' spreads over all 4 epochs"));
  EXPECT_EQ((*Checkpoint::Open(out + "/checkpoint.bgc")).header().epochs_size(), 4);
}

// The data that a packed model was made from is in it.
TEST(HappyPathTest, InspectPrintsTheData) {
  const std::string data = MakeTinyMnist(60, 20), out = NewDirectory();
  const ProgramResult trained = RunProgram("models/train", TinyTrainArguments(data, out));
  ASSERT_EQ(trained.status, 0) << trained.err;
  const std::string model = out + "/model.bgm";
  ASSERT_EQ(RunProgram("export/freeze", {"--checkpoint=" + out + "/best.bgc", "--out=" + model}).status, 0);
  const ProgramResult inspected = RunProgram("runtime/inspect", {"--model=" + model});
  for (const char* split : {"mnist train: ", "mnist test: "}) {
    const size_t line = trained.out.find(split);
    ASSERT_NE(line, std::string::npos) << trained.out;
    const size_t checksums = trained.out.find("(labels ", line);
    ASSERT_NE(checksums, std::string::npos) << trained.out;
    EXPECT_THAT(inspected.out,
                HasSubstr(trained.out.substr(checksums, trained.out.find('\n', checksums) + 1 - checksums)));
  }
  EXPECT_THAT(inspected.out, HasSubstr("trained on mnist: 60 images of 4x4x1 in 10 classes (labels "));
  EXPECT_THAT(inspected.out, HasSubstr("tested on mnist: 20 images of 4x4x1 in 10 classes (labels "));
}

// The deterministic BinaryConnect net: float activations, so logits may differ by roundings,
// classes may not.
TEST(HappyPathTest, BinaryConnectAgreesWithItsPackedModel) {
  const std::string data = MakeTinyMnist(500, 200);
  for (const char* recipe : {"mnist_binaryconnect_mlp", "mnist_binaryconnect_stochastic_mlp", "mnist_float_mlp"}) {
    const std::string out = NewDirectory();
    ExpectSuccess(
        RunProgram("models/train",
                   TinyTrainArguments(data, out, {absl::StrCat("--recipe=", recipe), "--set=model.mlp.hidden=100,65"})),
        "final: .*");
    const ProgramResult evaluated =
        RunProgram("models/evaluate", {"--checkpoint=" + out + "/best.bgc", "--data_dir=" + data});
    ExpectSuccess(evaluated, "evaluate: images=200 .* disagreements=0 max_logit_difference=[0-9.e-]+");
    // Logits are of order 1: 100 terms of which each sum rounds, three layers.
    EXPECT_LE(std::stod(Field(evaluated.last_line(), "max_logit_difference")), 3 * 100 * 0x1p-23 * 10) << recipe;
  }
}

TEST(HappyPathTest, HelpListsTheTables) {
  const ProgramResult help = RunProgram("models/train", {"--help"});
  EXPECT_EQ(help.status, 0);
  for (const char* text : {"mnist_bnn_mlp_small", "digits ", "mlp ", "dorefa_weight", "adamax", "cosine", "--set"}) {
    EXPECT_THAT(help.out, HasSubstr(text));
  }
}

TEST(HappyPathTest, TheSeedDecides) {
  const std::string data = MakeTinyMnist(100, 20);
  const auto weight = [&](const char* seed) {
    const std::string out = NewDirectory();
    EXPECT_EQ(RunProgram("models/train", TinyTrainArguments(data, out, {seed})).status, 0);
    const auto tensor = (*Checkpoint::Open(out + "/checkpoint.bgc")).Get("hidden1/weight");
    return std::vector<float>(tensor->span<float>().begin(), tensor->span<float>().end());
  };
  EXPECT_EQ(weight("--seed=5"), weight("--set=seed=5"));
  EXPECT_NE(weight("--seed=5"), weight("--seed=6"));
}

}  // namespace
}  // namespace bitgrad
