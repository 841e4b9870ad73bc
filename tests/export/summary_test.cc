// A summary before training says what the frozen model costs.

#include "bitgrad/export/summary.h"

#include "bitgrad/models/mlp.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::Pair;
using testing::UnorderedElementsAre;

TEST(SummaryTest, OfAnUntrainedNet) {
  ParameterStore store(1);
  Mlp net(store.Root(), {.features = 20,
                         .hidden = {30, 40},
                         .classes = 10,
                         .input = KBit(8),
                         .activation_quantizer = Lsq(2),
                         .weight = Sign()});
  ASSERT_TRUE(store.status().ok()) << store.status();
  ExecContext context({.threads = 1});
  const auto summary = Summarize(context, net, {20});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->cost.float_layers, 0);
  // Three thresholds for each hidden feature, and the last batch norm.
  EXPECT_THAT(summary->cost.parameters_by_bits,
              UnorderedElementsAre(Pair(1, 20 * 30 + 30 * 40 + 40 * 10), Pair(32, 3 * (30 + 40) + 4 * 10)));
  EXPECT_THAT(summary->table, HasSubstr("unsigned(2)"));
  EXPECT_FALSE(store.Find("hidden2/input/quantizer/step")->is_set) << "a summary trains nothing";
}

TEST(SummaryTest, SaysWhyALayerIsFloat) {
  ParameterStore store(1);
  Mlp net(store.Root(),
          {.features = 20, .hidden = {30}, .classes = 10, .input = KBit(8), .activation_quantizer = Sign()});
  ExecContext context({.threads = 1});
  const auto summary = Summarize(context, net, {20});
  ASSERT_TRUE(summary.ok()) << summary.status();
  EXPECT_EQ(summary->cost.float_layers, 2);
  EXPECT_THAT(summary->table, HasSubstr("float GEMM (float weights)"));
}

}  // namespace
}  // namespace bitgrad
