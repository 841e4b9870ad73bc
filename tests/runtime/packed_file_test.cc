// Files: what is written is read back; whatever is damaged is refused, without a crash.

#include <cstdio>
#include <fstream>

#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/packed_model_writer.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;

std::string Serialized(const SampleModel& sample) {
  absl::StatusOr<std::string> bytes = sample.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << bytes.status();
  return bytes.value_or("");
}

// A small model that has every part a file can have: bits, floats, thresholds, flags, paddings.
SampleModel SmallModel() { return LinearModel("sign", {EncodingKind::kBinary, 1}, 70, 5, true); }

void ExpectRefused(const std::string& bytes, const std::string& what) {
  const auto model = PackedModel::FromBytes("net.bgm", bytes);
  ASSERT_FALSE(model.ok()) << what;
  const std::string message(model.status().message());
  ASSERT_THAT(message, HasSubstr("'net.bgm'")) << what;
  // What to do.
  ASSERT_THAT(message, HasSubstr("; ")) << what;
  ASSERT_EQ(message.find('\n'), std::string::npos) << what;
}

TEST(PackedFileTest, WhatIsWrittenIsReadBack) {
  for (const Encoding& encoding : {Encoding{EncodingKind::kBinary, 1},
                                   {EncodingKind::kTernary, 2},
                                   {EncodingKind::kSymmetric, 8},
                                   {EncodingKind::kUnsigned, 3},
                                   {EncodingKind::kTwosComplement, 4},
                                   {EncodingKind::kLog, 5},
                                   {EncodingKind::kLogNonzero, 3}}) {
    PackedModelWriter writer;
    const Tensor codes = RandomCodes(encoding, 3, 515, 1);
    writer.header().mutable_input()->add_shape(515);
    writer.header().set_name("name");
    const int weight = writer.AddCodes("w", encoding, codes.matrix<float>());
    int x = writer.AddQuantize("fc", kInputValue, {.quantizer = Sign()});
    x = writer.AddLinear("fc", x, {.weight = weight, .scale = 0.25f});
    const float floats[] = {1.5f, -0.0f, 3e38f};
    const int constant = writer.AddFloats("c", {3}, floats);
    writer.AddBinaryConstant("bias", x, Binary::kAdd, constant);

    const std::string path = testing::TempDir() + "/round_trip.bgm";
    const absl::StatusOr<int64_t> written = writer.Write(path);
    ASSERT_TRUE(written.ok()) << written.status();
    const auto model = PackedModel::Open(path);
    ASSERT_TRUE(model.ok()) << model.status();
    EXPECT_EQ((*model)->byte_size(), *written);
    EXPECT_EQ((*model)->header().name(), "name");
    EXPECT_EQ((*model)->header().instructions(1).linear().scale(), 0.25f);
    EXPECT_EQ((*model)->floats(constant), absl::MakeConstSpan(floats));
    EXPECT_EQ((*model)->value(2).example, Shape({3}));
    EXPECT_EQ((*model)->quantizer(0).quantizer.ToString(), "sign");
    for (int64_t i = 0; i < 3; ++i) {
      for (int64_t j = 0; j < 515; ++j) {
        int64_t c = 0;
        for (int p = 0; p < encoding.bits; ++p) c |= int64_t{(*model)->plane(weight, p).bit(i, j)} << p;
        ASSERT_EQ(encoding.code(c), codes.matrix<float>().at(i, j));
      }
    }
    // Used in place, in the layout of BitMatrix.
    EXPECT_EQ((*model)->plane(weight, 0).stride, BitMatrix::WordsPerRow(515));
    EXPECT_EQ(reinterpret_cast<uintptr_t>((*model)->plane(weight, 0).words) % 64, 0u);
    std::remove(path.c_str());
  }
}

