#include "bitgrad/tests/runtime/token_models.h"

#include <cmath>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

constexpr Encoding kReal = {EncodingKind::kFloat, 32};

// A matrix of codes, or of whole sixteenths, whose products have exact sums.
int AddMatrix(PackedModelWriter& writer, const std::string& name, const Encoding& encoding, int64_t rows, int64_t cols,
              uint64_t seed) {
  Tensor codes = RandomCodes(encoding, rows, cols, seed);
  if (encoding.is_integer()) return writer.AddCodes(name, encoding, codes.matrix<float>());
  for (float& value : codes.mutable_span<float>()) value = std::round(16 * value) / 16;
  return writer.AddFloats(name, {rows, cols}, codes.span<float>());
}

int AddTable(PackedModelWriter& writer, const TokenModelOptions& options, uint64_t seed) {
  if (options.padded || !options.table.is_integer()) {
    return AddMatrix(writer, "table", options.table, options.tokens, options.width, seed);
  }
  const Tensor codes = RandomCodes(options.table, options.tokens, options.width, seed);
  Tensor stored(codes.shape(), DType::kUint8);
  for (int64_t i = 0; i < codes.num_elements(); ++i) {
    stored.mutable_data<uint8_t>()[i] =
        static_cast<uint8_t>(options.table.stored(static_cast<int64_t>(codes.data<float>()[i])));
  }
  return writer.AddCodeTable("table", options.table, stored.matrix<uint8_t>());
}

int AddQuantize(PackedModelWriter& writer, const std::string& layer, int x, const std::string& quantizer) {
  PackedQuantizer packed;
  packed.quantizer = *ParseQuantizer(quantizer);
  return packed.quantizer.is_identity() ? x : writer.AddQuantize(layer, x, packed);
}

void SetHead(PackedModelWriter& writer, const std::string& name, int64_t tokens) {
  packed::Header& header = writer.header();
  header.set_producer("test");
  header.set_name(name);
  header.mutable_input()->add_shape(1);
  header.mutable_input()->set_tokens(static_cast<int32_t>(tokens));
  header.set_class_count(static_cast<int32_t>(tokens));
  header.set_text(packed::Header::WORDS);
  for (int64_t token = 0; token < tokens; ++token) {
    header.add_class_names(token == 0 ? "<eos>" : token == 1 ? "<unk>" : absl::StrCat("word", token));
  }
  header.set_float_parameter_bytes(123456);
  header.set_parameter_count(30864);
}

// The slots of h, c and d.
struct CellSlots {
  int h, c, d;
};

CellSlots AddSlots(PackedModelWriter& writer, int64_t units) {
  return {writer.AddStateSlot("cell/h", units), writer.AddStateSlot("cell/c", units),
          writer.AddStateSlot("cell/d", units)};
}

// A cell on x, an example of which has rows of `in` numbers, and the output layer.
void AddCell(PackedModelWriter& writer, const TokenModelOptions& options, int x, int64_t in, const CellSlots& slots) {
  const int64_t units = options.units;
  const int weight = AddMatrix(writer, "input_weight", options.weights, options.reshaped ? units : 2 * units, in, 2);
  int sums = writer.AddLinear("cell", x, {.weight = weight, .scale = 0.03125f});
  if (options.reshaped) sums = writer.AddReshape("row", sums, {2 * units});
  // States are read after other instructions, too.
  const int h = writer.AddState("cell", slots.h), c = writer.AddState("cell", slots.c);
  const int hidden_weight = AddMatrix(writer, "hidden_weight", options.weights, 2 * units, units, 3);
  const int product = writer.AddLinear("cell", AddQuantize(writer, "cell", h, options.hidden),
                                       {.weight = hidden_weight, .scale = 0.0625f});
  const int gates = writer.AddBinary("cell", sums, Binary::kAdd, product);
  const int u = writer.AddUnary("cell", writer.AddSliceColumns("cell", gates, 0, units), Unary::kHardtanh);
  const int v = writer.AddUnary("cell", writer.AddSliceColumns("cell", gates, units, units), Unary::kHardtanh);
  const int next_c =
      writer.AddUnary("cell", writer.AddBinary("cell", c, Binary::kAdd, writer.AddBinary("cell", u, Binary::kMul, v)),
                      Unary::kHardtanh);
  const int next_h = writer.AddBinary("cell", v, Binary::kSub, writer.AddBinary("cell", u, Binary::kMul, next_c));
  const int d = writer.AddState("cell", slots.d);
  writer.SetNextValue(slots.h, next_h);
  writer.SetNextValue(slots.c, next_c);
  writer.SetNextValue(slots.d, h);  // the state of another slot itself
  const int out = AddMatrix(writer, "out_weight", options.weights, options.tokens, units, 4);
  const int now =
      writer.AddLinear("out", AddQuantize(writer, "out", next_h, "k_bit(3)"), {.weight = out, .scale = 0.5f});
  const int before = writer.AddLinear("out", AddQuantize(writer, "out", d, "sign"), {.weight = out, .scale = 0.125f});
  writer.AddBinary("out", now, Binary::kAdd, before);
}

}  // namespace

