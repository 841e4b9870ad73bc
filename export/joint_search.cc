#include "bitgrad/export/joint_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/calibration.h"
#include "bitgrad/export/pooled.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

using Kind = UnifiedModule::Kind;

constexpr double kInfinity = std::numeric_limits<double>::infinity();

// A value of all calibration images.
struct Quantized {
  std::vector<float> floats;   // of the float net
  std::vector<uint8_t> codes;  // stored
};

class Search {
 public:
  Search(ExecContext& context, const std::vector<UnifiedModule>& modules, ConstMatrixView<float> inputs, int bits)
      : context_(context),
        modules_(modules),
        inputs_(inputs),
        images_(inputs.rows),
        bits_(bits),
        values_(modules.size()),
        formats_(modules.size()) {}

  absl::StatusOr<std::vector<ModuleFormat>> Run() {
    std::vector<size_t> last_use(modules_.size());
    for (size_t m = 0; m < modules_.size(); ++m) {
      for (const int x : modules_[m].inputs) last_use[x] = m;
    }
    for (size_t m = 0; m < modules_.size(); ++m) {
      BITGRAD_RETURN_IF_ERROR(Visit(m));
      BITGRAD_RETURN_IF_ERROR(context_.status());
      for (const int x : modules_[m].inputs) {
        if (last_use[x] == m) values_[x] = Quantized();
      }
    }
    return std::move(formats_);
  }

 private:
  absl::Status Visit(size_t m) {
    switch (modules_[m].kind) {
      case Kind::kInput: return VisitInput(m);
      case Kind::kProduct: return VisitProduct(m);
      case Kind::kAdd: return VisitAdd(m);
      case Kind::kAveragePool: return VisitAveragePool(m);
      case Kind::kMaxPool: VisitMaxPool(m); break;
      case Kind::kConcat: VisitConcat(m); break;
      case Kind::kReshape:
        values_[m] = values_[modules_[m].inputs[0]];
        formats_[m].encoding = input_format(m, 0).encoding;
        formats_[m].bits.output = input_format(m, 0).bits.output;
        break;
    }
    return absl::OkStatus();
  }

  const ModuleFormat& input_format(size_t m, int k) const { return formats_[modules_[m].inputs[k]]; }
  const float* Shortcut(size_t m) const { return modules_[m].has_shortcut() ? input(m, 1).floats.data() : nullptr; }
  const Quantized& input(size_t m, int k) const { return values_[modules_[m].inputs[k]]; }

  // Takes the float net's values of a module.
  absl::Status SetFloats(size_t m, std::vector<float> floats) {
    double most = 0, squares = 0;
    bool is_negative = false;
    const int64_t per_image = static_cast<int64_t>(floats.size()) / images_;
    for (size_t i = 0; i < floats.size(); ++i) {
      if (!std::isfinite(floats[i])) {
        return absl::InvalidArgumentError(
            absl::StrCat("layer '", modules_[m].layer, "': '", modules_[m].ops, "' gives ", floats[i],
                         " for calibration image ", static_cast<int64_t>(i) / per_image,
                         "; values have to be finite: the training diverged, or the image is damaged"));
      }
      most = std::max(most, std::fabs(static_cast<double>(floats[i])));
      squares += static_cast<double>(floats[i]) * static_cast<double>(floats[i]);
      is_negative |= floats[i] < 0;
    }
    values_[m].floats = std::move(floats);
    most_ = most;
    formats_[m].norm = std::sqrt(squares);
    return absl::OkStatus();
  }

  // Sets the encoding of a module's output, and returns the heuristic's N for it.
  int SetEncoding(size_t m, bool has_sign, int bits) {
    formats_[m].encoding = {has_sign ? EncodingKind::kTwosComplement : EncodingKind::kUnsigned, bits};
    return HeuristicFractionBits(most_, has_sign ? bits - 1 : bits);
  }

  absl::Status NoShifts(size_t m) const {
    return absl::InvalidArgumentError(
        absl::StrCat("layer '", modules_[m].layer, "': '", modules_[m].ops,
                     "' has values and weights of ranges so different that no shifts of at most ", kMaxShift,
                     " bits align them; train it with batch norm or weight decay"));
  }

