#include "bitgrad/export/emit.h"

#include <cstring>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/one_tap_kernels.h"
#include "bitgrad/export/product_scale.h"
#include "bitgrad/export/program_quantizer.h"

namespace bitgrad {
namespace {

using program::Program;
using program::Uses;
using program::Value;

// The stored codes, [rows, cols] uint8.
Tensor StoredCodes(const CodedTensor& coded) {
  if (!coded.is_binary()) return coded.codes.Alias();
  Tensor codes(coded.matrix, DType::kUint8);
  const ConstBitMatrixView bits = coded.bits->view();
  const MatrixView<uint8_t> c = codes.mutable_matrix<uint8_t>();
  for (int64_t i = 0; i < c.rows; ++i) {
    for (int64_t j = 0; j < c.cols; ++j) c.at(i, j) = bits.bit(i, j) ? 1 : 0;
  }
  return codes;
}

class Emitter {
 public:
  Emitter(const Program& program, int64_t batch)
      : program_(program), batch_(batch), uses_(program), ids_(static_cast<size_t>(program.size()), kNone) {}

  absl::StatusOr<PackedModelWriter> Run() {
    for (const program::StateSlot& state : program_.states()) {
      writer_.AddStateSlot(state.name, program_.value(state.initial).shape.cols());
    }
    for (int i = 0; i < program_.size(); ++i) {
      if (!uses_.is_used(i) || program_.is_constant(i)) continue;
      const Value& value = program_.value(i);
      if (value.shape.rank() < 1 || value.shape.dim(0) != batch_) {
        return Error(i, absl::StrCat("gives ", value.shape.ToString(),
                                     "; every value has to keep the batch as its first dimension"));
      }
      BITGRAD_ASSIGN_OR_RETURN(ids_[i],
                               std::visit([&](const auto& operation) { return Add(i, operation); }, value.operation));
    }
    BITGRAD_RETURN_IF_ERROR(SetOutputs());
    return std::move(writer_);
  }

 private:
  static constexpr int kNone = -1;

  absl::Status SetOutputs() {
    for (int slot = 0; slot < static_cast<int>(program_.states().size()); ++slot) {
      const int next = program_.states()[slot].next;
      if (program_.is_constant(next)) return Error(next, "is the next value of a state, and depends on no input");
      writer_.SetNextValue(slot, ids_[next]);
    }
    const int result = program_.result();
    if (program_.is_constant(result)) return Error(result, "depends on no input");
    // The last value is the result; what states need may have been made after it.
    if (ids_[result] != writer_.header().instructions_size()) writer_.AddQuantize(layer(result), ids_[result], {});
    return absl::OkStatus();
  }

  absl::Status Error(int i, absl::string_view what) const {
    const Value& value = program_.value(i);
    return absl::UnimplementedError(absl::StrCat("layer '", value.layer, "': ", value.op, " ", what));
  }
  const std::string& layer(int i) const { return program_.value(i).layer; }

  // ---- Operands

