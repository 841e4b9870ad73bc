#include "bitgrad/report/event_file.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <chrono>
#include <cstdio>
#include <filesystem>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/file_error.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/report/crc32c.h"

namespace bitgrad {
namespace {

constexpr char kVersion[] = "brain.Event:2";
constexpr char kPrefix[] = "events.out.tfevents.";
// What TensorBoard takes for an event file.
constexpr char kMark[] = "tfevents";
constexpr size_t kLengthBytes = 8, kCrcBytes = 4, kHeaderBytes = kLengthBytes + kCrcBytes;

template <typename T>
void AppendLittleEndian(T number, std::string& bytes) {
  for (size_t i = 0; i < sizeof(T); ++i) bytes.push_back(static_cast<char>((number >> (8 * i)) & 0xff));
}

uint64_t LittleEndian(absl::string_view bytes) {
  uint64_t number = 0;
  for (size_t i = 0; i < bytes.size(); ++i) number |= uint64_t{static_cast<uint8_t>(bytes[i])} << (8 * i);
  return number;
}

void AppendRecord(absl::string_view data, std::string& bytes) {
  const size_t begin = bytes.size();
  AppendLittleEndian(uint64_t{data.size()}, bytes);
  AppendLittleEndian(MaskedCrc32c(absl::string_view(bytes).substr(begin)), bytes);
  absl::StrAppend(&bytes, data);
  AppendLittleEndian(MaskedCrc32c(data), bytes);
}

std::string HostName() {
  char name[256] = "";
  if (gethostname(name, sizeof(name) - 1) != 0 || name[0] == '\0') return "localhost";
  return name;
}

// The time in the name of a file of such files; 0 where there is none.
int64_t SecondsOf(absl::string_view path) {
  absl::string_view name = path.substr(path.rfind('/') + 1);
  int64_t seconds = 0;
  if (!absl::ConsumePrefix(&name, kPrefix) || !absl::SimpleAtoi(name.substr(0, name.find('.')), &seconds)) return 0;
  return seconds;
}

}  // namespace

double WallTime() { return std::chrono::duration<double>(std::chrono::system_clock::now().time_since_epoch()).count(); }

absl::StatusOr<EventFile> EventFile::Create(const std::string& folder) {
  auto seconds = static_cast<int64_t>(WallTime());
  // A second run within the second of the first one, or a clock that was set back, would put names out of order.
  for (const std::string& other : EventFilesIn(folder)) seconds = std::max(seconds, SecondsOf(other) + 1);
  static int counter = 0;
  const std::string path =
      absl::StrFormat("%s/%s%010d.%s.%d.%d", folder, kPrefix, seconds, HostName(), getpid(), counter++);
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_APPEND | O_CLOEXEC, 0666);
  if (descriptor < 0) return FileError("write", path, errno);
  EventFile file(path, descriptor);
  tensorboard::Event version;
  version.set_wall_time(WallTime());
  version.set_file_version(kVersion);
  if (const absl::Status status = file.Append({version}); !status.ok()) {
    unlink(path.c_str());
    return status;
  }
  return file;
}

EventFile::~EventFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

absl::Status EventFile::Append(absl::Span<const tensorboard::Event> events) {
  std::string bytes;
  for (const tensorboard::Event& event : events) AppendRecord(event.SerializeAsString(), bytes);
  // What an error has left behind, where it could not be cut off at once.
  if (ftruncate(descriptor_, size_) != 0) return FileError("write", path_, errno);
  for (absl::string_view left = bytes; !left.empty();) {
    const ssize_t written = write(descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const absl::Status error = FileError("write", path_, errno);
      return ftruncate(descriptor_, size_) == 0 ? error : FileError("shorten", path_, errno);
    }
    left.remove_prefix(static_cast<size_t>(written));
  }
  size_ += static_cast<int64_t>(bytes.size());
  return absl::OkStatus();
}

std::vector<std::string> EventFilesIn(const std::string& folder) {
  std::vector<std::string> paths;
  std::error_code error;
  for (std::filesystem::directory_iterator it(folder, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (absl::StrContains(name, kMark) && it->is_regular_file(error)) paths.push_back(it->path().string());
  }
  std::sort(paths.begin(), paths.end());
  return paths;
}

absl::Status ReadEventFile(const std::string& path, std::vector<tensorboard::Event>& events) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::string_view bytes(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  const auto damage = [&](size_t begin, const char* what) {
    return absl::DataLossError(absl::StrCat("'", path, "': the record at byte ", begin, " ", what));
  };
  for (size_t begin = 0; begin < bytes.size();) {
    absl::string_view left = bytes.substr(begin);
    if (left.size() < kHeaderBytes) return damage(begin, "is cut off");
    if (MaskedCrc32c(left.substr(0, kLengthBytes)) != LittleEndian(left.substr(kLengthBytes, kCrcBytes))) {
      return damage(begin, "has a length with another checksum");
    }
    const uint64_t length = LittleEndian(left.substr(0, kLengthBytes));
    left.remove_prefix(kHeaderBytes);
    if (left.size() < kCrcBytes || length > left.size() - kCrcBytes) return damage(begin, "is cut off");
    const absl::string_view data = left.substr(0, length);
    if (MaskedCrc32c(data) != LittleEndian(left.substr(length, kCrcBytes))) {
      return damage(begin, "has another checksum than it says");
    }
    tensorboard::Event event;
    if (!event.ParseFromArray(data.data(), static_cast<int>(data.size()))) return damage(begin, "is no event");
    events.push_back(std::move(event));
    begin += kHeaderBytes + length + kCrcBytes;
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
