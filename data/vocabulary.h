// Vocabulary: the tokens of a text, words or characters, and the numbers that nets know them by.

#ifndef BITGRAD_DATA_VOCABULARY_H_
#define BITGRAD_DATA_VOCABULARY_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad {

// What stands between texts and at the end of each line of words, and what stands for words that are not known.
inline constexpr char kEndOfLine[] = "<eos>";
inline constexpr char kUnknown[] = "<unk>";

class Vocabulary {
 public:
  // Numbers up to here are exact as floats.
  static constexpr int64_t kMost = int64_t{1} << 24;

  // Without tokens yet; never more than `most`.
  explicit Vocabulary(int64_t most = kMost) : most_(most) {}
  // Token i has the text tokens[i]. InvalidArgument where there are none or more than kMost, and where a token is empty
  // or stands there twice.
  static absl::StatusOr<Vocabulary> Of(absl::Span<const std::string> tokens);

  int64_t size() const { return static_cast<int64_t>(tokens_.size()); }
  int64_t most() const { return most_; }
  // The texts of all tokens, token i at i: in the order in which they were added.
  absl::Span<const std::string> tokens() const { return tokens_; }

  // The token's number; -1 where it is none of the vocabulary.
  int32_t Find(absl::string_view token) const;
  // The token's number, after it was added where it was none of the vocabulary; -1 where there is no room for it.
  int32_t FindOrAdd(absl::string_view token);

 private:
  int64_t most_;
  std::vector<std::string> tokens_;
  absl::flat_hash_map<std::string, int32_t> numbers_;
};

// A word's text as a token has it: UTF-8, as all that people and files are given. Bytes that are no UTF-8 become
// "\xHH", with two hexadecimal digits, and so does, as "\x5C", a backslash that stands before 'x' and two such digits:
// different words stay different. Other words are as they are.
std::string TokenText(absl::string_view word);

// The length in bytes of the UTF-8 character that `bytes` begins with, as RFC 3629 defines it (no surrogates, nothing
// longer than needed); 0 where it begins with none.
int Utf8Length(absl::string_view bytes);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_VOCABULARY_H_
