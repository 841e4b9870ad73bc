#include "bitgrad/runtime/requantize.h"

#include <cmath>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/kernels/shift_product.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Requantize;

template <typename... Args>
absl::Status Error(const Args&... args) {
  return absl::InvalidArgumentError(absl::StrCat(args...));
}

absl::Status CheckRange(const std::string& field, int64_t value, int64_t least, int64_t most) {
  if (value >= least && value <= most) return absl::OkStatus();
  return Error(field, ": ", value, " is not in [", least, ", ", most, "]");
}

absl::StatusOr<Encoding> CheckEncoding(const std::string& field, Blob::Kind kind, int32_t bits) {
  if (kind != Blob::UNSIGNED && kind != Blob::TWOS_COMPLEMENT) {
    return Error(field, ".encoding: ", static_cast<int>(kind), " is neither UNSIGNED nor TWOS_COMPLEMENT");
  }
  Blob codes;
  codes.set_kind(kind);
  codes.set_bits(bits);
  if (const absl::Status status = CheckBits(codes); !status.ok()) return Error(field, ": ", status.message());
  return EncodingOf(codes);
}

absl::Status CheckOperand(const std::string& field, const PackedValue& x) {
  if (IsFixedPoint(x)) return absl::OkStatus();
  return Error(field, ": an operand is no fixed-point codes, but ", Name(x.encoding.kind), " of scale ", x.scale);
}

}  // namespace

const Requantize* RequantizeOf(const packed::Instruction& instruction) {
  switch (instruction.kind_case()) {
    case packed::Instruction::kLinear:
      return instruction.linear().has_requantize() ? &instruction.linear().requantize() : nullptr;
    case packed::Instruction::kConv2D:
      return instruction.conv2d().has_requantize() ? &instruction.conv2d().requantize() : nullptr;
    case packed::Instruction::kAveragePool:
      return instruction.average_pool().has_requantize() ? &instruction.average_pool().requantize() : nullptr;
    case packed::Instruction::kShiftAdd: return &instruction.shift_add().requantize();
    case packed::Instruction::kShiftConcat: return &instruction.shift_concat().requantize();
    default: return nullptr;
  }
}

bool IsFixedPoint(const PackedValue& value) {
  const EncodingKind kind = value.encoding.kind;
  int exponent;
  return (kind == EncodingKind::kUnsigned || kind == EncodingKind::kTwosComplement) &&
         std::frexp(value.scale, &exponent) == 0.5f && std::abs(exponent - 1) <= kMaxFractionBits;
}

Encoding EncodingOf(const Requantize& requantize) {
  return {requantize.encoding() == Blob::UNSIGNED ? EncodingKind::kUnsigned : EncodingKind::kTwosComplement,
          requantize.bits()};
}

float ScaleOfFraction(int fraction_bits) { return std::ldexp(1.0f, -fraction_bits); }

absl::StatusOr<PackedValue> CheckRequantize(const std::string& field, const Requantize& requantize, const Shape& y,
                                            bool of_product) {
  PackedValue value = {.example = y};
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".shift", requantize.shift(), -kMaxOutputLeftShift, kMaxShift));
  BITGRAD_RETURN_IF_ERROR(
      CheckRange(field + ".fraction_bits", requantize.fraction_bits(), -kMaxFractionBits, kMaxFractionBits));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".bias_shift", requantize.bias_shift(), -kMaxShift, kMaxShift));
  BITGRAD_RETURN_IF_ERROR(CheckRange(field + ".shortcut_shift", requantize.shortcut_shift(), -kMaxShift, kMaxShift));
  if (!of_product && (requantize.has_bias() || requantize.has_flips() || requantize.shortcut_shift() != 0)) {
    return Error(field, ": only products have a bias, a shortcut and flips");
  }
  if (!requantize.has_bias() && requantize.bias_shift() != 0) return Error(field, ".bias_shift: there is no bias");
  if (of_product && requantize.encoding() == Blob::UNSPECIFIED) {
    if (requantize.bits() != 0 || requantize.shift() != 0 || requantize.has_flips()) {
      return Error(field, ".encoding: sums that stay as they are have no bits, shift and flips");
    }
    return value;
  }
  BITGRAD_ASSIGN_OR_RETURN(value.encoding, CheckEncoding(field, requantize.encoding(), requantize.bits()));
  value.scale = ScaleOfFraction(requantize.fraction_bits());
  return value;
}

