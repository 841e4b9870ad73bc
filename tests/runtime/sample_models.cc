#include "bitgrad/tests/runtime/sample_models.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

RngStream Stream(uint64_t seed) { return {.seed = seed, .purpose = RngPurpose::kTest}; }

int AddVector(PackedModelWriter& writer, const std::string& name, int64_t count, uint64_t seed) {
  const Tensor values = RandomCodes({EncodingKind::kFloat, 32}, 1, count, seed);
  return writer.AddFloats(name, {count}, values.span<float>());
}

int AddWeight(PackedModelWriter& writer, const std::string& name, const Encoding& encoding, int64_t out, int64_t in,
              uint64_t seed) {
  const Tensor codes = RandomCodes(encoding, out, in, seed);
  return encoding.is_integer() ? writer.AddCodes(name, encoding, codes.matrix<float>())
                               : writer.AddFloats(name, {out, in}, codes.span<float>());
}

// Float weights of whole sixteenths in [-1, 1].
int AddSixteenths(PackedModelWriter& writer, const std::string& name, int64_t out, int64_t in, uint64_t seed) {
  Tensor weight = RandomCodes({EncodingKind::kFloat, 32}, out, in, seed);
  for (float& w : weight.mutable_span<float>()) w = std::round(16 * w) / 16;
  return writer.AddFloats(name, {out, in}, weight.span<float>());
}

// With random statistics, scales of both signs.
int AddRandomBatchNorm(PackedModelWriter& writer, const std::string& name, int x, int64_t features, uint64_t seed) {
  const int mean = AddVector(writer, name + "/mean", features, seed);
  const int inv_std = AddVector(writer, name + "/inv_std", features, seed + 1);
  const int gamma = AddVector(writer, name + "/gamma", features, seed + 2);
  const int beta = AddVector(writer, name + "/beta", features, seed + 3);
  return writer.AddBatchNorm(name, x, mean, inv_std, gamma, beta);
}

// A quantize instruction, or nothing for the identity. Returns the value that a product takes.
int AddQuantize(PackedModelWriter& writer, const std::string& layer, int x, const std::string& quantizer) {
  PackedQuantizer packed;
  packed.quantizer = *ParseQuantizer(quantizer);
  return packed.quantizer.is_identity() ? x : writer.AddQuantize(layer, x, packed);
}

// Thresholds near the middle of the sums' range, and at its ends and beyond; those of an output ascend.
void AddThreshold(PackedModelWriter& writer, const std::string& name, int64_t out, int64_t largest, uint64_t seed,
                  LinearSpec& spec) {
  const int64_t levels = spec.encoding.largest_stored();
  std::vector<int32_t> thresholds(static_cast<size_t>(levels * out));
  std::vector<uint8_t> flips;
  const int32_t spread = static_cast<int32_t>(largest / 4) + 1;
  for (int64_t j = 0; j < out; ++j) {
    std::vector<int32_t> column;
    uint32_t word = 0;
    for (int64_t l = 0; l < levels; ++l) {
      word = RandomWord(Stream(seed), static_cast<uint64_t>(l * out + j));
      column.push_back(j == 0   ? INT32_MIN
                       : j == 1 ? INT32_MAX
                       : j == 2 ? static_cast<int32_t>(largest)
                       : j == 3 ? static_cast<int32_t>(-largest)
                                : static_cast<int32_t>(word >> 1) % spread - spread / 2);
    }
    std::sort(column.begin(), column.end());
    for (int64_t l = 0; l < levels; ++l) thresholds[l * out + j] = column[l];
    flips.push_back(word & 1);
  }
  spec.thresholds = writer.AddInts(name + "/thresholds", levels, thresholds);
  spec.flips = writer.AddFlags(name + "/flips", flips);
}

