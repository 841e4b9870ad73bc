#include "bitgrad/runtime/cost.h"

#include <string>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/runtime/kernel_choice.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;

TEST(CostTest, PredictedBytesAreTheBytesOnDisk) {
  for (const SampleModel& sample : AllSampleModels()) {
    const auto model = PackedModel::FromBytes(sample.name, *sample.writer.Serialize());
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ(CostOf(**model).predicted_bytes, (*model)->byte_size()) << sample.name;
  }
}

// Of several time steps an example has the arithmetic of all, but for what runs in the last one alone; bytes lie in the
// file once.
TEST(CostTest, TimeStepsCountForEachExample) {
  ModelCost costs[2];
  for (const int64_t steps : {1, 5}) {
    const SampleModel sample = TimeStepModel(steps);
    const auto model = PackedModel::FromBytes(sample.name, *sample.writer.Serialize());
    ASSERT_TRUE(model.ok()) << model.status();
    ModelCost& cost = costs[steps == 5];
    cost = CostOf(**model);
    EXPECT_EQ(cost.predicted_bytes, (*model)->byte_size());
    EXPECT_EQ(absl::StrContains(CostTable(**model, cost), "linear x5 "), steps == 5);
  }
  ASSERT_EQ(costs[0].layers.size(), costs[1].layers.size());
  int products = 0;
  for (size_t i = 0; i < costs[0].layers.size(); ++i) {
    const LayerCost &one = costs[0].layers[i], &five = costs[1].layers[i];
    if (one.weights.empty()) continue;
    ++products;
    const int64_t runs = one.layer == "out" ? 1 : 5;
    EXPECT_EQ(five.runs, runs) << i;
    EXPECT_EQ(five.bit_macs + five.integer_macs, runs * (one.bit_macs + one.integer_macs)) << i;
    EXPECT_GT(one.bit_macs + one.integer_macs, 0) << i;
    EXPECT_EQ(five.bytes, one.bytes) << i;
  }
  EXPECT_EQ(products, 4);
}

TEST(CostTest, ASharedBlobCountsOnce) {
  PackedModelWriter writer;
  writer.header().mutable_input()->add_shape(16);
  const Tensor codes = RandomCodes({EncodingKind::kBinary, 1}, 16, 16, 1);
  const int weight = writer.AddCodes("w", {EncodingKind::kBinary, 1}, codes.matrix<float>());
  int x = writer.AddQuantize("a", kInputValue, {.quantizer = Sign()});
  x = writer.AddLinear("a", x, {.weight = weight});
  x = writer.AddQuantize("b", x, {.quantizer = Sign()});
  writer.AddLinear("b", x, {.weight = weight});
  const auto model = PackedModel::FromBytes("tied", *writer.Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  const ModelCost cost = CostOf(**model);
  EXPECT_EQ(cost.predicted_bytes, (*model)->byte_size());
  EXPECT_EQ(cost.layers[1].bytes, 16 * 64);
  EXPECT_EQ(cost.layers[3].bytes, 0);
  EXPECT_EQ(cost.layers[3].bit_macs, 256);
}

TEST(CostTest, CountsOfAKnownNet) {
  const SampleModel sample = BnnModel();
  const auto model = PackedModel::FromBytes("bnn", *sample.writer.Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  const ModelCost cost = CostOf(**model);
  ASSERT_EQ(cost.layers.size(), 5u);
  EXPECT_EQ(cost.layers[0].op, "quantize k_bit(8)");
  const LayerCost& fc1 = cost.layers[1];
  EXPECT_EQ(fc1.layer, "fc1");
  EXPECT_EQ(fc1.op, "linear + threshold");
  EXPECT_EQ(fc1.input, "symmetric(8)");
  EXPECT_EQ(fc1.weights, "binary");
  EXPECT_EQ(fc1.weight_bits, 1);
  EXPECT_EQ(fc1.parameters, 65 * 70 + 65);
  // 65 rows of 70 bits, 65 thresholds, 65 flips.
  EXPECT_EQ(fc1.bytes, 65 * 64 + 320 + 64);
  // By the kernel for a batch of one, which depends on the machine (ops/dot_kernel.h).
  const KernelChoice choice = ChooseKernel(**model, 1);
  const bool planes = choice.kernel == DotKernel::kBitPlanes;
  EXPECT_EQ(fc1.bit_macs, planes ? 8 * 65 * 70 : 0);
  EXPECT_EQ(fc1.integer_macs, planes ? 0 : 65 * 70);
  EXPECT_EQ(fc1.float_macs, 0);
  EXPECT_EQ(fc1.kernel, choice.description);
  EXPECT_EQ(cost.layers[2].bit_macs, 33 * 65);
  EXPECT_EQ(cost.layers[2].kernel, "packed XNOR-popcount");
  EXPECT_EQ(cost.layers[4].op, "batch_norm");
  EXPECT_EQ(cost.layers[4].bytes, 4 * 64);

  const std::string table = CostTable(**model, cost);
  std::vector<std::vector<std::string>> rows;
  for (absl::string_view line : absl::StrSplit(table, '\n', absl::SkipEmpty())) {
    // Columns are two spaces or more apart.
    std::vector<std::string> cells;
    for (absl::string_view cell : absl::StrSplit(line, "  ", absl::SkipWhitespace())) {
      cells.push_back(std::string(absl::StripAsciiWhitespace(cell)));
    }
    rows.push_back(cells);
  }
  ASSERT_EQ(rows.size(), 9u);
  EXPECT_THAT(rows[0], ElementsAre("layer", "op", "value", "input", "bits", "weights", "bits", "parameters", "bytes",
                                   "bit MACs", "integer MACs", "float MACs", "kernel"));
  EXPECT_THAT(rows[2], ElementsAre("fc1", "linear + threshold", "[65]", "symmetric(8)", "8", "binary", "1", "4615",
                                   "4544", planes ? "36400" : "-", planes ? "-" : "4550", "-", choice.description));
  EXPECT_THAT(rows[5], ElementsAre("bn3", "batch_norm", "[10]", "-", "-", "-", "-", "40", "256", "-", "-", "-", "-"));
  EXPECT_EQ(rows[7][0], "total");
  EXPECT_EQ(rows[7][8], absl::StrCat((*model)->byte_size()));
  // Weights; thresholds of fc1 and fc2, and the batch norm.
  EXPECT_THAT(rows[8], ElementsAre("parameters by bits:", "1: 7025", "32: 138"));
  EXPECT_EQ(cost.float_layers, 0);
}

}  // namespace
}  // namespace bitgrad
