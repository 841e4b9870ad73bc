// Element types of tensors. Bits are not an element type: packed bits live in BitMatrix.

#ifndef BITGRAD_CORE_DTYPE_H_
#define BITGRAD_CORE_DTYPE_H_

#include <cstddef>
#include <cstdint>

namespace bitgrad {

// Values are written to files (checkpoint.proto): never renumber.
enum class DType : int { kFloat32 = 1, kInt32 = 2, kUint8 = 3, kInt64 = 4, kInt8 = 5 };

constexpr size_t SizeOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return 4;
    case DType::kInt32: return 4;
    case DType::kUint8: return 1;
    case DType::kInt64: return 8;
    case DType::kInt8: return 1;
  }
  return 0;  // Not a DType (a number read from a file): callers treat 0 as an error.
}

constexpr const char* Name(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "float32";
    case DType::kInt32: return "int32";
    case DType::kUint8: return "uint8";
    case DType::kInt64: return "int64";
    case DType::kInt8: return "int8";
  }
  return "unknown";
}

template <typename T>
struct DTypeOf;
template <>
struct DTypeOf<float> {
  static constexpr DType kValue = DType::kFloat32;
};
template <>
struct DTypeOf<int32_t> {
  static constexpr DType kValue = DType::kInt32;
};
template <>
struct DTypeOf<uint8_t> {
  static constexpr DType kValue = DType::kUint8;
};
template <>
struct DTypeOf<int8_t> {
  static constexpr DType kValue = DType::kInt8;
};
template <>
struct DTypeOf<int64_t> {
  static constexpr DType kValue = DType::kInt64;
};

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DTYPE_H_
