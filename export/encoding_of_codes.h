// The encoding that integers fit in.

#ifndef BITGRAD_EXPORT_ENCODING_OF_CODES_H_
#define BITGRAD_EXPORT_ENCODING_OF_CODES_H_

#include <cstdint>

#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"

namespace bitgrad {

// The affine encoding (core/encoding.h) of the fewest bits, and of these the first that has all codes of binary,
// ternary, symmetric, unsigned, two's complement; kFloat where 8 bits do not do.
Encoding EncodingOfCodes(absl::Span<const int32_t> codes);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ENCODING_OF_CODES_H_
