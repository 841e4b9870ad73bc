// Headers that are whole (all CRCs fit) but wrong: each rule of the program, and the message it
// gives.

#include "bitgrad/runtime/check_program.h"

#include <functional>
#include <limits>

#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/changed_header.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "gmock/gmock.h"
#include "google/protobuf/unknown_field_set.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using testing::HasSubstr;

void SetData(fingerprint::DataSet& data, const std::vector<int64_t>& shape, int64_t classes, int64_t images) {
  data.set_name("mnist");
  data.set_images(images);
  for (const int64_t extent : shape) data.add_image_shape(extent);
  data.set_classes(classes);
}

struct Case {
  const char* message;
  std::function<void(Header&)> change;
};

void ExpectMessages(const SampleModel& sample, const std::vector<Case>& cases) {
  const std::string file = *sample.writer.Serialize();
  ASSERT_TRUE(PackedModel::FromBytes("net.bgm", WithHeader(file, [](Header&) {})).ok());
  for (const Case& c : cases) {
    const auto model = PackedModel::FromBytes("net.bgm", WithHeader(file, c.change));
    ASSERT_FALSE(model.ok()) << c.message;
    EXPECT_THAT(std::string(model.status().message()), HasSubstr(c.message));
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("packed model 'net.bgm': "));
    EXPECT_THAT(std::string(model.status().message()), HasSubstr("freeze the model again"));
  }
}

constexpr float kInf = std::numeric_limits<float>::infinity();
constexpr float kNan = std::numeric_limits<float>::quiet_NaN();

packed::Linear& LinearOf(Header& h, int i) { return *h.mutable_instructions(i)->mutable_linear(); }