SampleModel TokenModel(const TokenModelOptions& options) {
  SampleModel model{.name = absl::StrCat("tokens_", Name(options.table.kind), options.table.bits,
                                         options.padded ? "_padded_" : "_", options.reshaped ? "reshaped_" : "",
                                         options.hidden, "_x_", Name(options.weights.kind), options.weights.bits)};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, options.tokens);
  const CellSlots slots = AddSlots(writer, options.units);
  const int table = AddTable(writer, options, 1);
  int x = writer.AddEmbedding("embedding", kInputValue, table, options.width, options.table.is_integer() ? 0.25f : 0);
  if (options.reshaped) x = writer.AddReshape("rows", x, {2, options.width / 2});
  AddCell(writer, options, x, options.reshaped ? options.width / 2 : options.width, slots);
  return model;
}

SampleModel TimeStepModel(int64_t time_steps, const std::string& input, const TokenModelOptions& options) {
  SampleModel model{.name = absl::StrCat("time_steps_", time_steps, "_", input, "_", options.hidden, "_x_",
                                         Name(options.weights.kind), options.weights.bits)};
  PackedModelWriter& writer = model.writer;
  packed::Header& header = writer.header();
  header.set_producer("test");
  header.set_name(model.name);
  header.mutable_input()->add_shape(options.width);
  header.mutable_input()->set_time_steps(static_cast<int32_t>(time_steps));
  packed::PixelMapping& pixels = *header.mutable_input()->mutable_pixels();
  pixels.set_multiplier(2);
  pixels.set_offset(-255);
  pixels.set_divisor(255);
  header.set_class_count(static_cast<int32_t>(options.tokens));
  const CellSlots slots = AddSlots(writer, options.units);
  AddCell(writer, options, AddQuantize(writer, "input", kInputValue, input), options.width, slots);
  return model;
}

std::vector<SampleModel> AllTimeStepModels() {
  const Encoding binary{EncodingKind::kBinary, 1}, ternary{EncodingKind::kTernary, 2};
  std::vector<SampleModel> models;
  models.push_back(TimeStepModel(5));
  models.push_back(TimeStepModel(1));
  models.push_back(TimeStepModel(3, "sign", {.hidden = "sign", .weights = binary, .width = 64}));
  models.push_back(TimeStepModel(12, "ternary(0.5)", {.weights = ternary, .width = 1}));
  models.push_back(TimeStepModel(4, "dorefa_activation(3)", {.weights = ternary, .tokens = 3, .width = 9}));
  return models;
}

std::vector<SampleModel> AllTokenModels() {
  const Encoding binary{EncodingKind::kBinary, 1}, ternary{EncodingKind::kTernary, 2};
  std::vector<SampleModel> models;
  models.push_back(TokenModel());
  models.push_back(TokenModel({.padded = true}));
  models.push_back(TokenModel({.table = binary, .hidden = "sign", .weights = binary}));
  models.push_back(TokenModel({.table = binary, .padded = true, .weights = binary}));
  models.push_back(TokenModel({.table = binary, .reshaped = true, .weights = binary}));
  models.push_back(TokenModel({.table = ternary, .hidden = "k_bit(2)", .weights = ternary}));
  models.push_back(TokenModel({.reshaped = true}));
  models.push_back(TokenModel({.table = {EncodingKind::kUnsigned, 3}, .hidden = "dorefa_activation(3)"}));
  models.push_back(TokenModel({.table = {EncodingKind::kLog, 4}}));
  models.push_back(TokenModel({.table = {EncodingKind::kTwosComplement, 8}, .width = 64}));
  // Products of floats, of values that are whole fractions.
  models.push_back(TokenModel({.table = kReal, .hidden = "k_bit(2)", .weights = kReal}));
  models.push_back(TokenModel({.weights = kReal}));
  models.push_back(TokenModel({.table = kReal, .weights = binary}));
  return models;
}