void SetHead(PackedModelWriter& writer, const std::string& name, const Shape& input) {
  packed::Header& header = writer.header();
  header.set_producer("test");
  header.set_name(name);
  for (const int64_t extent : input.dims()) header.mutable_input()->add_shape(extent);
  header.mutable_input()->mutable_pixels()->set_multiplier(2);
  header.mutable_input()->mutable_pixels()->set_offset(-255);
  header.mutable_input()->mutable_pixels()->set_divisor(255);
  header.set_float_parameter_bytes(123456);
  header.set_parameter_count(30864);
}

}  // namespace

Tensor RandomCodes(const Encoding& encoding, int64_t rows, int64_t cols, uint64_t seed) {
  Tensor codes({rows, cols}, DType::kFloat32);
  const int64_t patterns = encoding.is_integer() ? encoding.largest_stored() + 1 : 1;
  for (int64_t i = 0; i < codes.num_elements(); ++i) {
    const uint64_t element = static_cast<uint64_t>(i);
    codes.mutable_data<float>()[i] =
        encoding.is_integer()
            ? static_cast<float>(encoding.code(UniformBelow(Stream(seed), element, static_cast<uint32_t>(patterns))))
            : 2.0f * Uniform(Stream(seed), element) - 1.0f;
  }
  return codes;
}

Tensor RandomInput(int64_t rows, int64_t cols, uint64_t seed) {
  Tensor x({rows, cols}, DType::kFloat32);
  constexpr float kSpecial[] = {0.0f, -0.0f, 1.0f, -1.0f};
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    const uint64_t element = static_cast<uint64_t>(i);
    x.mutable_data<float>()[i] = i % 11 == 7 ? kSpecial[i / 11 % 4] : 2.5f * Uniform(Stream(seed), element) - 1.25f;
  }
  return x;
}

Tensor RandomPixels(int64_t rows, int64_t cols, uint64_t seed) {
  Tensor x({rows, cols}, DType::kUint8);
  for (int64_t i = 0; i < x.num_elements(); ++i) {
    x.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(RandomWord(Stream(seed), static_cast<uint64_t>(i)));
  }
  return x;
}

SampleModel LinearModel(const std::string& input_quantizer, const Encoding& weights, int64_t in, int64_t out,
                        bool threshold) {
  SampleModel model{.name = absl::StrCat(input_quantizer, "_x_", Name(weights.kind), weights.bits, "_", in, "_", out,
                                         threshold ? "_threshold" : "")};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {in});
  const int x = AddQuantize(writer, "fc", kInputValue, input_quantizer);
  LinearSpec spec{.weight = AddWeight(writer, "weight", weights, out, in, 1), .scale = 0.37f};
  if (threshold) {
    const Encoding input = ParseQuantizer(input_quantizer)->encoding();
    AddThreshold(writer, "fc", out, in * input.max_code() * weights.max_code(), 2, spec);
  }
  writer.AddLinear("fc", x, spec);
  return model;
}

SampleModel BnnModel() {
  SampleModel model{.name = "bnn"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {70});
  writer.header().set_class_count(10);
  const Encoding binary{EncodingKind::kBinary, 1};
  LinearSpec fc1{.weight = AddWeight(writer, "fc1/weight", binary, 65, 70, 1)};
  AddThreshold(writer, "fc1", 65, 70 * 255, 2, fc1);
  LinearSpec fc2{.weight = AddWeight(writer, "fc2/weight", binary, 33, 65, 3)};
  AddThreshold(writer, "fc2", 33, 65, 4, fc2);
  const LinearSpec fc3{.weight = AddWeight(writer, "fc3/weight", binary, 10, 33, 5)};
  int x = AddQuantize(writer, "fc1", kInputValue, "k_bit(8)");
  x = writer.AddLinear("fc1", x, fc1);
  x = writer.AddLinear("fc2", x, fc2);
  x = writer.AddLinear("fc3", x, fc3);
  const int mean = AddVector(writer, "bn3/mean", 10, 6);
  const int inv_std = AddVector(writer, "bn3/inv_std", 10, 7);
  const int gamma = AddVector(writer, "bn3/gamma", 10, 8);
  const int beta = AddVector(writer, "bn3/beta", 10, 9);
  writer.AddBatchNorm("bn3", x, mean, inv_std, gamma, beta);
  return model;
}

