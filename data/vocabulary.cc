#include "bitgrad/data/vocabulary.h"

#include <algorithm>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {
namespace {

// Whether `text` begins with what TokenText() writes for a byte: a word that has this itself must not be taken for one.
bool BeginsLikeAByte(absl::string_view text) {
  return text.size() >= 4 && text[0] == '\\' && text[1] == 'x' && absl::ascii_isxdigit(text[2]) &&
         absl::ascii_isxdigit(text[3]);
}

}  // namespace

absl::StatusOr<Vocabulary> Vocabulary::Of(absl::Span<const std::string> tokens) {
  if (tokens.empty()) return absl::InvalidArgumentError("a vocabulary without tokens");
  if (static_cast<int64_t>(tokens.size()) > kMost) {
    return absl::InvalidArgumentError(
        absl::StrCat("a vocabulary of ", tokens.size(), " tokens; there can be ", kMost, " at most"));
  }
  Vocabulary vocabulary;
  for (const std::string& token : tokens) {
    const int64_t next = vocabulary.size();
    if (!token.empty() && vocabulary.FindOrAdd(token) == next) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("token ", next, " of the vocabulary, '", token, "', is empty or stands there twice"));
  }
  return vocabulary;
}

int32_t Vocabulary::Find(absl::string_view token) const {
  const auto found = numbers_.find(token);
  return found == numbers_.end() ? -1 : found->second;
}

int32_t Vocabulary::FindOrAdd(absl::string_view token) {
  if (const int32_t known = Find(token); known >= 0) return known;
  if (size() >= most_) return -1;
  const auto number = static_cast<int32_t>(tokens_.size());
  tokens_.emplace_back(token);
  numbers_.emplace(tokens_.back(), number);
  return number;
}

int Utf8Length(absl::string_view bytes) {
  if (bytes.empty()) return 0;
  const auto byte = [&](size_t i) { return static_cast<unsigned char>(bytes[i]); };
  const unsigned char first = byte(0);
  if (first < 0x80) return 1;
  const int length = first >= 0xF0 ? 4 : first >= 0xE0 ? 3 : 2;
  if (first < 0xC2 || first > 0xF4 || bytes.size() < static_cast<size_t>(length)) return 0;
  for (int i = 1; i < length; ++i) {
    if ((byte(i) & 0xC0) != 0x80) return 0;
  }
  const unsigned char second = byte(1);
  const bool wrong = (first == 0xE0 && second < 0xA0) || (first == 0xED && second > 0x9F) ||
                     (first == 0xF0 && second < 0x90) || (first == 0xF4 && second > 0x8F);
  return wrong ? 0 : length;
}

std::string TokenText(absl::string_view word) {
  std::string text;
  while (!word.empty()) {
    const int length = Utf8Length(word);
    if (length == 0 || BeginsLikeAByte(word)) {
      absl::StrAppendFormat(&text, "\\x%02X", static_cast<unsigned char>(word[0]));
      word.remove_prefix(1);
    } else {
      text.append(word.data(), static_cast<size_t>(length));
      word.remove_prefix(static_cast<size_t>(length));
    }
  }
  return text;
}

}  // namespace bitgrad