TEST(CheckProgramTest, HeadAndBlobs) {
  // Blobs: 0 fc1/weight, 1 thresholds, 2 flips, 3..5 fc2, 6 fc3/weight, 7..10 batch norm.
  ExpectMessages(
      BnnModel(),
      {
          {"input.shape: shape has 0 dimensions", [](Header& h) { h.clear_input(); }},
          {"input.shape: shape [0]", [](Header& h) { h.mutable_input()->set_shape(0, 0); }},
          {"input.shape: shape [-70]", [](Header& h) { h.mutable_input()->set_shape(0, -70); }},
          {"input.shape: shape [9223372036854775807]", [](Header& h) { h.mutable_input()->set_shape(0, INT64_MAX); }},
          {"more than 16777215 elements per example",
           [](Header& h) {
             h.mutable_input()->set_shape(0, 1 << 20);
             h.mutable_input()->add_shape(1 << 20);
           }},
          {"the value of a pixel is not finite",
           [](Header& h) { h.mutable_input()->mutable_pixels()->set_divisor(0); }},
          {"the value of a pixel is not finite",
           [](Header& h) { h.mutable_input()->mutable_pixels()->set_multiplier(kNan); }},
          {"the value of a pixel is not finite",
           [](Header& h) { h.mutable_input()->mutable_pixels()->set_multiplier(3e38f); }},
          {"class_count is 9, the last value has 10", [](Header& h) { h.set_class_count(9); }},
          {"class_count is -1", [](Header& h) { h.set_class_count(-1); }},
          {"1 class_names for 10 classes", [](Header& h) { h.add_class_names("cat"); }},
          {"the fingerprint of data set 'mnist' is not of images like the model's input, in 10 classes",
           [](Header& h) {
             SetData(*h.mutable_training_data(), {7, 11, 1}, 10, 60000);
           }},
          {"the fingerprint of data set",
           [](Header& h) {
             SetData(*h.mutable_training_data(), {7, 10}, 10, 60000);
           }},
          {"the fingerprint of data set",
           [](Header& h) {
             SetData(*h.mutable_training_data(), {7, -10, -1}, 10, 1);
           }},
          {"the fingerprint of data set",
           [](Header& h) {
             SetData(*h.mutable_test_data(), {7, 10, 1}, 9, 1);
           }},
          {"the fingerprint of data set",
           [](Header& h) {
             SetData(*h.mutable_test_data(), {7, 10, 1}, 10, 0);
           }},
          {"the fingerprint of data set",
           [](Header& h) {
             SetData(*h.mutable_test_data(), {INT64_MAX, INT64_MAX, INT64_MAX}, 10, 1);
           }},
          {"float_parameter_bytes is negative", [](Header& h) { h.set_float_parameter_bytes(-1); }},
          {"parameter_count is negative", [](Header& h) { h.set_parameter_count(-1); }},
          {"instructions: there are none", [](Header& h) { h.clear_instructions(); }},
          {"blob 0 (fc1/weight): kind 0 is unknown",
           [](Header& h) { h.mutable_blobs(0)->set_kind(Blob::UNSPECIFIED); }},
          {"kind 99 is unknown", [](Header& h) { h.mutable_blobs(0)->set_kind(static_cast<Blob::Kind>(99)); }},
          {"bits 3 does not go with kind BINARY", [](Header& h) { h.mutable_blobs(0)->set_bits(3); }},
          {"bits 0 does not go with kind SYMMETRIC", [](Header& h) { h.mutable_blobs(0)->set_kind(Blob::SYMMETRIC); }},
          {"bits 9 does not go with kind UNSIGNED",
           [](Header& h) {
             h.mutable_blobs(0)->set_kind(Blob::UNSIGNED);
             h.mutable_blobs(0)->set_bits(9);
           }},
          {"rank 3 does not go with kind BINARY", [](Header& h) { h.mutable_blobs(0)->add_shape(1); }},
          {"rank 0 does not go with kind FLOAT32", [](Header& h) { h.mutable_blobs(7)->clear_shape(); }},
          {"extent 0 of its shape", [](Header& h) { h.mutable_blobs(0)->set_shape(0, 0); }},
          {"extent -1 of its shape", [](Header& h) { h.mutable_blobs(0)->set_shape(1, -1); }},
          {"extent 2147483648 of its shape", [](Header& h) { h.mutable_blobs(0)->set_shape(1, int64_t{1} << 31); }},
          {"more than 2^40 elements",
           [](Header& h) {
             h.mutable_blobs(0)->set_shape(0, INT32_MAX);
             h.mutable_blobs(0)->set_shape(1, INT32_MAX);
           }},
          {"byte_size is 4160, its shape [66, 70] takes 4224", [](Header& h) { h.mutable_blobs(0)->set_shape(0, 66); }},
          {"byte_size is -64", [](Header& h) { h.mutable_blobs(0)->set_byte_size(-64); }},
          {"blob 10 (bn3/beta): its CRC-32", [](Header& h) { h.mutable_blobs(10)->set_crc32(0); }},
          {"blob 11 (extra) is used by no instruction",
           [](Header& h) {
             Blob& blob = *h.add_blobs();
             blob.set_name("extra");
             blob.set_kind(Blob::FLOAT32);
             blob.add_shape(1);
             blob.set_byte_size(4);
           }},
          {"bytes go beyond its last blob",
           [](Header& h) {
             h.mutable_blobs()->RemoveLast();
             h.mutable_instructions(4)->mutable_batch_norm()->set_beta(9);
           }},
          // What a newer bitgrad might add.
          {"fields that are unknown",
           [](Header& h) { h.GetReflection()->MutableUnknownFields(&h)->AddVarint(1000, 1); }},
      });
}

