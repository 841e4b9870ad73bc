#include "bitgrad/data/texts.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/check.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/data_file.h"
#include "bitgrad/data/text_reader.h"

namespace bitgrad {
namespace {

constexpr TextDatasetEntry kTextDatasets[] = {
    {"words", TextUnit::kWords, "a text of words: train.txt, valid.txt, test.txt; needs --data_dir"},
    {"characters", TextUnit::kCharacters, "a text of characters, UTF-8: input.txt; needs --data_dir"},
};

constexpr char kFilesOfWords[] = "train.txt, valid.txt and test.txt";
constexpr char kFileOfCharacters[] = "input.txt";

const char* EndOfLineOf(TextUnit unit) { return unit == TextUnit::kWords ? kEndOfLine : "\n"; }

// "word 'fox'", "character '\n'".
std::string Quoted(TextUnit unit, absl::string_view token) {
  return absl::StrCat(unit == TextUnit::kWords ? "word '" : "character '", absl::Utf8SafeCEscape(token), "'");
}

// A piece of a file.
struct Piece {
  absl::string_view path;
  absl::string_view bytes;
  int64_t lines_before = 0;  // in the file
};

// Where a text begins and ends in the bytes of characters: UTF-8 that was found to be valid. Every byte that is none of
// 10xxxxxx begins a character.
absl::string_view CharactersBetween(absl::string_view bytes, int64_t begin, int64_t end) {
  size_t from = bytes.size(), to = bytes.size();
  int64_t character = 0;
  for (size_t i = 0; i < bytes.size(); ++i) {
    if ((static_cast<unsigned char>(bytes[i]) & 0xC0) == 0x80) continue;
    if (character == begin) from = i;
    if (character == end) {
      to = i;
      break;
    }
    ++character;
  }
  return bytes.substr(from, to - from);
}

// The files of a data set, read when they are asked for.
class Files {
 public:
  Files(const TextDatasetEntry& entry, const TextOptions& options) : entry_(entry), options_(options) {}

  const TextDatasetEntry& entry() const { return entry_; }
  const TextOptions& options() const { return options_; }

  // The bytes live as long as this object, or until the next call.
  absl::StatusOr<Piece> Get(TextPart part) {
    if (entry_.unit == TextUnit::kWords) {
      BITGRAD_RETURN_IF_ERROR(Read(absl::StrCat(NameOf(part), ".txt")));
      return Piece{path_, bytes_, 0};
    }
    if (path_.empty()) {
      BITGRAD_RETURN_IF_ERROR(Read(kFileOfCharacters));
      BITGRAD_RETURN_IF_ERROR(
          ReadTokens(entry_.unit, path_, bytes_, [this](absl::string_view, int64_t) -> absl::StatusOr<bool> {
            ++characters_;
            return true;
          }));
    }
    // Without overflow for any file.
    const auto share = [this](int64_t twentieths) {
      return characters_ / 20 * twentieths + characters_ % 20 * twentieths / 20;
    };
    const int64_t ends[] = {0, share(18), share(19), characters_};
    const auto i = static_cast<size_t>(part);
    if (ends[i] == ends[i + 1]) {
      return absl::InvalidArgumentError(absl::StrCat(path_, " has ", characters_,
                                                     " characters; of 90, 5 and 5 percent of them the ", NameOf(part),
                                                     " text would have none: use a longer text"));
    }
    const absl::string_view all = bytes_, piece = CharactersBetween(all, ends[i], ends[i + 1]);
    return Piece{path_, piece, std::count(all.data(), piece.data(), '\n')};
  }

 private:
  absl::Status Read(const std::string& name) {
    const char* const files = entry_.unit == TextUnit::kWords ? kFilesOfWords : kFileOfCharacters;
    if (options_.data_dir.empty()) {
      return absl::NotFoundError(absl::StrCat(
          "data set '", entry_.name, "' is read from files: ", "--data_dir=DIR names the directory that has ", files));
    }
    const absl::StatusOr<std::string> path = FindDataFile({options_.data_dir}, name);
    if (!path.ok()) {
      return absl::Status(path.status().code(), absl::StrCat("data set '", entry_.name, "': ", path.status().message(),
                                                             "; --data_dir=DIR names the directory that has ", files));
    }
    path_ = *path;
    BITGRAD_ASSIGN_OR_RETURN(bytes_, ReadTextFile(path_));
    return absl::OkStatus();
  }

