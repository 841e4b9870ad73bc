// The format of safetensors files: what is read and written, and that damaged files are refused. Weights of checkpoints
// are in checkpoint_weights_test.cc.

#include "bitgrad/export/safetensors.h"

#include <cmath>
#include <cstring>
#include <filesystem>
#include <limits>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/export/safetensors_header.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gmock/gmock.h"

namespace bitgrad {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;

// A file of this header and this data.
std::string FileOf(const std::string& header, const std::string& data = "") {
  const uint64_t bytes = header.size();
  std::string file(sizeof(bytes), '\0');
  std::memcpy(file.data(), &bytes, sizeof(bytes));
  return file + header + data;
}

absl::StatusOr<SafetensorsFile> OpenBytes(const std::string& bytes) {
  static const std::string path = NewDirectory() + "/some.safetensors";
  WriteFile(path, bytes);
  return SafetensorsFile::Open(path);
}

std::string ErrorOf(const std::string& bytes) {
  const auto file = OpenBytes(bytes);
  EXPECT_FALSE(file.ok());
  EXPECT_THAT(std::string(file.status().message()), HasSubstr("some.safetensors"));
  return std::string(file.status().message());
}

template <typename T>
std::string BytesOf(const std::vector<T>& values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// The values of a file with one tensor of this dtype.
template <typename T>
absl::StatusOr<std::vector<float>> Read(const std::string& dtype, const std::vector<T>& values) {
  const std::string data = BytesOf(values);
  const auto file = OpenBytes(FileOf(absl::StrCat(R"({"w":{"dtype":")", dtype, R"(","shape":[)", values.size(),
                                                  R"(],"data_offsets":[0,)", data.size(), "]}}"),
                                     data));
  if (!file.ok()) return file.status();
  std::vector<float> floats(values.size());
  const absl::Status read = ReadFloats(*file->Find("w"), absl::MakeSpan(floats));
  if (!read.ok()) return read;
  return floats;
}

TEST(SafetensorsTest, WritesWhatItReads) {
  const std::string path = NewDirectory() + "/net.safetensors";
  const std::vector<NamedValue> values = [] {
    std::vector<NamedValue> made;
    made.push_back({"conv1/weight", Tensor::Of<float>({2, 1, 3}, {1, -2, 0.5f, -0.0f, 1e-40f, 3e38f})});
    made.push_back({"a \"quoted\\\n name \xC3\xA9", Tensor::Of<float>({}, {7})});
    made.push_back({"empty", Tensor::Of<float>({0, 4}, {})});
    made.push_back({"counts", Tensor::Of<int64_t>({2}, {-1, int64_t{1} << 60})});
    return made;
  }();
  const auto bytes = WriteSafetensors(path, values);
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  EXPECT_EQ(static_cast<size_t>(*bytes), ReadFile(path).size());
  const auto file = SafetensorsFile::Open(path);
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), values.size());
  for (const NamedValue& value : values) {
    const SafetensorsTensor* const tensor = file->Find(value.name);
    ASSERT_NE(tensor, nullptr) << value.name;
    EXPECT_EQ(tensor->shape, value.value.shape());
    EXPECT_EQ(tensor->dtype, value.value.dtype() == DType::kInt64 ? "I64" : "F32");
    ASSERT_EQ(tensor->bytes.size(), value.value.byte_size());
    EXPECT_EQ(std::memcmp(tensor->bytes.data(), value.value.raw_data(), tensor->bytes.size()), 0);
    EXPECT_EQ(reinterpret_cast<uintptr_t>(tensor->bytes.data()) % 4, 0u);
  }
  EXPECT_EQ(file->Find("conv2/weight"), nullptr);
}

TEST(SafetensorsTest, RefusesToWriteNamesThatNobodyCouldRead) {
  const std::string path = NewDirectory() + "/net.safetensors";
  for (const std::string name : {"__metadata__", "\xFF", "twice"}) {
    std::vector<NamedValue> values;
    values.push_back({name, Tensor::Of<float>({1}, {1})});
    values.push_back({"twice", Tensor::Of<float>({1}, {1})});
    EXPECT_THAT(std::string(WriteSafetensors(path, values).status().message()),
                AllOf(HasSubstr(path), HasSubstr("cannot be written")));
    EXPECT_FALSE(std::filesystem::exists(path));
  }
}

