// Files that are whole (all checksums fit) but damaged: blobs that do not lie in the file, contents that no writer
// makes, numbers of any kind in the header.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <functional>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/tests/runtime/changed_header.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using testing::HasSubstr;

// A header that promises more blobs than the file holds.
TEST(ChangedFileTest, BlobsLieInTheFile) {
  const std::string file = *BnnModel().writer.Serialize();
  // The last two blobs, gamma and beta of 10 features, take 64 bytes each.
  for (const size_t missing : {64, 128}) {
    const auto model = PackedModel::FromBytes("net.bgm", WithHeader(
                                                             file, [](Header&) {}, missing));
    ASSERT_FALSE(model.ok());
    EXPECT_THAT(
        std::string(model.status().message()),
        HasSubstr(missing == 64 ? "blob 10 (bn3/beta): its 40 bytes at " : "blob 9 (bn3/gamma): its 40 bytes at "));
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("do not lie in the file"));
  }
}

// Contents that no writer makes, under a CRC that fits.
TEST(ChangedFileTest, BlobContentsAreChecked) {
  const auto message_of = [](const SampleModel& sample, const std::function<void(std::string&)>& change, int id = 0) {
    std::string file = *sample.writer.Serialize();
    const auto* data = reinterpret_cast<const uint8_t*>(file.data());
    size_t begin = AlignUp(kPreambleBytes + DecodePreamble({data, file.size()})->header_bytes);
    SampleModel copy = sample;
    const packed::Header& header = copy.writer.header();
    for (int i = 0; i < id; ++i) begin += AlignUp(header.blobs(i).byte_size());
    std::string blobs = file.substr(begin);
    change(blobs);
    file.replace(begin, blobs.size(), blobs);
    const std::string changed = WithHeader(file, [&](Header& h) {
      Blob& blob = *h.mutable_blobs(id);
      blob.set_crc32(Crc32({reinterpret_cast<const uint8_t*>(blobs.data()), static_cast<size_t>(blob.byte_size())}));
    });
    return std::string(PackedModel::FromBytes("net.bgm", changed).status().message());
  };
  const SampleModel binary = LinearModel("sign", {EncodingKind::kBinary, 1}, 70, 5, false);
  EXPECT_EQ(message_of(binary, [](std::string& blob) { blob[0] ^= 1; }), "");
  // Bit 70 of row 1; the last bit of row 4.
  EXPECT_THAT(message_of(binary, [](std::string& blob) { blob[64 + 8] |= 1 << 6; }),
              HasSubstr("blob 0 (weight): the padding bits of row 1 are not zero"));
  EXPECT_THAT(message_of(binary, [](std::string& blob) { blob[64 * 5 - 1] |= 1 << 7; }),
              HasSubstr("the padding bits of row 4 are not zero"));
  const SampleModel full = LinearModel("sign", {EncodingKind::kBinary, 1}, 512, 2, false);
  EXPECT_EQ(message_of(full, [](std::string& blob) { blob[127] ^= 1 << 7; }), "");
  // Thresholds of three levels: those of the first output are all INT32_MIN, INT32_MAX cannot stand before another.
  const SampleModel codes = CodeToCodeModel();
  EXPECT_THAT(message_of(
                  codes, [](std::string& blob) { blob[3] = '\x7f'; }, 1),
              HasSubstr("blob 1 (conv1/thresholds): the thresholds of output 0 do not ascend"));
  const SampleModel averages = AveragesModel();
  EXPECT_THAT(message_of(averages, [](std::string& blob) { blob[3] = '\x7f'; }),
              HasSubstr("blob 0 (mean1/thresholds): the thresholds of output 0 do not ascend"));
  const SampleModel ternary = LinearModel("sign", {EncodingKind::kTernary, 2}, 8, 1, false);
  EXPECT_THAT(message_of(ternary, [](std::string& blob) { blob[0] = blob[64] = 4; }),
              HasSubstr("row 0 has a bit pattern that is no ternary code"));
  const SampleModel logarithmic = LinearModel("sign", {EncodingKind::kLog, 3}, 8, 2, false);
  EXPECT_THAT(message_of(logarithmic, [](std::string& blob) { blob[64] = blob[192] = blob[320] = 4; }),
              HasSubstr("row 1 has a bit pattern that is no log code"));
}

