// Streams of a text as batches: every token once, each behind the one before it, in pieces that go on from batch to
// batch.

#include "bitgrad/data/text_batches.h"

#include <map>
#include <numeric>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

// Token i is i; before the first one stands 999.
Text Counting(int64_t count) {
  Text text{.data_set = "words", .tokens = Tensor({count}, DType::kInt32), .vocabulary = 1000, .before = 999};
  std::iota(text.tokens.mutable_span<int32_t>().begin(), text.tokens.mutable_span<int32_t>().end(), 0);
  return text;
}

BatchLoader LoaderOf(int64_t count, const TextBatchOptions& options) {
  auto loader = TextBatches(Counting(count), options);
  EXPECT_TRUE(loader.ok()) << loader.status();
  return *std::move(loader);
}

TEST(TextBatchesTest, ATrainingEpochByHand) {
  // 23 tokens: 3 streams of 7, 2 tokens are left out.
  const BatchLoader loader = LoaderOf(23, {.streams = 3, .steps = 3});
  EXPECT_EQ(loader.batches_per_epoch(), 3);
  EXPECT_EQ(loader.examples_per_epoch(), 21);
  EpochBatches batches = loader.Epoch(0);
  const Batch* batch = batches.Next();
  EXPECT_EQ(batch->index, 0);
  EXPECT_EQ(batch->size(), 3);
  EXPECT_EQ(batch->tokens.shape(), Shape({3, 3}));
  EXPECT_THAT(batch->tokens.span<int32_t>(), ElementsAre(999, 6, 13, 0, 7, 14, 1, 8, 15));
  EXPECT_THAT(batch->targets.span<int32_t>(), ElementsAre(0, 7, 14, 1, 8, 15, 2, 9, 16));
  batch = batches.Next();
  EXPECT_THAT(batch->targets.span<int32_t>(), ElementsAre(3, 10, 17, 4, 11, 18, 5, 12, 19));
  batch = batches.Next();
  EXPECT_EQ(batch->targets.shape(), Shape({1, 3})) << "fewer steps";
  EXPECT_THAT(batch->tokens.span<int32_t>(), ElementsAre(5, 12, 19));
  EXPECT_THAT(batch->targets.span<int32_t>(), ElementsAre(6, 13, 20));
  EXPECT_EQ(batches.Next(), nullptr);
  EXPECT_TRUE(batches.status().ok());
}

// Of every length: the tokens that count are those that they should be, and row s of a batch goes on where row s of the
// batch before has ended.
TEST(TextBatchesTest, EveryTokenOnceAndStreamsGoOn) {
  for (const bool all : {false, true}) {
    for (int64_t count = 1; count <= 40; ++count) {
      for (const int64_t streams : {1, 2, 3, 7, 50}) {
        for (const int64_t steps : {1, 4, 5, 1000}) {
          if (!all && count < 2 * streams) continue;
          SCOPED_TRACE(testing::Message() << all << " " << count << " " << streams << " " << steps);
          const BatchLoader loader = LoaderOf(count, {.streams = streams, .steps = steps, .all_tokens = all});
          std::map<int64_t, int32_t> last;  // of each stream
          std::vector<int> seen(static_cast<size_t>(count));
          int64_t index = 0, total = 0, before = streams;
          EpochBatches batches = loader.Epoch(7);
          for (const Batch& batch : batches) {
            EXPECT_EQ(batch.index, index++);
            const int64_t t = batch.tokens.shape().dim(0), s = batch.size();
            EXPECT_EQ(batch.targets.shape(), batch.tokens.shape());
            EXPECT_LE(t, steps);
            EXPECT_LE(s, before) << "the first ones go on";
            before = s;
            for (int64_t i = 0; i < t; ++i) {
              for (int64_t j = 0; j < s; ++j) {
                const int32_t token = batch.tokens.data<int32_t>()[i * s + j];
                const int32_t target = batch.targets.data<int32_t>()[i * s + j];
                EXPECT_EQ(token, target == 0 ? 999 : target - 1);
                if (last.count(j) > 0) {
                  EXPECT_EQ(target, last[j] + 1);
                }
                last[j] = target;
                ++seen[static_cast<size_t>(target)];
                ++total;
              }
            }
          }
          EXPECT_EQ(index, loader.batches_per_epoch());
          EXPECT_EQ(total, loader.examples_per_epoch());
          EXPECT_EQ(total, all ? count : count / streams * streams);
          for (int64_t i = 0; i < count; ++i) EXPECT_EQ(seen[static_cast<size_t>(i)], i < total ? 1 : 0) << i;
        }
      }
    }
  }
}

TEST(TextBatchesTest, AResumedEpochGoesOnAndWorkersDoNotMatter) {
  const BatchLoader loader = LoaderOf(1000, {.streams = 4, .steps = 7});
  const BatchLoader other = LoaderOf(1000, {.streams = 4, .steps = 7, .prefetch = {.prefetch = 2, .workers = 3}});
  EpochBatches all = loader.Epoch(0), rest = other.Epoch(3, 5);
  for (int i = 0; i < 5; ++i) all.Next();
  while (const Batch* batch = all.Next()) {
    const Batch* resumed = rest.Next();
    ASSERT_NE(resumed, nullptr);
    EXPECT_EQ(resumed->index, batch->index);
    EXPECT_EQ(resumed->tokens.span<int32_t>(), batch->tokens.span<int32_t>());
    EXPECT_EQ(resumed->targets.span<int32_t>(), batch->targets.span<int32_t>());
  }
  EXPECT_EQ(rest.Next(), nullptr);
}

TEST(TextBatchesTest, WrongOptionsAreErrors) {
  const auto error = [](int64_t count, const TextBatchOptions& options) {
    return std::string(TextBatches(Counting(count), options).status().message());
  };
  EXPECT_THAT(error(39, {.streams = 20}),
              HasSubstr("the train text of data set 'words' has 39 tokens, fewer than 2 for each of 20 streams"));
  EXPECT_EQ(error(40, {.streams = 20}), "");
  EXPECT_EQ(error(1, {.streams = 20, .all_tokens = true}), "");
  EXPECT_THAT(error(40, {.streams = 0}), HasSubstr("the number of streams is 0 and that of steps 35"));
  EXPECT_THAT(error(40, {.streams = 1, .steps = -1}), HasSubstr("steps -1"));
  EXPECT_THAT(error(0, {.all_tokens = true}), HasSubstr("has no tokens"));
  EXPECT_THAT(error(40, {.streams = 1, .prefetch = {.workers = 65}}), HasSubstr("prepare batches is 65"));
  EXPECT_EQ(error(40, {.streams = 1, .steps = INT64_MAX}), "");
}

}  // namespace
}  // namespace bitgrad
