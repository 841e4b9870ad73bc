#include "bitgrad/data/text_batches.h"

#include <algorithm>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/data/batch_source.h"

namespace bitgrad {
namespace {

class TextSource final : public BatchSource {
 public:
  TextSource(const Text& text, const TextBatchOptions& options)
      : tokens_(text.tokens.Alias()),
        before_(text.before),
        streams_(std::min(options.streams, text.size())),
        steps_(options.steps),
        length_(text.size() / streams_),
        longer_(options.all_tokens ? text.size() % streams_ : 0) {}

  int64_t batches_per_epoch() const override { return even_batches() + (longer_ > 0 ? 1 : 0); }
  int64_t examples_per_epoch() const override { return length_ * streams_ + longer_; }

  Filler Epoch(int64_t) const override {
    return [this](int64_t index, Batch* batch) {
      Fill(index, *batch);
      return absl::OkStatus();
    };
  }

 private:
  // Those that all streams have tokens for. Without overflow for absurd numbers of steps.
  int64_t even_batches() const { return (length_ - 1) / steps_ + 1; }

  void Fill(int64_t index, Batch& batch) const {
    const bool even = index < even_batches();
    const int64_t first = even ? index * steps_ : length_;
    const int64_t steps = even ? std::min(steps_, length_ - first) : 1;
    const int64_t streams = even ? streams_ : longer_;
    const Shape shape({steps, streams});
    if (batch.tokens.is_null() || batch.tokens.shape() != shape) {
      batch.tokens = Tensor(shape, DType::kInt32);
      batch.targets = Tensor(shape, DType::kInt32);
    }
    batch.index = index;
    const int32_t* const text = tokens_.data<int32_t>();
    int32_t* const tokens = batch.tokens.mutable_data<int32_t>();
    int32_t* const targets = batch.targets.mutable_data<int32_t>();
    for (int64_t s = 0; s < streams; ++s) {
      const int64_t begin = s * length_ + std::min(s, longer_) + first;
      for (int64_t t = 0; t < steps; ++t) {
        const int64_t i = begin + t;
        tokens[t * streams + s] = i == 0 ? before_ : text[i - 1];
        targets[t * streams + s] = text[i];
      }
    }
  }

  const Tensor tokens_;
  const int32_t before_;
  const int64_t streams_;
  const int64_t steps_;
  const int64_t length_;  // tokens of each stream
  const int64_t longer_;  // that many streams, the first ones, have one more
};

}  // namespace

absl::StatusOr<BatchLoader> TextBatches(const Text& text, const TextBatchOptions& options) {
  const std::string name = absl::StrCat("the ", NameOf(text.part), " text of data set '", text.data_set, "'");
  if (options.streams <= 0 || options.steps <= 0) {
    return absl::InvalidArgumentError(absl::StrCat(name, ": the number of streams is ", options.streams,
                                                   " and that of steps ", options.steps, "; both must be positive"));
  }
  if (text.size() == 0) return absl::InvalidArgumentError(absl::StrCat(name, " has no tokens"));
  if (!options.all_tokens && text.size() / 2 < options.streams) {
    return absl::InvalidArgumentError(absl::StrCat(name, " has ", text.size(), " tokens, fewer than 2 for each of ",
                                                   options.streams,
                                                   " streams; use a smaller batch_size, or a longer text"));
  }
  return BatchLoader::Create(std::make_shared<const TextSource>(text, options), options.prefetch);
}

}  // namespace bitgrad
