// What packed programs of fixed-point codes have beyond others (message Requantize, arXiv 1901.02064): the parts of
// instructions, and the rules that they obey. docs/packed_model_format.md states the number format.

#ifndef BITGRAD_RUNTIME_REQUANTIZE_H_
#define BITGRAD_RUNTIME_REQUANTIZE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/check_program.h"

namespace bitgrad {

// The most fractional bits of a value, and the fewest: 2^-N is a normal float, as is the product of two of them.
inline constexpr int kMaxFractionBits = 60;

// What the instruction does to its sums; null where it has no requantize.
const packed::Requantize* RequantizeOf(const packed::Instruction& instruction);

// Whether a value is fixed-point codes: two's complement or unsigned, of a power of two as scale.
bool IsFixedPoint(const PackedValue& value);

// REQUIRES: the encoding is of codes.
Encoding EncodingOf(const packed::Requantize& requantize);

// The number of floats' sums, for a value's scale: 2^-fraction_bits.
float ScaleOfFraction(int fraction_bits);

// The functions below return the value of an instruction whose operands have been checked, or an error that names the
// field. Blobs are not looked at.

// The value, of shape y, that a requantize makes. Where `of_product` is false, it may have neither bias, shortcut and
// flips nor sums as its value.
absl::StatusOr<PackedValue> CheckRequantize(const std::string& field, const packed::Requantize& requantize,
                                            const Shape& y, bool of_product);
// Of a product of k terms with weights w. `shortcut`: the second operand, or null.
absl::StatusOr<PackedValue> CheckRequantizedProduct(const std::string& field, const packed::Requantize& requantize,
                                                    const Shape& y, const PackedValue& x, const Encoding& w, int64_t k,
                                                    const PackedValue* shortcut);
// Of an average_pool over windows of `window` elements.
absl::StatusOr<PackedValue> CheckRequantizedAverage(const packed::Requantize& requantize, const Shape& y,
                                                    const PackedValue& x, int64_t window, bool windows_are_whole);
absl::StatusOr<PackedValue> CheckShiftAdd(const packed::ShiftAdd& add, const PackedValue& a, const PackedValue& b);
// y: the shape of the concatenated values.
absl::StatusOr<PackedValue> CheckShiftConcat(const packed::ShiftConcat& concat, const Shape& y,
                                             absl::Span<const PackedValue* const> operands);
absl::StatusOr<PackedValue> CheckFixedPoint(const packed::FixedPoint& fixed_point, const PackedValue& x);

// That the biases of a requantize keep its sums below 2^31.
absl::Status CheckBiases(const packed::Requantize& requantize, absl::Span<const int32_t> biases);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_REQUANTIZE_H_
