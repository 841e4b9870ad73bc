#include "bitgrad/export/quantizer_like.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <vector>

#include "bitgrad/export/c_code/quantizer_steps.h"
#include "bitgrad/export/float_order.h"

namespace bitgrad {
namespace {

constexpr float kLargest = std::numeric_limits<float>::max();

// A form's number that its codes depend on: its variable, its statistic or, of `ternary`, the argument.
enum class Number { kNone, kVariable, kStatistic, kParameter };

Number NumberOf(const Quantizer& quantizer) {
  if (quantizer.has_variable()) return Number::kVariable;
  if (quantizer.statistic() != Statistic::kNone) return Number::kStatistic;
  const bool is_read =
      quantizer.info().argument == QuantizerArgument::kParameter && quantizer.encoding().kind != EncodingKind::kBinary;
  return is_read ? Number::kParameter : Number::kNone;
}

PackedQuantizer WithNumber(const Quantizer& quantizer, Number kind, float number) {
  PackedQuantizer packed = {.quantizer = quantizer};
  if (quantizer.has_learned_scale()) packed.scale = 1.0f;
  if (kind == Number::kVariable) packed.variable = number;
  if (kind == Number::kStatistic) packed.statistic = number;
  if (kind == Number::kParameter) {
    QuantizerArgs args = quantizer.args();
    args.parameter = number;
    packed.quantizer = Quantizer(&quantizer.info(), args);
  }
  return packed;
}

// Both sides of all limits, and what stored code each of them has.
struct Samples {
  std::vector<float> x, stored;
};

Samples SamplesOf(const StepFunction& f, const StepCodes& codes) {
  Samples samples;
  const auto add = [&](float x, int k) {
    samples.x.push_back(x);
    samples.stored.push_back(static_cast<float>(codes.encoding.stored(codes.codes[k])));
  };
  add(-kLargest, 0);
  for (int k = 0; k < f.steps; ++k) {
    const float limit = f.limit(k, 0);
    // Below 0 is what is below -0.
    add(limit == 0 ? -std::numeric_limits<float>::denorm_min() : NthFloat(FloatNumber(limit) - 1), k);
    add(limit, k + 1);
  }
  add(kLargest, f.steps);
  return samples;
}

// The number at which the form's last limit is that of f. Limits are multiples of the number, but for roundings.
std::optional<PackedQuantizer> Fitted(ExecContext& context, const Quantizer& quantizer, const StepFunction& f,
                                      const Samples& samples) {
  const auto fits = [&](const PackedQuantizer& packed) {
    // The file keeps arguments as text.
    const absl::StatusOr<PackedQuantizer> read = PackedQuantizer::FromProto(packed.ToProto());
    return read.ok() && read->quantizer == packed.quantizer && Quantized(packed, context, samples.x) == samples.stored;
  };
  const Number kind = NumberOf(quantizer);
  const float some = kind == Number::kParameter ? quantizer.args().parameter : 1.0f;
  const PackedQuantizer unit = WithNumber(quantizer, kind, some);
  if (kind == Number::kNone) return fits(unit) ? std::optional<PackedQuantizer>(unit) : std::nullopt;
  const float most = samples.stored.back();
  const auto is_most = [&](float x) { return Quantized(unit, context, {&x, 1})[0] >= most; };
  if (!unit.Check().ok() || !is_most(kLargest) || is_most(-kLargest)) return std::nullopt;
  const float guess = some * f.limit(f.steps - 1, 0) / LeastFloat(-kLargest, kLargest, is_most);
  if (!(guess > 0) || !std::isfinite(guess)) return std::nullopt;
  for (const int64_t near : {0, 1, -1, 2, -2, 3, -3, 4, -4}) {
    const PackedQuantizer packed = WithNumber(quantizer, kind, NthFloat(FloatNumber(guess) + near));
    if (packed.Check().ok() && fits(packed)) return packed;
  }
  return std::nullopt;
}

}  // namespace

std::optional<PackedQuantizer> QuantizerLike(ExecContext& context, const StepFunction& f, const StepCodes& codes) {
  const Samples samples = SamplesOf(f, codes);
  if (!std::is_sorted(samples.stored.begin(), samples.stored.end()) || f.steps < 1) return std::nullopt;
  for (const QuantizerInfo& info : AllQuantizers()) {
    if (info.stochastic || info.for_gradients || !info.monotone || info.granularity != Granularity::kTensor) continue;
    for (const QuantizerRole role : {QuantizerRole::kActivation, QuantizerRole::kWeight}) {
      QuantizerArgs args = {.role = role};
      if (info.argument == QuantizerArgument::kBits) args.bits = codes.encoding.bits;
      if (info.argument == QuantizerArgument::kParameter) args.parameter = info.default_argument;
      Quantizer quantizer(&info, args);
      if (!quantizer.status().ok() || quantizer.encoding() != codes.encoding) continue;
      if (info.scalable && codes.scale != quantizer.scale(1)) quantizer = quantizer.WithLearnedScale();
      std::optional<PackedQuantizer> packed = Fitted(context, quantizer, f, samples);
      if (!packed.has_value()) continue;
      if (packed->scale.has_value()) packed->scale = codes.scale * quantizer.scale_divisor();
      return packed;
    }
  }
  return std::nullopt;
}

}  // namespace bitgrad
