// How the dialects of ONNX say that a tensor has few bits. What they hold are integers on a grid at distances of 1, of
// which the codes of an affine encoding (core/encoding.h) are a multiple:
//
//   code = step * grid + offset
//
//   encoding          grid                          step, offset
//   binary            the code                      1, 0
//   ternary           the code, of 2 bits           1, 0
//   symmetric(k)      c = 0 .. 2^k - 1              2, 1 - 2^k
//   unsigned(k)       the code                      1, 0
//   two's complement  the code                      1, 0
//
// The nodes that say it change nothing where the numbers are on the grid. All tensors are floats.

#ifndef BITGRAD_EXPORT_ONNX_CODES_H_
#define BITGRAD_EXPORT_ONNX_CODES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/export/onnx_values.h"

namespace bitgrad {

// Whether the dialect has nodes for codes of this encoding. REQUIRES: encoding.is_integer().
bool CanSay(OnnxDialect dialect, const Encoding& encoding);
// OK if the dialect can say codes of this encoding, or the encoding is of floats; else the error of instruction i.
// `what` is whose codes they are: "weights".
absl::Status CheckCanSay(const OnnxValues& values, int i, const char* what, const Encoding& encoding);

// A constant of codes. REQUIRES: CanSay().
std::string ConstantCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding,
                          std::vector<int64_t> shape, absl::Span<const int64_t> codes);
// The same by the standard's operators alone, whatever the dialect is.
std::string PlainConstantCodes(OnnxValues& values, const std::string& hint, std::vector<int64_t> shape,
                               absl::Span<const int64_t> codes);

// Codes as what DequantizeLinear makes of bytes: for qcdq. Empty where the codes do not fit a byte.
std::string AsDequantizedBytes(OnnxValues& values, const std::string& hint, const Encoding& encoding,
                               const std::string& codes);

// The binary codes of x: +1 where x >= 0, else -1.
std::string SignCodes(OnnxValues& values, const std::string& hint, const std::string& x);
// The codes of the largest whole numbers not above u, which are the grid's; u may be outside of the grid by less
// than 1. REQUIRES: CanSay(), is_affine(), and it is not binary.
std::string FloorCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& u);
// The codes that are given by their grid: the same where nothing has to be rounded.
std::string GridCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& grid);
// Codes that are there already, of any encoding: said as far as the dialect can, else left as they are.
std::string SayCodes(OnnxValues& values, const std::string& hint, const Encoding& encoding, const std::string& codes);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_CODES_H_