SampleModel ReshapedInputModel() {
  SampleModel model{.name = "reshaped_input"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {2, 35});
  int x = writer.AddReshape("flatten", kInputValue, {70});
  x = AddQuantize(writer, "fc", x, "k_bit(8)");
  writer.AddLinear("fc", x,
                   {.weight = AddWeight(writer, "fc/weight", {EncodingKind::kBinary, 1}, 9, 70, 1), .scale = 0.01f});
  return model;
}

SampleModel EveryInstructionModel() {
  SampleModel model{.name = "every_instruction"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {2, 12});
  const int a = AddQuantize(writer, "quantize", kInputValue, "k_bit(2)");
  const int b = writer.AddUnary("leaky", a, Unary::kLeakyRelu, 0.25f);
  const int c = writer.AddUnary("tanh", kInputValue, Unary::kTanh);
  const int d = writer.AddUnary("sigmoid", kInputValue, Unary::kSigmoid);
  const int e = writer.AddUnary("relu", c, Unary::kRelu);
  const int f = writer.AddUnary("hardtanh", kInputValue, Unary::kHardtanh);
  const int g = writer.AddConcat("concat", {b, d, f, e});  // [2, 48]
  const int mean = AddVector(writer, "bn/mean", 48, 6);
  const int inv_std = AddVector(writer, "bn/inv_std", 48, 7);
  const int gamma = AddVector(writer, "bn/gamma", 48, 8);
  const int beta = AddVector(writer, "bn/beta", 48, 9);
  const int h = writer.AddBatchNorm("bn", g, mean, inv_std, gamma, beta);
  const int i = writer.AddBinary("add", g, Binary::kAdd, h);
  const int j = writer.AddBinary("mul", i, Binary::kMul, g);
  const int k = writer.AddBinaryConstant("shift", j, Binary::kSub, AddVector(writer, "s", 96, 10));
  // On the last of two dimensions, with bits in between.
  const Encoding binary{EncodingKind::kBinary, 1};
  LinearSpec fc1{.weight = AddWeight(writer, "fc1/weight", binary, 9, 48, 11)};
  AddThreshold(writer, "fc1", 9, 48, 12, fc1);
  const int l = writer.AddLinear("fc1", AddQuantize(writer, "fc1", k, "sign"), fc1);  // [2, 9]
  const int m = writer.AddLinear(
      "fc2", l,
      {.weight = AddWeight(writer, "fc2/weight", {EncodingKind::kTernary, 2}, 6, 9, 13), .scale = 0.5f});  // [2, 6]
  const int n = writer.AddReshape("reshape", m, {12});
  const int o = writer.AddRound("round", n, {.kind = NumberFormatKind::kFixed, .bits = 4, .range = 2});
  writer.AddLinear("fc3", o, {.weight = AddWeight(writer, "fc3/weight", {EncodingKind::kFloat, 32}, 5, 12, 14)});
  return model;
}

SampleModel ImageModel() {
  SampleModel model{.name = "images"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {6, 5, 3});
  ConvSpec conv;
  conv.geometry = {.kernel_height = 3, .kernel_width = 3, .pad_height = 1, .pad_width = 1};
  conv.product.weight = AddWeight(writer, "conv1/weight", {EncodingKind::kBinary, 1}, 65, 27, 1);
  AddThreshold(writer, "conv1", 65, 27 * 255, 2, conv.product);
  int value = writer.AddConv2d("conv1", AddQuantize(writer, "conv1", kInputValue, "k_bit(8)"), conv);
  std::vector<uint8_t> flips(65);
  for (size_t c = 0; c < flips.size(); ++c) flips[c] = c % 2;
  const PoolGeometry window = {.kernel_height = 2, .kernel_width = 2, .stride_height = 2, .stride_width = 2};
  value = writer.AddMaxPool("pool", value, window, writer.AddFlags("pool/flips", flips));
  ConvSpec second;
  second.geometry = conv.geometry;
  second.geometry.padding = Padding::kPlusOne;
  second.product = {.weight = AddWeight(writer, "conv2/weight", {EncodingKind::kBinary, 1}, 7, 9 * 65, 3),
                    .scale = 0.37f};
  value = writer.AddConv2d("conv2", value, second);
  value = writer.AddAveragePool("mean", value, {.kernel_height = 3, .kernel_width = 2});
  value = writer.AddReshape("flat", value, {7});
  writer.AddLinear("fc", value, {.weight = AddWeight(writer, "fc/weight", {EncodingKind::kFloat, 32}, 4, 7, 4)});
  return model;
}