  absl::Status VisitInput(size_t m) {
    const UnifiedModule& module = modules_[m];
    std::vector<float> x;
    x.reserve(static_cast<size_t>(inputs_.size()));
    const size_t channels = module.mean.size();
    for (int64_t i = 0; i < inputs_.rows; ++i) {
      for (int64_t j = 0; j < inputs_.cols; ++j) {
        const float pixel = inputs_.at(i, j);
        x.push_back(channels == 0 ? pixel : (pixel - module.mean[j % channels]) * module.inv_std[j % channels]);
      }
    }
    BITGRAD_RETURN_IF_ERROR(SetFloats(m, std::move(x)));
    const std::vector<float>& floats = values_[m].floats;
    const bool has_sign = std::any_of(floats.begin(), floats.end(), [](float v) { return v < 0; });
    const int first = SetEncoding(m, has_sign, kInputBits);
    ModuleFormat& format = formats_[m];
    const int32_t least = LeastCode(format.encoding), most = MostCode(format.encoding);
    format.error = kInfinity;
    for (int n = first; n <= first + kSearchWindow; ++n) {
      double squares = 0;
      for (const float v : floats) {
        const double difference = v - std::ldexp(FixedPointCode(v, n, least, most), -n);
        squares += difference * difference;
      }
      Consider(n == first, {.output = n}, squares, format);
    }
    std::vector<uint8_t>& codes = values_[m].codes;
    for (const float v : floats) {
      codes.push_back(static_cast<uint8_t>(FixedPointCode(v, format.bits.output, least, most) - least));
    }
    return absl::OkStatus();
  }

  static void Consider(bool is_heuristic, FractionBits bits, double squares, ModuleFormat& format) {
    const double error = std::sqrt(squares);
    if (is_heuristic) {
      format.heuristic = bits;
      format.heuristic_error = error;
    }
    if (error < format.error) {
      format.error = error;
      format.bits = bits;
    }
  }

  // The sums of products of integers, with the weights at N_w and, added, the shortcut. Empty where they do not fit.
  std::vector<int32_t> IntegerSums(size_t m, int n_w) {
    const UnifiedModule& module = modules_[m];
    const ModuleFormat& x = input_format(m, 0);
    const Encoding w = {EncodingKind::kTwosComplement, bits_};
    const int n = x.bits.output + n_w;
    const ModuleFormat* const shortcut = module.has_shortcut() ? &input_format(m, 1) : nullptr;
    const int shortcut_shift = shortcut != nullptr ? n - shortcut->bits.output : 0;
    const int64_t shortcut_max = shortcut != nullptr ? shortcut->encoding.max_code() : 0;
    if (std::abs(shortcut_shift) > kMaxShift || std::abs(n) > kMostFractionBits ||
        !ShiftSumsFit(x.encoding, w, module.terms, shortcut_max, shortcut_shift)) {
      return {};
    }
    std::vector<int8_t> codes(module.weight.size());
    ModuleFormat format;
    format.bits.weight = n_w;
    for (size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<int8_t>(format.WeightCode(module.weight[i], bits_));
    }
    const int64_t rows = images_ * module.example.num_elements() / module.outputs;
    std::vector<int32_t> sums(static_cast<size_t>(rows * module.outputs));
    ShiftOutput out;
    out.sums = {sums.data(), rows, module.outputs};
    if (shortcut != nullptr) {
      out.shortcut = input(m, 1).codes.data();
      out.shortcut_least = LeastCode(shortcut->encoding);
      out.shortcut_shift = shortcut_shift;
    }
    ShiftWeights weights = {.w = {codes.data(), module.outputs, module.terms}, .x_least = LeastCode(x.encoding)};
    if (module.is_conv) weights.geometry = module.geometry;
    const Kernels& kernels = KernelsFor(context_.device());
    std::unique_ptr<const ShiftFilters> filters;
    kernels.arrange_shift_filters(context_, weights, &filters);
    kernels.shift_product(context_, *filters, module.is_conv ? images_ : rows, input(m, 0).codes.data(), out);
    return sums;
  }

