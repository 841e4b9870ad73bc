#include "bitgrad/core/rng.h"

#include <cmath>
#include <cstdint>
#include <set>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// The published test vectors of Random123 (kat_vectors, philox4x32-10), through the mapping of this header:
// counter = (block, step, stream, purpose), key = (low, high) word of the seed. Checkpoints rest on it.
TEST(RngTest, KnownAnswers) {
  const RngBlock zeros = RandomBlock({.seed = 0, .purpose = RngPurpose{0}, .step = 0, .stream = 0}, 0);
  const uint32_t zeros_expected[4] = {0x6627e8d5, 0xe169c58d, 0xbc57ac4c, 0x9b00dbd8};
  const RngBlock ones = RandomBlock(
      {.seed = ~uint64_t{0}, .purpose = RngPurpose{0xffffffff}, .step = 0xffffffff, .stream = 0xffffffff}, 0xffffffff);
  const uint32_t ones_expected[4] = {0x408f276d, 0x41c83b0e, 0xa20bc7c6, 0x6d5451fd};
  const RngBlock pi = RandomBlock(
      {.seed = 0x299f31d0a4093822, .purpose = RngPurpose{0x03707344}, .step = 0x85a308d3, .stream = 0x13198a2e},
      0x243f6a88);
  const uint32_t pi_expected[4] = {0xd16cfe09, 0x94fdcceb, 0x5001e420, 0x24126ea1};
  for (int k = 0; k < 4; ++k) {
    EXPECT_EQ(zeros.word[k], zeros_expected[k]);
    EXPECT_EQ(ones.word[k], ones_expected[k]);
    EXPECT_EQ(pi.word[k], pi_expected[k]);
  }
}

TEST(RngTest, ElementsAreTheWordsOfBlocks) {
  const RngStream rng = {.seed = 3, .purpose = RngPurpose::kDropout, .step = 1, .stream = 2};
  for (uint64_t i = 0; i < 100; ++i) {
    EXPECT_EQ(RandomWord(rng, i), RandomBlock(rng, i / 4).word[i % 4]);
    EXPECT_EQ(Uniform(rng, i), ToUniform(RandomWord(rng, i)));
  }
}

TEST(RngTest, UniformIsBelowOneAndExact) {
  EXPECT_EQ(ToUniform(0), 0.0f);
  EXPECT_EQ(ToUniform(0xff), 0.0f);
  EXPECT_EQ(ToUniform(0x100), 0x1p-24f);
  EXPECT_EQ(ToUniform(0xffffffff), 1.0f - 0x1p-24f);
}

TEST(RngTest, UniformBelowCoversItsRange) {
  const RngStream rng = {.seed = 4};
  std::vector<int> counts(7);
  for (uint64_t i = 0; i < 70000; ++i) {
    const uint32_t v = UniformBelow(rng, i, 7);
    ASSERT_LT(v, 7u);
    ++counts[v];
  }
  // 4 standard deviations of a binomial with p = 1/7.
  for (int count : counts) EXPECT_NEAR(count, 10000, 4 * std::sqrt(70000 * (1 / 7.0) * (6 / 7.0)));
  EXPECT_EQ(UniformBelow(rng, 0, 1), 0u);
}

// Streams that differ in one field share no words beyond chance, and are uncorrelated.
TEST(RngTest, StreamsAreIndependent) {
  const RngStream base = {.seed = 1, .purpose = RngPurpose::kInit, .step = 0, .stream = 0};
  std::vector<RngStream> streams(6, base);
  streams[1].seed = 2;
  streams[2].seed = uint64_t{1} << 32 | 1;
  streams[3].purpose = RngPurpose::kQuantizer;
  streams[4].step = 1;
  streams[5].stream = 1;
  constexpr int kCount = 4000;
  for (size_t a = 0; a < streams.size(); ++a) {
    double sum = 0, squares = 0;
    for (int i = 0; i < kCount; ++i) {
      const double u = Uniform(streams[a], i) - 0.5;
      sum += u;
      squares += u * u;
    }
    // Variance of a uniform: 1/12; of its square: 1/180. Four standard deviations.
    EXPECT_NEAR(sum / kCount, 0, 4 * std::sqrt(1.0 / 12 / kCount));
    EXPECT_NEAR(squares / kCount, 1.0 / 12, 4 * std::sqrt(1.0 / 180 / kCount));
    for (size_t b = a + 1; b < streams.size(); ++b) {
      double product = 0;
      int equal = 0;
      for (int i = 0; i < kCount; ++i) {
        product += (Uniform(streams[a], i) - 0.5) * (Uniform(streams[b], i) - 0.5);
        equal += RandomWord(streams[a], i) == RandomWord(streams[b], i);
      }
      EXPECT_NEAR(product / kCount, 0, 4 * (1.0 / 12) / std::sqrt(kCount)) << a << ", " << b;
      EXPECT_EQ(equal, 0) << a << ", " << b;
    }
  }
}

}  // namespace
}  // namespace bitgrad
