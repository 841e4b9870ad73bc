// TensorBoard's event files: records of Protobuf messages with checksums, one after the other.
//
//   BITGRAD_ASSIGN_OR_RETURN(EventFile file, EventFile::Create("board"));
//   BITGRAD_RETURN_IF_ERROR(file.Append(events));
//
// A file is events.out.tfevents.SECONDS.HOST.PID.COUNTER in the run's folder, and each of its records
//
//   uint64  length of the data
//   uint32  MaskedCrc32c() of the eight bytes before
//   bytes   data, an Event (proto/tensorboard.proto)
//   uint32  MaskedCrc32c() of the data
//
// with little-endian numbers. The first event says which version of the format the file has.

#ifndef BITGRAD_REPORT_EVENT_FILE_H_
#define BITGRAD_REPORT_EVENT_FILE_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/proto/tensorboard.pb.h"

namespace bitgrad {

// Seconds since 1970, as events have them.
double WallTime();

class EventFile {
 public:
  // A new file with the first event. Its name comes, in the order of names, which is that in which TensorBoard reads
  // the files of a folder, after those that are there. Errors: what the system says; there is no file then.
  static absl::StatusOr<EventFile> Create(const std::string& folder);
  EventFile(EventFile&& other) noexcept
      : path_(std::move(other.path_)), descriptor_(std::exchange(other.descriptor_, -1)), size_(other.size_) {}
  EventFile& operator=(EventFile&&) = delete;
  ~EventFile();

  const std::string& path() const { return path_; }

  // Adds the events, all or none: where an error, such as a full disk, leaves a part of them, that is cut off again, so
  // that what is added later can be read. A process that is killed meanwhile may leave a part of a record at the end,
  // which readers pass over.
  absl::Status Append(absl::Span<const tensorboard::Event> events);

 private:
  EventFile(std::string path, int descriptor) : path_(std::move(path)), descriptor_(descriptor) {}

  std::string path_;
  int descriptor_;
  int64_t size_ = 0;
};

// The event files of a folder, whoever has written them, in the order in which TensorBoard reads them. Empty where
// there is no such folder.
std::vector<std::string> EventFilesIn(const std::string& folder);

// Adds the events of a file to `events`. DataLoss where a record is damaged or ends before its end; what comes before
// it is read.
absl::Status ReadEventFile(const std::string& path, std::vector<tensorboard::Event>& events);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_EVENT_FILE_H_
