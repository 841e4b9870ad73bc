#include "bitgrad/runtime/cost.h"

#include <initializer_list>
#include <set>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/dot_kernel.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/runtime/image_geometry.h"
#include "bitgrad/runtime/kernel_choice.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// Of products of fixed-point codes.
constexpr char kShiftKernel[] = "int8 product, int32 sums, shifts";

std::string NameOf(const Encoding& encoding) {
  const bool has_bits =
      encoding.is_integer() && encoding.kind != EncodingKind::kBinary && encoding.kind != EncodingKind::kTernary;
  return has_bits ? absl::StrCat(Name(encoding.kind), "(", encoding.bits, ")") : std::string(Name(encoding.kind));
}

// Bytes of a [rows, cols] matrix of bits: rows of whole 64-byte lines.
int64_t BitBytes(int64_t rows, int64_t cols) { return rows * ((cols + 511) / 512) * 64; }

class CostCounter {
 public:
  explicit CostCounter(const PackedModel& model) : model_(model) {}

  ModelCost Run() {
    ModelCost cost;
    for (int i = 0; i < model_.header().instructions_size(); ++i) cost.layers.push_back(Layer(i));
    cost.head_bytes = model_.head_bytes();
    cost.predicted_bytes = cost.head_bytes;
    for (const LayerCost& layer : cost.layers) {
      cost.predicted_bytes += layer.bytes;
      cost.float_layers += layer.is_float;
    }
    cost.parameters_by_bits = parameters_by_bits_;
    return cost;
  }

 private:
  LayerCost Layer(int i) {
    const Instruction& instruction = model_.header().instructions(i);
    const PackedValue& value = model_.value(i + 1);
    // A state has no operand.
    const Shape& x = model_.value(instruction.operands_size() > 0 ? instruction.operands(0) : i + 1).example;
    LayerCost cost;
    cost.layer = instruction.layer();
    cost.example = value.example;
    switch (instruction.kind_case()) {
      case Instruction::kLinear:
        cost.op = NameOfProduct("linear", i);
        AddLinear(i, x.cols(), value.example, cost);
        break;
      case Instruction::kConv2D:
        cost.op = NameOfProduct("conv2d", i);
        AddConv2d(i, cost);
        break;
      case Instruction::kTapConv2D: AddTapConv2d(i, cost); break;
      case Instruction::kMaxPool:
        cost.op = "max_pool";
        if (instruction.max_pool().has_flips() && IsNew(instruction.max_pool().flips())) {
          cost.bytes += BitBytes(1, value.example.cols());
        }
        break;
      case Instruction::kAveragePool: AddAveragePool(i, cost); break;
      case Instruction::kBatchNorm: {
        cost.op = "batch_norm";
        const packed::BatchNorm& b = instruction.batch_norm();
        for (const int blob : {b.mean(), b.inv_std(), b.gamma(), b.beta()}) {
          AddFloats(blob, x.cols(), cost);
        }
        break;
      }
      case Instruction::kUnary: cost.op = "unary"; break;
      case Instruction::kSpline: {
        cost.op = "spline";
        const int coefficients = instruction.spline().coefficients();
        AddFloats(coefficients, ShapeOf(model_.blob(coefficients)).num_elements(), cost);
        break;
      }
      case Instruction::kRound: cost.op = absl::StrCat("round ", instruction.round().format()); break;
      case Instruction::kBinary:
        cost.op = "binary";
        if (!instruction.binary().has_constant()) {
          cost.kernel = "floats (of two values, which thresholds cannot compare)";
        } else {
          const int constant = instruction.binary().constant();
          AddFloats(constant, ShapeOf(model_.blob(constant)).num_elements(), cost);
        }
        break;
      case Instruction::kQuantize: cost.op = absl::StrCat("quantize ", instruction.quantize().quantizer()); break;
      case Instruction::kConcat: cost.op = "concat"; break;
      case Instruction::kReshape: cost.op = "reshape"; break;
      case Instruction::kEmbedding: AddEmbedding(instruction.embedding(), cost); break;
      case Instruction::kSliceColumns: cost.op = "slice_columns"; break;
      case Instruction::kState: cost.op = "state"; break;
      case Instruction::kShiftAdd:
        cost.op = absl::StrCat("add + ", ShiftOf(instruction.shift_add().requantize()));
        break;
      case Instruction::kShiftConcat: cost.op = "concat of codes"; break;
      case Instruction::kFixedPoint: AddFixedPoint(instruction.fixed_point(), cost); break;
      case Instruction::KIND_NOT_SET: break;
    }
    cost.runs = model_.runs(i);
    for (int64_t* const macs : {&cost.bit_macs, &cost.integer_macs, &cost.float_macs}) *macs *= cost.runs;
    return cost;
  }

