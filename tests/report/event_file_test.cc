// Event files: checksums with published values, records byte for byte, damage, full disks, names.

#include "bitgrad/report/event_file.h"

#include <signal.h>
#include <sys/resource.h>

#include <cstdint>
#include <filesystem>
#include <string>
#include <vector>

#include "bitgrad/report/crc32c.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

// The examples of RFC 3720, B.4, and the check value of catalogues of CRCs.
TEST(Crc32cTest, PublishedValues) {
  EXPECT_EQ(Crc32c(""), 0u);
  EXPECT_EQ(Crc32c("123456789"), 0xE3069283u);
  EXPECT_EQ(Crc32c(std::string(32, '\0')), 0x8A9136AAu);
  EXPECT_EQ(Crc32c(std::string(32, '\xff')), 0x62A8AB43u);
  std::string ascending, descending;
  for (char c = 0; c < 32; ++c) ascending += c;
  for (char c = 31; c >= 0; --c) descending += c;
  EXPECT_EQ(Crc32c(ascending), 0x46DD794Eu);
  EXPECT_EQ(Crc32c(descending), 0x113FDB5Cu);
}

TEST(Crc32cTest, MasksRotateAndAdd) {
  // 0xE3069283 rotated right by 15 bits is 0x2507C60D.
  EXPECT_EQ(MaskedCrc32c("123456789"), 0x2507C60Du + 0xA282EAD8u);
}

tensorboard::Event Scalar(int64_t step, const std::string& tag, float number) {
  tensorboard::Event event;
  event.set_step(step);
  event.mutable_summary()->add_value()->set_tag(tag);
  event.mutable_summary()->mutable_value(0)->set_simple_value(number);
  return event;
}

// An event file with steps 1 to `count`.
std::string MakeFile(const std::string& folder, int count) {
  auto file = EventFile::Create(folder);
  EXPECT_TRUE(file.ok()) << file.status();
  for (int step = 1; step <= count; ++step) EXPECT_TRUE(file->Append({Scalar(step, "a", 0.5f)}).ok());
  return file->path();
}

std::vector<int64_t> StepsOf(const std::vector<tensorboard::Event>& events) {
  std::vector<int64_t> steps;
  for (const tensorboard::Event& event : events) {
    if (event.has_summary()) steps.push_back(event.step());
  }
  return steps;
}

// A record that was written out by hand from the description of the format: length 9 of an event with file_version
// "1234567" (field 3, length 7).
TEST(EventFileTest, RecordsAreOfTheFormat) {
  const std::string data = std::string("\x1a\x07") + "1234567";
  const auto bytes_of = [](uint32_t number) {
    return std::string{static_cast<char>(number), static_cast<char>(number >> 8), static_cast<char>(number >> 16),
                       static_cast<char>(number >> 24)};
  };
  const std::string length = std::string("\x09") + std::string(7, '\0');
  const std::string path = NewDirectory() + "/tfevents";
  WriteFile(path, length + bytes_of(MaskedCrc32c(length)) + data + bytes_of(MaskedCrc32c(data)));
  std::vector<tensorboard::Event> events;
  ASSERT_TRUE(ReadEventFile(path, events).ok());
  ASSERT_EQ(events.size(), 1u);
  EXPECT_EQ(events[0].file_version(), "1234567");

  const std::string folder = NewDirectory();
  auto file = EventFile::Create(folder);
  ASSERT_TRUE(file.ok()) << file.status();
  const std::string before = ReadFile(file->path());
  ASSERT_TRUE(file->Append({events[0]}).ok());
  EXPECT_EQ(ReadFile(file->path()), before + ReadFile(path));
}

TEST(EventFileTest, GivesBackWhatWasWritten) {
  const double before = WallTime();
  std::vector<tensorboard::Event> events;
  const std::string path = MakeFile(NewDirectory(), 3);
  ASSERT_TRUE(ReadEventFile(path, events).ok());
  ASSERT_EQ(events.size(), 4u);
  EXPECT_EQ(events[0].file_version(), "brain.Event:2");
  EXPECT_GE(events[0].wall_time(), before);
  EXPECT_LE(events[0].wall_time(), WallTime());
  for (int step = 1; step <= 3; ++step) {
    EXPECT_EQ(events[static_cast<size_t>(step)].SerializeAsString(), Scalar(step, "a", 0.5f).SerializeAsString());
  }
  const std::string name = std::filesystem::path(path).filename().string();
  EXPECT_THAT(name, testing::MatchesRegex("events\\.out\\.tfevents\\.[0-9]{10}\\..+\\.[0-9]+\\.[0-9]+"));
}