  bool is_constant(int i, int k) const { return program_.is_constant(program_.value(i).operands[k]); }
  // The packed value of operand k.
  absl::StatusOr<int> Operand(int i, int k = 0) const {
    const int operand = program_.value(i).operands[k];
    if (program_.is_constant(operand)) return Error(i, "of a constant is not in the packed format");
    return ids_[operand];
  }
  // The packed value of the operand of a product or average: codes where the graph adds up codes, otherwise floats.
  absl::StatusOr<int> CodesOrFloats(int i) {
    BITGRAD_ASSIGN_OR_RETURN(const int id, Operand(i));
    if (program_.operand(i, 0).is_coded() || !is_codes_[id]) return id;
    return Made(writer_.AddQuantize(layer(i), id, {}), /*codes=*/false);
  }
  // The blob of a constant of floats, which is added to the model when it is used first.
  absl::StatusOr<int> Floats(int i, int k, const Shape& shape) {
    const int operand = program_.value(i).operands[k];
    const Value& value = program_.value(operand);
    if (!program_.is_constant(operand)) return Error(i, "has an operand that has to be a parameter, and is computed");
    if (value.floats.is_null()) return Error(i, "has a quantized constant where it takes floats");
    if (const auto known = blobs_.find(operand); known != blobs_.end()) return known->second;
    const int blob = writer_.AddFloats(value.as<program::Constant>()->name, shape, value.floats.span<float>());
    blobs_.emplace(operand, blob);
    return blob;
  }
  absl::StatusOr<int> Floats(int i, int k) { return Floats(i, k, program_.operand(i, k).shape); }
  // The blob of a constant of floats that goes with the elements of value i: that of an example or of its last
  // dimension, or one with the batch, of which all examples have the same.
  absl::StatusOr<int> Row(int i, int k) {
    const int operand = program_.value(i).operands[k];
    const Value& constant = program_.value(operand);
    const Shape& shape = program_.value(i).shape;
    const Shape example(shape.dims().subspan(1));
    if (constant.shape == example || constant.shape == Shape({shape.cols()})) return Floats(i, k);
    if (constant.shape == shape && !constant.floats.is_null()) {
      const absl::Span<const float> floats = constant.floats.span<float>();
      const size_t size = static_cast<size_t>(example.num_elements());
      bool same = true;
      for (size_t e = 0; e < floats.size(); ++e) same &= std::memcmp(&floats[e], &floats[e % size], sizeof(float)) == 0;
      if (same) {
        const auto known = blobs_.find(operand);
        if (known != blobs_.end()) return known->second;
        const int blob = writer_.AddFloats(constant.as<program::Constant>()->name, example, floats.first(size));
        blobs_.emplace(operand, blob);
        return blob;
      }
    }
    return Error(i, absl::StrCat("has a constant of shape ", constant.shape.ToString(),
                                 "; it has to be that of one example or of its last dimension"));
  }
  // The blob of a product's weight, [rows, cols].
  absl::StatusOr<int> Weight(int i, const Shape& rows) {
    const int operand = program_.value(i).operands[1];
    const Value& w = program_.value(operand);
    if (!program_.is_constant(operand)) return Error(i, "has a weight that is computed");
    if (w.coded == nullptr) return Floats(i, 1, rows);
    if (const auto known = blobs_.find(operand); known != blobs_.end()) return known->second;
    const std::string& name = w.as<program::Constant>()->name;
    int blob;
    if (w.coded->is_binary()) {
      blob = writer_.AddBits(name, w.coded->bits->view());
    } else {
      blob = writer_.AddStoredCodes(name, w.encoding, w.coded->codes.matrix<uint8_t>());
    }
    blobs_.emplace(operand, blob);
    return blob;
  }

  // Remembers whether the packed value is codes, and returns it.
  int Made(int id, bool codes) {
    is_codes_[id] = codes;
    return id;
  }

  // ---- Operations

  absl::StatusOr<int> Add(int, const program::Input&) { return Made(kInputValue, false); }

  absl::StatusOr<int> Add(int i, const program::Constant&) { return Error(i, "is a constant"); }

  absl::StatusOr<int> Add(int i, const program::Other&) {
    return Error(i, "is not in the packed format; see docs/packed_model_format.md for what is");
  }

  absl::StatusOr<int> Add(int i, const program::Steps&) { return Error(i, "has found no form in the packed format"); }

  absl::StatusOr<int> Add(int i, const program::Quantize&) {
    BITGRAD_ASSIGN_OR_RETURN(const PackedQuantizer quantizer, QuantizerOf(program_, i));
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    return Made(writer_.AddQuantize(layer(i), x, quantizer), quantizer.encoding().is_integer());
  }

  bool HasThreshold(int i) const {
    const std::vector<int>& readers = uses_.consumers(i);
    return !readers.empty() && program_.value(readers[0]).as<program::Compare>() != nullptr;
  }
  // Where a Compare reads the sums of value i, that.
  ThresholdSpec Threshold(int i) {
    const std::vector<int>& readers = uses_.consumers(i);
    const auto* compare = readers.empty() ? nullptr : program_.value(readers[0]).as<program::Compare>();
    if (compare == nullptr) return {};
    const Value& codes = program_.value(readers[0]);
    const Thresholds& thresholds = compare->thresholds;
    return {
        .thresholds = writer_.AddInts(absl::StrCat(layer(i), "/thresholds"), thresholds.levels, thresholds.threshold),
        .flips = writer_.AddFlags(absl::StrCat(layer(i), "/flips"), thresholds.flip),
        .encoding = codes.encoding,
        .value_scale = codes.scale};
  }