  // The biases as they are added to sums of n fractional bits; false where they cannot be.
  bool AlignedBiases(const UnifiedModule& module, int n_b, int n, std::vector<int32_t>* aligned) const {
    aligned->assign(static_cast<size_t>(module.outputs), 0);
    if (module.bias.empty()) return true;
    const int shift = n - n_b;
    if (std::abs(shift) > kMaxShift || (int64_t{1} << (kBiasBits - 1) << std::max(0, shift)) > kMaxShiftedBias)
      return false;
    ModuleFormat format;
    format.bits.bias = n_b;
    for (int64_t o = 0; o < module.outputs; ++o) (*aligned)[o] = ShiftLeft(format.BiasCode(module.bias[o]), shift);
    return true;
  }

  absl::Status VisitProduct(size_t m) {
    const UnifiedModule& module = modules_[m];
    if (!ShiftSumsFit(input_format(m, 0).encoding, {EncodingKind::kTwosComplement, bits_}, module.terms, 0, 0)) {
      return absl::InvalidArgumentError(absl::StrCat("layer '", module.layer, "': '", module.ops, "' has sums of ",
                                                     module.terms, " products of ", bits_,
                                                     " bits, which may exceed 2^30; quantize to fewer bits"));
    }
    BITGRAD_RETURN_IF_ERROR(SetFloats(m, FloatProduct(context_, module, images_, input(m, 0).floats, Shortcut(m))));
    ModuleFormat& format = formats_[m];
    const auto largest = [](const std::vector<float>& numbers) {
      double most = 0;
      for (const float v : numbers) most = std::max(most, std::fabs(static_cast<double>(v)));
      return most;
    };
    const int w_first = HeuristicFractionBits(largest(module.weight), bits_ - 1);
    const int b_first = HeuristicFractionBits(largest(module.bias), kBiasBits - 1);
    const int o_first = module.keeps_sums ? 0 : SetEncoding(m, !module.relu, bits_);
    const int b_window = module.bias.empty() ? 0 : kSearchWindow, o_window = module.keeps_sums ? 0 : kSearchWindow;
    format.error = format.heuristic_error = kInfinity;
    const int n_x = input_format(m, 0).bits.output;
    std::vector<int32_t> biases;
    for (int n_w = w_first; n_w <= w_first + kSearchWindow; ++n_w) {
      const std::vector<int32_t> sums = IntegerSums(m, n_w);
      BITGRAD_RETURN_IF_ERROR(context_.status());
      if (sums.empty()) continue;
      for (int n_b = b_first; n_b <= b_first + b_window; ++n_b) {
        if (!AlignedBiases(module, n_b, n_x + n_w, &biases)) continue;
        for (int n_o = o_first; n_o <= o_first + o_window; ++n_o) {
          const int output = module.keeps_sums ? n_x + n_w : n_o;
          if (!IsOutputShift(n_x + n_w - output) || std::abs(output) > kMostFractionBits) continue;
          const bool is_heuristic = n_w == w_first && n_b == b_first && n_o == o_first;
          Consider(is_heuristic, {n_w, n_b, output}, SquaredError(m, sums, biases, n_x + n_w - output, output), format);
        }
      }
    }
    if (format.error == kInfinity) return NoShifts(m);
    if (module.keeps_sums) return absl::OkStatus();
    const int n = n_x + format.bits.weight;
    const std::vector<int32_t> sums = IntegerSums(m, format.bits.weight);
    AlignedBiases(module, format.bits.bias, n, &biases);
    const int32_t least = LeastCode(format.encoding), most = MostCode(format.encoding);
    std::vector<uint8_t>& codes = values_[m].codes;
    codes.resize(sums.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      const int32_t sum = sums[i] + biases[i % biases.size()];
      codes[i] = static_cast<uint8_t>(CodeOf(sum, n - format.bits.output, least, most) - least);
    }
    return absl::OkStatus();
  }

