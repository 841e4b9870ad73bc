// The writer: what it refuses to pack, and disks that refuse it.

#include <sys/resource.h>
#include <unistd.h>

#include <csignal>
#include <cstdio>
#include <fstream>

#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/packed_model_writer.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

std::string MessageOf(const absl::Status& status) { return std::string(status.message()); }

bool Exists(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

TEST(WriterTest, NumbersThatAreNoCodesAreErrors) {
  const auto message_of = [](const Encoding& encoding, float code) {
    PackedModelWriter writer;
    writer.header().mutable_input()->add_shape(2);
    const float codes[] = {1, code};
    writer.AddCodes("w", encoding, {codes, 1, 2});
    return MessageOf(writer.Serialize().status());
  };
  EXPECT_THAT(message_of({EncodingKind::kBinary, 1}, 0), HasSubstr("blob w: element [0, 1] = 0 is no binary code"));
  EXPECT_THAT(message_of({EncodingKind::kBinary, 1}, 3), HasSubstr("is no binary code"));
  EXPECT_THAT(message_of({EncodingKind::kBinary, 1}, 0.5f), HasSubstr("is no binary code"));
  EXPECT_THAT(message_of({EncodingKind::kBinary, 1}, NAN), HasSubstr("is no binary code"));
  EXPECT_THAT(message_of({EncodingKind::kTernary, 2}, 2), HasSubstr("is no ternary code"));
  EXPECT_THAT(message_of({EncodingKind::kTernary, 2}, -2), HasSubstr("is no ternary code"));
  EXPECT_THAT(message_of({EncodingKind::kSymmetric, 2}, 2), HasSubstr("is no symmetric code"));
  EXPECT_THAT(message_of({EncodingKind::kSymmetric, 2}, 5), HasSubstr("is no symmetric code"));
  EXPECT_THAT(message_of({EncodingKind::kSymmetric, 2}, -5), HasSubstr("is no symmetric code"));
  EXPECT_THAT(message_of({EncodingKind::kUnsigned, 2}, 4), HasSubstr("is no unsigned code"));
  EXPECT_THAT(message_of({EncodingKind::kUnsigned, 2}, 1e30f), HasSubstr("is no unsigned code"));
  EXPECT_THAT(message_of({EncodingKind::kLog, 3}, 3), HasSubstr("is no log code"));
  EXPECT_THAT(message_of({EncodingKind::kLog, 3}, -8), HasSubstr("is no log code"));
  EXPECT_THAT(message_of({EncodingKind::kLog, 7}, 0x1p63f), HasSubstr("is no log code"));
  EXPECT_THAT(message_of({EncodingKind::kLogNonzero, 3}, 0), HasSubstr("is no log_nonzero code"));
  EXPECT_THAT(message_of({EncodingKind::kLogNonzero, 3}, 16), HasSubstr("is no log_nonzero code"));
  EXPECT_THAT(message_of({EncodingKind::kFloat, 32}, 1), HasSubstr("has no packed form"));
  EXPECT_THAT(message_of({EncodingKind::kSymmetric, 9}, 1), HasSubstr("has no packed form"));
  EXPECT_THAT(message_of({EncodingKind::kSigned, 8}, 1), HasSubstr("has no packed form"));
  PackedModelWriter writer;
  const uint8_t flags[] = {0, 1, 2};
  writer.AddFlags("f", flags);
  EXPECT_THAT(MessageOf(writer.Serialize().status()), HasSubstr("blob f: 2 is no flag"));
}

TEST(WriterTest, AProgramThatNobodyCouldReadIsNotWritten) {
  SampleModel sample = BnnModel();
  sample.writer.header().set_class_count(11);
  const std::string path = testing::TempDir() + "/unreadable.bgm";
  const auto written = sample.writer.Write(path);
  EXPECT_THAT(MessageOf(written.status()), HasSubstr("cannot pack the model: class_count is 11"));
  EXPECT_FALSE(Exists(path));
}

TEST(WriterTest, TheFileAppearsWholeAndWithoutTraces) {
  const std::string path = testing::TempDir() + "/whole.bgm";
  std::ofstream(path) << "the old one";
  ASSERT_TRUE(BnnModel().writer.Write(path).ok());
  EXPECT_TRUE(PackedModel::Open(path).ok());
  EXPECT_FALSE(Exists(path + ".tmp"));
  // What a crash left behind is overwritten.
  std::ofstream(path + ".tmp") << std::string(100000, 'x');
  ASSERT_TRUE(EveryInstructionModel().writer.Write(path).ok());
  EXPECT_EQ((*PackedModel::Open(path))->header().name(), "every_instruction");
  EXPECT_FALSE(Exists(path + ".tmp"));
  std::remove(path.c_str());
}

TEST(WriterTest, AnOpenModelOutlivesItsReplacement) {
  const std::string path = testing::TempDir() + "/replaced.bgm";
  ASSERT_TRUE(BnnModel().writer.Write(path).ok());
  const auto model = PackedModel::Open(path);
  ASSERT_TRUE(model.ok());
  const uint64_t before = (*model)->plane(0, 0).words[0];
  ASSERT_TRUE(EveryInstructionModel().writer.Write(path).ok());
  EXPECT_EQ((*model)->plane(0, 0).words[0], before);
  std::remove(path.c_str());
}

// As on a disk that is full: the limit on file sizes makes write() fail in the middle.
TEST(WriterTest, AFullDiskLeavesTheOldFile) {
  const std::string path = testing::TempDir() + "/full.bgm";
  ASSERT_TRUE(BnnModel().writer.Write(path).ok());
  rlimit old;
  ASSERT_EQ(getrlimit(RLIMIT_FSIZE, &old), 0);
  const auto old_handler = std::signal(SIGXFSZ, SIG_IGN);
  const rlimit small = {.rlim_cur = 1000, .rlim_max = old.rlim_max};
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &small), 0);
  const auto written = EveryInstructionModel().writer.Write(path);
  ASSERT_EQ(setrlimit(RLIMIT_FSIZE, &old), 0);
  std::signal(SIGXFSZ, old_handler);
  ASSERT_FALSE(written.ok());
  EXPECT_THAT(MessageOf(written.status()), HasSubstr("cannot write '" + path + "': File too large"));
  EXPECT_FALSE(Exists(path + ".tmp"));
  EXPECT_EQ((*PackedModel::Open(path))->header().name(), "bnn");
  std::remove(path.c_str());
}

TEST(WriterTest, PlacesThatCannotBeWritten) {
  const PackedModelWriter& writer = BnnModel().writer;
  EXPECT_THAT(MessageOf(writer.Write("/nonexistent/net.bgm").status()),
              HasSubstr("cannot write '/nonexistent/net.bgm': No such file or directory; check the path"));
  EXPECT_THAT(MessageOf(writer.Write(testing::TempDir()).status()), HasSubstr("it is a directory"));
  EXPECT_THAT(MessageOf(writer.Write("/dev/full").status()), HasSubstr("it is no regular file"));
  EXPECT_THAT(MessageOf(writer.Write("").status()), HasSubstr("give a path"));
}

}  // namespace
}  // namespace bitgrad
