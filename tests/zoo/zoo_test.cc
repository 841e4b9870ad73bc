// Every model of the zoo: its file is the one that its manifest tells of, and it answers the golden inputs as it did
// when it was added.

#include "bitgrad/zoo/zoo.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <fstream>
#include <ostream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/fingerprint.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/zoo/golden.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {

void PrintTo(const ZooModel& model, std::ostream* out) { *out << model.name; }

namespace {

using testing::HasSubstr;

std::string ReadFile(const std::string& path) {
  std::ifstream file(path);
  EXPECT_TRUE(file) << path;
  std::ostringstream text;
  text << file.rdbuf();
  return text.str();
}

std::vector<double> Numbers(const std::string& text) {
  std::vector<double> numbers;
  for (const absl::string_view word : absl::StrSplit(text, absl::ByAnyChar(" \n"), absl::SkipEmpty())) {
    // Not a stream: those of C++ do not read hexadecimal floats.
    numbers.push_back(std::strtod(std::string(word).c_str(), nullptr));
  }
  return numbers;
}

class ZooTest : public testing::TestWithParam<ZooModel> {
 protected:
  void SetUp() override {
    const absl::StatusOr<zoo::Manifest> parsed = ManifestOf(GetParam());
    ASSERT_TRUE(parsed.ok()) << parsed.status();
    manifest = *parsed;
    absl::StatusOr<std::unique_ptr<PackedModel>> opened = OpenModel(absl::StrCat("zoo:", name));
    ASSERT_TRUE(opened.ok()) << opened.status();
    model = std::move(*opened);
  }

  const std::string name = GetParam().name;
  zoo::Manifest manifest;
  std::unique_ptr<PackedModel> model;
};

TEST_P(ZooTest, TheManifestIsOfThisFile) {
  const absl::string_view bytes = GetParam().bytes;
  EXPECT_LT(manifest.byte_size(), kMostZooModelBytes);
  EXPECT_EQ(manifest.byte_size(), static_cast<int64_t>(bytes.size()));
  EXPECT_EQ(manifest.crc32(), Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()}));
  EXPECT_EQ(manifest.float_byte_size(), model->header().float_parameter_bytes());
  EXPECT_GT(manifest.float_byte_size(), manifest.byte_size());
  ASSERT_TRUE(model->header().has_test_data());
  EXPECT_EQ(DifferenceOf(manifest.test_data(), model->header().test_data()), "");
  EXPECT_EQ(model->header().data_set(), manifest.test_data().name());

  // What inspect computes from the header.
  const ModelCost cost = CostOf(*model);
  EXPECT_EQ(cost.predicted_bytes, manifest.byte_size());
  EXPECT_EQ(cost.float_layers > 0, manifest.tolerance() > 0) << "float layers: " << cost.float_layers;
}

TEST_P(ZooTest, TheManifestSaysEverything) {
  EXPECT_FALSE(manifest.description().empty());
  EXPECT_FALSE(manifest.data().empty());
  EXPECT_GT(manifest.epochs(), 0);
  EXPECT_NE(manifest.figure_case(), zoo::Manifest::FIGURE_NOT_SET);
  EXPECT_THAT(FigureOf(manifest), testing::ContainsRegex("[1-9]"));
}

// Who trains it again takes the recipe that is there now.
TEST_P(ZooTest, ItsRecipeIsThere) {
  absl::StatusOr<recipe::Recipe> recipe = LoadRecipe(manifest.recipe());
  ASSERT_TRUE(recipe.ok()) << recipe.status();
  for (const std::string& set : manifest.set()) {
    const absl::Status status = SetField(set, *recipe);
    ASSERT_TRUE(status.ok()) << status;
  }
  EXPECT_TRUE(ValidateRecipe(*recipe).ok()) << ValidateRecipe(*recipe);
  EXPECT_EQ(recipe->seed(), manifest.seed());
  EXPECT_EQ(recipe->epochs(), manifest.epochs());
  EXPECT_EQ(recipe->data().name(), manifest.test_data().name());
  EXPECT_EQ(model->header().name(), recipe->name());
}