  double SquaredError(size_t m, const std::vector<int32_t>& sums, const std::vector<int32_t>& biases, int shift,
                      int n_o) const {
    const std::vector<float>& floats = values_[m].floats;
    const bool keeps_sums = modules_[m].keeps_sums;
    const Encoding& encoding = formats_[m].encoding;
    const int32_t least = keeps_sums ? 0 : LeastCode(encoding), most = keeps_sums ? 0 : MostCode(encoding);
    const double step = std::ldexp(1.0, -n_o);
    const size_t outputs = biases.size();
    double squares = 0;
    for (size_t i = 0; i < sums.size(); i += outputs) {
      for (size_t o = 0; o < outputs; ++o) {
        const int32_t sum = sums[i + o] + biases[o];
        const double difference = floats[i + o] - step * (keeps_sums ? sum : CodeOf(sum, shift, least, most));
        squares += difference * difference;
      }
    }
    return squares;
  }

  // Searches N_o of a module whose sums, of n fractional bits, are at hand, and makes its codes.
  absl::Status SearchOutput(size_t m, bool has_sign, const std::vector<int32_t>& sums, int n) {
    ModuleFormat& format = formats_[m];
    const int first = SetEncoding(m, has_sign, bits_);
    const std::vector<int32_t> none(1, 0);
    format.error = format.heuristic_error = kInfinity;
    for (int n_o = first; n_o <= first + kSearchWindow; ++n_o) {
      if (!IsOutputShift(n - n_o) || std::abs(n_o) > kMostFractionBits) continue;
      Consider(n_o == first, {.output = n_o}, SquaredError(m, sums, none, n - n_o, n_o), format);
    }
    if (format.error == kInfinity) return NoShifts(m);
    const int32_t least = LeastCode(format.encoding), most = MostCode(format.encoding);
    for (const int32_t sum : sums) {
      values_[m].codes.push_back(static_cast<uint8_t>(CodeOf(sum, n - format.bits.output, least, most) - least));
    }
    return absl::OkStatus();
  }

  absl::Status VisitAdd(size_t m) {
    const Quantized &a = input(m, 0), &b = input(m, 1);
    const ModuleFormat &of_a = input_format(m, 0), &of_b = input_format(m, 1);
    std::vector<float> floats(a.floats.size());
    for (size_t i = 0; i < floats.size(); ++i) {
      floats[i] = a.floats[i] + b.floats[i];
      if (modules_[m].relu && floats[i] < 0) floats[i] = 0;
    }
    BITGRAD_RETURN_IF_ERROR(SetFloats(m, std::move(floats)));
    const int n = std::max(of_a.bits.output, of_b.bits.output);
    if (n - std::min(of_a.bits.output, of_b.bits.output) > 20) return NoShifts(m);
    const int32_t a_least = LeastCode(of_a.encoding), b_least = LeastCode(of_b.encoding);
    std::vector<int32_t> sums(a.codes.size());
    for (size_t i = 0; i < sums.size(); ++i) {
      sums[i] =
          ShiftLeft(a_least + a.codes[i], n - of_a.bits.output) + ShiftLeft(b_least + b.codes[i], n - of_b.bits.output);
    }
    return SearchOutput(m, !modules_[m].relu, sums, n);
  }

  absl::Status VisitAveragePool(size_t m) {
    const PoolGeometry& g = modules_[m].pool;
    const int64_t window = g.kernel_height * g.kernel_width;
    const ModuleFormat& x = input_format(m, 0);
    const auto nothing = [](int64_t) { return 0.0f; };
    BITGRAD_RETURN_IF_ERROR(
        SetFloats(m, Pooled<float, float>(
                         g, images_, input(m, 0).floats, nothing, [](float& sum, float v, int64_t) { sum += v; },
                         [&](float sum) { return sum / static_cast<float>(window); })));
    std::vector<int32_t> codes;
    for (const uint8_t c : input(m, 0).codes) codes.push_back(LeastCode(x.encoding) + c);
    const std::vector<int32_t> sums = Pooled<int32_t, int32_t>(
        g, images_, codes, [](int64_t) { return 0; }, [](int32_t& sum, int32_t v, int64_t) { sum += v; },
        [](int32_t sum) { return sum; });
    const int n = x.bits.output + static_cast<int>(std::lround(std::log2(static_cast<double>(window))));
    return SearchOutput(m, x.encoding.kind == EncodingKind::kTwosComplement, sums, n);
  }