SampleModel ResidualModel() {
  SampleModel model{.name = "residual"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {8, 8, 3});
  packed::PixelMapping& pixels = *writer.header().mutable_input()->mutable_pixels();
  pixels.set_multiplier(1);
  pixels.set_offset(-128);
  pixels.set_divisor(1);
  const Encoding binary{EncodingKind::kBinary, 1};
  const ConvGeometry same = {.kernel_height = 3, .kernel_width = 3, .pad_height = 1, .pad_width = 1};

  const ConvSpec stem{.product = {.weight = AddSixteenths(writer, "stem/weight", 12, 27, 1)}, .geometry = same};
  int x = writer.AddConv2d("stem", kInputValue, stem);  // [8, 8, 12]
  x = AddRandomBatchNorm(writer, "stem/bn", x, 12, 10);
  x = writer.AddUnary("relu", x, Unary::kRelu);
  const PoolGeometry window = {
      .kernel_height = 3, .kernel_width = 3, .stride_height = 2, .stride_width = 2, .pad_height = 1, .pad_width = 1};
  x = writer.AddMaxPool("pool", x, window);
  const ConvSpec conv1{.product = {.weight = AddWeight(writer, "conv1/weight", binary, 12, 9 * 12, 2), .scale = 0.37f},
                       .geometry = same};
  int y = writer.AddConv2d("conv1", AddQuantize(writer, "conv1", x, "sign"), conv1);  // [4, 4, 12]
  y = AddRandomBatchNorm(writer, "bn1", y, 12, 20);
  x = writer.AddBinary("add1", y, Binary::kAdd, x);

  ConvSpec conv2{.product = {.weight = AddWeight(writer, "conv2/weight", binary, 16, 9 * 12, 3), .scale = 0.2f},
                 .geometry = same};
  conv2.geometry.stride_height = conv2.geometry.stride_width = 2;
  conv2.geometry.padding = Padding::kMinusOne;
  y = writer.AddConv2d("conv2", AddQuantize(writer, "conv2", x, "sign"), conv2);  // [2, 2, 16]
  y = AddRandomBatchNorm(writer, "bn2", y, 16, 30);
  const PoolGeometry halves = {.kernel_height = 2, .kernel_width = 2, .stride_height = 2, .stride_width = 2};
  int shortcut = writer.AddAveragePool("mean", x, halves);
  const ConvSpec conv3{.product = {.weight = AddSixteenths(writer, "shortcut/weight", 16, 12, 4), .scale = 0.01f},
                       .geometry = {.kernel_height = 1, .kernel_width = 1}};
  shortcut = writer.AddConv2d("shortcut", AddQuantize(writer, "shortcut", shortcut, "k_bit(8)"), conv3);
  x = writer.AddBinary("add2", y, Binary::kAdd, shortcut);

  x = writer.AddAveragePool("global", x, {.kernel_height = 2, .kernel_width = 2});
  x = writer.AddReshape("flat", x, {16});
  x = AddQuantize(writer, "fc", x, "k_bit(8)");
  writer.AddLinear("fc", x, {.weight = AddSixteenths(writer, "fc/weight", 10, 16, 5), .scale = 0.3f});
  return model;
}