TEST(SafetensorsTest, ReadsWhatOthersWrite) {
  const std::string header =
      "{ \"__metadata__\" : {\"format\":\"pt\", \"\\u00e9\": \"\\ud83d\\ude00\"} ,\n\t"
      "\"b\\u0041\\u00e9\\u20ac\\ud83d\\ude00\":{\"data_offsets\":[8,12],\"shape\":[ ],\"dtype\":\"F32\"}\r, "
      "\"a\":{\"dtype\":\"F32\",\"shape\":[1, 2],\"data_offsets\":[0,8]}}   ";
  const auto file = OpenBytes(FileOf(header, BytesOf<float>({1, 2, 3})));
  ASSERT_TRUE(file.ok()) << file.status();
  ASSERT_EQ(file->tensors().size(), 2u);
  EXPECT_EQ(file->tensors()[0].name, "a");
  EXPECT_EQ(file->tensors()[0].shape, Shape({1, 2}));
  EXPECT_EQ(file->tensors()[1].name, "bA\xC3\xA9\xE2\x82\xAC\xF0\x9F\x98\x80");
  EXPECT_EQ(file->tensors()[1].shape, Shape());
  const auto nothing = OpenBytes(FileOf("{}"));
  ASSERT_TRUE(nothing.ok()) << nothing.status();
  EXPECT_TRUE(nothing->tensors().empty());
}

TEST(SafetensorsTest, Conversions) {
  const float inf = std::numeric_limits<float>::infinity();
  EXPECT_THAT(*Read<float>("F32", {1.5f, -0.0f, 3.4e38f}), ElementsAre(1.5f, -0.0f, 3.4e38f));
  // 1, -2, the largest, the least normal one, the largest subnormal one, the least, -0, 1/3 rounded.
  EXPECT_THAT(*Read<uint16_t>("F16", {0x3C00, 0xC000, 0x7BFF, 0x0400, 0x03FF, 0x0001, 0x8000, 0x3555}),
              ElementsAre(1.0f, -2.0f, 65504.0f, 0x1p-14f, 0x1.ff8p-15f, 0x1p-24f, -0.0f, 0.333251953125f));
  EXPECT_TRUE(std::signbit((*Read<uint16_t>("F16", {0x8000}))[0]));
  // 1, -2, 3.140625, the largest, the least.
  EXPECT_THAT(*Read<uint16_t>("BF16", {0x3F80, 0xC000, 0x4049, 0x7F7F, 0x0001}),
              ElementsAre(1.0f, -2.0f, 3.140625f, 0x1.fep127f, 0x1p-133f));
  // Rounded to the nearest float, to even, to nothing.
  EXPECT_THAT(*Read<double>("F64", {0.1, 1 + 0x1p-24, 1 + 0x1.8p-23, 1e-300}),
              ElementsAre(0.1f, 1.0f, 1 + 0x1p-22f, 0.0f));
  for (const uint16_t bad : {0x7C00, 0xFC00, 0x7E00}) EXPECT_FALSE(Read<uint16_t>("F16", {0, bad}).ok());
  for (const uint16_t bad : {0x7F80, 0xFF80, 0x7FC0}) EXPECT_FALSE(Read<uint16_t>("BF16", {0, bad}).ok());
  for (const float bad : {inf, -inf, NAN}) EXPECT_FALSE(Read<float>("F32", {0, bad}).ok());
  for (const double bad : {1e39, -1e39, 3.4028236e38, double{inf}}) EXPECT_FALSE(Read<double>("F64", {0, bad}).ok());
  EXPECT_THAT(std::string(Read<double>("F64", {0, 1e39}).status().message()),
              AllOf(HasSubstr("tensor 'w' has 1e+39 for its element 1"), HasSubstr("finite")));
  EXPECT_THAT(std::string(Read<int64_t>("I64", {1}).status().message()), HasSubstr("has the dtype I64"));
}