TEST(CheckProgramTest, LinearAndBatchNorm) {
  // 0 quantize, 1 fc1, 2 fc2, 3 fc3, 4 bn3.
  ExpectMessages(
      BnnModel(),
      {
          {"instruction 1 (fc1): operands: value 2 is not made before",
           [](Header& h) { h.mutable_instructions(1)->set_operands(0, 2); }},
          {"operands: value -1", [](Header& h) { h.mutable_instructions(1)->set_operands(0, -1); }},
          {"operands: value 2147483647", [](Header& h) { h.mutable_instructions(2)->set_operands(0, INT32_MAX); }},
          {"operands: 0 given, it takes 1", [](Header& h) { h.mutable_instructions(1)->clear_operands(); }},
          {"operands: 2 given, it takes 1", [](Header& h) { h.mutable_instructions(1)->add_operands(0); }},
          {"instruction 1 (fc1): its kind is unknown", [](Header& h) { h.mutable_instructions(1)->clear_kind(); }},
          {"linear.version_1_input_quantizer: products of format version 2 have no quantizer",
           [](Header& h) { LinearOf(h, 1).set_version_1_input_quantizer("sign"); }},
          {"linear.weight: there is no blob 11, the file has 11", [](Header& h) { LinearOf(h, 1).set_weight(11); }},
          {"linear.weight: there is no blob -1", [](Header& h) { LinearOf(h, 1).set_weight(-1); }},
          {"linear.weight: blob 2 (fc1/flips) is FLAGS [65], no matrix of weights",
           [](Header& h) { LinearOf(h, 1).set_weight(2); }},
          {"linear.weight: blob 1 (fc1/thresholds) is INT32 [1, 65], no matrix of weights",
           [](Header& h) { LinearOf(h, 1).set_weight(1); }},
          {"linear.weight: its shape [33, 65] does not go with examples of shape [70]",
           [](Header& h) { LinearOf(h, 1).set_weight(3); }},
          {"instruction 3 (fc3): linear.scale is not finite", [](Header& h) { LinearOf(h, 3).set_scale(kInf); }},
          {"linear.scale is not finite", [](Header& h) { LinearOf(h, 3).set_scale(kNan); }},
          {"linear.scales: there is no blob 11", [](Header& h) { LinearOf(h, 3).set_scales(11); }},
          {"linear.scales: blob 1 (fc1/thresholds) is INT32 [1, 65], not FLOAT32 [10]",
           [](Header& h) { LinearOf(h, 3).set_scales(1); }},
          {"with a threshold there is none", [](Header& h) { LinearOf(h, 1).set_scale(1); }},
          {"with a threshold there is none", [](Header& h) { LinearOf(h, 1).set_scales(7); }},
          {"linear.threshold: the sums that it compares are no exact integers",
           [](Header& h) { h.mutable_instructions(1)->set_operands(0, 0); }},
          {"linear.threshold.thresholds: blob 4 (fc2/thresholds) is INT32 [1, 33], not INT32 [1, 65]",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_thresholds(4); }},
          {"linear.threshold.flips: blob 1 (fc1/thresholds) is INT32 [1, 65], not FLAGS [65]",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_flips(1); }},
          {"linear.threshold.encoding: 0 is no encoding of codes",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->clear_encoding(); }},
          {"linear.threshold.encoding: 1 is no encoding of codes",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::FLOAT32); }},
          {"linear.threshold.encoding: 99 is no encoding of codes",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_encoding(static_cast<Blob::Kind>(99)); }},
          {"linear.threshold: bits 0 does not go with kind UNSIGNED",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::UNSIGNED); }},
          {"linear.threshold: bits 9 does not go with kind TWOS_COMPLEMENT",
           [](Header& h) {
             LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::TWOS_COMPLEMENT);
             LinearOf(h, 1).mutable_threshold()->set_bits(9);
           }},
          {"linear.threshold: bits 8 does not go with kind LOG",
           [](Header& h) {
             LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::LOG);
             LinearOf(h, 1).mutable_threshold()->set_bits(8);
           }},
          {"linear.threshold: bits 7 does not go with kind LOG_NONZERO",
           [](Header& h) {
             LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::LOG_NONZERO);
             LinearOf(h, 1).mutable_threshold()->set_bits(7);
           }},
          {"blob 1 (fc1/thresholds) is INT32 [1, 65], not INT32 [3, 65]",
           [](Header& h) {
             LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::UNSIGNED);
             LinearOf(h, 1).mutable_threshold()->set_bits(2);
           }},
          {"blob 1 (fc1/thresholds) is INT32 [1, 65], not INT32 [2, 65]",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_encoding(Blob::TERNARY); }},
          {"linear.threshold.scale is not finite and at least 0",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_scale(kNan); }},
          {"linear.threshold.scale is not finite and at least 0",
           [](Header& h) { LinearOf(h, 1).mutable_threshold()->set_scale(-1); }},
          {"batch_norm.gamma: there is no blob 99",
           [](Header& h) { h.mutable_instructions(4)->mutable_batch_norm()->set_gamma(99); }},
          {"batch_norm.mean: blob 0 (fc1/weight) is BINARY [65, 70], not FLOAT32 [10]",
           [](Header& h) { h.mutable_instructions(4)->mutable_batch_norm()->set_mean(0); }},
      });
}

