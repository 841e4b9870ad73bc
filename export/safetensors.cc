#include "bitgrad/export/safetensors.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <utility>

#include "absl/base/casts.h"
#include "absl/strings/escaping.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/version.h"
#include "bitgrad/export/safetensors_header.h"

namespace bitgrad {
namespace {

// That of the format's own library.
constexpr uint64_t kMostHeaderBytes = 100'000'000;

template <typename... What>
absl::Status Error(const std::string& path, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat("safetensors file '", path, "': ", what...));
}

// Bytes per element; 0 for a dtype that is not known.
int64_t BytesOf(absl::string_view dtype) {
  if (dtype == "BOOL" || dtype == "U8" || dtype == "I8" || dtype == "F8_E4M3" || dtype == "F8_E5M2") return 1;
  if (dtype == "U16" || dtype == "I16" || dtype == "F16" || dtype == "BF16") return 2;
  if (dtype == "U32" || dtype == "I32" || dtype == "F32") return 4;
  if (dtype == "U64" || dtype == "I64" || dtype == "F64") return 8;
  return 0;
}

std::string DTypeTextOf(DType dtype) {
  switch (dtype) {
    case DType::kFloat32: return "F32";
    case DType::kInt32: return "I32";
    case DType::kUint8: return "U8";
    case DType::kInt64: return "I64";
    case DType::kInt8: return "I8";
  }
  return "";
}

// What users mistake for such a file.
absl::string_view WhatElse(absl::string_view begin) {
  if (absl::StartsWith(begin, "BITGCKPT")) return "it is a checkpoint of bitgrad: name it by --checkpoint";
  if (absl::StartsWith(begin, "BITGRAD")) return "it is a packed model of bitgrad, which has no latent weights";
  if (absl::StartsWith(begin, "PK\x03\x04")) {
    return "it is a zip archive, as torch.save writes; save the state_dict with safetensors.torch.save_file";
  }
  return "";
}

// Empty if shape, dtype and bytes fit one another and `size` bytes of data.
std::string CheckEntry(const SafetensorsHeaderEntry& entry, int64_t size) {
  const int64_t element = BytesOf(entry.dtype);
  if (element == 0) return absl::StrCat("has the unknown dtype '", absl::CHexEscape(entry.dtype), "'");
  if (const absl::Status valid = entry.shape.Validate(); !valid.ok()) return absl::StrCat("has a ", valid.message());
  if (entry.begin > entry.end || entry.end > size) {
    return absl::StrCat("has the bytes ", entry.begin, " to ", entry.end, ", but the file has ", size,
                        " bytes of data");
  }
  const int64_t bytes = entry.shape.num_elements() * element;
  if (entry.end - entry.begin == bytes) return "";
  return absl::StrCat("has ", entry.end - entry.begin, " bytes where shape ", entry.shape.ToString(), " of ",
                      entry.dtype, " needs ", bytes);
}

template <typename T>
T ElementAt(const SafetensorsTensor& tensor, size_t i) {
  T value;
  std::memcpy(&value, tensor.bytes.data() + i * sizeof(T), sizeof(T));
  return value;
}

// IEEE binary16. Infinities and NaNs stay what they are.
float HalfToFloat(uint16_t half) {
  const int exponent = half >> 10 & 31, fraction = half & 1023;
  const float sign = half >> 15 != 0 ? -1.0f : 1.0f;
  if (exponent == 31) return fraction == 0 ? sign * INFINITY : NAN;
  // Subnormal numbers have the exponent of the least normal ones, and no one in front of the point.
  if (exponent == 0) return sign * std::ldexp(static_cast<float>(fraction), -24);
  return sign * std::ldexp(static_cast<float>(1024 + fraction), exponent - 25);
}

float FloatAt(const SafetensorsTensor& tensor, size_t i) {
  if (tensor.dtype == "F32") return ElementAt<float>(tensor, i);
  if (tensor.dtype == "F16") return HalfToFloat(ElementAt<uint16_t>(tensor, i));
  if (tensor.dtype == "BF16") return absl::bit_cast<float>(static_cast<uint32_t>(ElementAt<uint16_t>(tensor, i)) << 16);
  return static_cast<float>(ElementAt<double>(tensor, i));
}

}  // namespace

