// TextBatches: a text as batches of contiguous streams. A batch has `tokens`, what a net reads, and `targets`, what it
// is to predict, both [steps, streams] int32: target i of the text is its token i, and what is read before it is token
// i - 1, for the first one the end of a line (Text::before). So a text of N tokens is N predictions.
//
//   BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader,
//                            TextBatches(texts.train, {.streams = 20, .steps = 35}));
//
// Stream s is a piece of the text, and a batch has the next `steps` tokens of each piece: what a net carries from batch
// to batch, row s of its state, goes on with the same piece. With S streams:
//
//   training     each piece has floor(N / S) tokens; the N mod S tokens behind them are left out. The last batch has
//                fewer steps where `steps` does not divide that.
//   evaluation   all N tokens count. The first N mod S pieces have one token more than the others; these tokens are the
//                last batch, of as many streams and one step. A text of fewer than S tokens has N streams.
//
// Every epoch is the same: there is no order to shuffle.

#ifndef BITGRAD_DATA_TEXT_BATCHES_H_
#define BITGRAD_DATA_TEXT_BATCHES_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/text.h"

namespace bitgrad {

struct TextBatchOptions {
  int64_t streams = 20;
  int64_t steps = 35;
  bool all_tokens = false;  // evaluation; else training
  PrefetchOptions prefetch;
};

// The loader keeps a handle to the text's tokens: from then on nobody may write to them. InvalidArgument, with the
// values, for streams and steps that are not positive, for a text without tokens, in training for one of fewer than 2
// tokens for each stream, and as BatchLoader::Create().
absl::StatusOr<BatchLoader> TextBatches(const Text& text, const TextBatchOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEXT_BATCHES_H_