  const TextDatasetEntry& entry_;
  const TextOptions& options_;
  std::string path_, bytes_;
  int64_t characters_ = 0;
};

// The token of one that may be new, or -1, or an error.
using NumberOf =
    absl::FunctionRef<absl::StatusOr<int32_t>(absl::string_view path, absl::string_view token, int64_t line)>;

// The text with -1 for the tokens that have no number.
absl::StatusOr<Text> Read(Files& files, TextPart part, NumberOf number_of) {
  BITGRAD_ASSIGN_OR_RETURN(const Piece piece, files.Get(part));
  const TextUnit unit = files.entry().unit;
  const int64_t limit = files.options().limit;
  std::vector<int32_t> tokens;
  int64_t lines = 1, unknown = 0;
  BITGRAD_RETURN_IF_ERROR(
      ReadTokens(unit, piece.path, piece.bytes, [&](absl::string_view token, int64_t line) -> absl::StatusOr<bool> {
        if (limit > 0 && static_cast<int64_t>(tokens.size()) == limit) return false;
        BITGRAD_ASSIGN_OR_RETURN(const int32_t number, number_of(piece.path, token, piece.lines_before + line));
        tokens.push_back(number);
        unknown += number < 0;
        lines = line;
        return true;
      }));
  Text text;
  text.data_set = files.entry().name;
  text.part = part;
  text.tokens = Tensor::Of<int32_t>({static_cast<int64_t>(tokens.size())}, tokens);
  text.unknown = unknown;
  text.summary = absl::StrCat(text.data_set, " ", NameOf(part), ": ", tokens.size(),
                              unit == TextUnit::kWords ? " tokens in " : " characters in ", lines, " lines");
  return text;
}

void NameUnknown(int32_t unknown, Text& text) {
  for (int32_t& token : text.tokens.mutable_span<int32_t>()) {
    if (token < 0) token = unknown;
  }
}

absl::Status CheckLimit(const TextOptions& options) {
  if (options.limit >= 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("the limit on tokens is ", options.limit, "; it must be 0 (all) or more"));
}

}  // namespace

absl::Span<const TextDatasetEntry> TextDatasets() { return kTextDatasets; }

const TextDatasetEntry* FindTextDataset(absl::string_view name) {
  for (const TextDatasetEntry& entry : kTextDatasets) {
    if (name == entry.name) return &entry;
  }
  return nullptr;
}

absl::StatusOr<Texts> LoadTexts(absl::string_view name, const TextOptions& options) {
  const TextDatasetEntry* const entry = FindTextDataset(name);
  BITGRAD_CHECK(entry != nullptr);
  BITGRAD_RETURN_IF_ERROR(CheckLimit(options));
  Files files(*entry, options);
  Texts texts;
  texts.unit = entry->unit;
  Vocabulary& vocabulary = texts.vocabulary = Vocabulary(options.most_tokens);
  const auto too_many = [&](absl::string_view path, int64_t line) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": line ", line, ": there are more than ", vocabulary.most(),
                                                   " different ", NameOf(entry->unit), "; replace rare ones by '",
                                                   kUnknown, "', or use a shorter text"));
  };
  const int32_t end_of_line = vocabulary.FindOrAdd(EndOfLineOf(entry->unit));
  const auto known = [&](absl::string_view, absl::string_view token, int64_t) -> absl::StatusOr<int32_t> {
    return vocabulary.Find(token);
  };
  BITGRAD_ASSIGN_OR_RETURN(
      texts.train, Read(files, TextPart::kTrain,
                        [&](absl::string_view path, absl::string_view token, int64_t line) -> absl::StatusOr<int32_t> {
                          const int32_t number = vocabulary.FindOrAdd(token);
                          if (number < 0) return too_many(path, line);
                          return number;
                        }));
  BITGRAD_ASSIGN_OR_RETURN(texts.valid, Read(files, TextPart::kValid, known));
  BITGRAD_ASSIGN_OR_RETURN(texts.test, Read(files, TextPart::kTest, known));
  const bool trained = vocabulary.Find(kUnknown) >= 0;
  for (Text* const text : {&texts.valid, &texts.test}) {
    if (text->unknown == 0) continue;
    const int32_t unknown = vocabulary.FindOrAdd(kUnknown);
    if (unknown < 0) return too_many(absl::StrCat("the ", NameOf(text->part), " text"), 1);
    NameUnknown(unknown, *text);
    texts.warnings.push_back(
        absl::StrCat(text->unknown, " of the ", text->size(), " tokens of the ", NameOf(text->part), " text are ",
                     NameOf(entry->unit), " that the training text does not have; they count as '", kUnknown, "'",
                     trained ? "" : ", of which training sees none: replace rare ones of the training text by it"));
  }
  for (Text* const text : {&texts.train, &texts.valid, &texts.test}) {
    text->vocabulary = vocabulary.size();
    text->before = end_of_line;
  }
  return texts;
}

absl::StatusOr<Text> LoadText(absl::string_view name, TextPart part, const TextOptions& options,
                              const Vocabulary& vocabulary) {
  const TextDatasetEntry* const entry = FindTextDataset(name);
  BITGRAD_CHECK(entry != nullptr);
  BITGRAD_RETURN_IF_ERROR(CheckLimit(options));
  const int32_t end_of_line = vocabulary.Find(EndOfLineOf(entry->unit)), unknown = vocabulary.Find(kUnknown);
  if (end_of_line < 0) {
    return absl::InvalidArgumentError(absl::StrCat("the vocabulary has no ",
                                                   Quoted(entry->unit, EndOfLineOf(entry->unit)),
                                                   ", so the model is not one for data set '", entry->name, "'"));
  }
  Files files(*entry, options);
  BITGRAD_ASSIGN_OR_RETURN(
      Text text,
      Read(files, part, [&](absl::string_view path, absl::string_view token, int64_t line) -> absl::StatusOr<int32_t> {
        const int32_t number = vocabulary.Find(token);
        if (number >= 0 || unknown >= 0) return number;
        return absl::InvalidArgumentError(absl::StrCat(
            path, ": line ", line, ": the model does not know the ", Quoted(entry->unit, token),
            ", and its vocabulary has no '", kUnknown, "'; use the text that it was trained for (--data_dir)"));
      }));
  NameUnknown(unknown, text);
  text.vocabulary = vocabulary.size();
  text.before = end_of_line;
  return text;
}

}  // namespace bitgrad