SampleModel LstmModel(int bits, int64_t tokens, int64_t width, int64_t units) {
  SampleModel model{.name = absl::StrCat("lstm", bits, "_", units)};
  PackedModelWriter& writer = model.writer;
  SetHead(writer, model.name, tokens);
  const Encoding encoding = bits > 1    ? Encoding{EncodingKind::kSymmetric, bits}
                            : bits == 1 ? Encoding{EncodingKind::kBinary, 1}
                                        : kReal;
  const std::string quantizer = bits == 0 ? "identity" : bits == 1 ? "sign" : absl::StrCat("k_bit(", bits, ")");
  const float code = bits == 0 ? 1.0f : 1.0f / static_cast<float>((1 << bits) - 1);  // the value of one code
  const float scale = code * code / 16;
  const int h_slot = writer.AddStateSlot("lstm/h", units), c_slot = writer.AddStateSlot("lstm/c", units);
  const int h = writer.AddState("lstm", h_slot), c = writer.AddState("lstm", c_slot);
  const int table = AddTable(writer, {.table = encoding, .tokens = tokens, .width = width}, 1);
  const int x = writer.AddEmbedding("embedding", kInputValue, table, width, bits == 0 ? 0 : code);
  const int input_weight = AddMatrix(writer, "input_weight", encoding, 4 * units, width, 2);
  const int hidden_weight = AddMatrix(writer, "hidden_weight", encoding, 4 * units, units, 3);
  const Tensor bias = RandomCodes(kReal, 1, 4 * units, 4);
  int gates = writer.AddLinear("lstm", x, {.weight = input_weight, .scale = scale});
  gates =
      writer.AddBinaryConstant("lstm", gates, Binary::kAdd, writer.AddFloats("bias", {4 * units}, bias.span<float>()));
  gates = writer.AddBinary(
      "lstm", gates, Binary::kAdd,
      writer.AddLinear("lstm", AddQuantize(writer, "lstm", h, quantizer), {.weight = hidden_weight, .scale = scale}));
  const auto gate = [&](int64_t index, Unary op) {
    return writer.AddUnary("lstm", writer.AddSliceColumns("lstm", gates, index * units, units), op);
  };
  const int input = gate(0, Unary::kSigmoid), forget = gate(1, Unary::kSigmoid), fresh = gate(2, Unary::kTanh);
  const int kept = writer.AddBinary("lstm", forget, Binary::kMul, c);
  const int next_c = writer.AddBinary("lstm", kept, Binary::kAdd, writer.AddBinary("lstm", input, Binary::kMul, fresh));
  const int next_h =
      writer.AddBinary("lstm", gate(3, Unary::kSigmoid), Binary::kMul, writer.AddUnary("lstm", next_c, Unary::kTanh));
  writer.SetNextValue(h_slot, next_h);
  writer.SetNextValue(c_slot, next_c);
  writer.AddLinear("out", AddQuantize(writer, "out", next_h, quantizer),
                   {.weight = AddMatrix(writer, "out_weight", encoding, tokens, units, 5), .scale = scale});
  return model;
}

Tensor RandomTokens(int64_t steps, int64_t streams, int64_t tokens, uint64_t seed) {
  Tensor result({steps, streams}, DType::kInt32);
  const RngStream random = {.seed = seed, .purpose = RngPurpose::kTest};
  for (int64_t i = 0; i < result.num_elements(); ++i) {
    result.mutable_data<int32_t>()[i] =
        static_cast<int32_t>(UniformBelow(random, static_cast<uint64_t>(i), static_cast<uint32_t>(tokens)));
  }
  if (steps * streams > 1) result.mutable_data<int32_t>()[1] = static_cast<int32_t>(tokens - 1);
  return result;
}

}  // namespace bitgrad
