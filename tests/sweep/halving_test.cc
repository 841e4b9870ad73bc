#include "bitgrad/sweep/halving.h"

#include <cmath>
#include <limits>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

constexpr double kNaN = std::numeric_limits<double>::quiet_NaN();

TEST(HalvingTest, RoundsGrowByTheFactorAndEndWithAllEpochs) {
  EXPECT_THAT(RoundEpochs(1, 3, 27), ElementsAre(1, 3, 9, 27));
  EXPECT_THAT(RoundEpochs(2, 3, 12), ElementsAre(2, 6, 12));
  EXPECT_THAT(RoundEpochs(2, 2, 9), ElementsAre(2, 4, 8, 9));
  EXPECT_THAT(RoundEpochs(5, 3, 5), ElementsAre(5));
  EXPECT_THAT(RoundEpochs(1, 1000000000, 2000000000), ElementsAre(1, 1000000000, 2000000000));
}

TEST(HalvingTest, TheBestThirdGoesOn) {
  EXPECT_THAT(Survivors({0.5, 0.2, 0.9, 0.1, 0.4, 0.8}, 3), ElementsAre(1, 3));
  // Seven thirds are rounded up.
  EXPECT_THAT(Survivors({0.5, 0.2, 0.9, 0.1, 0.4, 0.8, 0.3}, 3), ElementsAre(1, 3, 6));
  EXPECT_THAT(Survivors({0.7}, 3), ElementsAre(0));
}

TEST(HalvingTest, OfEqualScoresTheFirst) { EXPECT_THAT(Survivors({0.3, 0.2, 0.2, 0.2}, 2), ElementsAre(1, 2)); }

TEST(HalvingTest, WhatHasFailedDoesNotGoOn) {
  EXPECT_THAT(Survivors({HUGE_VAL, 0.9, kNaN, HUGE_VAL}, 2), ElementsAre(1));
  EXPECT_THAT(Survivors({HUGE_VAL, HUGE_VAL}, 2), IsEmpty());
}

checkpoint::Header RunWith(const std::vector<double>& valid_errors) {
  checkpoint::Header header;
  for (const double error : valid_errors) header.add_epochs()->set_valid_error(error);
  return header;
}

TEST(HalvingTest, ScoresAreMeansOfTheLeastErrors) {
  EXPECT_EQ(ScoreOf({RunWith({0.5, 0.25, 0.375})}, 3), 0.25);
  EXPECT_EQ(ScoreOf({RunWith({0.5, 0.25}), RunWith({0.75, 1.0})}, 2), 0.5);
}

TEST(HalvingTest, LaterEpochsDoNotCount) {
  const checkpoint::Header run = RunWith({0.5, 0.375, 0.125});
  EXPECT_EQ(ScoreOf({run}, 2), 0.375);
  EXPECT_EQ(ScoreOf({run}, 1), 0.5);
}

TEST(HalvingTest, ARunWithoutTheEpochsOrWithoutErrorsHasNoScore) {
  EXPECT_EQ(ScoreOf({RunWith({0.5}), RunWith({0.5, 0.5})}, 2), HUGE_VAL);
  EXPECT_EQ(ScoreOf({RunWith({kNaN, kNaN})}, 2), HUGE_VAL);
  EXPECT_EQ(ScoreOf({RunWith({kNaN, 0.5})}, 2), 0.5);
}

TEST(HalvingTest, OfASweep) {
  recipe::Recipe recipe;
  recipe.set_epochs(20);
  sweep::Sweep sweep;
  EXPECT_THAT(RoundsOf(sweep, recipe), ElementsAre(20));
  sweep.mutable_halving()->set_min_epochs(2);
  EXPECT_THAT(RoundsOf(sweep, recipe), ElementsAre(2, 6, 18, 20));
  sweep.mutable_halving()->set_factor(4);
  EXPECT_THAT(RoundsOf(sweep, recipe), ElementsAre(2, 8, 20));
}

}  // namespace
}  // namespace bitgrad