absl::StatusOr<PackedValue> CheckRequantizedProduct(const std::string& field, const Requantize& requantize,
                                                    const Shape& y, const PackedValue& x, const Encoding& w, int64_t k,
                                                    const PackedValue* shortcut) {
  BITGRAD_RETURN_IF_ERROR(CheckOperand(field, x));
  if (w.kind != EncodingKind::kTwosComplement) return Error(field, ": the weight is not TWOS_COMPLEMENT");
  BITGRAD_ASSIGN_OR_RETURN(PackedValue value, CheckRequantize(field, requantize, y, /*of_product=*/true));
  int64_t shortcut_max = 0;
  if (shortcut != nullptr) {
    BITGRAD_RETURN_IF_ERROR(CheckOperand(field, *shortcut));
    if (shortcut->example != y) {
      return Error(field, ": the shortcut has the shape ", shortcut->example.ToString(), ", the value ", y.ToString());
    }
    shortcut_max = shortcut->encoding.max_code();
  } else if (requantize.shortcut_shift() != 0) {
    return Error(field, ".shortcut_shift: there is no second operand");
  }
  if (!ShiftSumsFit(x.encoding, w, k, shortcut_max, requantize.shortcut_shift())) {
    return Error(field, ": sums of ", k, " products of ", x.encoding.bits, " and ", w.bits,
                 " bits, with the shortcut, may exceed 2^30");
  }
  return value;
}

absl::StatusOr<PackedValue> CheckRequantizedAverage(const Requantize& requantize, const Shape& y, const PackedValue& x,
                                                    int64_t window, bool windows_are_whole) {
  const std::string field = "average_pool.requantize";
  BITGRAD_RETURN_IF_ERROR(CheckOperand(field, x));
  if (!windows_are_whole || window > (1 << 20) || (window & (window - 1)) != 0) {
    return Error(field, ": windows of ", window, " elements, or that reach over the border, are no power of two");
  }
  return CheckRequantize(field, requantize, y, /*of_product=*/false);
}

absl::StatusOr<PackedValue> CheckShiftAdd(const packed::ShiftAdd& add, const PackedValue& a, const PackedValue& b) {
  const std::string field = "shift_add";
  for (const PackedValue* x : {&a, &b}) BITGRAD_RETURN_IF_ERROR(CheckOperand(field, *x));
  if (a.example != b.example) {
    return Error("operands: shapes ", a.example.ToString(), " and ", b.example.ToString(), " differ");
  }
  if (add.left_shifts_size() != 2) return Error("shift_add.left_shifts: ", add.left_shifts_size(), " given, not 2");
  for (const int32_t shift : add.left_shifts()) {
    // Codes have 8 bits, so that the sum has not more than 30.
    BITGRAD_RETURN_IF_ERROR(CheckRange("shift_add.left_shifts", shift, 0, 20));
  }
  return CheckRequantize("shift_add.requantize", add.requantize(), a.example, /*of_product=*/false);
}

absl::StatusOr<PackedValue> CheckShiftConcat(const packed::ShiftConcat& concat, const Shape& y,
                                             absl::Span<const PackedValue* const> operands) {
  for (const PackedValue* x : operands) BITGRAD_RETURN_IF_ERROR(CheckOperand("shift_concat", *x));
  if (concat.shifts_size() != static_cast<int>(operands.size())) {
    return Error("shift_concat.shifts: ", concat.shifts_size(), " given for ", operands.size(), " operands");
  }
  for (const int32_t shift : concat.shifts()) {
    BITGRAD_RETURN_IF_ERROR(CheckRange("shift_concat.shifts", shift, -kMaxOutputLeftShift, kMaxShift));
  }
  if (concat.requantize().shift() != 0) return Error("shift_concat.requantize.shift: each operand has its own");
  return CheckRequantize("shift_concat.requantize", concat.requantize(), y, /*of_product=*/false);
}

absl::StatusOr<PackedValue> CheckFixedPoint(const packed::FixedPoint& fixed_point, const PackedValue& x) {
  if (x.is_coded()) return Error("fixed_point: the operand is codes already");
  PackedValue value = {.example = x.example};
  BITGRAD_ASSIGN_OR_RETURN(value.encoding, CheckEncoding("fixed_point", fixed_point.encoding(), fixed_point.bits()));
  BITGRAD_RETURN_IF_ERROR(
      CheckRange("fixed_point.fraction_bits", fixed_point.fraction_bits(), -kMaxFractionBits, kMaxFractionBits));
  if (fixed_point.has_mean() != fixed_point.has_inv_std()) {
    return Error("fixed_point: mean and inv_std go together");
  }
  value.scale = ScaleOfFraction(fixed_point.fraction_bits());
  return value;
}

absl::Status CheckBiases(const Requantize& requantize, absl::Span<const int32_t> biases) {
  const int shift = requantize.bias_shift();
  for (size_t o = 0; o < biases.size(); ++o) {
    const int64_t bias = std::abs(int64_t{biases[o]});
    if (bias <= (shift > 0 ? kMaxShiftedBias >> shift : kMaxShiftedBias)) continue;
    return Error("the bias of output ", o, ", ", biases[o], " shifted by ", shift, ", exceeds 2^29");
  }
  return absl::OkStatus();
}

}  // namespace bitgrad