  // "linear + threshold", "conv2d + shortcut >> 7", "linear 2^-15"
  std::string NameOfProduct(const char* kind, int i) const {
    const Instruction& instruction = model_.header().instructions(i);
    const packed::Requantize* const requantize = RequantizeOf(instruction);
    if (requantize == nullptr) return absl::StrCat(kind, model_.value(i + 1).is_coded() ? " + threshold" : "");
    return absl::StrCat(kind, instruction.operands_size() == 2 ? " + shortcut " : " ", ShiftOf(*requantize));
  }

  static std::string ShiftOf(const packed::Requantize& requantize) {
    if (requantize.encoding() == packed::Blob::UNSPECIFIED) return absl::StrCat("2^", -requantize.fraction_bits());
    const int shift = requantize.shift();
    return shift < 0 ? absl::StrCat("<< ", -shift) : absl::StrCat(">> ", shift);
  }

  // What a product of fixed-point codes has beside its weights.
  void AddRequantize(const packed::Requantize& requantize, int64_t out, LayerCost& cost) {
    if (requantize.has_bias()) AddFloats(requantize.bias(), out, cost);  // Integers of 4 bytes are counted as floats.
    if (requantize.has_flips() && IsNew(requantize.flips())) cost.bytes += BitBytes(1, out);
  }

  void AddFixedPoint(const packed::FixedPoint& fixed_point, LayerCost& cost) {
    cost.op = absl::StrCat("fixed point 2^", -fixed_point.fraction_bits());
    if (!fixed_point.has_mean()) return;
    const int64_t channels = ShapeOf(model_.blob(fixed_point.mean())).num_elements();
    AddFloats(fixed_point.mean(), channels, cost);
    AddFloats(fixed_point.inv_std(), channels, cost);
  }

  void AddLinear(int i, int64_t in, const Shape& y, LayerCost& cost) {
    const packed::Linear& linear = model_.header().instructions(i).linear();
    const Encoding x = InputEncoding(model_, i);
    const Encoding w = EncodingOf(model_.blob(linear.weight()));
    const int64_t out = y.cols();
    cost.input = NameOf(x);
    cost.weights = NameOf(w);
    cost.input_bits = x.bits;
    cost.weight_bits = w.bits;
    if (linear.has_requantize()) {
      cost.kernel = kShiftKernel;
      cost.integer_macs = y.num_elements() * in;
      AddWeights(linear, 0, out, in, w, cost);
      return AddRequantize(linear.requantize(), out, cost);
    }
    const KernelChoice choice = ChooseKernel(model_, i);
    cost.kernel = choice.description;
    const int64_t macs = y.num_elements() * in;
    switch (choice.kernel) {
      case DotKernel::kXnorPopcount: cost.bit_macs = macs; break;
      case DotKernel::kBitPlanes: cost.bit_macs = macs * x.bits * w.bits; break;
      case DotKernel::kInt8: cost.integer_macs = macs; break;
      case DotKernel::kFloatGemm:
        cost.float_macs = macs;
        cost.is_float = true;
        break;
    }
    AddWeights(linear, Levels(i), out, in, w, cost);
  }

  void AddConv2d(int i, LayerCost& cost) {
    const packed::Conv2d& conv = model_.header().instructions(i).conv2d();
    const Encoding x = InputEncoding(model_, i);
    const Encoding w = EncodingOf(model_.blob(conv.weight()));
    cost.input = NameOf(x);
    cost.weights = NameOf(w);
    cost.input_bits = x.bits;
    cost.weight_bits = w.bits;
    const ConvChoice choice = ChooseConvKernel(model_, i);
    if (conv.has_requantize()) {
      cost.kernel = kShiftKernel;
      cost.integer_macs = choice.geometry.macs();
      AddWeights(conv, 0, choice.geometry.filters, choice.geometry.patch_size(), w, cost);
      return AddRequantize(conv.requantize(), choice.geometry.filters, cost);
    }
    cost.kernel = choice.description;
    switch (choice.kernel) {
      case ConvKernel::kXnorPopcount: cost.bit_macs = choice.geometry.macs(); break;
      case ConvKernel::kCodes: cost.integer_macs = choice.geometry.macs(); break;
      case ConvKernel::kFloat:
        cost.float_macs = choice.geometry.macs();
        cost.is_float = true;
        break;
    }
    AddWeights(conv, Levels(i), choice.geometry.filters, choice.geometry.patch_size(), w, cost);
  }

