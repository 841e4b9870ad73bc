// What //export:onnx writes, //export:import_onnx reads: the model comes back, with the answers of the one that was
// exported.

#include <algorithm>
#include <memory>
#include <ostream>
#include <string>
#include <tuple>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/import_onnx.h"
#include "bitgrad/export/onnx.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/export/onnx_samples.h"
#include "bitgrad/zoo/golden.h"
#include "bitgrad/zoo/zoo.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {

void PrintTo(const ZooModel& model, std::ostream* out) { *out << model.name; }
void PrintTo(const SampleModel& model, std::ostream* out) { *out << model.name; }
void PrintTo(OnnxDialect dialect, std::ostream* out) { *out << Name(dialect); }

namespace {

constexpr OnnxDialect kDialects[] = {OnnxDialect::kPlain, OnnxDialect::kQonnx, OnnxDialect::kQcdq};

absl::StatusOr<std::unique_ptr<PackedModel>> Open(const absl::StatusOr<std::string>& bytes) {
  if (!bytes.ok()) return bytes.status();
  return PackedModel::FromBytes("test", *bytes);
}

// The model that is imported from `model`, exported. It takes the same pixels.
absl::StatusOr<std::unique_ptr<PackedModel>> Back(const PackedModel& model, OnnxDialect dialect, ExecContext& context) {
  const absl::StatusOr<onnx::ModelProto> proto = ToOnnx(model, {.dialect = dialect});
  if (!proto.ok()) return proto.status();
  absl::StatusOr<PackedModelWriter> writer = ImportOnnx(context, *proto, {.name = "back"}, nullptr);
  if (!writer.ok()) return writer.status();
  if (model.header().input().has_pixels()) {
    *writer->header().mutable_input()->mutable_pixels() = model.header().input().pixels();
  }
  return Open(writer->Serialize());
}

// For each quantizer its codes, for each product what is multiplied with what, and what becomes of the sums.
std::vector<std::string> StepsOf(const PackedModel& model) {
  std::vector<std::string> steps;
  for (const packed::Instruction& instruction : model.header().instructions()) {
    const auto describe = [&](const char* op, const auto& product) {
      const PackedValue& x = model.value(instruction.operands(0));
      steps.push_back(absl::StrCat(op, " ", packed::Blob::Kind_Name(model.blob(product.weight()).kind()), " by ",
                                   static_cast<int>(x.encoding.kind), " of ", x.encoding.bits, " bits",
                                   product.has_threshold() ? ", thresholds" : ""));
    };
    if (instruction.has_quantize())
      steps.push_back(absl::StrCat("quantize to ", instruction.quantize().quantizer().substr(0, 4)));
    if (instruction.has_linear()) describe("linear", instruction.linear());
    if (instruction.has_conv2d()) describe("conv2d", instruction.conv2d());
  }
  return steps;
}

class ZooRoundTripTest : public testing::TestWithParam<std::tuple<ZooModel, OnnxDialect>> {};

TEST_P(ZooRoundTripTest, GivesTheSameNetWithTheSameAnswers) {
  const auto& [zoo_model, dialect] = GetParam();
  const auto model = Open(std::string(zoo_model.bytes));
  ASSERT_TRUE(model.ok()) << model.status();
  ExecContext context({.threads = 1});
  const auto back = Back(**model, dialect, context);
  if ((*model)->header().input().tokens() > 0) {
    EXPECT_FALSE(back.ok()) << "a loop is imported: say so in docs/importing.md";
    return;
  }
  ASSERT_TRUE(back.ok()) << back.status();
  EXPECT_EQ(StepsOf(**back), StepsOf(**model));
  const absl::StatusOr<Tensor> expected = GoldenLogits(**model, context), actual = GoldenLogits(**back, context);
  ASSERT_TRUE(expected.ok()) << expected.status();
  ASSERT_TRUE(actual.ok()) << actual.status();
  ASSERT_EQ(actual->shape(), expected->shape());
  const int64_t classes = expected->shape().cols();
  // 0 where all sums are integers.
  const double tolerance = GoldenTolerance(**model, *expected);
  for (int64_t i = 0; i < kGoldenExamples; ++i) {
    const float* const a = actual->data<float>() + i * classes;
    const float* const e = expected->data<float>() + i * classes;
    EXPECT_EQ(std::max_element(a, a + classes) - a, std::max_element(e, e + classes) - e) << "example " << i;
    for (int64_t k = 0; k < classes; ++k) EXPECT_NEAR(a[k], e[k], tolerance) << "example " << i << ", class " << k;
  }
}

INSTANTIATE_TEST_SUITE_P(Zoo, ZooRoundTripTest,
                         testing::Combine(testing::ValuesIn(ZooModels().begin(), ZooModels().end()),
                                          testing::ValuesIn(kDialects)),
                         [](const auto& info) {
                           return absl::StrCat(std::get<0>(info.param).name, "_", Name(std::get<1>(info.param)));
                         });

// Models that are a quantizer of floats and nothing else: it comes back as a quantizer with the same values.
class QuantizerRoundTripTest : public testing::TestWithParam<OnnxDialect> {};

TEST_P(QuantizerRoundTripTest, GivesTheSameValues) {
  ExecContext context({.threads = 1});
  int count = 0;
  for (const SampleModel& sample : OnnxElementwiseSamples()) {
    SCOPED_TRACE(sample.name);
    const auto model = Open(sample.writer.Serialize());
    ASSERT_TRUE(model.ok()) << model.status();
    const auto back = Back(**model, GetParam(), context);
    const bool is_read = sample.name.find("log_quant") == std::string::npos && !sample.name.starts_with("round") &&
                         sample.name != "spline" && sample.name != "quantize_identity";
    ASSERT_EQ(back.ok(), is_read) << back.status();
    if (!is_read) continue;
    ++count;
    const absl::StatusOr<Answers> expected = AnswersOf(**model, context), actual = AnswersOf(**back, context);
    ASSERT_TRUE(expected.ok()) << expected.status();
    ASSERT_TRUE(actual.ok()) << actual.status();
    if (sample.name.find("bit_pruning") != std::string::npos) {
      // Of two numbers of bits its values are no multiples of one number, and so sums of gains.
      EXPECT_THAT(actual->output.span<float>(),
                  testing::Pointwise(testing::FloatNear(1e-6f), expected->output.span<float>()));
      continue;
    }
    EXPECT_THAT(actual->output.span<float>(), testing::ElementsAreArray(expected->output.span<float>()));
    EXPECT_EQ((*back)->header().instructions_size(), 1);
  }
  EXPECT_EQ(count, 22);
}

INSTANTIATE_TEST_SUITE_P(Dialects, QuantizerRoundTripTest, testing::ValuesIn(kDialects),
                         [](const auto& info) { return std::string(Name(info.param)); });

}  // namespace
}  // namespace bitgrad
