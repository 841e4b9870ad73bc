// Numbers and arrays as C text.

#ifndef BITGRAD_EXPORT_C_CODE_C_TEXT_H_
#define BITGRAD_EXPORT_C_CODE_C_TEXT_H_

#include <cstdint>
#include <set>
#include <string>

#include "absl/strings/string_view.h"
#include "absl/types/span.h"

namespace bitgrad {

// A float as a literal that a compiler reads as the same float: "0.1f", "-0.0f", "1.0f". REQUIRES: x is finite.
std::string FloatLiteral(float x);
std::string IntLiteral(int64_t x);

// Text that may stand in a comment: what is no letter, digit, space or one of "_/.,:;()[]'=+->" becomes "_".
std::string CommentText(absl::string_view text);

// Whether the text is a C identifier that C leaves to its user, and no keyword.
bool IsIdentifier(absl::string_view text);
// `text` with what may not stand in an identifier replaced by "_".
std::string AsIdentifier(absl::string_view text);
// `text` with net_ and NET_ at the beginning of words replaced by the name and "_".
std::string WithName(absl::string_view text, absl::string_view name);

// The constant arrays of a net, in the order in which they were added.
class CArrays {
 public:
  // Adds an array with a line of comment above it, and returns its name, which begins with net_ and is `name` as far as
  // that is free. Elements: the type follows that of the span, uint32_t as bits in hexadecimal digits.
  std::string Add(absl::string_view name, absl::string_view comment, absl::Span<const float> values);
  std::string Add(absl::string_view name, absl::string_view comment, absl::Span<const int32_t> values);
  std::string Add(absl::string_view name, absl::string_view comment, absl::Span<const uint32_t> values);
  std::string Add(absl::string_view name, absl::string_view comment, absl::Span<const uint8_t> values);
  // Adds "static const TYPE NAME = {VALUES};", a structure of `bytes` bytes.
  std::string AddStruct(absl::string_view type, absl::string_view name, absl::string_view comment,
                        absl::Span<const int64_t> values);

  const std::string& text() const { return text_; }
  int64_t bytes() const { return bytes_; }
  // Whether an array held a number that is not finite, which C99 has no literal for.
  bool has_infinite() const { return has_infinite_; }

 private:
  std::string Unique(absl::string_view name);

  std::string text_;
  int64_t bytes_ = 0;
  bool has_infinite_ = false;
  std::set<std::string> names_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_C_TEXT_H_