TEST(PackedFileTest, BitsAreStoredAsBitMatrixKeepsThem) {
  BitMatrix bits = BitMatrix::Zeros(2, 67);
  bits.mutable_view().row(0)[0] = 0x123456789abcdef0;
  bits.mutable_view().row(1)[1] = 5;
  PackedModelWriter writer;
  writer.header().mutable_input()->add_shape(67);
  const int weight = writer.AddBits("w", bits.view());
  writer.AddLinear("fc", writer.AddQuantize("fc", kInputValue, {.quantizer = Sign()}), {.weight = weight});
  const auto model = PackedModel::FromBytes("net.bgm", *writer.Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  const uint64_t* words = (*model)->plane(weight, 0).words;
  for (int64_t w = 0; w < 16; ++w) EXPECT_EQ(words[w], bits.view().words[w]) << w;
}

TEST(PackedFileTest, EveryTruncationIsRefused) {
  for (const SampleModel& sample : {SmallModel(), BnnModel()}) {
    const std::string bytes = Serialized(sample);
    ASSERT_TRUE(PackedModel::FromBytes("net.bgm", bytes).ok());
    ASSERT_EQ(bytes.size() % 64, 0u);
    for (size_t size = 0; size < bytes.size(); ++size) {
      ExpectRefused(bytes.substr(0, size), absl::StrCat("first ", size, " bytes"));
    }
    ExpectRefused(bytes + std::string(1, '\0'), "a byte more");
    ExpectRefused(bytes + std::string(64, '\0'), "64 bytes more");
  }
}

TEST(PackedFileTest, EveryFlippedBitIsRefused) {
  std::string bytes = Serialized(SmallModel());
  for (size_t bit = 0; bit < bytes.size() * 8; ++bit) {
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
    ExpectRefused(bytes, absl::StrCat("bit ", bit % 8, " of byte ", bit / 8));
    bytes[bit / 8] ^= static_cast<char>(1 << (bit % 8));
  }
  EXPECT_TRUE(PackedModel::FromBytes("net.bgm", bytes).ok());
}

TEST(PackedFileTest, EveryChangedByteOfEveryModelIsRefused) {
  std::vector<SampleModel> samples = AllSampleModels();
  samples.push_back(CodeToCodeModel());
  samples.push_back(TimeStepModel(5));
  for (const SampleModel& sample : samples) {
    std::string bytes = Serialized(sample);
    // Each byte of the head, and samples of the rest.
    for (size_t at = 0; at < bytes.size(); at += at < 2048 ? 1 : 37) {
      bytes[at] ^= '\x5a';
      ExpectRefused(bytes, absl::StrCat(sample.name, " byte ", at));
      bytes[at] ^= '\x5a';
    }
  }
}

TEST(PackedFileTest, TruncatedFilesOnDiskAreRefused) {
  const std::string bytes = Serialized(BnnModel());
  const std::string path = testing::TempDir() + "/truncated.bgm";
  for (size_t size = 0; size < bytes.size(); size += 64) {
    std::ofstream(path, std::ios::binary) << bytes.substr(0, size);
    const auto model = PackedModel::Open(path);
    ASSERT_FALSE(model.ok()) << size;
    ASSERT_THAT(std::string(model.status().message()), HasSubstr(path)) << size;
  }
  std::ofstream(path, std::ios::binary) << bytes;
  EXPECT_TRUE(PackedModel::Open(path).ok());
  std::remove(path.c_str());
}

TEST(PackedFileTest, WhatIsNoPackedModelSaysSo) {
  const auto message = [](const std::string& bytes) {
    return std::string(PackedModel::FromBytes("net.bgm", bytes).status().message());
  };
  EXPECT_THAT(message(""), HasSubstr("the file is empty"));
  EXPECT_THAT(message("BITG"), HasSubstr("cut off: it has 4 bytes"));
  EXPECT_THAT(message(std::string(1000, 'x')), HasSubstr("magic number"));
  EXPECT_THAT(message("BITGCKPT" + std::string(1000, 'x')), HasSubstr("this is a checkpoint"));
  EXPECT_THAT(std::string(PackedModel::Open("/nonexistent/net.bgm").status().message()),
              HasSubstr("cannot open '/nonexistent/net.bgm': No such file or directory"));
  EXPECT_THAT(std::string(PackedModel::Open(testing::TempDir()).status().message()),
              HasSubstr("is a folder, not a packed model"));
  EXPECT_THAT(std::string(PackedModel::Open("/dev/zero").status().message()), HasSubstr("not a regular file"));
}

// A preamble whose CRC is right but whose fields are not.
TEST(PackedFileTest, PreambleFieldsAreChecked) {
  const std::string good = Serialized(SmallModel());
  const auto with = [&good](size_t at, const std::string& field) {
    std::string bytes = good;
    bytes.replace(at, field.size(), field);
    const uint32_t crc = Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), 60});
    for (int i = 0; i < 4; ++i) bytes[60 + i] = static_cast<char>(crc >> (8 * i));
    return std::string(PackedModel::FromBytes("net.bgm", bytes).status().message());
  };
  EXPECT_THAT(with(8, std::string("\3\0\0\0", 4)), HasSubstr("format version 3 is unknown"));
  EXPECT_THAT(with(8, std::string("\0\0\0\0", 4)), HasSubstr("format version 0 is unknown"));
  EXPECT_THAT(with(12, "\xff\xff\xff\xff"), HasSubstr("header size, 4294967295 bytes"));
  EXPECT_THAT(with(16, "\xff\xff\xff\xff\xff\xff\xff\xff"), HasSubstr("the file is cut off"));
  EXPECT_THAT(with(16, std::string(8, '\0')), HasSubstr("the file is too long"));
  EXPECT_THAT(with(24, "abcd"), HasSubstr("the header's CRC-32"));
  EXPECT_THAT(with(31, "\1"), HasSubstr("reserved"));
  EXPECT_EQ(with(0, "BITGRAD"), "");
}

}  // namespace
}  // namespace bitgrad