TEST(SafetensorsTest, RefusesOtherFiles) {
  EXPECT_THAT(ErrorOf(""), HasSubstr("cut off"));
  EXPECT_THAT(ErrorOf("1234567"), HasSubstr("cut off"));
  EXPECT_THAT(ErrorOf("BITGCKPT12345678"), HasSubstr("it is a checkpoint of bitgrad: name it by --checkpoint"));
  EXPECT_THAT(ErrorOf("PK\x03\x04 and so on"), HasSubstr("safetensors.torch.save_file"));
  EXPECT_THAT(ErrorOf(std::string(100, '\xFF')),
              HasSubstr("header has 18446744073709551615 bytes, which is more than"));
  std::string large = FileOf("{}");
  large[3] = 5;  // 5 * 2^24 + 2 bytes, which a header may have, but this file does not.
  EXPECT_THAT(ErrorOf(large), HasSubstr("cut off: its header has 83886082 bytes, and the file 10"));
}

// A header of one tensor with these three values, and four bytes of data.
std::string One(const std::string& dtype, const std::string& shape, const std::string& offsets) {
  return FileOf(absl::StrCat(R"({"w":{"dtype":)", dtype, R"(,"shape":)", shape, R"(,"data_offsets":)", offsets, "}}"),
                "1234");
}

TEST(SafetensorsTest, RefusesSizesThatLie) {
  ASSERT_TRUE(OpenBytes(One("\"F32\"", "[1]", "[0,4]")).ok());
  EXPECT_THAT(ErrorOf(One("\"F33\"", "[1]", "[0,4]")), HasSubstr("unknown dtype 'F33'"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[2]", "[0,4]")), HasSubstr("has 4 bytes where shape [2] of F32 needs 8"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[1]", "[0,8]")), HasSubstr("has the bytes 0 to 8, but the file has 4 bytes"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[1]", "[4,0]")), HasSubstr("has the bytes 4 to 0"));
  EXPECT_THAT(ErrorOf(One("\"U8\"", "[3]", "[1,4]")), HasSubstr("begins at byte 1 of the data where"));
  EXPECT_THAT(ErrorOf(One("\"U8\"", "[3]", "[0,3]")), HasSubstr("its tensors have 3 bytes, but there are 4"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[4294967296,4294967296,4]", "[0,4]")), HasSubstr("tensor 'w' has a"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[9223372036854775807]", "[0,4]")), HasSubstr("tensor 'w' has a"));
  EXPECT_THAT(ErrorOf(One("\"F32\"", "[9223372036854775808]", "[0,4]")), HasSubstr("a number is too large"));
  EXPECT_THAT(ErrorOf(FileOf("{}", "1")), HasSubstr("its tensors have 0 bytes, but there are 1"));
  const std::string first = R"({"a":{"dtype":"U8","shape":[3],"data_offsets":[0,3]},)";
  EXPECT_THAT(ErrorOf(FileOf(first + R"("b":{"dtype":"U8","shape":[2],"data_offsets":[2,4]}})", "1234")),
              HasSubstr("begins at byte 2 of the data where the one before ends at 3"));
  EXPECT_THAT(ErrorOf(FileOf(first + R"("a":{"dtype":"U8","shape":[1],"data_offsets":[3,4]}})", "1234")),
              HasSubstr("the name 'a' is there twice"));
}

