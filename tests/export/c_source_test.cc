// Exports packed models of all kinds as C, compiles them with gcc and has them replay their golden vectors, which the
// interpreter has computed: bit equality where sums are integers.

#include "bitgrad/export/c_code/c_source.h"

#include <cmath>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/export/c_code/arena_plan.h"
#include "bitgrad/export/c_code/quantizer_steps.h"
#include "bitgrad/export/c_code/raw_arrays.h"
#include "bitgrad/tests/export/c_source_testing.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

std::unique_ptr<PackedModel> Packed(const SampleModel& model) {
  const absl::StatusOr<std::string> bytes = model.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  auto packed = PackedModel::FromBytes(model.name, *bytes);
  EXPECT_TRUE(packed.ok()) << packed.status();
  return *std::move(packed);
}

CSource Exported(const SampleModel& model, const std::string& name = "net") { return ExportedC(*Packed(model), name); }

std::vector<SampleModel> Models() {
  std::vector<SampleModel> models = AllSampleModels();
  for (const auto model : {ImageModel, ResidualModel, CodedConvModel, CodeToCodeModel, AveragesModel, TapModel}) {
    models.push_back(model());
  }
  for (SampleModel& model : AllTokenModels()) models.push_back(std::move(model));
  for (const int bits : {0, 1, 4}) models.push_back(LstmModel(bits, 37, 20, 30));
  return models;
}

class CSourceTest : public testing::TestWithParam<int> {};

TEST_P(CSourceTest, ReplaysTheGoldenVectors) {
  const SampleModel model = std::move(Models()[static_cast<size_t>(GetParam())]);
  EXPECT_EQ(CompileAndRun(Exported(model), absl::StrCat(kStrict, " -O1")), 0) << model.name;
}

INSTANTIATE_TEST_SUITE_P(Models, CSourceTest, testing::Range(0, static_cast<int>(Models().size())));

TEST(CSourceSanitizedTest, HasNoUndefinedBehavior) {
  const std::string flags = absl::StrCat(kStrict, " -O1 -g -fsanitize=address,undefined -fno-sanitize-recover");
  for (const auto model : {BnnModel, CodeToCodeModel, CodedConvModel, EveryInstructionModel, AveragesModel}) {
    EXPECT_EQ(CompileAndRun(Exported(model()), flags), 0) << model().name;
  }
}

TEST(CSourceTest, SumsOfIntegersAreComparedToTheLastBit) {
  for (const auto model : {BnnModel, CodeToCodeModel, TapModel}) {
    const bool has_floats = model().name != "bnn";
    EXPECT_EQ(absl::StrContains(Exported(model()).test, "TOLERANCE"), has_floats) << model().name;
  }
}

TEST(CSourceTest, ABrokenFloatWeightIsFound) {
  // Although a code of its quantizers may change, for which the widest bound has to have room.
  CSource source = Exported(ResidualModel());
  EXPECT_TRUE(absl::StrContains(source.test, "NET_WIDEST"));
  const size_t array = source.source.find("net_fc_weight[");
  ASSERT_NE(array, std::string::npos);
  source.source.insert(source.source.find('{', array) + 4, "3.5f + ");
  EXPECT_EQ(CompileAndRun(source, "-std=c99"), 1);
}

TEST(CSourceTest, ABrokenWeightIsFound) {
  CSource source = Exported(BnnModel());
  const size_t array = source.source.find("net_fc3_weight[");
  ASSERT_NE(array, std::string::npos);
  const size_t word = source.source.find("0x", array) + 2;
  char& digit = source.source[word + 7];
  digit = digit == '0' ? '1' : '0';
  EXPECT_EQ(CompileAndRun(source, "-std=c99"), 1);
}

TEST(CSourceTest, ANetOfIntegersHasNoFloats) {
  // Pixels through a table, thresholds behind both products.
  const CSource source = Exported(LinearModel("k_bit(8)", {EncodingKind::kBinary, 1}, 129, 33, true));
  ExpectNoFloats(source);
  EXPECT_TRUE(absl::StrContains(source.source, "int32_t"));
}