  // What linear and conv2d share.
  absl::StatusOr<LinearSpec> Product(int i, const Shape& weight) {
    LinearSpec spec;
    BITGRAD_ASSIGN_OR_RETURN(spec.weight, Weight(i, weight));
    const ThresholdSpec threshold = Threshold(i);
    if (threshold.thresholds >= 0) {
      spec.thresholds = threshold.thresholds;
      spec.flips = threshold.flips;
      spec.encoding = threshold.encoding;
      spec.value_scale = threshold.value_scale;
      return spec;
    }
    const PackedScale scale = ScaleOfProduct(program_, i);
    spec.scale = scale.scale;
    if (!scale.scales.empty()) {
      spec.scales = writer_.AddFloats(absl::StrCat(layer(i), "/scales"), {static_cast<int64_t>(scale.scales.size())},
                                      scale.scales);
    }
    return spec;
  }

  absl::StatusOr<int> Add(int i, const program::Linear&) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, CodesOrFloats(i));
    BITGRAD_ASSIGN_OR_RETURN(const LinearSpec spec, Product(i, program_.operand(i, 1).shape));
    return Made(writer_.AddLinear(layer(i), x, spec), spec.thresholds >= 0);
  }

  absl::StatusOr<int> AddTaps(int i, const ConvGeometry& geometry, const OneTapKernels& kernels) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, CodesOrFloats(i));
    const Value& w = program_.operand(i, 1);
    const std::string& name = w.as<program::Constant>()->name;
    TapConvSpec spec;
    spec.geometry = geometry;
    const int64_t count = static_cast<int64_t>(kernels.taps.size());
    if (kernels.encoding.is_integer()) {
      spec.weight = writer_.AddCodeTable(name, kernels.encoding, {kernels.codes.data(), 1, count});
    } else {
      spec.weight = writer_.AddFloats(name, {1, count}, kernels.floats);
    }
    spec.taps = writer_.AddCodeTable(absl::StrCat(name, "/taps"), {EncodingKind::kUnsigned, 4},
                                     {kernels.taps.data(), 1, count});
    const PackedScale scale = ScaleOfProduct(program_, i);
    spec.scale = scale.scale;
    if (!scale.scales.empty()) {
      spec.scales = writer_.AddFloats(absl::StrCat(layer(i), "/scales"), {static_cast<int64_t>(scale.scales.size())},
                                      scale.scales);
    }
    return Made(writer_.AddTapConv2d(layer(i), x, spec), false);
  }

  absl::StatusOr<int> Add(int i, const program::Conv2d& conv) {
    if (const absl::optional<OneTapKernels> kernels = OneTapKernelsOf(program_, i, conv.geometry);
        kernels.has_value() && !HasThreshold(i)) {
      return AddTaps(i, conv.geometry, *kernels);
    }
    BITGRAD_ASSIGN_OR_RETURN(const int x, CodesOrFloats(i));
    ConvSpec spec;
    spec.geometry = conv.geometry;
    BITGRAD_ASSIGN_OR_RETURN(spec.product, Product(i, {conv.geometry.filters, conv.geometry.patch_size()}));
    return Made(writer_.AddConv2d(layer(i), x, spec), spec.product.thresholds >= 0);
  }

  // The product has done it.
  absl::StatusOr<int> Add(int i, const program::Compare&) { return Operand(i); }

  absl::StatusOr<int> Add(int i, const program::MaxPool& pool) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    int flips = -1;
    if (!pool.flips.empty()) flips = writer_.AddFlags(absl::StrCat(layer(i), "/flips"), pool.flips);
    return Made(writer_.AddMaxPool(layer(i), x, pool.geometry, flips), is_codes_[x]);
  }

  absl::StatusOr<int> Add(int i, const program::AveragePool& pool) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, CodesOrFloats(i));
    const ThresholdSpec threshold = Threshold(i);
    return Made(writer_.AddAveragePool(layer(i), x, pool.geometry, threshold), threshold.thresholds >= 0);
  }

  absl::StatusOr<int> Add(int i, const program::BatchNorm&) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    int blobs[4];
    for (int k = 0; k < 4; ++k) {
      BITGRAD_ASSIGN_OR_RETURN(blobs[k], Floats(i, k + 1));
    }
    return Made(writer_.AddBatchNorm(layer(i), x, blobs[0], blobs[1], blobs[2], blobs[3]), false);
  }

  absl::StatusOr<int> Add(int i, const program::UnaryOp& unary) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    return Made(writer_.AddUnary(layer(i), x, unary.op, unary.parameter), false);
  }

  absl::StatusOr<int> Add(int i, const program::Spline& spline) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    BITGRAD_ASSIGN_OR_RETURN(const int coefficients, Floats(i, 1));
    return Made(writer_.AddSpline(layer(i), x, coefficients, spline.range), false);
  }

  absl::StatusOr<int> Add(int i, const program::Round& round) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    return Made(writer_.AddRound(layer(i), x, round.format), false);
  }

  absl::StatusOr<int> Add(int i, const program::BinaryOp& binary) {
    int a = 0, b = 1;
    if (is_constant(i, a)) std::swap(a, b);
    BITGRAD_ASSIGN_OR_RETURN(int x, Operand(i, a));
    if (!is_constant(i, b)) {
      BITGRAD_ASSIGN_OR_RETURN(const int y, Operand(i, b));
      return Made(writer_.AddBinary(layer(i), x, binary.op, y), false);
    }
    BITGRAD_ASSIGN_OR_RETURN(const int blob, Row(i, b));
    Binary op = binary.op;
    if (op == Binary::kSub && b == 0) {
      // constant - x = (-1 x) + constant, to the last bit.
      const int64_t cols = program_.value(i).shape.cols();
      const std::vector<float> minus(static_cast<size_t>(cols), -1.0f);
      x = writer_.AddBinaryConstant(layer(i), x, Binary::kMul,
                                    writer_.AddFloats(absl::StrCat(layer(i), "/minus"), {cols}, minus));
      op = Binary::kAdd;
    }
    return Made(writer_.AddBinaryConstant(layer(i), x, op, blob), false);
  }

  absl::StatusOr<int> Add(int i, const program::Concat&) {
    std::vector<int> operands;
    for (size_t k = 0; k < program_.value(i).operands.size(); ++k) {
      BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i, static_cast<int>(k)));
      operands.push_back(x);
    }
    return Made(writer_.AddConcat(layer(i), operands), false);
  }

  absl::StatusOr<int> Add(int i, const program::Embedding&) {
    if (program_.operand(i, 0).as<program::Input>() == nullptr) return Error(i, "has tokens that are no input");
    const int operand = program_.value(i).operands[1];
    const Value& table = program_.value(operand);
    if (!program_.is_constant(operand) || table.shape.rank() != 2) return Error(i, "has a table that is computed");
    const int64_t width = table.shape.cols();
    if (table.coded == nullptr) {
      BITGRAD_ASSIGN_OR_RETURN(const int blob, Floats(i, 1));
      return Made(writer_.AddEmbedding(layer(i), kInputValue, blob, width, 0), false);
    }
    const ScaleView scale = table.coded->scale_view();
    if (!scale.is_uniform()) {
      return Error(i, "has a table of codes with a scale for each row; it has to be one for all");
    }
    const auto [known, is_new] = blobs_.emplace(operand, kNone);
    if (is_new) {
      const Tensor codes = StoredCodes(*table.coded);
      known->second =
          writer_.AddCodeTable(table.as<program::Constant>()->name, table.coded->encoding, codes.matrix<uint8_t>());
    }
    return Made(writer_.AddEmbedding(layer(i), kInputValue, known->second, width, scale.at(0)), true);
  }

  absl::StatusOr<int> Add(int i, const program::SliceColumns& slice) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    return Made(writer_.AddSliceColumns(layer(i), x, slice.begin, slice.size), false);
  }

  absl::StatusOr<int> Add(int i, const program::State& state) {
    return Made(writer_.AddState(layer(i), state.slot), false);
  }

  absl::StatusOr<int> Add(int i, const program::Reshape&) {
    BITGRAD_ASSIGN_OR_RETURN(const int x, Operand(i));
    return Made(writer_.AddReshape(layer(i), x, Shape(program_.value(i).shape.dims().subspan(1))), is_codes_[x]);
  }

  const Program& program_;
  const int64_t batch_;
  const Uses uses_;
  std::vector<int> ids_;          // the packed value of each value
  std::map<int, bool> is_codes_;  // of each packed value
  std::map<int, int> blobs_;      // of each constant that has been added
  PackedModelWriter writer_;
};

}  // namespace

absl::StatusOr<PackedModelWriter> Emit(const Program& program, int64_t batch) { return Emitter(program, batch).Run(); }

}  // namespace bitgrad
