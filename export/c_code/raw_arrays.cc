#include "bitgrad/export/c_code/raw_arrays.h"

#include <cstdint>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/json_quoted.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/preamble.h"

namespace bitgrad {
namespace {

using packed::Instruction;

// Who reads a blob, and as what.
struct BlobUse {
  int instruction;
  std::string layer, op, role;
  float scale = 0;  // of a product, or of the codes of a table; 0: none
};

using Uses = std::vector<std::vector<BlobUse>>;  // of each blob

// Notes what an instruction reads.
class UsesOfInstruction {
 public:
  UsesOfInstruction(int i, const Instruction& instruction, Uses& uses)
      : i_(i), layer_(instruction.layer()), uses_(uses) {}

  void set_op(const char* op) { op_ = op; }
  void Add(int blob, const char* role, float scale = 0) { uses_[blob].push_back({i_, layer_, op_, role, scale}); }
  template <typename Message>
  void AddThreshold(const Message& message) {
    if (!message.has_threshold()) return;
    Add(message.threshold().thresholds(), "thresholds");
    Add(message.threshold().flips(), "flips");
  }
  template <typename Message>
  void AddRequantize(const Message& message) {
    if (!message.has_requantize()) return;
    if (message.requantize().has_bias()) Add(message.requantize().bias(), "bias");
    if (message.requantize().has_flips()) Add(message.requantize().flips(), "flips");
  }
  template <typename Message>
  void AddWeight(const Message& message) {
    Add(message.weight(), "weight", message.scale());
    if (message.has_scales()) Add(message.scales(), "scales");
  }

 private:
  const int i_;
  const std::string layer_;
  std::string op_;
  Uses& uses_;
};

void AddUses(int i, const Instruction& instruction, Uses& all) {
  UsesOfInstruction uses(i, instruction, all);
  switch (instruction.kind_case()) {
    case Instruction::kLinear:
      uses.set_op("linear");
      uses.AddWeight(instruction.linear());
      uses.AddThreshold(instruction.linear());
      uses.AddRequantize(instruction.linear());
      return;
    case Instruction::kConv2D:
      uses.set_op("conv2d");
      uses.AddWeight(instruction.conv2d());
      uses.AddThreshold(instruction.conv2d());
      uses.AddRequantize(instruction.conv2d());
      return;
    case Instruction::kTapConv2D:
      uses.set_op("tap_conv2d");
      uses.AddWeight(instruction.tap_conv2d());
      uses.Add(instruction.tap_conv2d().taps(), "taps");
      return;
    case Instruction::kMaxPool:
      uses.set_op("max_pool");
      if (instruction.max_pool().has_flips()) uses.Add(instruction.max_pool().flips(), "flips");
      return;
    case Instruction::kAveragePool:
      uses.set_op("average_pool");
      uses.AddThreshold(instruction.average_pool());
      return;
    case Instruction::kBatchNorm:
      uses.set_op("batch_norm");
      uses.Add(instruction.batch_norm().mean(), "mean");
      uses.Add(instruction.batch_norm().inv_std(), "inv_std");
      uses.Add(instruction.batch_norm().gamma(), "gamma");
      uses.Add(instruction.batch_norm().beta(), "beta");
      return;
    case Instruction::kBinary:
      uses.set_op("binary");
      if (instruction.binary().has_constant()) uses.Add(instruction.binary().constant(), "constant");
      return;
    case Instruction::kEmbedding:
      uses.set_op("embedding");
      uses.Add(instruction.embedding().table(), "table", instruction.embedding().scale());
      return;
    case Instruction::kSpline:
      uses.set_op("spline");
      uses.Add(instruction.spline().coefficients(), "coefficients");
      return;
    case Instruction::kFixedPoint:
      uses.set_op("fixed_point");
      if (instruction.fixed_point().has_mean()) uses.Add(instruction.fixed_point().mean(), "mean");
      if (instruction.fixed_point().has_inv_std()) uses.Add(instruction.fixed_point().inv_std(), "inv_std");
      return;
    default: return;  // no blobs
  }
}

// Rows of bits in whole bytes, bit j of a row in byte j / 8, the lowest bit first; one plane behind the other.
std::string PlaneBytes(const PackedModel& model, int blob) {
  std::string bytes;
  for (int plane = 0; plane < PlaneCount(model.blob(blob)); ++plane) {
    const ConstBitMatrixView bits = model.plane(blob, plane);
    for (int64_t i = 0; i < bits.rows; ++i) {
      const size_t begin = bytes.size();
      bytes.resize(begin + static_cast<size_t>((bits.cols + 7) / 8));
      for (int64_t j = 0; j < bits.cols; ++j) bytes[begin + j / 8] |= static_cast<char>(bits.bit(i, j) << (j % 8));
    }
  }
  return bytes;
}

std::string BlobBytes(const PackedModel& model, int blob) {
  if (PlaneCount(model.blob(blob)) > 0) return PlaneBytes(model, blob);
  const absl::Span<const uint8_t> bytes = model.bytes(blob);  // little endian in the file, too
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

std::string UseJson(const BlobUse& use) {
  std::string json = absl::StrCat("{\"instruction\": ", use.instruction, ", \"layer\": ", JsonQuoted(use.layer),
                                  ", \"op\": ", JsonQuoted(use.op), ", \"role\": ", JsonQuoted(use.role));
  if (use.scale != 0) absl::StrAppendFormat(&json, ", \"scale\": %.9g", use.scale);
  return json + "}";
}

}  // namespace

std::vector<RawFile> RawArrays(const PackedModel& model, const std::string& prefix) {
  const packed::Header& header = model.header();
  Uses uses(static_cast<size_t>(header.blobs_size()));
  for (int i = 0; i < header.instructions_size(); ++i) AddUses(i, header.instructions(i), uses);
  std::vector<RawFile> files;
  std::string entries;
  for (int blob = 0; blob < header.blobs_size(); ++blob) {
    const packed::Blob& descriptor = header.blobs(blob);
    const int planes = PlaneCount(descriptor);
    const int64_t cols = descriptor.shape(descriptor.shape_size() - 1);
    RawFile file = {absl::StrCat(prefix, "_", blob, ".bin"), BlobBytes(model, blob)};
    const uint32_t crc = Crc32({reinterpret_cast<const uint8_t*>(file.bytes.data()), file.bytes.size()});
    absl::StrAppend(&entries, blob > 0 ? ",\n" : "", "    {\"name\": ", JsonQuoted(descriptor.name()),
                    ", \"kind\": ", JsonQuoted(packed::Blob::Kind_Name(descriptor.kind())));
    if (planes > 0) absl::StrAppend(&entries, ", \"planes\": ", planes);
    absl::StrAppend(
        &entries, ", \"shape\": [", absl::StrJoin(descriptor.shape(), ", "),
        "], \"row_stride\": ", planes > 0 ? (cols + 7) / 8 : cols * 4, ", \"file\": ", JsonQuoted(file.name),
        ", \"bytes\": ", file.bytes.size(), absl::StrFormat(", \"crc32\": \"%08x\"", crc), ",\n     \"uses\": [",
        absl::StrJoin(uses[blob], ", ", [](std::string* out, const BlobUse& use) { out->append(UseJson(use)); }), "]}");
    files.push_back(std::move(file));
  }
  files.push_back({prefix + "_manifest.json",
                   absl::StrCat("{\n  \"format\": \"bitgrad raw arrays 1\",\n  \"model\": ", JsonQuoted(header.name()),
                                ",\n  \"byte_order\": \"little\",\n  \"arrays\": [\n", entries, "\n  ]\n}\n")});
  return files;
}

}  // namespace bitgrad