TEST(CSourceTest, NamesBeginWithTheGivenOne) {
  const CSource source = Exported(BnnModel(), "digits");
  for (const std::string& text : {source.source, source.header, source.test}) {
    for (const std::string& word : Words(text)) EXPECT_FALSE(absl::StartsWithIgnoreCase(word, "net_")) << word;
  }
  EXPECT_TRUE(absl::StrContains(source.header, "void digits_predict(const uint8_t pixels[DIGITS_INPUTS]"));
  EXPECT_EQ(CompileAndRun(source, absl::StrCat(kStrict, " -O1"), "digits"), 0);
}

// Four threads at once, each with its own memory, give what calls one after the other give.
TEST(CSourceTest, CallsWithScratchOfTheirOwnMayRunAtOnce) {
  CSource source = Exported(BnnModel());
  source.test = R"c(
#include <pthread.h>
#include <string.h>

#include "net.h"

enum { kThreads = 4, kCalls = 300 };
static uint8_t pixels[kThreads][NET_INPUTS];
static float expected[kThreads][NET_OUTPUTS];
static net_scratch scratch[kThreads];
static int wrong[kThreads];

static void *run(void *number) {
  const int t = *(const int *)number;
  float result[NET_OUTPUTS];
  int i;
  for (i = 0; i < kCalls; ++i) {
    net_predict_with_scratch(&scratch[t], pixels[t], result);
    if (memcmp(result, expected[t], sizeof(result)) != 0) wrong[t] = 1;
  }
  return 0;
}

int main(void) {
  pthread_t threads[kThreads];
  int numbers[kThreads], t, i, all = 0;
  for (t = 0; t < kThreads; ++t) {
    for (i = 0; i < NET_INPUTS; ++i) pixels[t][i] = (uint8_t)((i + 1) * (37 * t + 11));
    net_predict(pixels[t], expected[t]);
    memset(&scratch[t], 0xa5, sizeof(scratch[t]));
    numbers[t] = t;
  }
  for (t = 0; t < kThreads; ++t) {
    if (pthread_create(&threads[t], 0, run, &numbers[t]) != 0) return 2;
  }
  for (t = 0; t < kThreads; ++t) {
    pthread_join(threads[t], 0);
    all |= wrong[t];
  }
  return all;
}
)c";
  EXPECT_EQ(CompileAndRun(source, absl::StrCat(kStrict, " -O1 -pthread")), 0);
  // Nothing but the two functions that bring no scratch uses the static one.
  int uses = 0;
  for (const std::string& word : Words(source.source)) uses += word == "net_arena" ? 1 : 0;
  EXPECT_EQ(uses, 3);
}

