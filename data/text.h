// Text: a text as the numbers of its tokens.

#ifndef BITGRAD_DATA_TEXT_H_
#define BITGRAD_DATA_TEXT_H_

#include <cstdint>
#include <string>

#include "bitgrad/core/tensor.h"

namespace bitgrad {

// What a token of a text is.
enum class TextUnit { kWords, kCharacters };

// "words", "characters".
constexpr const char* NameOf(TextUnit unit) { return unit == TextUnit::kWords ? "words" : "characters"; }

// Which of a data set's texts.
enum class TextPart { kTrain, kValid, kTest };

constexpr const char* NameOf(TextPart part) {
  return part == TextPart::kTrain ? "train" : part == TextPart::kValid ? "valid" : "test";
}

// Each token is a prediction: the net is asked for token i when it has read those before it.
struct Text {
  std::string data_set;  // "words"
  TextPart part = TextPart::kTrain;
  Tensor tokens;  // [count] int32, each in [0, vocabulary)
  int64_t vocabulary = 0;
  int32_t before = 0;   // the token that stands in front of the first one: the end of a line
  int64_t unknown = 0;  // how many tokens stand for others that the vocabulary does not have
  std::string summary;  // what was found, in one line: "words train: 742704 tokens, 8001 different; 28181 lines"

  int64_t size() const { return tokens.is_null() ? 0 : tokens.num_elements(); }
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEXT_H_
