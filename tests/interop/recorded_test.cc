// Small nets that Brevitas has exported (import_brevitas.py --record), with inputs and Brevitas's answers.

#include <algorithm>
#include <cmath>
#include <fstream>
#include <iterator>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/export/import_onnx.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

constexpr char kFolder[] = "tests/interop/recorded/";

std::vector<float> ReadFloats(const std::string& path) {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  EXPECT_TRUE(file.ok()) << file.status();
  if (!file.ok()) return {};
  const float* const data = reinterpret_cast<const float*>(file->bytes().data());
  return {data, data + file->bytes().size() / sizeof(float)};
}

class RecordedTest : public testing::TestWithParam<const char*> {};

TEST_P(RecordedTest, AnswersAsBrevitas) {
  const std::string base = std::string(kFolder) + GetParam();
  const absl::StatusOr<onnx::ModelProto> net = ReadOnnx(base + ".onnx");
  ASSERT_TRUE(net.ok()) << net.status();
  ExecContext context({.threads = 1});
  ImportReport report;
  const absl::StatusOr<PackedModelWriter> writer = ImportOnnx(context, *net, {.name = "recorded"}, &report);
  ASSERT_TRUE(writer.ok()) << writer.status();
  EXPECT_EQ(report.layers.size(), 3u);
  EXPECT_EQ(report.packed(), 3);
  for (size_t i = 0; i + 1 < report.layers.size(); ++i) EXPECT_THAT(report.layers[i].detail, HasSubstr("thresholds"));

  const absl::StatusOr<std::string> bytes = writer->Serialize();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto model = PackedModel::FromBytes(GetParam(), *bytes);
  ASSERT_TRUE(model.ok()) << model.status();
  const auto interpreter = Interpreter::Create(**model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  const std::vector<float> x = ReadFloats(base + ".inputs"), expected = ReadFloats(base + ".logits");
  constexpr int64_t kFeatures = 64, kClasses = 10;
  const int64_t count = static_cast<int64_t>(x.size()) / kFeatures;
  ASSERT_EQ(static_cast<int64_t>(expected.size()), count * kClasses);
  const absl::StatusOr<Tensor> y = (*interpreter)->Run({x.data(), count, kFeatures});
  ASSERT_TRUE(y.ok()) << y.status();
  // Logits are whole numbers but for the last normalization, a few roundings of floats.
  for (int64_t i = 0; i < count * kClasses; ++i) {
    EXPECT_NEAR(y->data<float>()[i], expected[i], 1e-5 * (1 + std::abs(expected[i])));
  }
}

INSTANTIATE_TEST_SUITE_P(Nets, RecordedTest, testing::Values("tfc_w1a1", "tfc_w2a2"));

}  // namespace
}  // namespace bitgrad