absl::StatusOr<SafetensorsFile> SafetensorsFile::Open(const std::string& path) {
  SafetensorsFile file;
  file.path_ = path;
  BITGRAD_ASSIGN_OR_RETURN(file.file_, MappedFile::Open(path));
  const absl::Span<const uint8_t> bytes = file.file_.bytes();
  const absl::string_view text(reinterpret_cast<const char*>(bytes.data()), bytes.size());
  if (const absl::string_view other = WhatElse(text); !other.empty()) return Error(path, other);
  uint64_t header_bytes = 0;
  if (bytes.size() < sizeof(header_bytes)) {
    return absl::DataLossError(
        absl::StrCat("safetensors file '", path, "' is cut off: it has ", bytes.size(), " bytes"));
  }
  std::memcpy(&header_bytes, bytes.data(), sizeof(header_bytes));
  if (header_bytes > kMostHeaderBytes) {
    return Error(path, "it says that its header has ", header_bytes, " bytes, which is more than ", kMostHeaderBytes,
                 "; this is no safetensors file, or it is damaged");
  }
  if (header_bytes > bytes.size() - sizeof(header_bytes)) {
    return absl::DataLossError(absl::StrCat("safetensors file '", path, "' is cut off: its header has ", header_bytes,
                                            " bytes, and the file ", bytes.size()));
  }
  absl::StatusOr<std::vector<SafetensorsHeaderEntry>> entries =
      ParseSafetensorsHeader(text.substr(sizeof(header_bytes), header_bytes));
  if (!entries.ok()) return Error(path, entries.status().message());
  const absl::Span<const uint8_t> data = bytes.subspan(sizeof(header_bytes) + header_bytes);
  const auto size = static_cast<int64_t>(data.size());
  // Tensors without elements come before the one whose bytes begin where theirs do.
  std::stable_sort(entries->begin(), entries->end(),
                   [](const auto& a, const auto& b) { return std::pair(a.begin, a.end) < std::pair(b.begin, b.end); });
  int64_t at = 0;
  for (SafetensorsHeaderEntry& entry : *entries) {
    if (const std::string error = CheckEntry(entry, size); !error.empty()) {
      return Error(path, "tensor '", absl::CHexEscape(entry.name), "' ", error);
    }
    if (entry.begin != at) {
      return Error(path, "tensor '", absl::CHexEscape(entry.name), "' begins at byte ", entry.begin,
                   " of the data where the one before ends at ", at, "; there are neither holes nor overlaps");
    }
    at = entry.end;
    file.tensors_.push_back(
        {std::move(entry.name), std::move(entry.dtype), entry.shape,
         data.subspan(static_cast<size_t>(entry.begin), static_cast<size_t>(entry.end - entry.begin))});
  }
  if (at != size) return Error(path, "its tensors have ", at, " bytes, but there are ", size, " bytes of data");
  return file;
}

const SafetensorsTensor* SafetensorsFile::Find(absl::string_view name) const {
  const auto found = std::find_if(tensors_.begin(), tensors_.end(), [&](const auto& t) { return t.name == name; });
  return found == tensors_.end() ? nullptr : &*found;
}

absl::Status ReadFloats(const SafetensorsTensor& tensor, absl::Span<float> values) {
  if (tensor.dtype != "F64" && tensor.dtype != "F32" && tensor.dtype != "F16" && tensor.dtype != "BF16") {
    return absl::InvalidArgumentError(absl::StrCat("tensor '", absl::CHexEscape(tensor.name), "' has the dtype ",
                                                   tensor.dtype,
                                                   ", but weights are F64, F32, F16 or BF16; convert it"));
  }
  for (size_t i = 0; i < values.size(); ++i) {
    values[i] = FloatAt(tensor, i);
    if (std::isfinite(values[i])) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("tensor '", absl::CHexEscape(tensor.name), "' has ",
                     tensor.dtype == "F64" ? ElementAt<double>(tensor, i) : values[i], " for its element ", i,
                     ", which is no finite number of 32 bits; weights have to be finite"));
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> WriteSafetensors(const std::string& path, absl::Span<const NamedValue> tensors) {
  std::vector<SafetensorsHeaderEntry> entries;
  int64_t at = 0;
  for (const NamedValue& tensor : tensors) {
    const auto bytes = static_cast<int64_t>(tensor.value.byte_size());
    entries.push_back({tensor.name, DTypeTextOf(tensor.value.dtype()), tensor.value.shape(), at, at + bytes});
    at += bytes;
  }
  const std::string header = WriteSafetensorsHeader(entries, absl::StrCat("bitgrad ", kVersion));
  const uint64_t header_bytes = header.size();
  if (header_bytes > kMostHeaderBytes) return Error(path, "it cannot be written: its header would have too many bytes");
  // A name may be none that the format can have.
  if (const absl::Status readable = ParseSafetensorsHeader(header).status(); !readable.ok()) {
    return Error(path, "it cannot be written: ", readable.message());
  }
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append({reinterpret_cast<const char*>(&header_bytes), sizeof(header_bytes)}));
  BITGRAD_RETURN_IF_ERROR(file.Append(header));
  for (const NamedValue& tensor : tensors) {
    BITGRAD_RETURN_IF_ERROR(file.Append({static_cast<const char*>(tensor.value.raw_data()), tensor.value.byte_size()}));
  }
  BITGRAD_RETURN_IF_ERROR(file.Commit());
  return static_cast<int64_t>(sizeof(header_bytes) + header_bytes) + at;
}

}  // namespace bitgrad
