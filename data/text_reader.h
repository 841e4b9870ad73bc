// TextReader: takes a text apart into tokens. The two units differ in this alone.
//
//   words        Words are separated by white space (ASCII's); the end of each line is the token "<eos>", also that of
//                a last line without a newline. Words may be any bytes (TokenText, vocabulary.h).
//   characters   The code points of UTF-8, newlines among them. Nothing is added. Bytes that are no UTF-8 are an error
//                that says where they are.

#ifndef BITGRAD_DATA_TEXT_READER_H_
#define BITGRAD_DATA_TEXT_READER_H_

#include <cstdint>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/data/text.h"

namespace bitgrad {

// A word that is longer is no word, and the file no text of words.
inline constexpr int64_t kLongestWord = int64_t{1} << 16;

// Calls `visit` with each token, in order, and its line, counted from 1. It ends where `visit` says false, or an error.
// InvalidArgument, beginning with `path`, for a word longer than kLongestWord (with its line) and for characters that
// are no UTF-8 (with the line and the byte, both counted from the beginning of the file, lines from 1 and bytes from
// 0).
absl::Status ReadTokens(TextUnit unit, absl::string_view path, absl::string_view bytes,
                        absl::FunctionRef<absl::StatusOr<bool>(absl::string_view token, int64_t line)> visit);

// The bytes of a text's file, plain or gzip-compressed, without the byte order mark that it may begin with. What the
// system says where it cannot be read, DataLoss for damaged gzip data, InvalidArgument for an empty one; all name the
// path.
absl::StatusOr<std::string> ReadTextFile(const std::string& path);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEXT_READER_H_
