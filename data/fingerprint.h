// Fingerprints of data sets and texts: what a checkpoint and a packed model keep of the data that they were made from,
// so that other data is noticed.
//
//   BITGRAD_ASSIGN_OR_RETURN(const fingerprint::DataSet found, FingerprintOf(train));
//   if (const std::string difference = DifferenceOf(header.training_data(), found); !difference.empty()) ...
//
// A fingerprint is the name of the data set, the number of images, their shape, the number of classes, the CRC-32 of
// all labels, and the CRC-32 of the pixels of up to 64 images that lie evenly spread over the set, the first and the
// last among them. Two sets that differ in a few other pixels have the same fingerprint. That of a text is the name of
// the data set, the number of tokens, the size of the vocabulary, and the CRC-32 of all tokens.

#ifndef BITGRAD_DATA_FINGERPRINT_H_
#define BITGRAD_DATA_FINGERPRINT_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/data/dataset.h"
#include "bitgrad/data/text.h"
#include "bitgrad/proto/fingerprint.pb.h"

namespace bitgrad {

// Errors are those of reading the images. REQUIRES: dataset.Validate().ok().
absl::StatusOr<fingerprint::DataSet> FingerprintOf(const Dataset& dataset);

fingerprint::DataSet FingerprintOf(const Text& text);

// What of `found` is not as in `known`, in the order of the fields: "70 images instead of 300, other labels". Empty
// where the two are the same.
std::string DifferenceOf(const fingerprint::DataSet& known, const fingerprint::DataSet& found);

// "mnist: 60000 images of 28x28x1 in 10 classes (labels 1a2b3c4d, images 5e6f7a8b)", with the two checksums;
// "words: 742704 tokens of 8001 (tokens 1a2b3c4d)".
std::string ToString(const fingerprint::DataSet& data);

// "(labels 1a2b3c4d, images 5e6f7a8b)", "(tokens 1a2b3c4d)": the checksums alone.
std::string ChecksumsOf(const fingerprint::DataSet& data);

// The shape, which is absent where `data` is.
ImageShape ImageShapeOf(const fingerprint::DataSet& data);

// Whether a model for images of `shape` in `classes` classes, named `class_names` or not, can be used with `data`,
// another split or another set of the same kind. The InvalidArgument error says what `model`, "checkpoint 'best.bgc'",
// needs and what the data is. A shape of one row and one channel, which is all that old files know, is compared by its
// number of values only. REQUIRES: data.Validate().ok().
absl::Status CheckKindOfData(absl::string_view model, const ImageShape& shape, int64_t classes,
                             absl::Span<const std::string> class_names, const Dataset& data);

// The first class whose name is not the same: "class 3 is 'cat' instead of 'dog'". Empty where all names are the same,
// and where one of the two sides knows no names.
std::string DifferenceOfClassNames(absl::Span<const std::string> known, absl::Span<const std::string> found);

// "airplane, automobile, ..., truck": at most `most` names, the first ones and the last.
std::string ListOfClassNames(absl::Span<const std::string> names, int most = 12);

}  // namespace bitgrad

#endif  // BITGRAD_DATA_FINGERPRINT_H_
