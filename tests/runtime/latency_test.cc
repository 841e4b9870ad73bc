#include "bitgrad/runtime/latency.h"

#include <algorithm>
#include <numeric>
#include <vector>

#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;

TEST(PercentileTest, IsTheNearestRank) {
  EXPECT_EQ(Percentile({7}, 1), 7);
  EXPECT_EQ(Percentile({7}, 50), 7);
  EXPECT_EQ(Percentile({7}, 100), 7);
  const std::vector<double> ten = {1, 2, 3, 4, 5, 6, 7, 8, 9, 10};
  EXPECT_EQ(Percentile(ten, 50), 5);
  EXPECT_EQ(Percentile(ten, 51), 6);
  EXPECT_EQ(Percentile(ten, 90), 9);
  EXPECT_EQ(Percentile(ten, 90.1), 10);
  EXPECT_EQ(Percentile(ten, 99), 10);
  EXPECT_EQ(Percentile(ten, 100), 10);
  EXPECT_EQ(Percentile(ten, 0.5), 1);
  // Every whole percentile of as many samples as there are is a sample of its own, however p / 100 rounds.
  for (const int hundreds : {1, 3, 10}) {
    std::vector<double> many(static_cast<size_t>(100 * hundreds));
    std::iota(many.begin(), many.end(), 1);
    for (int p = 1; p <= 100; ++p) EXPECT_EQ(Percentile(many, p), hundreds * p) << p << " of " << many.size();
  }
  // Of equal samples, and of one that is far away.
  EXPECT_EQ(Percentile({3, 3, 3, 900}, 75), 3);
  EXPECT_EQ(Percentile({3, 3, 3, 900}, 76), 900);
}

TEST(CoresOfTest, TakeTurns) {
  const std::vector<int> allowed = {2, 3, 6, 7, 9};
  EXPECT_THAT(CoresOf(allowed, 0, 1), ElementsAre(2));
  EXPECT_THAT(CoresOf(allowed, 4, 1), ElementsAre(9));
  EXPECT_THAT(CoresOf(allowed, 5, 1), ElementsAre(2));
  EXPECT_THAT(CoresOf(allowed, 1, 2), ElementsAre(6, 7));
  EXPECT_THAT(CoresOf(allowed, 2, 2), ElementsAre(9, 2));
  EXPECT_THAT(CoresOf(allowed, 0, 9), ElementsAre(2, 3, 6, 7, 9));
  EXPECT_THAT(CoresOf(allowed, 1, 9), ElementsAre(9, 2, 3, 6, 7));
}

TEST(PeakResidentBytesTest, IsWhatIsUsed) {
  const int64_t before = PeakResidentBytes();
  EXPECT_GT(before, 0);
  const std::vector<char> block(64 << 20, 1);
  EXPECT_GE(PeakResidentBytes() - before, 60 << 20) << block[7];
}

TEST(MeasureLatencyTest, RecordsRunsOfEveryInterpreter) {
  for (const SampleModel& sample : {BnnModel(), LstmModel(4, 37, 20, 30), TimeStepModel(5)}) {
    const auto model = *PackedModel::FromBytes("net.bgm", *sample.writer.Serialize());
    for (const int load : {1, 3}) {
      const auto found =
          MeasureLatency(*model, {.threads = 2, .load = load, .batch = 4, .seconds = 0.02, .warm_up = 3});
      ASSERT_TRUE(found.ok()) << found.status();
      EXPECT_GE(found->warm.size(), static_cast<size_t>(load));
      EXPECT_GE(found->cold.size(), 1u);
      EXPECT_TRUE(std::is_sorted(found->warm.begin(), found->warm.end()));
      EXPECT_TRUE(std::is_sorted(found->cold.begin(), found->cold.end()));
      EXPECT_GT(found->warm.front(), 0);
      EXPECT_GE(found->warm_seconds, 0.02);
      // The runs of a thread follow each other, so they cannot take longer than all of them together.
      EXPECT_LE(std::accumulate(found->warm.begin(), found->warm.end(), 0.0), load * found->warm_seconds);
      EXPECT_GT(found->peak_resident_bytes, 0);
      EXPECT_GT(found->cores, 0);
    }
  }
}

// A model without pixels gets floats.
TEST(MeasureLatencyTest, RunsModelsOfFloats) {
  SampleModel sample = BnnModel();
  sample.writer.header().mutable_input()->clear_pixels();
  const auto model = *PackedModel::FromBytes("net.bgm", *sample.writer.Serialize());
  const auto found = MeasureLatency(*model, {.seconds = 0.01});
  EXPECT_TRUE(found.ok()) << found.status();
}

}  // namespace
}  // namespace bitgrad
