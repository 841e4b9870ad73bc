// Files of format version 1 run as before. Those of whole nets are in tests/golden; here is what these do not have.

#include "bitgrad/runtime/version_1.h"

#include <functional>
#include <string>
#include <utility>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using testing::HasSubstr;

// The file with its header changed, as one of version 1.
std::string AsVersion1(const std::string& file, const std::function<void(Header&)>& change) {
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  const Preamble preamble = *DecodePreamble({data, file.size()});
  Header header;
  EXPECT_TRUE(header.ParseFromArray(data + kPreambleBytes, static_cast<int>(preamble.header_bytes)));
  change(header);
  const std::string bytes = header.SerializeAsString();
  const std::string blobs = file.substr(AlignUp(kPreambleBytes + preamble.header_bytes));
  const int64_t head = AlignUp(kPreambleBytes + static_cast<int64_t>(bytes.size()));
  std::string result =
      EncodePreamble({.version = 1,
                      .header_bytes = static_cast<uint32_t>(bytes.size()),
                      .file_bytes = head + blobs.size(),
                      .header_crc32 = Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()})});
  result += bytes;
  result.resize(static_cast<size_t>(head), '\0');
  return result + blobs;
}

// BnnModel() as version 1 has it.
void MakeBnnOld(Header& h) {
  h.mutable_instructions()->DeleteSubrange(0, 1);  // quantize
  for (int i = 0; i < h.instructions_size(); ++i) {
    packed::Instruction& instruction = *h.mutable_instructions(i);
    instruction.set_operands(0, i);
    if (!instruction.has_linear()) continue;
    packed::Linear& linear = *instruction.mutable_linear();
    linear.set_version_1_input_quantizer(i == 0 ? "k_bit(8)" : "sign");
    if (!linear.has_threshold()) continue;
    linear.mutable_threshold()->clear_encoding();
    linear.mutable_threshold()->clear_scale();
  }
  for (Blob& blob : *h.mutable_blobs()) {
    if (blob.kind() != Blob::INT32) continue;
    blob.set_shape(0, blob.shape(1));
    blob.mutable_shape()->RemoveLast();
  }
}

