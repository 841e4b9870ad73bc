// The texts that recipes can name as data sets.
//
//   BITGRAD_ASSIGN_OR_RETURN(const Texts texts, LoadTexts("words", {.data_dir = dir}));
//   BITGRAD_ASSIGN_OR_RETURN(const BatchLoader loader, TextBatches(texts.train, {...}));  // text_batches.h
//
//   words        train.txt, valid.txt and test.txt in data_dir
//   characters   input.txt in data_dir: its first 90 % train, the next 5 % validate, the last 5 % test
//
// Each file plain, or gzipped with ".gz" behind its name. What a token is says text_reader.h.
//
// The training text gives the vocabulary: first the end of a line ("<eos>", or the newline), then the other tokens in
// the order in which they come. What the other texts have beside becomes "<unk>", which is the last token of the
// vocabulary where the training text does not have it.

#ifndef BITGRAD_DATA_TEXTS_H_
#define BITGRAD_DATA_TEXTS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/data/text.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad {

struct TextDatasetEntry {
  const char* name;
  TextUnit unit;
  const char* help;  // one line
};

// All of them, in the order in which --help prints them.
absl::Span<const TextDatasetEntry> TextDatasets();

// The entry of that name; null where there is none.
const TextDatasetEntry* FindTextDataset(absl::string_view name);

struct TextOptions {
  std::string data_dir;
  int64_t limit = 0;  // only the first `limit` tokens of each text; 0, or more than there are: all
  int64_t most_tokens = Vocabulary::kMost;  // that the vocabulary may have
};

struct Texts {
  TextUnit unit = TextUnit::kWords;
  Vocabulary vocabulary;
  Text train, valid, test;
  // What makes the figures of a run say less than they seem to, a sentence each: how many tokens became "<unk>".
  std::vector<std::string> warnings;
};

// Errors name the file, the line or byte, and what to do: NotFound without data_dir or where a file is missing; those
// of ReadTokens() and ReadTextFile(); InvalidArgument for a file without tokens, and where there are more different
// tokens than the vocabulary may have. REQUIRES: FindTextDataset(name) is not null.
absl::StatusOr<Texts> LoadTexts(absl::string_view name, const TextOptions& options);

// One of the texts, in the tokens of a vocabulary that is given: that of a model. The other files of "words" need not
// be there. Errors beside those of LoadTexts(): InvalidArgument where the vocabulary lacks the end of a line, and where
// it lacks a token of the text and "<unk>", naming the line and the token.
absl::StatusOr<Text> LoadText(absl::string_view name, TextPart part, const TextOptions& options,
                              const Vocabulary& vocabulary);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_TEXTS_H_