TEST_P(ZooTest, AnswersAsItDid) {
  ExecContext context({.threads = 1});
  const absl::StatusOr<Tensor> logits = GoldenLogits(*model, context);
  ASSERT_TRUE(logits.ok()) << logits.status();
  EXPECT_EQ(logits->shape().rows(), kGoldenExamples);
  const std::string expected = ReadFile(absl::StrCat("zoo/", name, ".logits"));
  if (manifest.tolerance() == 0) {
    EXPECT_EQ(LogitsText(*logits), expected);
    return;
  }
  const std::vector<double> numbers = Numbers(expected);
  ASSERT_EQ(numbers.size(), static_cast<size_t>(logits->num_elements()));
  for (size_t i = 0; i < numbers.size(); ++i) {
    ASSERT_NEAR(logits->data<float>()[i], numbers[i], manifest.tolerance()) << "logit " << i;
  }
  // It is as large as zoo/golden.h says, but for the rounding of the largest logit.
  EXPECT_NEAR(GoldenTolerance(*model, *logits), manifest.tolerance(), 1e-3 * manifest.tolerance());
}

TEST_P(ZooTest, StandsInTheReadme) {
  EXPECT_THAT(ReadFile("zoo/README.md"), HasSubstr(ReadmeRow(name, manifest)));
  EXPECT_THAT(ZooHelp(), HasSubstr(name));
}

INSTANTIATE_TEST_SUITE_P(Models, ZooTest, testing::ValuesIn(ZooModels().begin(), ZooModels().end()),
                         [](const auto& info) { return std::string(info.param.name); });

TEST(ZooListTest, IsSortedAndSmall) {
  int64_t bytes = 0;
  std::vector<std::string> names;
  for (const ZooModel& model : ZooModels()) {
    names.push_back(model.name);
    bytes += static_cast<int64_t>(model.bytes.size());
  }
  EXPECT_LT(bytes, kMostZooBytes);
  EXPECT_THAT(names, testing::Not(testing::IsEmpty()));
  EXPECT_TRUE(std::is_sorted(names.begin(), names.end()));
  // No row of the table is of a model that is not there.
  int rows = 0;
  for (const absl::string_view line : absl::StrSplit(ReadFile("zoo/README.md"), '\n'))
    rows += line.substr(0, 3) == "| `";
  EXPECT_EQ(rows, static_cast<int>(names.size()));
}

TEST(OpenModelTest, UnknownNamesAreRefusedWithTheNearest) {
  const auto model = OpenModel("zoo:mnist_bnn_mpl");
  ASSERT_EQ(model.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(model.status().message(),
              HasSubstr("unknown model 'zoo:mnist_bnn_mpl' of the zoo (did you mean 'mnist_bnn_mlp'?); known: "));
  EXPECT_THAT(OpenModel("zoo:").status().message(), HasSubstr("unknown model 'zoo:'"));
  EXPECT_THAT(OpenModel("zoo:MNIST_BNN_MLP").status().message(), HasSubstr("unknown model"));
}

TEST(OpenModelTest, AFileMayHaveTheName) {
  const ZooModel& first = ZooModels().front();
  std::ofstream("zoo:some_file", std::ios::binary) << first.bytes;
  const auto model = OpenModel("./zoo:some_file");
  std::remove("zoo:some_file");
  ASSERT_TRUE(model.ok()) << model.status();
  EXPECT_EQ((*model)->byte_size(), static_cast<int64_t>(first.bytes.size()));
}

TEST(ManifestTest, ErrorsSayWhere) {
  const absl::StatusOr<zoo::Manifest> manifest = ManifestOf({"net", "", "description: \"x\"\nepoch: 3\n"});
  ASSERT_EQ(manifest.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(manifest.status().message(), HasSubstr("zoo/net.textproto:2:"));
}

}  // namespace
}  // namespace bitgrad
