#include "bitgrad/data/cifar.h"

#include <algorithm>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/byte_stream.h"
#include "bitgrad/data/data_file.h"

namespace bitgrad {
namespace {

constexpr int64_t kSide = 32;
constexpr int64_t kPlane = kSide * kSide;
constexpr int64_t kChannels = 3;
constexpr int64_t kPixels = kChannels * kPlane;

struct Format {
  const char* name;
  int64_t label_bytes;  // the last of them is the label that is used
  int64_t classes;
  const char* folder;  // that the archive unpacks to
  const char* archive;
  std::vector<std::string> train_files;
  std::string test_file;
  int64_t train_records;  // of each training file
  int64_t test_records;
  const char* names_file;          // a class name a line
  std::vector<std::string> names;  // where that file is missing

  int64_t record_bytes() const { return label_bytes + kPixels; }
};

Format Cifar10() {
  return {"cifar10",
          1,
          10,
          "cifar-10-batches-bin",
          "cifar-10-binary.tar.gz (md5 c32a1d4ab5d03f1284b67883e8d87530)",
          {"data_batch_1.bin", "data_batch_2.bin", "data_batch_3.bin", "data_batch_4.bin", "data_batch_5.bin"},
          "test_batch.bin",
          10000,
          10000,
          "batches.meta.txt",
          {"airplane", "automobile", "bird", "cat", "deer", "dog", "frog", "horse", "ship", "truck"}};
}

Format Cifar100() {
  return {"cifar100",
          2,
          100,
          "cifar-100-binary",
          "cifar-100-binary.tar.gz (md5 03b5dce01913d631647c71ecec9e9cb8)",
          {"train.bin"},
          "test.bin",
          50000,
          10000,
          "fine_label_names.txt",
          NumberNames(0, 100)};
}

std::string HowToGetTheFiles(const Format& format) {
  return absl::StrCat("the data are ", absl::StrJoin(format.train_files, ", "), " and ", format.test_file,
                      " of the binary version, ", format.archive,
                      " of www.cs.toronto.edu/~kriz/cifar.html; unpack it in DIR and pass "
                      "--data_dir=DIR");
}

// The whole file, after a check of its size.
absl::StatusOr<std::vector<uint8_t>> ReadRecords(const std::string& path, const Format& format, int64_t records) {
  const int64_t record = format.record_bytes();
  const int64_t expected = records * record;
  BITGRAD_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::Open(path));
  std::vector<uint8_t> bytes;
  BITGRAD_RETURN_IF_ERROR(stream.ReadUpTo(expected, bytes));
  BITGRAD_ASSIGN_OR_RETURN(const bool has_more, stream.HasMore());
  const int64_t size = bytes.size();
  if (size == expected && !has_more) return bytes;
  return absl::DataLossError(absl::StrCat(
      path, ": ", expected, " bytes expected as ", records, " records of ", record, ", has ",
      has_more ? "more" : absl::StrCat(size),
      size > 0 && size % record == 0 && !has_more ? absl::StrCat(", which are only ", size / record, " records") : "",
      "; the file is truncated or of another format, get it again"));
}

// The names in the file, one a line; the format's own where there is no such file.
absl::StatusOr<std::vector<std::string>> ReadNames(const Format& format, absl::Span<const std::string> directories) {
  const absl::StatusOr<std::string> path = FindDataFile(directories, format.names_file);
  if (absl::IsNotFound(path.status())) return format.names;
  BITGRAD_RETURN_IF_ERROR(path.status());
  constexpr int64_t kMaxBytes = 1 << 16;
  BITGRAD_ASSIGN_OR_RETURN(ByteStream stream, ByteStream::Open(*path));
  std::vector<uint8_t> bytes;
  BITGRAD_RETURN_IF_ERROR(stream.ReadUpTo(kMaxBytes, bytes));
  std::vector<std::string> names;
  for (const absl::string_view line :
       absl::StrSplit(absl::string_view(reinterpret_cast<const char*>(bytes.data()), bytes.size()), '\n')) {
    if (const absl::string_view name = absl::StripAsciiWhitespace(line); !name.empty()) names.emplace_back(name);
  }
  if (static_cast<int64_t>(names.size()) == format.classes) return names;
  return absl::InvalidArgumentError(absl::StrCat(*path, ": expected ", format.classes,
                                                 " names of classes, one a line, ", "found ", names.size(),
                                                 "; get the file again or remove it"));
}

// Writes a record's planes as [height, width, channels].
void Interleave(const uint8_t* planes, uint8_t* image) {
  for (int64_t i = 0; i < kPlane; ++i) {
    for (int64_t c = 0; c < kChannels; ++c) image[i * kChannels + c] = planes[c * kPlane + i];
  }
}

absl::StatusOr<Dataset> Load(const Format& format, const LoadOptions& options) {
  const std::string& dir = options.data_dir;
  if (dir.empty()) {
    return absl::NotFoundError(absl::StrCat(format.name, ": no data directory given: ", HowToGetTheFiles(format)));
  }
  const bool train = options.split == Split::kTrain;
  const std::vector<std::string> names = train ? format.train_files : std::vector<std::string>{format.test_file};
  const std::vector<std::string> directories = {dir, absl::StrCat(dir, "/", format.folder)};
  // Whole files are read and checked, also where only a part of them is asked for.
  std::vector<std::vector<uint8_t>> files;
  int64_t count = 0;
  for (const std::string& name : names) {
    const absl::StatusOr<std::string> path = FindDataFile(directories, name);
    if (absl::IsNotFound(path.status())) {
      return absl::NotFoundError(
          absl::StrCat(format.name, ": ", path.status().message(), ": ", HowToGetTheFiles(format)));
    }
    BITGRAD_RETURN_IF_ERROR(path.status());
    BITGRAD_ASSIGN_OR_RETURN(std::vector<uint8_t> bytes,
                             ReadRecords(*path, format, train ? format.train_records : format.test_records));
    for (int64_t i = 0; i * format.record_bytes() < static_cast<int64_t>(bytes.size()); ++i) {
      const int label = bytes[i * format.record_bytes() + format.label_bytes - 1];
      if (label < format.classes) continue;
      return absl::InvalidArgumentError(absl::StrCat(*path, ": label ", label, " of record ", i, " is outside [0, ",
                                                     format.classes,
                                                     "); the file is damaged or of another format, get it again"));
    }
    count += static_cast<int64_t>(bytes.size()) / format.record_bytes();
    files.push_back(std::move(bytes));
  }
  if (options.limit > 0) count = std::min(count, options.limit);

  Dataset dataset{format.name, Tensor({count, kSide, kSide, kChannels}, DType::kUint8),
                  Tensor(Shape({count}), DType::kInt32), format.classes};
  BITGRAD_ASSIGN_OR_RETURN(dataset.class_names, ReadNames(format, directories));
  uint8_t* image = dataset.images.mutable_data<uint8_t>();
  int32_t* label = dataset.labels.mutable_data<int32_t>();
  const int32_t* const end = label + count;
  for (const std::vector<uint8_t>& bytes : files) {
    for (size_t i = 0; i < bytes.size() && label != end; i += format.record_bytes()) {
      *label++ = bytes[i + format.label_bytes - 1];
      Interleave(&bytes[i + format.label_bytes], image);
      image += kPixels;
    }
  }
  return dataset;
}

}  // namespace

absl::StatusOr<Dataset> LoadCifar10(const LoadOptions& options) { return Load(Cifar10(), options); }

absl::StatusOr<Dataset> LoadCifar100(const LoadOptions& options) { return Load(Cifar100(), options); }

}  // namespace bitgrad