  void AddTapConv2d(int i, LayerCost& cost) {
    const packed::TapConv2d& conv = model_.header().instructions(i).tap_conv2d();
    const Encoding x = InputEncoding(model_, i);
    const Encoding w = EncodingOf(model_.blob(conv.weight()));
    cost.op = "tap_conv2d";
    cost.input = NameOf(x);
    cost.weights = NameOf(w);
    cost.input_bits = x.bits;
    cost.weight_bits = w.bits;
    const int64_t weights = model_.blob(conv.weight()).shape(1);
    cost.float_macs = weights * cost.example.dim(0) * cost.example.dim(1);
    cost.is_float = !x.is_integer() || !w.is_integer();
    cost.kernel = cost.is_float ? "one tap per kernel, floats" : "one tap per kernel, integers as floats";
    if (IsNew(conv.weight())) {
      cost.parameters += weights;
      parameters_by_bits_[w.bits] += weights;
      cost.bytes += w.is_integer() ? w.bits * BitBytes(1, weights) : AlignUp(weights * 4);
    }
    if (IsNew(conv.taps())) {
      cost.parameters += weights;
      parameters_by_bits_[4] += weights;
      cost.bytes += 4 * BitBytes(1, weights);
    }
    if (conv.has_scales()) AddFloats(conv.scales(), conv.filters(), cost);
  }

  // The number of thresholds of each output of instruction i.
  int64_t Levels(int i) const {
    const Encoding& encoding = model_.value(i + 1).encoding;
    return encoding.is_integer() ? encoding.largest_stored() : 0;
  }

  // Counts the weight, the scales and the thresholds of a linear or conv2d.
  template <typename Product>
  void AddWeights(const Product& product, int64_t levels, int64_t out, int64_t in, const Encoding& w, LayerCost& cost) {
    if (IsNew(product.weight())) {
      cost.parameters += out * in;
      parameters_by_bits_[w.bits] += out * in;
      cost.bytes += w.is_integer() ? w.bits * BitBytes(out, in) : AlignUp(out * in * 4);
    }
    if (product.has_scales()) AddFloats(product.scales(), out, cost);
    if (product.has_threshold()) AddThreshold(product.threshold(), levels, out, cost);
  }

  void AddThreshold(const packed::Threshold& threshold, int64_t levels, int64_t out, LayerCost& cost) {
    AddFloats(threshold.thresholds(), out * levels, cost);  // Integers of 4 bytes are counted as floats are.
    if (IsNew(threshold.flips())) cost.bytes += BitBytes(1, out);
  }

  void AddAveragePool(int i, LayerCost& cost) {
    const Instruction& instruction = model_.header().instructions(i);
    const packed::Pool& pool = instruction.average_pool();
    const PackedValue& x = model_.value(instruction.operands(0));
    // The program has been checked, so its geometry is valid.
    const bool sums_codes = SumIsExact(x.encoding, *GeometryOf(pool, x.example));
    cost.op = pool.has_threshold()    ? "average_pool + threshold"
              : pool.has_requantize() ? absl::StrCat("average_pool ", ShiftOf(pool.requantize()))
                                      : "average_pool";
    cost.input = NameOf(x.encoding);
    cost.input_bits = x.encoding.bits;
    cost.kernel = sums_codes ? "sums of codes" : x.is_coded() ? "floats (sums exceed 2^24)" : "floats (float input)";
    if (pool.has_threshold()) AddThreshold(pool.threshold(), Levels(i), cost.example.cols(), cost);
  }

  void AddEmbedding(const packed::Embedding& embedding, LayerCost& cost) {
    const packed::Blob& table = model_.blob(embedding.table());
    const Encoding w = EncodingOf(table);
    cost.op = "embedding";
    cost.weights = NameOf(w);
    cost.weight_bits = w.bits;
    cost.kernel = "a row of the table";
    if (!IsNew(embedding.table())) return;
    const int64_t tokens = model_.header().input().tokens(), count = tokens * embedding.width();
    const bool is_flat = table.shape(0) != tokens;
    cost.parameters += count;
    parameters_by_bits_[w.bits] += count;
    cost.bytes += !w.is_integer() ? AlignUp(count * 4)
                                  : w.bits * (is_flat ? BitBytes(1, count) : BitBytes(tokens, embedding.width()));
  }

  void AddFloats(int blob, int64_t count, LayerCost& cost) {
    if (!IsNew(blob)) return;
    cost.parameters += count;
    cost.bytes += AlignUp(count * 4);
    parameters_by_bits_[32] += count;
  }

  // Two instructions may share a blob; it lies in the file once.
  bool IsNew(int blob) { return counted_.insert(blob).second; }

  const PackedModel& model_;
  std::set<int> counted_;
  std::map<int64_t, int64_t> parameters_by_bits_;
};

}  // namespace

ModelCost CostOf(const PackedModel& model) { return CostCounter(model).Run(); }

}  // namespace bitgrad