TEST(CSourceTest, RefusesNamesThatAreNoIdentifiers) {
  ExecContext context({.threads = 1});
  const auto model = Packed(BnnModel());
  for (const char* name : {"", "1net", "my-net", "a b", "_net", "nét"}) {
    const absl::Status status = ToCSource(*model, context, {.name = name}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << name;
    EXPECT_TRUE(absl::StrContains(status.message(), "no C identifier")) << status;
  }
}

TEST(CSourceTest, RefusesNamesOfHeaders) {
  ExecContext context({.threads = 1});
  const absl::Status status = ToCSource(*Packed(BnnModel()), context, {.name = "string"}).status();
  EXPECT_TRUE(absl::StrContains(status.message(), "standard header")) << status;
}

TEST(CSourceTest, SaysWhichLayerIsRefused) {
  // A float that C99 has no literal for.
  SampleModel model = BnnModel();
  const int infinite = model.writer.AddFloats("inf", {10}, std::vector<float>(10, HUGE_VALF));
  model.writer.AddBinaryConstant("add_inf", static_cast<int>(model.writer.header().instructions_size()), Binary::kAdd,
                                 infinite);
  ExecContext context({.threads = 1});
  const absl::Status status = ToCSource(*Packed(model), context, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(absl::StrContains(status.message(), "no literals")) << status;
}

// One step of them would be an answer to another question.
TEST(CSourceTest, ModelsOfTimeStepsAreRefused) {
  ExecContext context({.threads = 1});
  const absl::Status status = ToCSource(*Packed(TimeStepModel(5)), context, {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_TRUE(absl::StrContains(status.message(), "reads an example in 5 time steps")) << status;
}

TEST(ArenaPlanTest, BuffersOfOneTimeDoNotOverlap) {
  std::vector<ArenaBuffer> buffers;
  const RngStream random = {.seed = 7, .purpose = RngPurpose::kTest};
  int64_t all = 0;
  for (uint64_t i = 0; i < 60; ++i) {
    const int first = static_cast<int>(UniformBelow(random, 3 * i, 20));
    const int last = first + static_cast<int>(UniformBelow(random, 3 * i + 1, 5));
    buffers.push_back({.bytes = 1 + UniformBelow(random, 3 * i + 2, 100), .first = first, .last = last});
    all += buffers.back().bytes;
  }
  const int64_t size = PlanArena(buffers);
  EXPECT_LT(size, all / 2);
  for (const ArenaBuffer& a : buffers) {
    EXPECT_EQ(a.offset % 8, 0);
    EXPECT_LE(a.offset + a.bytes, size);
    for (const ArenaBuffer& b : buffers) {
      if (&a == &b || a.last < b.first || b.last < a.first) continue;
      EXPECT_TRUE(a.offset + a.bytes <= b.offset || b.offset + b.bytes <= a.offset);
    }
  }
}

TEST(QuantizerStepsTest, AreTheQuantizersSteps) {
  ExecContext context({.threads = 1});
  PackedQuantizer quantizer;
  quantizer.quantizer = *ParseQuantizer("k_bit(2)");
  const absl::StatusOr<QuantizerSteps> steps = StepsOf(quantizer, context);
  ASSERT_TRUE(steps.ok()) << steps.status();
  EXPECT_EQ(steps->values, std::vector<float>({0, 1, 2, 3}));
  ASSERT_EQ(steps->limits.size(), 3u);
  EXPECT_NEAR(steps->limits[0], -2.0f / 3, 1e-6f);
  EXPECT_NEAR(steps->limits[1], 0.0f, 1e-6f);
  EXPECT_NEAR(steps->limits[2], 2.0f / 3, 1e-6f);
}

TEST(QuantizerStepsTest, RefusesWhatDoesNotAscend) {
  const auto falls = [](absl::Span<const float> x) {
    std::vector<float> y;
    for (const float value : x) y.push_back(value > 3.0f ? -1.0f : 1.0f);
    return y;
  };
  EXPECT_EQ(StepsOf(falls).status().code(), absl::StatusCode::kUnimplemented);
}

TEST(RawArraysTest, HoldTheModelsBlobs) {
  const auto model = Packed(BnnModel());
  const std::vector<RawFile> files = RawArrays(*model, "net");
  ASSERT_EQ(files.size(), static_cast<size_t>(model->header().blobs_size()) + 1);
  const std::string& manifest = files.back().bytes;
  EXPECT_EQ(files.back().name, "net_manifest.json");
  EXPECT_TRUE(absl::StrContains(manifest,
                                "\"name\": \"fc1/weight\", \"kind\": \"BINARY\", \"planes\": 1, "
                                "\"shape\": [65, 70], \"row_stride\": 9, \"file\": \"net_0.bin\", "
                                "\"bytes\": 585"))
      << manifest;
  EXPECT_TRUE(absl::StrContains(manifest, "\"layer\": \"fc1\", \"op\": \"linear\", \"role\": \"weight\"")) << manifest;
  for (int64_t i = 0; i < 65; ++i) {
    for (int64_t j = 0; j < 70; ++j) {
      ASSERT_EQ(files[0].bytes[i * 9 + j / 8] >> (j % 8) & 1, model->plane(0, 0).bit(i, j)) << i << ", " << j;
    }
  }
}

}  // namespace
}  // namespace bitgrad