SampleModel CodedConvModel() {
  SampleModel model{.name = "coded_conv"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {6, 5, 4});
  const Encoding binary{EncodingKind::kBinary, 1};
  const ConvSpec codes{
      .product = {.weight = AddWeight(writer, "codes/weight", {EncodingKind::kTernary, 2}, 8, 36, 1), .scale = 1.5f},
      .geometry = {.kernel_height = 3, .kernel_width = 3, .pad_height = 1, .pad_width = 1}};
  int x = AddQuantize(writer, "codes", kInputValue, "dorefa_activation(2)");
  x = writer.AddConv2d("codes", x, codes);  // [6, 5, 8]
  x = AddRandomBatchNorm(writer, "bn1", x, 8, 10);
  x = writer.AddUnary("hardtanh", x, Unary::kHardtanh);
  // Groups of 4 channels: in float.
  ConvSpec groups{.product = {.weight = AddWeight(writer, "groups/weight", binary, 6, 36, 2), .scale = 1.1f},
                  .geometry = codes.geometry};
  groups.geometry.groups = 2;
  groups.geometry.padding = Padding::kPlusOne;
  x = writer.AddConv2d("groups", AddQuantize(writer, "groups", x, "sign"), groups);  // [6, 5, 6]
  x = AddRandomBatchNorm(writer, "bn2", x, 6, 20);
  ConvSpec dilated{.product = {.weight = AddWeight(writer, "dilated/weight", {EncodingKind::kSymmetric, 3}, 5, 24, 3),
                               .scale = 0.05f},
                   .geometry = {.kernel_height = 2, .kernel_width = 2, .pad_height = 1, .pad_width = 1}};
  dilated.geometry.dilation_height = dilated.geometry.dilation_width = 2;
  dilated.geometry.padding = Padding::kPlusOne;
  x = writer.AddConv2d("dilated", AddQuantize(writer, "dilated", x, "k_bit(2)"), dilated);  // [6, 5, 5]
  ConvSpec last{.product = {.weight = AddWeight(writer, "last/weight", binary, 40, 45, 4)},
                .geometry = {.kernel_height = 3, .kernel_width = 3, .stride_height = 2, .stride_width = 2}};
  AddThreshold(writer, "last", 40, 45, 5, last.product);
  writer.AddConv2d("last", AddQuantize(writer, "last", x, "sign"), last);  // [2, 2, 40]
  return model;
}

SampleModel CodeToCodeModel() {
  SampleModel model{.name = "code_to_code"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {6, 5, 3});
  const Encoding binary{EncodingKind::kBinary, 1}, ternary{EncodingKind::kTernary, 2};
  const Encoding two_bits{EncodingKind::kUnsigned, 2}, three_bits{EncodingKind::kSymmetric, 3};
  const Encoding signed_bits{EncodingKind::kTwosComplement, 3};
  const ConvGeometry same = {.kernel_height = 3, .kernel_width = 3, .pad_height = 1, .pad_width = 1};
  ConvSpec conv1{.product = {.weight = AddWeight(writer, "conv1/weight", signed_bits, 20, 27, 1),
                             .encoding = two_bits,
                             .value_scale = 0.25f},
                 .geometry = same};
  AddThreshold(writer, "conv1", 20, 27 * 255 * 4, 2, conv1.product);
  int x = writer.AddConv2d("conv1", AddQuantize(writer, "conv1", kInputValue, "k_bit(8)"), conv1);
  std::vector<uint8_t> flips(20);
  for (size_t c = 0; c < flips.size(); ++c) flips[c] = c % 2;
  const PoolGeometry window = {.kernel_height = 2, .kernel_width = 2, .stride_height = 2, .stride_width = 2};
  x = writer.AddMaxPool("pool", x, window, writer.AddFlags("pool/flips", flips));  // [3, 2, 20]
  ConvSpec conv2{.product = {.weight = AddWeight(writer, "conv2/weight", binary, 9, 9 * 20, 3), .encoding = ternary},
                 .geometry = same};
  AddThreshold(writer, "conv2", 9, 9 * 20 * 3, 4, conv2.product);
  x = writer.AddConv2d("conv2", x, conv2);  // [3, 2, 9]
  ConvSpec conv3{.product = {.weight = AddWeight(writer, "conv3/weight", ternary, 7, 9 * 9, 5), .encoding = binary},
                 .geometry = same};
  AddThreshold(writer, "conv3", 7, 81, 6, conv3.product);
  x = writer.AddConv2d("conv3", x, conv3);  // [3, 2, 7]
  // On the last of three dimensions: the bits of a convolution in rows of other lengths.
  LinearSpec fc1{
      .weight = AddWeight(writer, "fc1/weight", binary, 11, 7, 7), .encoding = three_bits, .value_scale = 0.125f};
  AddThreshold(writer, "fc1", 11, 7, 8, fc1);
  x = writer.AddLinear("fc1", x, fc1);  // [3, 2, 11]
  const int codes = writer.AddReshape("flat", x, {66});
  // The same codes as codes, with a scale for each output, and as floats.
  const int scales = writer.AddFloats("fc2/scales", {5}, {0.5f, -0.25f, 0.0f, 3.0f, 0.1f});
  const int y = writer.AddLinear(
      "fc2", codes,
      {.weight = AddWeight(writer, "fc2/weight", signed_bits, 5, 66, 9), .scale = 0.3f, .scales = scales});
  const int floats = writer.AddQuantize("floats", codes, {});
  const int z = writer.AddLinear(
      "fc3", floats, {.weight = AddSixteenths(writer, "fc3/weight", 5, 66, 10), .scale = 2.0f, .scales = scales});
  writer.AddBinary("add", y, Binary::kAdd, z);
  return model;
}