TEST(CheckProgramTest, Quantizers) {
  const auto quantize = [](Header& h) { return h.mutable_instructions(0)->mutable_quantize(); };
  ExpectMessages(
      BnnModel(),
      {
          {"instruction 0 (fc1): quantize.quantizer: unknown quantizer 'sing'",
           [&](Header& h) { quantize(h)->set_quantizer("sing"); }},
          {"quantize.quantizer: quantizer 'k_bit(99)'", [&](Header& h) { quantize(h)->set_quantizer("k_bit(99)"); }},
          {"'stochastic_sign' depends on random numbers",
           [&](Header& h) { quantize(h)->set_quantizer("stochastic_sign"); }},
          {"'dorefa_weight(1)' needs a statistic, which is missing",
           [&](Header& h) { quantize(h)->set_quantizer("dorefa_weight(1)"); }},
          {"the statistic of 'dorefa_weight(1)' is nan, not finite and at least 0",
           [&](Header& h) {
             quantize(h)->set_quantizer("dorefa_weight(1)");
             quantize(h)->set_statistic(kNan);
           }},
          {"the statistic of 'dorefa_weight(1)' is -1, not finite and at least 0",
           [&](Header& h) {
             quantize(h)->set_quantizer("dorefa_weight(1)");
             quantize(h)->set_statistic(-1);
           }},
          {"'k_bit(8)' reads no statistic, but there is one", [&](Header& h) { quantize(h)->set_statistic(1); }},
          {"'k_bit(8)' reads no variable, but there is one", [&](Header& h) { quantize(h)->set_variable(1); }},
          {"'k_bit(8)' reads no scale, but there is one", [&](Header& h) { quantize(h)->set_scale(1); }},
          {"quantize.role: 7 is unknown",
           [&](Header& h) { quantize(h)->set_role(static_cast<packed::Quantize::Role>(7)); }},
          {"operands: 2 given, it takes 1", [](Header& h) { h.mutable_instructions(0)->add_operands(0); }},
      });
}

TEST(CheckProgramTest, TheOtherInstructions) {
  // 0 quantize, 1 leaky, 2 tanh, 3 sigmoid, 4 relu, 5 hardtanh, 6 concat, 7 bn, 8 add, 9 mul, 10
  // shift, 11 quantize, 12 fc1, 13 fc2, 14 reshape, 15 round, 16 fc3.
  ExpectMessages(
      EveryInstructionModel(),
      {
          {"instruction 0 (quantize): quantize.quantizer: unknown quantizer ''",
           [](Header& h) { h.mutable_instructions(0)->mutable_quantize()->clear_quantizer(); }},
          {"operands: 2 given, it takes 1", [](Header& h) { h.mutable_instructions(0)->add_operands(0); }},
          {"instruction 1 (leaky): unary.op: 0 is unknown",
           [](Header& h) { h.mutable_instructions(1)->mutable_unary()->clear_op(); }},
          {"unary.op: 6 is unknown",
           [](Header& h) { h.mutable_instructions(1)->mutable_unary()->set_op(static_cast<packed::Unary::Op>(6)); }},
          {"unary.parameter is not finite",
           [](Header& h) { h.mutable_instructions(1)->mutable_unary()->set_parameter(kNan); }},
          {"instruction 6 (concat): operands: none given",
           [](Header& h) { h.mutable_instructions(6)->clear_operands(); }},
          {"instruction 8 (add): operands: 1 given, it takes 2",
           [](Header& h) { h.mutable_instructions(8)->mutable_operands()->RemoveLast(); }},
          {"operands: shapes [2, 48] and [2, 12] differ",
           [](Header& h) { h.mutable_instructions(8)->set_operands(1, 0); }},
          {"binary.op: 4 is unknown",
           [](Header& h) { h.mutable_instructions(8)->mutable_binary()->set_op(static_cast<packed::Binary::Op>(4)); }},
          {"binary.constant: there is no blob -5",
           [](Header& h) { h.mutable_instructions(10)->mutable_binary()->set_constant(-5); }},
          {"instruction 10 (shift): binary.constant: blob 0 (bn/mean) is FLOAT32 [48], not the floats of an example of "
           "shape "
           "[2, 12] or of its last dimension",
           [](Header& h) {
             h.mutable_instructions(10)->set_operands(0, 0);
             h.mutable_instructions(10)->mutable_binary()->set_constant(0);
           }},
          {"reshape.shape: shape has 0 dimensions",
           [](Header& h) { h.mutable_instructions(14)->mutable_reshape()->clear_shape(); }},
          {"reshape.shape: [13] has not the elements of [2, 6]",
           [](Header& h) { h.mutable_instructions(14)->mutable_reshape()->set_shape(0, 13); }},
          {"instruction 15 (round): round.format: unknown number format 'hlaf'",
           [](Header& h) { h.mutable_instructions(15)->mutable_round()->set_format("hlaf"); }},
          {"round.format: 'dynamic_fixed(8)' has no range; a packed model's is fixed",
           [](Header& h) { h.mutable_instructions(15)->mutable_round()->set_format("dynamic_fixed(8)"); }},
          {"reshape.shape: shape [-12]",
           [](Header& h) { h.mutable_instructions(14)->mutable_reshape()->set_shape(0, -12); }},
      });
}

