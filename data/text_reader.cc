#include "bitgrad/data/text_reader.h"

#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/byte_stream.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad {
namespace {

using Visit = absl::FunctionRef<absl::StatusOr<bool>(absl::string_view token, int64_t line)>;

bool IsSpace(char c) { return absl::ascii_isspace(static_cast<unsigned char>(c)); }

absl::Status ReadWords(absl::string_view path, absl::string_view bytes, Visit visit) {
  int64_t line = 1;
  std::string text;      // of a word that is no UTF-8
  bool in_line = false;  // behind the last newline there was something
  for (size_t i = 0; i < bytes.size();) {
    if (bytes[i] == '\n') {
      BITGRAD_ASSIGN_OR_RETURN(const bool more, visit(kEndOfLine, line));
      if (!more) return absl::OkStatus();
      ++line;
      ++i;
      in_line = false;
      continue;
    }
    in_line = true;
    if (IsSpace(bytes[i])) {
      ++i;
      continue;
    }
    size_t end = i;
    bool plain = true;  // printable ASCII, the most common case
    for (; end < bytes.size() && !IsSpace(bytes[end]); ++end) {
      plain &= static_cast<unsigned char>(bytes[end]) < 0x80 && bytes[end] != '\\';
    }
    absl::string_view word = bytes.substr(i, end - i);
    if (static_cast<int64_t>(word.size()) > kLongestWord) {
      return absl::InvalidArgumentError(absl::StrCat(path, ": line ", line, " has a word of ", word.size(),
                                                     " bytes, more than ", kLongestWord,
                                                     "; words are separated by white space, so this is no text of ",
                                                     "words: separate them, or use data.name=characters"));
    }
    if (!plain) {
      text = TokenText(word);
      word = text;
    }
    BITGRAD_ASSIGN_OR_RETURN(const bool more, visit(word, line));
    if (!more) return absl::OkStatus();
    i = end;
  }
  return in_line ? visit(kEndOfLine, line).status() : absl::OkStatus();
}

absl::Status ReadCharacters(absl::string_view path, absl::string_view bytes, Visit visit) {
  int64_t line = 1;
  for (size_t i = 0; i < bytes.size();) {
    const int length = Utf8Length(bytes.substr(i, 4));
    if (length == 0) {
      return absl::InvalidArgumentError(
          absl::StrFormat("%s: byte %d, in line %d, is 0x%02X, where no UTF-8 character begins or one is cut off; the "
                          "characters of a text are those of UTF-8: save the file as UTF-8",
                          path, i, line, static_cast<unsigned char>(bytes[i])));
    }
    const absl::string_view character = bytes.substr(i, static_cast<size_t>(length));
    BITGRAD_ASSIGN_OR_RETURN(const bool more, visit(character, line));
    if (!more) return absl::OkStatus();
    if (character == "\n") ++line;
    i += static_cast<size_t>(length);
  }
  return absl::OkStatus();
}

}  // namespace

absl::Status ReadTokens(TextUnit unit, absl::string_view path, absl::string_view bytes, Visit visit) {
  return unit == TextUnit::kWords ? ReadWords(path, bytes, visit) : ReadCharacters(path, bytes, visit);
}

absl::StatusOr<std::string> ReadTextFile(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(ByteStream file, ByteStream::Open(path));
  std::vector<uint8_t> piece(size_t{1} << 20);
  std::string bytes;
  while (true) {
    BITGRAD_ASSIGN_OR_RETURN(const int64_t count, file.Read(piece.data(), static_cast<int64_t>(piece.size())));
    bytes.append(reinterpret_cast<const char*>(piece.data()), static_cast<size_t>(count));
    if (count < static_cast<int64_t>(piece.size())) break;
  }
  BITGRAD_RETURN_IF_ERROR(file.HasMore().status());  // compares the checksum
  // Some editors mark UTF-8 with this at the beginning of a file. It is no part of the text.
  if (constexpr absl::string_view kMark = "\xEF\xBB\xBF"; absl::StartsWith(bytes, kMark)) bytes.erase(0, kMark.size());
  if (bytes.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(path, " is empty; it has to hold a text"));
  }
  return bytes;
}

}  // namespace bitgrad