Tensor RunOn(const std::string& bytes, const Tensor& x) {
  const auto model = PackedModel::FromBytes("net.bgm", bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  if (!model.ok()) return Tensor::Zeros({0});
  ExecContext context({.threads = 1});
  const auto interpreter = Interpreter::Create(**model, context);
  EXPECT_TRUE(interpreter.ok()) << interpreter.status();
  auto y = (*interpreter)->Run(x.matrix<float>());
  EXPECT_TRUE(y.ok()) << y.status();
  return y.ok() ? *std::move(y) : Tensor::Zeros({0});
}

TEST(Version1Test, ANetGivesTheAnswersOfItsVersion2) {
  const std::string file = *BnnModel().writer.Serialize();
  const std::string old = AsVersion1(file, MakeBnnOld);
  const Tensor x = RandomInput(50, 70, 3);
  EXPECT_EQ(RunOn(old, x).span<float>(), RunOn(file, x).span<float>());
  // The programs are the same, too; so is what is known about them.
  const auto model = PackedModel::FromBytes("new.bgm", file), upgraded = PackedModel::FromBytes("old.bgm", old);
  ASSERT_TRUE(model.ok() && upgraded.ok());
  EXPECT_EQ((*upgraded)->header().DebugString(), (*model)->header().DebugString());
  EXPECT_EQ((*upgraded)->byte_size(), static_cast<int64_t>(old.size()));
}

// In version 1 what an op had quantized was floats: a product with it was one of floats, and an average that of floats.
TEST(Version1Test, ValuesThatWereQuantizedAreReadAsFloats) {
  PackedModelWriter writer;
  for (const int64_t extent : {4, 4, 2}) writer.header().mutable_input()->add_shape(extent);
  int x = writer.AddQuantize("q", kInputValue, {.quantizer = KBit(2)});
  const PoolGeometry window = {.kernel_height = 2, .kernel_width = 2, .stride_height = 2, .stride_width = 2};
  x = writer.AddMaxPool("max", x, window);  // [2, 2, 2]
  const int mean = writer.AddAveragePool("mean", x, {.kernel_height = 2, .kernel_width = 2});
  const int vector = writer.AddReshape("flat", x, {8});
  const float weights[] = {0.1f, -0.7f, 0.3f, 1.9f, -0.2f, 0.6f, 1.3f, -0.4f};
  const int fc = writer.AddLinear("fc", vector, {.weight = writer.AddFloats("w", {1, 8}, weights)});
  const int last = writer.AddReshape("means", mean, {2});
  writer.AddConcat("all", {fc, last});
  const std::string old = AsVersion1(*writer.Serialize(), [](Header& h) {
    h.mutable_instructions(4)->mutable_linear()->set_version_1_input_quantizer("identity");
  });
  const auto model = PackedModel::FromBytes("net.bgm", old);
  ASSERT_TRUE(model.ok()) << model.status();
  const int linear = (*model)->header().instructions_size() - 3;
  ASSERT_TRUE((*model)->header().instructions(linear).has_linear());
  EXPECT_FALSE((*model)->value((*model)->header().instructions(linear).operands(0)).is_coded());

  const Tensor input = RandomInput(20, 32, 5);
  const Tensor y = RunOn(old, input);
  ASSERT_EQ(y.shape(), Shape({20, 3}));
  for (int64_t n = 0; n < 20; ++n) {
    float largest[8], sum = 0;
    for (int k = 0; k < 8; ++k) largest[k] = -2;
    for (int h = 0; h < 4; ++h) {
      for (int w = 0; w < 4; ++w) {
        for (int c = 0; c < 2; ++c) {
          const float value = input.data<float>()[n * 32 + (h * 4 + w) * 2 + c];
          const float sigma = std::clamp((value + 1) / 2, 0.0f, 1.0f);
          const float q = (2 * std::floor(3 * sigma + 0.5f) - 3) * (1.0f / 3);
          float& place = largest[(h / 2 * 2 + w / 2) * 2 + c];
          place = std::max(place, q);
        }
      }
    }
    double product = 0;
    for (int k = 0; k < 8; ++k) product += double{largest[k]} * double{weights[k]};
    EXPECT_NEAR(y.data<float>()[n * 3], product, 1e-6);
    for (int c = 0; c < 2; ++c) {
      sum = ((largest[c] + largest[2 + c]) + largest[4 + c]) + largest[6 + c];
      EXPECT_EQ(y.data<float>()[n * 3 + 1 + c], sum * 0.25f);
    }
  }
}

TEST(Version1Test, WhatVersion1DoesNotHaveIsRefused) {
  const std::string file = *BnnModel().writer.Serialize();
  const auto message_of = [&](const std::function<void(Header&)>& change) {
    return std::string(PackedModel::FromBytes("net.bgm", AsVersion1(file,
                                                                    [&](Header& h) {
                                                                      MakeBnnOld(h);
                                                                      change(h);
                                                                    }))
                           .status()
                           .message());
  };
  const auto linear = [](Header& h, int i) { return h.mutable_instructions(i)->mutable_linear(); };
  EXPECT_EQ(message_of([](Header&) {}), "");
  EXPECT_THAT(message_of([&](Header& h) { linear(h, 2)->set_scales(7); }),
              HasSubstr("format version 1, which has no scale for each output"));
  EXPECT_THAT(message_of([&](Header& h) { linear(h, 0)->mutable_threshold()->set_encoding(Blob::BINARY); }),
              HasSubstr("format version 1, which has no thresholds of codes"));
  EXPECT_THAT(message_of([&](Header& h) { linear(h, 0)->mutable_threshold()->set_scale(1); }),
              HasSubstr("format version 1, which has no thresholds of codes"));
  EXPECT_THAT(message_of([&](Header& h) {
                h.mutable_blobs(0)->set_kind(Blob::TWOS_COMPLEMENT);
                h.mutable_blobs(0)->set_bits(1);
              }),
              HasSubstr("format version 1, which has no blobs in two's complement"));
  EXPECT_THAT(message_of([](Header& h) {
                h.mutable_blobs(0)->set_kind(Blob::LOG);
                h.mutable_blobs(0)->set_bits(3);
              }),
              HasSubstr("format version 1, which has no blobs of logarithmic codes"));
  EXPECT_THAT(message_of([](Header& h) {
                packed::Instruction& instruction = *h.add_instructions();
                instruction.add_operands(4);
                instruction.mutable_quantize()->set_quantizer("sign");
                instruction.mutable_quantize()->set_statistic(1);
              }),
              HasSubstr("format version 1, which has no numbers of quantizers"));
  EXPECT_THAT(message_of([](Header& h) {
                packed::Instruction& instruction = *h.add_instructions();
                instruction.add_operands(4);
                instruction.mutable_average_pool()->mutable_threshold();
              }),
              HasSubstr("format version 1, which has no threshold of an average_pool"));
  // What was wrong stays wrong.
  EXPECT_THAT(message_of([&](Header& h) { linear(h, 0)->set_version_1_input_quantizer("sing"); }),
              HasSubstr("quantize.quantizer: unknown quantizer 'sing'"));
  EXPECT_THAT(message_of([](Header& h) { h.mutable_instructions(0)->set_operands(0, 1); }),
              HasSubstr("operands: value -1 is not made before it is used"));
  EXPECT_THAT(message_of([](Header& h) { h.mutable_instructions(0)->clear_operands(); }),
              HasSubstr("operands: 0 given, it takes 1"));
}

}  // namespace
}  // namespace bitgrad