TEST(CheckProgramTest, ConvolutionsOfOneTap) {
  // 0 quantize, 1 tap1, 2 tap2, 3 mean, 4 flat, 5 fc.
  const auto conv = [](Header& h, int i) { return h.mutable_instructions(i)->mutable_tap_conv2d(); };
  ExpectMessages(
      TapModel(),
      {
          {"instruction 1 (tap1): tap_conv2d: ", [&](Header& h) { conv(h, 1)->clear_kernel_width(); }},
          {"tap_conv2d: stride", [&](Header& h) { conv(h, 1)->set_stride_height(-1); }},
          {"tap_conv2d: ", [&](Header& h) { conv(h, 1)->set_filters(0); }},
          {"tap_conv2d.kernel: [3, 6] has more than 15 taps", [&](Header& h) { conv(h, 1)->set_kernel_width(6); }},
          {"tap_conv2d.weight: there is no blob 99", [&](Header& h) { conv(h, 1)->set_weight(99); }},
          {"tap_conv2d.weight: blob 0 (tap1/weight) is SYMMETRIC [1, 45], no weights [1, 40]",
           [&](Header& h) { conv(h, 1)->set_filters(8); }},
          {"tap_conv2d.taps: blob 0 (tap1/weight) is SYMMETRIC [1, 45], not UNSIGNED [1, 45]",
           [&](Header& h) { conv(h, 1)->set_taps(0); }},
          {"tap_conv2d.scale is not finite", [&](Header& h) { conv(h, 2)->set_scale(kNan); }},
          {"tap_conv2d.scales: blob 0 (tap1/weight) is SYMMETRIC [1, 45], not FLOAT32 [20]",
           [&](Header& h) { conv(h, 2)->set_scales(0); }},
          {"operands: 2 given, it takes 1", [&](Header& h) { h.mutable_instructions(1)->add_operands(0); }},
      });
}

TEST(CheckProgramTest, Images) {
  // 0 quantize, 1 conv1, 2 pool, 3 conv2, 4 mean, 5 flat, 6 fc.
  const auto conv = [](Header& h, int i) { return h.mutable_instructions(i)->mutable_conv2d(); };
  const auto pool = [](Header& h) { return h.mutable_instructions(2)->mutable_max_pool(); };
  ExpectMessages(
      ImageModel(),
      {
          {"instruction 1 (conv1): conv2d: kernel_width: 0 is not in [1, 524288]",
           [&](Header& h) { conv(h, 1)->clear_kernel_width(); }},
          {"conv2d: stride_height: -1 is not in [1, 524288]", [&](Header& h) { conv(h, 1)->set_stride_height(-1); }},
          {"conv2d: pad_width: -1 is not in [0, 524288]", [&](Header& h) { conv(h, 1)->set_pad_width(-1); }},
          {"conv2d.padding: 7 is unknown",
           [&](Header& h) { conv(h, 1)->set_padding(static_cast<packed::Conv2d::Padding>(7)); }},
          {"conv2d: 3 groups do not divide 3 channels and 65 filters", [&](Header& h) { conv(h, 1)->set_groups(3); }},
          {"conv2d.weight: its shape [65, 27] does not go with images of shape [6, 5, 3], a kernel of [2, 3] and 1 "
           "groups",
           [&](Header& h) { conv(h, 1)->set_kernel_height(2); }},
          {"conv2d: the kernel spans [21, 3], more than the padded image [8, 7]",
           [&](Header& h) { conv(h, 1)->set_dilation_height(10); }},
          {"conv2d: pad [5, 1] has to be smaller than what the kernel spans, [3, 3]",
           [&](Header& h) { conv(h, 1)->set_pad_height(5); }},
          {"conv2d.version_1_input_quantizer: products of format version 2 have no quantizer",
           [&](Header& h) { conv(h, 1)->set_version_1_input_quantizer("sign"); }},
          // A border of +1 among codes whose scale has no multiple of that value.
          {"conv2d.padding: PLUS_ONE is no value of binary codes of scale 0.3",
           [&](Header& h) { conv(h, 1)->mutable_threshold()->set_scale(0.3f); }},
          {"conv2d.scales: blob 1 (conv1/thresholds) is INT32 [1, 65], not FLOAT32 [7]",
           [&](Header& h) { conv(h, 3)->set_scales(1); }},
          {"conv2d.scale: with a threshold there is none", [&](Header& h) { conv(h, 1)->set_scale(1); }},
          {"conv2d.scale is not finite", [&](Header& h) { conv(h, 3)->set_scale(kNan); }},
          {"conv2d.weight: there is no blob 99", [&](Header& h) { conv(h, 1)->set_weight(99); }},
          {"operands: shape [90] is no image [height, width, channels]",
           [&](Header& h) {
             h.mutable_input()->clear_shape();
             h.mutable_input()->add_shape(90);
           }},
          {"instruction 2 (pool): max_pool: kernel_height: 0 is not in [1, 524288]",
           [&](Header& h) { pool(h)->clear_kernel_height(); }},
          {"max_pool: pad [2, 0] is not smaller than the kernel [2, 2]",
           [&](Header& h) { pool(h)->set_pad_height(2); }},
          {"max_pool: the kernel spans [9, 2], more than the padded image [6, 5]",
           [&](Header& h) { pool(h)->set_kernel_height(9); }},
          {"max_pool.flips: there is no blob 99", [&](Header& h) { pool(h)->set_flips(99); }},
          {"average_pool.flips: only max_pool has them",
           [](Header& h) { h.mutable_instructions(4)->mutable_average_pool()->set_flips(3); }},
          {"max_pool.flips: the operand is no codes", [](Header& h) { h.mutable_instructions(2)->set_operands(0, 0); }},
      });
}