SampleModel TapModel() {
  SampleModel model{.name = "taps"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {7, 6, 5});
  const auto taps = [&](const char* name, int64_t kernels, int64_t count) {
    std::vector<uint8_t> values;
    // Also kernels that are zero.
    for (int64_t j = 0; j < kernels; ++j) values.push_back(static_cast<uint8_t>(j * 7 % (count + 2)));
    return writer.AddCodeTable(name, {EncodingKind::kUnsigned, 4}, {values.data(), 1, kernels});
  };
  TapConvSpec first;
  first.geometry = {
      .filters = 9, .kernel_height = 3, .kernel_width = 3, .stride_height = 2, .pad_height = 1, .pad_width = 1};
  first.weight = AddWeight(writer, "tap1/weight", {EncodingKind::kSymmetric, 3}, 1, 45, 1);
  first.taps = taps("tap1/taps", 45, 9);
  first.scale = 0.25f;
  first.scales = writer.AddFloats("tap1/scales", {9}, {0.5f, -0.25f, 0.0f, 3.0f, 1.0f, 2.0f, 0.125f, -1.0f, 0.75f});
  int x = writer.AddTapConv2d("tap1", AddQuantize(writer, "tap1", kInputValue, "k_bit(8)"), first);  // [4, 6, 9]
  TapConvSpec second;
  second.geometry = {.filters = 20, .kernel_height = 1, .kernel_width = 2};
  second.weight = AddWeight(writer, "tap2/weight", {EncodingKind::kFloat, 32}, 1, 180, 2);
  second.taps = taps("tap2/taps", 180, 2);
  x = writer.AddTapConv2d("tap2", x, second);  // [4, 5, 20]
  x = writer.AddAveragePool("mean", x, {.kernel_height = 4, .kernel_width = 5});
  x = writer.AddReshape("flat", x, {20});
  writer.AddLinear("fc", x, {.weight = AddWeight(writer, "fc/weight", {EncodingKind::kFloat, 32}, 4, 20, 4)});
  return model;
}