// What a kill leaves behind.
TEST(EventFileTest, ReadsWhatComesBeforeAnEndThatIsCutOff) {
  const std::string path = MakeFile(NewDirectory(), 2), bytes = ReadFile(path);
  const std::string shorter = NewDirectory() + "/tfevents";
  std::vector<tensorboard::Event> two;
  ASSERT_TRUE(ReadEventFile(path, two).ok());
  const size_t last = two[2].ByteSizeLong() + 16;
  for (size_t cut = 0; cut <= last; ++cut) {
    WriteFile(shorter, bytes.substr(0, bytes.size() - cut));
    std::vector<tensorboard::Event> events;
    const absl::Status status = ReadEventFile(shorter, events);
    EXPECT_EQ(status.ok(), cut == 0 || cut == last) << cut;
    if (!status.ok()) {
      EXPECT_THAT(std::string(status.message()), HasSubstr("is cut off"));
    }
    EXPECT_EQ(StepsOf(events), cut == 0 ? (std::vector<int64_t>{1, 2}) : std::vector<int64_t>{1}) << cut;
  }
}

TEST(EventFileTest, FindsEveryDamagedByte) {
  const std::string path = MakeFile(NewDirectory(), 1), bytes = ReadFile(path);
  const std::string damaged = NewDirectory() + "/tfevents";
  for (size_t i = 0; i < bytes.size(); ++i) {
    std::string other = bytes;
    other[i] = static_cast<char>(other[i] ^ 4);
    WriteFile(damaged, other);
    std::vector<tensorboard::Event> events;
    EXPECT_EQ(ReadEventFile(damaged, events).code(), absl::StatusCode::kDataLoss) << i;
    EXPECT_LT(events.size(), 2u);
  }
}

// TensorBoard reads the files of a folder in the order of their names.
TEST(EventFileTest, NamesAreInTheOrderOfTime) {
  const std::string folder = NewDirectory();
  std::vector<std::string> paths;
  for (int i = 0; i < 12; ++i) paths.push_back(MakeFile(folder, 0));
  EXPECT_EQ(EventFilesIn(folder), paths);
  // One that another program has written, by a clock that is ahead.
  WriteFile(folder + "/events.out.tfevents.9000000000.host", "");
  WriteFile(folder + "/notes", "");
  EXPECT_EQ(EventFilesIn(folder).back(), folder + "/events.out.tfevents.9000000000.host");
  EXPECT_EQ(EventFilesIn(folder).size(), 13u);
  const std::string next = MakeFile(folder, 0);
  EXPECT_EQ(EventFilesIn(folder).back(), next);
  EXPECT_THAT(EventFilesIn(folder + "/none"), IsEmpty());
}

TEST(EventFileTest, ErrorsNameTheFile) {
  const auto none = EventFile::Create("/nowhere/board");
  ASSERT_FALSE(none.ok());
  EXPECT_THAT(std::string(none.status().message()), HasSubstr("cannot write '/nowhere/board/events.out.tfevents."));
}

// As on a disk that is full: the limit on file sizes makes write() fail in the middle.
class FullDisk {
 public:
  explicit FullDisk(rlim_t bytes) : old_handler_(signal(SIGXFSZ, SIG_IGN)) {
    EXPECT_EQ(getrlimit(RLIMIT_FSIZE, &old_), 0);
    const rlimit small = {.rlim_cur = bytes, .rlim_max = old_.rlim_max};
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  }
  ~FullDisk() {
    EXPECT_EQ(setrlimit(RLIMIT_FSIZE, &old_), 0);
    signal(SIGXFSZ, old_handler_);
  }

 private:
  rlimit old_;
  void (*old_handler_)(int);
};

TEST(EventFileTest, AFullDiskLeavesNoPartOfARecord) {
  const std::string folder = NewDirectory();
  auto file = EventFile::Create(folder);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_TRUE(file->Append({Scalar(1, "a", 1)}).ok());
  const std::string before = ReadFile(file->path());
  {
    const FullDisk disk(before.size() + 100);
    const absl::Status status = file->Append({Scalar(2, "a", 1), Scalar(3, std::string(200, 'a'), 1)});
    EXPECT_THAT(std::string(status.message()), HasSubstr("cannot write '" + file->path() + "': File too large"));
  }
  EXPECT_EQ(ReadFile(file->path()), before);
  ASSERT_TRUE(file->Append({Scalar(4, "a", 1)}).ok());
  std::vector<tensorboard::Event> events;
  ASSERT_TRUE(ReadEventFile(file->path(), events).ok());
  EXPECT_THAT(StepsOf(events), ElementsAre(1, 4));

  const std::string other = NewDirectory();
  {
    const FullDisk disk(10);
    EXPECT_FALSE(EventFile::Create(other).ok());
  }
  EXPECT_THAT(EventFilesIn(other), IsEmpty());
}

}  // namespace
}  // namespace bitgrad