TEST(SafetensorsTest, RefusesOtherJson) {
  const std::string tensor = R"("dtype":"U8","shape":[0],"data_offsets":[0,0])";
  ASSERT_TRUE(ParseSafetensorsHeader("{\"w\":{" + tensor + "}}").ok());
  const std::vector<std::string> bad = {"",
                                        " {}",
                                        "{",
                                        "{}}",
                                        "{} {}",
                                        "{}\n",
                                        "[]",
                                        "null",
                                        "{\"w\"}",
                                        "{\"w\":}",
                                        "{\"w\":1}",
                                        "{\"w\":[]}",
                                        "{\"w\":{}}",
                                        "{w:{" + tensor + "}}",
                                        "{'w':{" + tensor + "}}",
                                        "{\"w\":{" + tensor + "},}",
                                        "{\"w\":{" + tensor + ",}}",
                                        "{\"w\":{" + tensor + "} \"v\":{" + tensor + "}}",
                                        "{\"w\":{" + tensor + ",\"more\":1}}",
                                        "{\"w\":{" + tensor + ",\"dtype\":\"U8\"}}",
                                        R"({"w":{"dtype":"U8","shape":[0]}})",
                                        R"({"w":{"dtype":"U8","data_offsets":[0,0]}})",
                                        R"({"w":{"shape":[0],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":8,"shape":[0],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":0,"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[-0],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[00],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[0.0],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[0e1],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[0,],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":["0"],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[[0]],"data_offsets":[0,0]}})",
                                        R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0]}})",
                                        R"({"w":{"dtype":"U8","shape":[0],"data_offsets":[0,0,0]}})",
                                        R"({"__metadata__":{"a":1}})",
                                        R"({"__metadata__":{"a":{}}})",
                                        R"({"__metadata__":{"a":"","a":""}})",
                                        R"({"__metadata__":{},"__metadata__":{}})",
                                        R"({"__metadata__":[]})",
                                        "{\"\\x41\":{" + tensor + "}}",
                                        "{\"\\u00g0\":{" + tensor + "}}",
                                        "{\"\\ud83d\":{" + tensor + "}}",
                                        "{\"\\ud83dx\":{" + tensor + "}}",
                                        "{\"\\ude00\":{" + tensor + "}}",
                                        "{\"\\ud83d\\ud83d\":{" + tensor + "}}",
                                        "{\"\n\":{" + tensor + "}}",
                                        "{\"\xC3\":{" + tensor + "}}",
                                        "{\"\xED\xA0\x80\":{" + tensor + "}}",
                                        "{\"a",
                                        "{\"a\\",
                                        "{\"a\\u12"};
  for (const std::string& json : bad) {
    const auto entries = ParseSafetensorsHeader(json);
    EXPECT_FALSE(entries.ok()) << json;
    EXPECT_THAT(std::string(entries.status().message()), HasSubstr("of the header: ")) << json;
  }
  // Depth is no danger: nothing is nested.
  for (const char bracket : {'[', '{'}) {
    EXPECT_FALSE(ParseSafetensorsHeader(std::string(1000000, bracket)).ok());
    EXPECT_FALSE(ParseSafetensorsHeader(R"({"w":{"shape":)" + std::string(1000000, bracket)).ok());
  }
}

std::string SmallFile() {
  const std::string path = NewDirectory() + "/small.safetensors";
  std::vector<NamedValue> values;
  values.push_back({"conv1/weight", Tensor::Of<float>({2, 2}, {1, 2, 3, 4})});
  values.push_back({"conv1/bias", Tensor::Of<float>({2}, {5, 6})});
  EXPECT_TRUE(WriteSafetensors(path, values).ok());
  return ReadFile(path);
}

TEST(SafetensorsTest, RefusesTruncatedAndLongerFiles) {
  const std::string bytes = SmallFile();
  for (size_t size = 0; size < bytes.size(); ++size) ASSERT_FALSE(OpenBytes(bytes.substr(0, size)).ok()) << size;
  ASSERT_FALSE(OpenBytes(bytes + '\0').ok());
}

// There are no checksums: a flipped bit may make another name or number. But it never makes a file whose tensors do not
// fit its bytes.
TEST(SafetensorsTest, FlippedBitsAreRefusedOrMakeAnotherFile) {
  const std::string bytes = SmallFile();
  const size_t data = bytes.size() - 6 * sizeof(float);
  int refused = 0;
  for (size_t i = 0; i < data * 8; i += 3) {
    std::string flipped = bytes;
    flipped[i / 8] = static_cast<char>(flipped[i / 8] ^ 1 << i % 8);
    const auto file = OpenBytes(flipped);
    if (!file.ok()) {
      ++refused;
      continue;
    }
    size_t sum = 0;
    for (const SafetensorsTensor& tensor : file->tensors()) {
      sum += tensor.bytes.size();
      std::vector<float> values(static_cast<size_t>(tensor.shape.num_elements()));
      if (tensor.dtype != "F32") continue;
      EXPECT_TRUE(ReadFloats(tensor, absl::MakeSpan(values)).ok());
    }
    EXPECT_EQ(sum, 6 * sizeof(float));
  }
  // All bits of the sizes and most of the JSON.
  EXPECT_GT(refused, static_cast<int>(data));
  const uint32_t seed = 5;
  std::mt19937 random(seed);
  for (int i = 0; i < 300; ++i) {
    std::string garbled = bytes;
    for (int j = 0; j < 4; ++j) garbled[random() % data] = static_cast<char>(random());
    OpenBytes(garbled).status().IgnoreError();
  }
}

}  // namespace
}  // namespace bitgrad