SampleModel AveragesModel() {
  SampleModel model{.name = "averages"};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, {6, 5, 8});
  const PoolGeometry square = {.kernel_height = 2, .kernel_width = 2};
  const auto threshold = [&](const std::string& name, const Encoding& encoding, int64_t largest) {
    LinearSpec spec{.encoding = encoding};
    AddThreshold(writer, name, 8, largest, 5, spec);
    return ThresholdSpec{spec.thresholds, spec.flips, encoding, 0.37f};
  };
  int x = AddQuantize(writer, "codes", kInputValue, "k_bit(2)");
  x = writer.AddAveragePool("mean1", x, square, threshold("mean1", {EncodingKind::kSymmetric, 2}, 12));  // [5, 4, 8]
  const PoolGeometry border = {
      .kernel_height = 3, .kernel_width = 3, .stride_height = 2, .stride_width = 2, .pad_height = 1, .pad_width = 1};
  const int floats = writer.AddAveragePool("border", x, border);                                      // [3, 2, 8]
  x = writer.AddAveragePool("mean2", x, square, threshold("mean2", {EncodingKind::kBinary, 1}, 12));  // [4, 3, 8]
  x = writer.AddAveragePool("all", x, {.kernel_height = 4, .kernel_width = 3});
  x = writer.AddReshape("flat", x, {8});
  writer.AddConcat("both", {writer.AddReshape("means", floats, {48}), x});
  return model;
}

std::vector<SampleModel> AllSampleModels() {
  const Encoding binary{EncodingKind::kBinary, 1}, ternary{EncodingKind::kTernary, 2};
  const Encoding symmetric{EncodingKind::kSymmetric, 3}, codes{EncodingKind::kUnsigned, 2};
  const Encoding real{EncodingKind::kFloat, 32};
  std::vector<SampleModel> models;
  models.push_back(BnnModel());
  models.push_back(EveryInstructionModel());
  models.push_back(ReshapedInputModel());
  for (const bool threshold : {false, true}) {
    models.push_back(LinearModel("sign", binary, 1, 1, threshold));
    models.push_back(LinearModel("sign", binary, 512, 16, threshold));
    models.push_back(LinearModel("sign", binary, 513, 67, threshold));
    models.push_back(LinearModel("k_bit(1)", binary, 64, 8, threshold));
    models.push_back(LinearModel("k_bit(8)", binary, 129, 33, threshold));
    models.push_back(LinearModel("k_bit(2)", binary, 63, 9, threshold));
    models.push_back(LinearModel("k_bit(3)", ternary, 65, 9, threshold));
    models.push_back(LinearModel("sign", symmetric, 65, 9, threshold));
    models.push_back(LinearModel("ternary(0.5)", codes, 31, 9, threshold));
    models.push_back(LinearModel("dorefa_activation(4)", symmetric, 127, 9, threshold));
    models.push_back(LinearModel("sign", {EncodingKind::kLog, 4}, 65, 9, threshold));
    models.push_back(LinearModel("dorefa_activation(4)", {EncodingKind::kLog, 4}, 127, 9, threshold));
    models.push_back(LinearModel("k_bit(2)", {EncodingKind::kLogNonzero, 4}, 65, 9, threshold));
    models.push_back(LinearModel("log_quant(4)", binary, 65, 9, threshold));
    models.push_back(LinearModel("log_quant(4)", {EncodingKind::kLog, 4}, 127, 9, threshold));
    models.push_back(LinearModel("log_quant(3, zero=false)", symmetric, 65, 9, threshold));
  }
  models.push_back(LinearModel("identity", binary, 100, 17, false));
  models.push_back(LinearModel("identity", real, 33, 17, false));
  models.push_back(LinearModel("sign", real, 33, 17, false));
  // 255 * 255 * 300 is more than 2^24.
  models.push_back(LinearModel("k_bit(8)", {EncodingKind::kSymmetric, 8}, 300, 4, false));
  // Sums of 32 and of 64 bits, and what may exceed these.
  for (const int bits : {4, 5, 6, 7})
    models.push_back(LinearModel("k_bit(8)", {EncodingKind::kLog, bits}, 1100, 4, false));
  for (const int bits : {5, 6, 7}) {
    models.push_back(LinearModel(absl::StrCat("log_quant(", bits, ")"), ternary, 1100, 4, false));
  }
  models.push_back(LinearModel("log_quant(6)", {EncodingKind::kLog, 6}, 7, 4, false));
  models.push_back(LinearModel("identity", {EncodingKind::kLog, 3}, 33, 17, false));
  return models;
}

}  // namespace bitgrad
