#include "bitgrad/tests/export/onnx_samples.h"

#include <cctype>
#include <iterator>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "bitgrad/zoo/zoo.h"

namespace bitgrad {
namespace {

constexpr Encoding kBytes = {EncodingKind::kTwosComplement, 8};

SampleModel NewModel(const std::string& name, const Shape& input) {
  SampleModel model{.name = name};
  model.writer.header().set_producer("test");
  model.writer.header().set_name(name);
  for (const int64_t extent : input.dims()) model.writer.header().mutable_input()->add_shape(extent);
  return model;
}

int AddVector(PackedModelWriter& writer, const std::string& name, int64_t count, uint64_t seed) {
  const Tensor values = RandomCodes({EncodingKind::kFloat, 32}, 1, count, seed);
  return writer.AddFloats(name, {count}, values.span<float>());
}

// A quantizer between the input and nothing else, so that each of its codes is seen.
SampleModel QuantizerModel(const std::string& text, QuantizerRole role) {
  SampleModel model =
      NewModel(absl::StrCat("quantize_", text, role == QuantizerRole::kWeight ? "_weight" : ""), Shape({501}));
  PackedQuantizer packed{.quantizer = ParseQuantizer(text)->In(role)};
  if (packed.quantizer.has_variable()) packed.variable = text.starts_with("bit_pruning") ? 2.375f : 0.37f;
  if (packed.quantizer.statistic() != Statistic::kNone) packed.statistic = 0.9f;
  if (packed.quantizer.has_learned_scale()) packed.scale = 0.71f;
  model.writer.AddQuantize("q", kInputValue, packed);
  return model;
}

}  // namespace

std::vector<SampleModel> OnnxElementwiseSamples() {
  std::vector<SampleModel> models;
  for (const char* text : {"sign",
                           "sign(scale=learned)",
                           "approx_sign",
                           "swish_sign(5)",
                           "heaviside",
                           "ternary(0.5)",
                           "k_bit(2)",
                           "k_bit(8)",
                           "k_bit(3, scale=0.3)",
                           "dorefa_activation(1)",
                           "dorefa_activation(3)",
                           "pact(4)",
                           "lsq(1)",
                           "lsq(4)",
                           "max_abs(1)",
                           "max_abs(4)",
                           "bit_pruning",
                           "log_quant(2)",
                           "log_quant(3)",
                           "log_quant(5)",
                           "log_quant(4, zero=false)",
                           "identity"}) {
    models.push_back(QuantizerModel(text, QuantizerRole::kActivation));
  }
  for (const char* text : {"lsq(3)", "max_abs(1)", "max_abs(4)", "bit_pruning"}) {
    models.push_back(QuantizerModel(text, QuantizerRole::kWeight));
  }
  for (const NumberFormat& format : {NumberFormat{NumberFormatKind::kHalf},
                                     NumberFormat{.kind = NumberFormatKind::kFixed, .bits = 20, .range = -2}}) {
    models.push_back(NewModel(absl::StrCat("round_", ToString(format)), Shape({40})));
    models.back().writer.AddRound("round", kInputValue, format);
  }
  models.push_back(NewModel("spline", Shape({3, 2, 7})));
  models.back().writer.AddSpline(
      "spline", kInputValue,
      models.back().writer.AddFloats("c", {7, 5}, RandomCodes({EncodingKind::kFloat, 32}, 7, 5, 3).span<float>()),
      0.75f);
  // A constant of every element of an image, between two convolutions.
  models.push_back(NewModel("constant", Shape({3, 2, 7})));
  models.back().writer.AddBinaryConstant("add", kInputValue, Binary::kAdd, [&] {
    const Tensor values = RandomCodes({EncodingKind::kFloat, 32}, 1, 42, 4);
    return models.back().writer.AddFloats("c", {3, 2, 7}, values.span<float>());
  }());
  return models;
}

SampleModel FixedPointModel() {
  SampleModel model = NewModel("fixed_point", Shape({6, 5, 3}));
  PackedModelWriter& writer = model.writer;
  const auto weight = [&](const char* name, int64_t out, int64_t in, uint64_t seed) {
    return writer.AddCodes(name, kBytes, RandomCodes(kBytes, out, in, seed).matrix<float>());
  };
  const int mean = AddVector(writer, "mean", 3, 1), inv_std = AddVector(writer, "inv_std", 3, 2);
  int x = writer.AddFixedPoint("in", kInputValue, kBytes, 6, mean, inv_std);
  std::vector<uint8_t> flips(24);
  for (size_t c = 0; c < flips.size(); ++c) flips[c] = c % 3 == 1;
  std::vector<int32_t> biases;
  for (int c = 0; c < 24; ++c) biases.push_back(37 * c - 400);
  const ConvGeometry same = {.kernel_height = 3, .kernel_width = 3, .pad_height = 1, .pad_width = 1};
  // Flips before a maximum, as it undoes them.
  x = writer.AddShiftConv2d("conv1", x, weight("conv1/weight", 24, 27, 3), same,
                            {.shift = 9,
                             .encoding = {EncodingKind::kUnsigned, 8},
                             .fraction_bits = 4,
                             .bias = writer.AddInts("conv1/bias", 1, biases),
                             .bias_shift = 3,
                             .flips = writer.AddFlags("conv1/flips", flips)});
  x = writer.AddMaxPool("pool", x,
                        {.kernel_height = 2, .kernel_width = 2, .stride_height = 2, .stride_width = 2, .partial = true},
                        writer.AddFlags("pool/flips", flips));  // [3, 3, 24]
  // 9 * 24 * 255 * 128 exceeds 2^22 and, of 576 and more inputs, 2^24: here 24 filters of 72 channels do.
  const std::vector<int> three = {x, x, x};
  const std::vector<int> shifts = {0, 1, -1};
  int wide =
      writer.AddShiftConcat("wide", three, shifts, {.encoding = {EncodingKind::kUnsigned, 8}, .fraction_bits = 4});
  int y = writer.AddShiftConv2d("conv2", wide, weight("conv2/weight", 24, 9 * 72, 4), same,
                                {.shift = 11,
                                 .encoding = kBytes,
                                 .fraction_bits = 2,
                                 .bias = writer.AddInts("conv2/bias", 1, biases),
                                 .bias_shift = -2,
                                 .shortcut = x,
                                 .shortcut_shift = 5});
  y = writer.AddShiftAdd("add", y, 1, x, 0, {.shift = 1, .encoding = kBytes, .fraction_bits = 3});
  y = writer.AddShiftAveragePool("mean", y, {.kernel_height = 2, .kernel_width = 2},
                                 {.shift = 1, .encoding = kBytes, .fraction_bits = 4});  // [2, 2, 24]
  y = writer.AddReshape("flat", y, {96});
  y = writer.AddShiftLinear("fc1", y, weight("fc1/weight", 700, 96, 5),
                            {.shift = -1, .encoding = kBytes, .fraction_bits = 1});
  // 700 products of 2^14 exceed 2^23.
  writer.AddShiftLinear("fc2", y, weight("fc2/weight", 10, 700, 6), {.fraction_bits = 7});
  return model;
}

absl::StatusOr<std::vector<OnnxSample>> OnnxSamples() {
  std::vector<SampleModel> models = AllSampleModels();
  models.push_back(ImageModel());
  models.push_back(ResidualModel());
  models.push_back(CodedConvModel());
  models.push_back(CodeToCodeModel());
  models.push_back(AveragesModel());
  models.push_back(TapModel());
  models.push_back(FixedPointModel());
  for (std::vector<SampleModel> more : {OnnxElementwiseSamples(), AllTokenModels()}) {
    models.insert(models.end(), std::make_move_iterator(more.begin()), std::make_move_iterator(more.end()));
  }
  models.push_back(LstmModel(/*bits=*/4, /*tokens=*/11, /*width=*/9, /*units=*/8));
  models.push_back(LstmModel(/*bits=*/0, /*tokens=*/11, /*width=*/9, /*units=*/8));
  std::vector<OnnxSample> samples;
  for (const SampleModel& model : models) {
    BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, model.writer.Serialize());
    BITGRAD_ASSIGN_OR_RETURN(auto packed, PackedModel::FromBytes(model.name, bytes));
    samples.push_back({FileNameOf(model.name), std::move(packed)});
  }
  for (const ZooModel& model : ZooModels()) {
    BITGRAD_ASSIGN_OR_RETURN(auto packed, PackedModel::FromBytes(model.name, std::string(model.bytes)));
    samples.push_back({model.name, std::move(packed)});
  }
  return samples;
}

absl::StatusOr<Answers> AnswersOf(const PackedModel& model, ExecContext& context) {
  Answers answers;
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, Interpreter::Create(model, context));
  if (model.header().input().tokens() > 0) {
    answers.input = RandomTokens(4, 3, model.header().input().tokens(), 7);
    BITGRAD_ASSIGN_OR_RETURN(answers.output, interpreter->RunTokens(answers.input.matrix<int32_t>()));
  } else {
    answers.input = RandomInput(3, model.value(0).features(), 7);
    BITGRAD_ASSIGN_OR_RETURN(answers.output, interpreter->Run(answers.input.matrix<float>()));
  }
  return answers;
}

std::string RawBytes(const Tensor& tensor) {
  const void* data = tensor.dtype() == DType::kInt32 ? static_cast<const void*>(tensor.data<int32_t>())
                                                     : static_cast<const void*>(tensor.data<float>());
  return {static_cast<const char*>(data), static_cast<size_t>(tensor.num_elements()) * 4};
}

std::string FileNameOf(const std::string& name) {
  std::string file = name;
  for (char& c : file) {
    if (std::isalnum(static_cast<unsigned char>(c)) == 0) c = '_';
  }
  return file;
}

}  // namespace bitgrad