TEST(CheckProgramTest, ThresholdsOfAverages) {
  // 0 codes, 1 mean1, 2 border, 3 mean2. Blobs: 0 and 1 of mean1, 2 and 3 of mean2.
  const auto pool = [](Header& h, int i) { return h.mutable_instructions(i)->mutable_average_pool(); };
  ExpectMessages(AveragesModel(),
                 {
                     {"instruction 1 (mean1): average_pool.threshold: the sums that it compares are no exact integers",
                      [](Header& h) { h.mutable_instructions(1)->set_operands(0, 0); }},
                     // A window of floats.
                     {"average_pool.threshold: the sums that it compares are no exact integers",
                      [&](Header& h) { h.mutable_instructions(3)->set_operands(0, 3); }},
                     {"average_pool.threshold.thresholds: blob 2 (mean2/thresholds) is INT32 [1, 8], not INT32 [3, 8]",
                      [&](Header& h) { pool(h, 1)->mutable_threshold()->set_thresholds(2); }},
                     {"average_pool.threshold.flips: there is no blob 9",
                      [&](Header& h) { pool(h, 1)->mutable_threshold()->set_flips(9); }},
                     {"average_pool.threshold.scale is not finite and at least 0",
                      [&](Header& h) { pool(h, 3)->mutable_threshold()->set_scale(-1); }},
                     {"average_pool.threshold.encoding: 1 is no encoding of codes",
                      [&](Header& h) { pool(h, 1)->mutable_threshold()->set_encoding(Blob::FLOAT32); }},
                     {"max_pool.threshold: only average_pool has one",
                      [](Header& h) {
                        const packed::Pool mean = h.instructions(1).average_pool();
                        *h.mutable_instructions(1)->mutable_max_pool() = mean;
                      }},
                 });
}

// Doubling by concat: 2^n features from n instructions of a few bytes.
TEST(CheckProgramTest, MemoryIsBounded) {
  const auto status_of = [](int64_t features, int doublings) {
    PackedModelWriter writer;
    writer.header().mutable_input()->add_shape(features);
    int x = kInputValue;
    for (int i = 0; i < doublings; ++i) x = writer.AddConcat("double", {x, x});
    return writer.Serialize().status();
  };
  EXPECT_TRUE(status_of(1, 20).ok()) << status_of(1, 20);
  EXPECT_THAT(std::string(status_of(1, 60).message()), HasSubstr("together more than 16777215 columns"));
  PackedModelWriter writer;
  writer.header().mutable_input()->add_shape(kMaxFeatures);
  for (int i = 0; i < 100; ++i) writer.AddUnary("relu", i, Unary::kRelu);
  EXPECT_THAT(std::string(writer.Serialize().status().message()),
              HasSubstr("brings the memory of one example over 268435456 bytes"));
}

}  // namespace
}  // namespace bitgrad
