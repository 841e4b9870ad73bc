#include "bitgrad/runtime/packed_model_writer.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/check_program.h"
#include "bitgrad/runtime/preamble.h"

namespace bitgrad {
namespace {

using packed::Blob;

absl::Span<const uint8_t> Bytes(absl::string_view bytes) {
  return {reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()};
}

template <typename T>
std::string BytesOf(absl::Span<const T> values) {
  return std::string(reinterpret_cast<const char*>(values.data()), values.size() * sizeof(T));
}

// Planes of bits in the layout of BitMatrix, all zero at first.
class Planes {
 public:
  Planes(int count, int64_t rows, int64_t cols)
      : plane_bytes_(BitMatrix::BytesFor(rows, cols)),
        row_bytes_(BitMatrix::WordsPerRow(cols) * 8),
        bytes_(count * plane_bytes_, '\0') {}
  void Set(int plane, int64_t i, int64_t j) {
    // Bit j % 64 of a little-endian word is bit j % 8 of byte j / 8 of the row.
    bytes_[plane * plane_bytes_ + i * row_bytes_ + j / 8] |= static_cast<char>(1 << (j % 8));
  }
  std::string Take() { return std::move(bytes_); }

 private:
  size_t plane_bytes_;
  int64_t row_bytes_;
  std::string bytes_;
};

void SetThreshold(const ThresholdSpec& spec, packed::Threshold& threshold) {
  threshold.set_thresholds(spec.thresholds);
  threshold.set_flips(spec.flips);
  threshold.set_encoding(KindOf(spec.encoding.kind));
  threshold.set_bits(HasBits(threshold.encoding()) ? spec.encoding.bits : 0);
  threshold.set_scale(spec.value_scale);
}

// Sets the fields that linear and conv2d share.
template <typename Product>
void SetProduct(const LinearSpec& spec, Product& product) {
  product.set_weight(spec.weight);
  if (spec.thresholds < 0) {
    product.set_scale(spec.scale);
    if (spec.scales >= 0) product.set_scales(spec.scales);
    return;
  }
  SetThreshold({spec.thresholds, spec.flips, spec.encoding, spec.value_scale}, *product.mutable_threshold());
}

void SetRequantize(const RequantizeSpec& spec, packed::Requantize& requantize) {
  requantize.set_shift(spec.shift);
  requantize.set_fraction_bits(spec.fraction_bits);
  requantize.set_shortcut_shift(spec.shortcut_shift);
  if (spec.encoding.is_integer()) {
    requantize.set_encoding(KindOf(spec.encoding.kind));
    requantize.set_bits(spec.encoding.bits);
  }
  if (spec.bias >= 0) {
    requantize.set_bias(spec.bias);
    requantize.set_bias_shift(spec.bias_shift);
  }
  if (spec.flips >= 0) requantize.set_flips(spec.flips);
}

void SetConvolution(const ConvGeometry& geometry, packed::Conv2d& conv) {
  conv.set_kernel_height(static_cast<int32_t>(geometry.kernel_height));
  conv.set_kernel_width(static_cast<int32_t>(geometry.kernel_width));
  conv.set_stride_height(static_cast<int32_t>(geometry.stride_height));
  conv.set_stride_width(static_cast<int32_t>(geometry.stride_width));
  conv.set_pad_height(static_cast<int32_t>(geometry.pad_height));
  conv.set_pad_width(static_cast<int32_t>(geometry.pad_width));
  conv.set_dilation_height(static_cast<int32_t>(geometry.dilation_height));
  conv.set_dilation_width(static_cast<int32_t>(geometry.dilation_width));
  conv.set_groups(static_cast<int32_t>(geometry.groups));
  conv.set_padding(static_cast<packed::Conv2d::Padding>(geometry.padding));
}

void SetWindow(const PoolGeometry& geometry, packed::Pool& pool) {
  pool.set_kernel_height(static_cast<int32_t>(geometry.kernel_height));
  pool.set_kernel_width(static_cast<int32_t>(geometry.kernel_width));
  pool.set_stride_height(static_cast<int32_t>(geometry.stride_height));
  pool.set_stride_width(static_cast<int32_t>(geometry.stride_width));
  pool.set_pad_height(static_cast<int32_t>(geometry.pad_height));
  pool.set_pad_width(static_cast<int32_t>(geometry.pad_width));
  pool.set_partial(geometry.partial);
}

}  // namespace

Blob& PackedModelWriter::NewBlob(absl::string_view name, Blob::Kind kind, const Shape& shape) {
  Blob& blob = *header_.add_blobs();
  blob.set_name(std::string(name));
  blob.set_kind(kind);
  for (const int64_t extent : shape.dims()) blob.add_shape(extent);
  return blob;
}

int PackedModelWriter::FinishBlob(std::string bytes) {
  Blob& blob = *header_.mutable_blobs(header_.blobs_size() - 1);
  blob.set_byte_size(static_cast<int64_t>(bytes.size()));
  blob.set_crc32(Crc32(Bytes(bytes)));
  blob_bytes_.push_back(std::move(bytes));
  return header_.blobs_size() - 1;
}

int PackedModelWriter::AddFloats(absl::string_view name, const Shape& shape, absl::Span<const float> values) {
  NewBlob(name, Blob::FLOAT32, shape);
  return FinishBlob(BytesOf(values));
}

int PackedModelWriter::AddInts(absl::string_view name, int64_t rows, absl::Span<const int32_t> values) {
  NewBlob(name, Blob::INT32, {rows, static_cast<int64_t>(values.size()) / rows});
  return FinishBlob(BytesOf(values));
}

int PackedModelWriter::AddFlags(absl::string_view name, absl::Span<const uint8_t> flags) {
  const int64_t count = static_cast<int64_t>(flags.size());
  NewBlob(name, Blob::FLAGS, {count});
  Planes planes(1, 1, count);
  for (int64_t j = 0; j < count; ++j) {
    if (flags[j] > 1)
      ReportError(absl::InvalidArgumentError(absl::StrCat("blob ", name, ": ", flags[j], " is no flag")));
    if (flags[j] != 0) planes.Set(0, 0, j);
  }
  return FinishBlob(planes.Take());
}

int PackedModelWriter::AddBits(absl::string_view name, ConstBitMatrixView bits) {
  NewBlob(name, Blob::BINARY, {bits.rows, bits.cols});
  Planes planes(1, bits.rows, bits.cols);
  for (int64_t i = 0; i < bits.rows; ++i) {
    for (int64_t j = 0; j < bits.cols; ++j) {
      if (bits.bit(i, j)) planes.Set(0, i, j);
    }
  }
  return FinishBlob(planes.Take());
}

int PackedModelWriter::AddCodes(absl::string_view name, const Encoding& encoding, ConstMatrixView<float> codes) {
  std::vector<uint8_t> stored;
  for (int64_t i = 0; i < codes.rows; ++i) {
    for (int64_t j = 0; j < codes.cols; ++j) {
      const float code = codes.at(i, j);
      // The comparison as floats comes first: a NaN or a huge number cannot be converted to an integer.
      const int64_t c =
          encoding.is_integer() && std::fabs(code) <= 0x1p62f ? encoding.stored(static_cast<int64_t>(code)) : -1;
      if (encoding.is_integer() &&
          (c < 0 || c > encoding.largest_stored() || static_cast<float>(encoding.code(c)) != code)) {
        ReportError(absl::InvalidArgumentError(absl::StrCat("blob ", name, ": element [", i, ", ", j, "] = ", code,
                                                            " is no ", Name(encoding.kind), " code")));
      }
      stored.push_back(static_cast<uint8_t>(c));
    }
  }
  return AddStoredCodes(name, encoding, {stored.data(), codes.rows, codes.cols});
}

int PackedModelWriter::AddStoredCodes(absl::string_view name, const Encoding& encoding,
                                      ConstMatrixView<uint8_t> codes) {
  Blob& blob = NewBlob(name, KindOf(encoding.kind), {codes.rows, codes.cols});
  if (blob.kind() == Blob::UNSPECIFIED || encoding.bits < 1 || encoding.bits > 8) {
    ReportError(absl::InvalidArgumentError(absl::StrCat("blob ", name, ": a ", Name(encoding.kind), " encoding of ",
                                                        encoding.bits, " bits has no packed form")));
    return FinishBlob("");
  }
  if (HasBits(blob.kind())) blob.set_bits(encoding.bits);
  const int count = PlaneCount(blob);
  Planes planes(count, codes.rows, codes.cols);
  for (int64_t i = 0; i < codes.rows; ++i) {
    for (int64_t j = 0; j < codes.cols; ++j) {
      for (int p = 0; p < count; ++p) {
        if (codes.at(i, j) >> p & 1) planes.Set(p, i, j);
      }
    }
  }
  return FinishBlob(planes.Take());
}

int PackedModelWriter::AddCodeTable(absl::string_view name, const Encoding& encoding, ConstMatrixView<uint8_t> codes) {
  return AddStoredCodes(name, encoding, {codes.data, 1, codes.size()});
}

packed::Instruction& PackedModelWriter::NewInstruction(absl::string_view layer, absl::Span<const int> operands) {
  packed::Instruction& instruction = *header_.add_instructions();
  instruction.set_layer(std::string(layer));
  for (const int id : operands) instruction.add_operands(id);
  return instruction;
}

int PackedModelWriter::AddLinear(absl::string_view layer, int x, const LinearSpec& spec) {
  SetProduct(spec, *NewInstruction(layer, {x}).mutable_linear());
  return ValueOfLast();
}

int PackedModelWriter::AddConv2d(absl::string_view layer, int x, const ConvSpec& spec) {
  packed::Conv2d& conv = *NewInstruction(layer, {x}).mutable_conv2d();
  SetProduct(spec.product, conv);
  SetConvolution(spec.geometry, conv);
  return ValueOfLast();
}

int PackedModelWriter::AddTapConv2d(absl::string_view layer, int x, const TapConvSpec& spec) {
  packed::TapConv2d& conv = *NewInstruction(layer, {x}).mutable_tap_conv2d();
  conv.set_weight(spec.weight);
  conv.set_taps(spec.taps);
  conv.set_scale(spec.scale);
  if (spec.scales >= 0) conv.set_scales(spec.scales);
  const ConvGeometry& geometry = spec.geometry;
  conv.set_filters(static_cast<int32_t>(geometry.filters));
  conv.set_kernel_height(static_cast<int32_t>(geometry.kernel_height));
  conv.set_kernel_width(static_cast<int32_t>(geometry.kernel_width));
  conv.set_stride_height(static_cast<int32_t>(geometry.stride_height));
  conv.set_stride_width(static_cast<int32_t>(geometry.stride_width));
  conv.set_pad_height(static_cast<int32_t>(geometry.pad_height));
  conv.set_pad_width(static_cast<int32_t>(geometry.pad_width));
  return ValueOfLast();
}

int PackedModelWriter::AddMaxPool(absl::string_view layer, int x, const PoolGeometry& geometry, int flips) {
  packed::Pool& pool = *NewInstruction(layer, {x}).mutable_max_pool();
  SetWindow(geometry, pool);
  if (flips >= 0) pool.set_flips(flips);
  return ValueOfLast();
}

int PackedModelWriter::AddAveragePool(absl::string_view layer, int x, const PoolGeometry& geometry,
                                      const ThresholdSpec& threshold) {
  packed::Pool& pool = *NewInstruction(layer, {x}).mutable_average_pool();
  SetWindow(geometry, pool);
  if (threshold.thresholds >= 0) SetThreshold(threshold, *pool.mutable_threshold());
  return ValueOfLast();
}

int PackedModelWriter::AddBatchNorm(absl::string_view layer, int x, int mean, int inv_std, int gamma, int beta) {
  packed::BatchNorm& batch_norm = *NewInstruction(layer, {x}).mutable_batch_norm();
  batch_norm.set_mean(mean);
  batch_norm.set_inv_std(inv_std);
  batch_norm.set_gamma(gamma);
  batch_norm.set_beta(beta);
  return ValueOfLast();
}

int PackedModelWriter::AddUnary(absl::string_view layer, int x, Unary op, float parameter) {
  packed::Unary& unary = *NewInstruction(layer, {x}).mutable_unary();
  unary.set_op(static_cast<packed::Unary::Op>(op));
  unary.set_parameter(parameter);
  return ValueOfLast();
}

int PackedModelWriter::AddSpline(absl::string_view layer, int x, int coefficients, float range) {
  packed::Spline& spline = *NewInstruction(layer, {x}).mutable_spline();
  spline.set_coefficients(coefficients);
  spline.set_range(range);
  return ValueOfLast();
}

int PackedModelWriter::AddRound(absl::string_view layer, int x, const NumberFormat& format) {
  NewInstruction(layer, {x}).mutable_round()->set_format(ToString(format));
  return ValueOfLast();
}

int PackedModelWriter::AddBinary(absl::string_view layer, int a, Binary op, int b) {
  NewInstruction(layer, {a, b}).mutable_binary()->set_op(static_cast<packed::Binary::Op>(op));
  return ValueOfLast();
}

int PackedModelWriter::AddBinaryConstant(absl::string_view layer, int a, Binary op, int blob) {
  packed::Binary& binary = *NewInstruction(layer, {a}).mutable_binary();
  binary.set_op(static_cast<packed::Binary::Op>(op));
  binary.set_constant(blob);
  return ValueOfLast();
}

int PackedModelWriter::AddQuantize(absl::string_view layer, int x, const PackedQuantizer& quantizer) {
  *NewInstruction(layer, {x}).mutable_quantize() = quantizer.ToProto();
  return ValueOfLast();
}

int PackedModelWriter::AddConcat(absl::string_view layer, absl::Span<const int> values) {
  NewInstruction(layer, values).mutable_concat();
  return ValueOfLast();
}

int PackedModelWriter::AddReshape(absl::string_view layer, int x, const Shape& shape) {
  packed::Reshape& reshape = *NewInstruction(layer, {x}).mutable_reshape();
  for (const int64_t extent : shape.dims()) reshape.add_shape(extent);
  return ValueOfLast();
}

int PackedModelWriter::AddEmbedding(absl::string_view layer, int tokens, int table, int64_t width, float scale) {
  packed::Embedding& embedding = *NewInstruction(layer, {tokens}).mutable_embedding();
  embedding.set_table(table);
  embedding.set_width(width);
  embedding.set_scale(scale);
  return ValueOfLast();
}

int PackedModelWriter::AddSliceColumns(absl::string_view layer, int x, int64_t begin, int64_t size) {
  packed::SliceColumns& slice = *NewInstruction(layer, {x}).mutable_slice_columns();
  slice.set_begin(begin);
  slice.set_size(size);
  return ValueOfLast();
}

int PackedModelWriter::AddState(absl::string_view layer, int slot) {
  NewInstruction(layer, {}).mutable_state()->set_slot(slot);
  return ValueOfLast();
}

int PackedModelWriter::AddShiftLinear(absl::string_view layer, int x, int weight, const RequantizeSpec& spec) {
  packed::Instruction& instruction = NewInstruction(layer, {x});
  if (spec.shortcut >= 0) instruction.add_operands(spec.shortcut);
  instruction.mutable_linear()->set_weight(weight);
  SetRequantize(spec, *instruction.mutable_linear()->mutable_requantize());
  return ValueOfLast();
}

int PackedModelWriter::AddShiftConv2d(absl::string_view layer, int x, int weight, const ConvGeometry& geometry,
                                      const RequantizeSpec& spec) {
  packed::Instruction& instruction = NewInstruction(layer, {x});
  if (spec.shortcut >= 0) instruction.add_operands(spec.shortcut);
  instruction.mutable_conv2d()->set_weight(weight);
  SetConvolution(geometry, *instruction.mutable_conv2d());
  SetRequantize(spec, *instruction.mutable_conv2d()->mutable_requantize());
  return ValueOfLast();
}

int PackedModelWriter::AddShiftAveragePool(absl::string_view layer, int x, const PoolGeometry& geometry,
                                           const RequantizeSpec& spec) {
  packed::Pool& pool = *NewInstruction(layer, {x}).mutable_average_pool();
  SetWindow(geometry, pool);
  SetRequantize(spec, *pool.mutable_requantize());
  return ValueOfLast();
}

int PackedModelWriter::AddShiftAdd(absl::string_view layer, int a, int a_shift, int b, int b_shift,
                                   const RequantizeSpec& spec) {
  packed::ShiftAdd& add = *NewInstruction(layer, {a, b}).mutable_shift_add();
  add.add_left_shifts(a_shift);
  add.add_left_shifts(b_shift);
  SetRequantize(spec, *add.mutable_requantize());
  return ValueOfLast();
}

int PackedModelWriter::AddShiftConcat(absl::string_view layer, absl::Span<const int> values,
                                      absl::Span<const int> shifts, const RequantizeSpec& spec) {
  packed::ShiftConcat& concat = *NewInstruction(layer, values).mutable_shift_concat();
  for (const int shift : shifts) concat.add_shifts(shift);
  SetRequantize(spec, *concat.mutable_requantize());
  return ValueOfLast();
}

int PackedModelWriter::AddFixedPoint(absl::string_view layer, int x, const Encoding& encoding, int fraction_bits,
                                     int mean, int inv_std) {
  packed::FixedPoint& fixed_point = *NewInstruction(layer, {x}).mutable_fixed_point();
  fixed_point.set_encoding(KindOf(encoding.kind));
  fixed_point.set_bits(encoding.bits);
  fixed_point.set_fraction_bits(fraction_bits);
  if (mean >= 0) fixed_point.set_mean(mean);
  if (inv_std >= 0) fixed_point.set_inv_std(inv_std);
  return ValueOfLast();
}

int PackedModelWriter::AddStateSlot(absl::string_view name, int64_t width) {
  packed::StateSlot& state = *header_.add_states();
  state.set_name(std::string(name));
  state.set_width(width);
  return header_.states_size() - 1;
}

absl::StatusOr<std::string> PackedModelWriter::Serialize() const {
  if (!status_.ok()) return status_;
  if (absl::StatusOr<CheckedProgram> program = CheckProgram(header_); !program.ok()) {
    return absl::Status(program.status().code(), absl::StrCat("cannot pack the model: ", program.status().message()));
  }
  std::string header;
  if (!header_.SerializeToString(&header)) {
    return absl::InvalidArgumentError("cannot pack the model: its header cannot be serialized");
  }
  int64_t file_bytes = AlignUp(kPreambleBytes + static_cast<int64_t>(header.size()));
  for (const std::string& blob : blob_bytes_) file_bytes += AlignUp(static_cast<int64_t>(blob.size()));
  std::string file = EncodePreamble({.header_bytes = static_cast<uint32_t>(header.size()),
                                     .file_bytes = static_cast<uint64_t>(file_bytes),
                                     .header_crc32 = Crc32(Bytes(header))});
  file.reserve(static_cast<size_t>(file_bytes));
  file += header;
  for (const std::string& blob : blob_bytes_) {
    file.resize(static_cast<size_t>(AlignUp(static_cast<int64_t>(file.size()))), '\0');
    file += blob;
  }
  file.resize(static_cast<size_t>(file_bytes), '\0');
  return file;
}

absl::StatusOr<int64_t> PackedModelWriter::Write(const std::string& path) const {
  BITGRAD_ASSIGN_OR_RETURN(const std::string bytes, Serialize());
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(bytes));
  BITGRAD_RETURN_IF_ERROR(file.Commit());
  return static_cast<int64_t>(bytes.size());
}

}  // namespace bitgrad