  void VisitMaxPool(size_t m) {
    const UnifiedModule& module = modules_[m];
    const auto is_least = [&](int64_t c) { return !module.flips.empty() && module.flips[c] != 0; };
    values_[m].floats = Pooled<float, float>(
        module.pool, images_, input(m, 0).floats,
        [&](int64_t c) { return static_cast<float>(is_least(c) ? kInfinity : -kInfinity); },
        [&](float& best, float v, int64_t c) { best = is_least(c) ? std::min(best, v) : std::max(best, v); },
        [](float best) { return best; });
    values_[m].codes = Pooled<uint8_t, uint8_t>(
        module.pool, images_, input(m, 0).codes,
        [&](int64_t c) { return uint8_t{is_least(c) ? uint8_t{255} : uint8_t{0}}; },
        [&](uint8_t& best, uint8_t v, int64_t c) { best = is_least(c) ? std::min(best, v) : std::max(best, v); },
        [](uint8_t best) { return best; });
    formats_[m].encoding = input_format(m, 0).encoding;
    formats_[m].bits.output = input_format(m, 0).bits.output;
  }

  // Codes of one format pass as they are; others are shifted to the fewest fractional bits among them.
  void VisitConcat(size_t m) {
    const UnifiedModule& module = modules_[m];
    bool has_sign = false;
    int bits = 0;
    for (size_t k = 0; k < module.inputs.size(); ++k) {
      const ModuleFormat& x = input_format(m, static_cast<int>(k));
      has_sign |= x.encoding.kind == EncodingKind::kTwosComplement;
      bits = std::max(bits, x.encoding.bits);
    }
    int n_o = std::numeric_limits<int>::max();
    for (size_t k = 0; k < module.inputs.size(); ++k) {
      const ModuleFormat& x = input_format(m, static_cast<int>(k));
      const bool gains_sign = has_sign && x.encoding.kind == EncodingKind::kUnsigned && x.encoding.bits == bits;
      n_o = std::min(n_o, x.bits.output - (gains_sign ? 1 : 0));
    }
    ModuleFormat& format = formats_[m];
    format.encoding = {has_sign ? EncodingKind::kTwosComplement : EncodingKind::kUnsigned, bits};
    format.bits.output = n_o;
    const int32_t least = LeastCode(format.encoding), most = MostCode(format.encoding);
    const int64_t rows = images_ * module.example.num_elements() / module.example.cols();
    for (int64_t i = 0; i < rows; ++i) {
      for (size_t k = 0; k < module.inputs.size(); ++k) {
        const int64_t cols = modules_[module.inputs[k]].example.cols();
        const ModuleFormat& x = input_format(m, static_cast<int>(k));
        for (int64_t j = i * cols; j < (i + 1) * cols; ++j) {
          values_[m].floats.push_back(input(m, static_cast<int>(k)).floats[j]);
          const int32_t code = LeastCode(x.encoding) + input(m, static_cast<int>(k)).codes[j];
          const int shift = std::min(x.bits.output - n_o, kMaxShift);
          values_[m].codes.push_back(static_cast<uint8_t>(CodeOf(code, shift, least, most) - least));
        }
      }
    }
  }

  ExecContext& context_;
  const std::vector<UnifiedModule>& modules_;
  const ConstMatrixView<float> inputs_;
  const int64_t images_;
  const int bits_;
  std::vector<Quantized> values_;
  std::vector<ModuleFormat> formats_;
  double most_ = 0;  // of the module's values, in size
};

}  // namespace

absl::StatusOr<std::vector<ModuleFormat>> SearchFormats(ExecContext& context, const std::vector<UnifiedModule>& modules,
                                                        ConstMatrixView<float> inputs, int bits) {
  return Search(context, modules, inputs, bits).Run();
}

}  // namespace bitgrad