// Sets the k-th number in the message and in those in it to `value`, as far as its type has it, and returns true;
// without as many numbers it counts k down.
bool SetNumber(google::protobuf::Message& message, int& k, double value) {
  using google::protobuf::FieldDescriptor;
  const google::protobuf::Reflection& r = *message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  r.ListFields(message, &fields);
  const int32_t i32 = std::isnan(value) ? 77 : static_cast<int32_t>(std::clamp(value, -2147483648.0, 2147483647.0));
  for (const FieldDescriptor* f : fields) {
    const int count = f->is_repeated() ? r.FieldSize(message, f) : 1;
    for (int i = 0; i < count; ++i) {
      const bool repeated = f->is_repeated();
      if (f->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
        auto& inner = repeated ? *r.MutableRepeatedMessage(&message, f, i) : *r.MutableMessage(&message, f);
        if (SetNumber(inner, k, value)) return true;
        continue;
      }
      if (f->cpp_type() == FieldDescriptor::CPPTYPE_STRING || k-- > 0) continue;
      switch (f->cpp_type()) {
        case FieldDescriptor::CPPTYPE_INT32:
          repeated ? r.SetRepeatedInt32(&message, f, i, i32) : r.SetInt32(&message, f, i32);
          break;
        case FieldDescriptor::CPPTYPE_INT64:
          repeated ? r.SetRepeatedInt64(&message, f, i, i32) : r.SetInt64(&message, f, i32);
          break;
        case FieldDescriptor::CPPTYPE_ENUM: r.SetEnumValue(&message, f, i32); break;
        case FieldDescriptor::CPPTYPE_FLOAT: r.SetFloat(&message, f, static_cast<float>(value)); break;
        default: break;  // checksums
      }
      return true;
    }
  }
  return false;
}

// Whatever number stands in a field of a header whose checksums fit: the file is refused, or it runs.
TEST(ChangedFileTest, EveryChangedNumberIsRefusedOrRuns) {
  int refused = 0, run = 0;
  for (const SampleModel& sample : {BnnModel(), EveryInstructionModel(), ImageModel(), CodeToCodeModel(),
                                    AveragesModel(), TokenModel({.tokens = 9, .width = 20, .units = 7}),
                                    TimeStepModel(3, "k_bit(8)", {.tokens = 9, .width = 20, .units = 7})}) {
    const std::string file = *sample.writer.Serialize();
    for (const double value : {-1.0, 0.0, 1.0, 2.0, 3.0, 5.0, 8.0, 65.0, 1e6, 2147483647.0, std::nan("")}) {
      bool more = true;
      for (int place = 0; more; ++place) {
        const std::string changed = WithHeader(file, [&](Header& h) {
          int k = place;
          more = SetNumber(h, k, value);
        });
        const auto model = PackedModel::FromBytes("net.bgm", changed);
        if (!model.ok()) {
          ++refused;
          ASSERT_FALSE(model.status().message().empty());
          continue;
        }
        ++run;
        ExecContext context({.threads = 1});
        const auto interpreter = Interpreter::Create(**model, context);
        ASSERT_TRUE(interpreter.ok()) << sample.name << " place " << place << ": " << interpreter.status();
        if (const int32_t tokens = (*model)->header().input().tokens(); tokens > 0) {
          const Tensor x = RandomTokens(3, 2, tokens, 1);
          EXPECT_TRUE((*interpreter)->RunTokens(x.matrix<int32_t>()).ok()) << sample.name << " place " << place;
          continue;
        }
        const Tensor x = RandomInput(2, (*model)->input().num_elements(), 1);
        EXPECT_TRUE((*interpreter)->Run(x.matrix<float>()).ok()) << sample.name << " place " << place;
      }
    }
  }
  EXPECT_GT(refused, 1000);
  EXPECT_GT(run, 500);
}

}  // namespace
}  // namespace bitgrad
