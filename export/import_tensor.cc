#include "bitgrad/export/import_tensor.h"

#include <bit>
#include <cmath>
#include <cstring>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"

namespace bitgrad {
namespace {

using onnx::TensorProto;

// IEEE binary16 as a float.
float HalfOf(uint16_t bits) {
  const int exponent = (bits >> 10) & 31, fraction = bits & 1023;
  const float sign = (bits & 0x8000) != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction != 0 ? std::nanf("") : sign * HUGE_VALF;
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

float Bfloat16Of(uint16_t bits) { return std::bit_cast<float>(static_cast<uint32_t>(bits) << 16); }

// The elements of raw_data as numbers of type T. ONNX's raw data is little endian, as are the machines bitgrad runs on.
template <typename T, typename Out, typename Convert>
absl::Status ReadRaw(const std::string& raw, int64_t count, std::vector<Out>& out, const Convert& convert) {
  if (raw.size() / sizeof(T) != static_cast<size_t>(count) || raw.size() % sizeof(T) != 0) {
    return absl::InvalidArgumentError(
        absl::StrCat("has ", raw.size(), " bytes of data, its shape needs ", count, " elements of ", sizeof(T)));
  }
  out.resize(static_cast<size_t>(count));
  for (size_t i = 0; i < out.size(); ++i) {
    T value;
    std::memcpy(&value, raw.data() + i * sizeof(T), sizeof(T));
    out[i] = static_cast<Out>(convert(value));
  }
  return absl::OkStatus();
}

template <typename T, typename Field, typename Out, typename Convert>
absl::Status Read(const TensorProto& proto, const Field& field, int64_t count, std::vector<Out>& out,
                  const Convert& convert) {
  if (proto.has_raw_data()) return ReadRaw<T>(proto.raw_data(), count, out, convert);
  if (field.size() != count) {
    return absl::InvalidArgumentError(absl::StrCat("has ", field.size(), " elements, its shape needs ", count));
  }
  out.resize(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) out[i] = static_cast<Out>(convert(static_cast<T>(field[static_cast<int>(i)])));
  return absl::OkStatus();
}

absl::Status ReadElements(const TensorProto& proto, int64_t count, ImportTensor& tensor) {
  const auto same = [](auto x) { return x; };
  std::vector<float>& floats = tensor.floats;
  std::vector<int64_t>& ints = tensor.ints;
  const int type = proto.data_type();
  tensor.is_integer = type != TensorProto::FLOAT && type != TensorProto::DOUBLE && type != TensorProto::FLOAT16 &&
                      type != TensorProto::BFLOAT16;
  switch (type) {
    case TensorProto::FLOAT: return Read<float>(proto, proto.float_data(), count, floats, same);
    case TensorProto::DOUBLE: return Read<double>(proto, proto.double_data(), count, floats, same);
    case TensorProto::FLOAT16: return Read<uint16_t>(proto, proto.int32_data(), count, floats, HalfOf);
    case TensorProto::BFLOAT16: return Read<uint16_t>(proto, proto.int32_data(), count, floats, Bfloat16Of);
    case TensorProto::INT8: return Read<int8_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::UINT8: return Read<uint8_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::INT16: return Read<int16_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::UINT16: return Read<uint16_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::BOOL: return Read<uint8_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::INT32: return Read<int32_t>(proto, proto.int32_data(), count, ints, same);
    case TensorProto::INT64: return Read<int64_t>(proto, proto.int64_data(), count, ints, same);
    case TensorProto::UINT32: return Read<uint32_t>(proto, proto.uint64_data(), count, ints, same);
    default: break;
  }
  const std::string name =
      TensorProto::DataType_IsValid(type) ? TensorProto::DataType_Name(static_cast<TensorProto::DataType>(type)) : "";
  return absl::UnimplementedError(absl::StrCat("is of type ", type, " (", name, "), which is not read"));
}

}  // namespace

absl::Status CheckImportedShape(const Shape& shape) {
  if (shape.rank() > 8)
    return absl::InvalidArgumentError(absl::StrCat("has ", shape.rank(), " dimensions, not 0 to 8"));
  BITGRAD_RETURN_IF_ERROR(shape.Validate());
  if (shape.num_elements() > kMostImportedElements) {
    return absl::InvalidArgumentError(absl::StrCat("is of shape ", shape.ToString(), ", which is too large"));
  }
  return absl::OkStatus();
}

absl::StatusOr<ImportTensor> ReadTensor(const TensorProto& proto) {
  if (proto.data_location() == TensorProto::EXTERNAL || proto.external_data_size() > 0) {
    return absl::UnimplementedError(
        "has its data in another file; save the model as one file (onnx.save(model, path, "
        "save_as_external_data=False))");
  }
  ImportTensor tensor;
  tensor.data_type = proto.data_type();
  tensor.shape = Shape(absl::Span<const int64_t>(proto.dims().data(), static_cast<size_t>(proto.dims_size())));
  BITGRAD_RETURN_IF_ERROR(CheckImportedShape(tensor.shape));
  BITGRAD_RETURN_IF_ERROR(ReadElements(proto, tensor.size(), tensor));
  for (const float x : tensor.floats) {
    if (!std::isfinite(x)) return absl::InvalidArgumentError("has a NaN or an infinity; the parameters are damaged");
  }
  return tensor;
}

std::vector<int64_t> StridesOf(const Shape& shape) {
  std::vector<int64_t> strides(static_cast<size_t>(shape.rank()), 1);
  for (int d = shape.rank() - 2; d >= 0; --d) strides[d] = strides[d + 1] * shape.dim(d + 1);
  return strides;
}

ImportTensor Transposed(const ImportTensor& x, const std::vector<int64_t>& perm) {
  const int rank = x.shape.rank();
  const std::vector<int64_t> strides = StridesOf(x.shape);
  std::vector<int64_t> dims, place(static_cast<size_t>(rank), 0);
  for (const int64_t d : perm) dims.push_back(x.shape.dim(static_cast<int>(d)));
  ImportTensor y;
  y.shape = Shape(dims);
  y.is_integer = x.is_integer;
  if (x.codes.has_value()) {
    y.codes = ImportCodes{.codes = {}, .scales = x.codes->scales, .axis = 0};
    for (int d = 0; d < rank; ++d) {
      if (perm[d] == x.codes->axis) y.codes->axis = d;
    }
  }
  for (int64_t i = 0; i < x.size(); ++i) {
    int64_t source = 0;
    for (int d = 0; d < rank; ++d) source += place[d] * strides[perm[d]];
    if (x.is_integer) {
      y.ints.push_back(x.ints[source]);
    } else {
      y.floats.push_back(x.floats[source]);
    }
    if (x.codes.has_value()) y.codes->codes.push_back(x.codes->codes[source]);
    for (int d = rank - 1; d >= 0 && ++place[d] == dims[d]; --d) place[d] = 0;
  }
  return y;
}

ImportTensor Reshaped(const ImportTensor& x, const Shape& shape) {
  ImportTensor y = x;
  y.shape = shape;
  const bool rows_stay = x.codes.has_value() && x.codes->axis == 0 && x.shape.rank() > 0 && shape.rank() > 0 &&
                         x.shape.dim(0) == shape.dim(0);
  if (x.codes.has_value() && x.codes->scales.size() > 1 && !rows_stay) y.codes.reset();
  return y;
}

}  // namespace bitgrad
