// PackedModelWriter: builds a packed model, blob by blob and instruction by instruction, and writes it.
//
//   PackedModelWriter writer;
//   writer.header().set_name("mnist_bnn_mlp");
//   writer.header().mutable_input()->add_shape(784);
//   int weight = writer.AddCodes("fc1/weight", Sign().encoding(), codes);
//   int x = writer.AddQuantize("fc1", kInputValue, {.quantizer = KBit(8)});
//   int y = writer.AddLinear("fc1", x, {.weight = weight, .scale = s});
//   BITGRAD_ASSIGN_OR_RETURN(int64_t bytes, writer.Write("net.bgm"));
//
// The Add functions return the id of a blob or of a value. The first error is kept and returned by
// Write(), so that callers need not check each call. Write() applies the reader's checks, so PackedModel opens whatever
// it has written.

#ifndef BITGRAD_RUNTIME_PACKED_MODEL_WRITER_H_
#define BITGRAD_RUNTIME_PACKED_MODEL_WRITER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/core/number_format.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/view.h"
#include "bitgrad/ops/kernels/conv2d.h"
#include "bitgrad/ops/kernels/elementwise.h"
#include "bitgrad/ops/kernels/pool.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The value id of the model's input.
inline constexpr int kInputValue = 0;

// See message Linear in proto/packed_model.proto for the formula.
struct LinearSpec {
  int weight = -1;      // blob of AddCodes, AddBits or AddFloats, [out, in]
  float scale = 1.0f;   // of the operand, times that of the weights; not used with thresholds
  int scales = -1;      // blob of AddFloats, [out]: of each row of weights; -1: none; not used with thresholds
  int thresholds = -1;  // blob of AddInts, [levels, out]; -1: the value is floats
  int flips = -1;       // blob of AddFlags, [out]
  Encoding encoding = {EncodingKind::kBinary, 1};  // with thresholds: of the value's codes
  float value_scale = 1.0f;                        // with thresholds: of the value's codes
};

// See message Conv2d. The weight is [filters, kernel_height * kernel_width * channels / groups].
struct ConvSpec {
  LinearSpec product;
  ConvGeometry geometry;  // batch and the image's extents are ignored
};

// See message TapConv2d.
struct TapConvSpec {
  int weight = -1;        // blob of AddFloats or AddCodeTable, [1, filters * channels]
  int taps = -1;          // blob of AddCodeTable, unsigned of 4 bits
  float scale = 1.0f;     // as in LinearSpec
  int scales = -1;        // as in LinearSpec
  ConvGeometry geometry;  // batch and the image's extents are ignored
};

// See message Threshold.
struct ThresholdSpec {
  int thresholds = -1;  // blob of AddInts, [levels, out]; -1: there is none, and the value is floats
  int flips = -1;       // blob of AddFlags, [out]
  Encoding encoding = {EncodingKind::kBinary, 1};  // of the value's codes
  float value_scale = 1.0f;                        // of the value's codes
};

// See message Requantize.
struct RequantizeSpec {
  int shift = 0;
  Encoding encoding;  // of the value's codes; kFloat: the value is the sums as floats
  int fraction_bits = 0;
  // The rest is for products only.
  int bias = -1;  // blob of AddInts, [1, out]; -1: none
  int bias_shift = 0;
  int shortcut = -1;  // value; -1: none
  int shortcut_shift = 0;
  int flips = -1;  // blob of AddFlags, [out]; -1: none
};

class PackedModelWriter {
 public:
  // The caller sets producer, name, input, data set, class count and the fields about the float model. Instructions and
  // blobs are added by the functions below.
  packed::Header& header() { return header_; }

  // ---- Blobs. The bytes are copied.

  // REQUIRES: values.size() == shape.num_elements().
  int AddFloats(absl::string_view name, const Shape& shape, absl::Span<const float> values);
  // A matrix of shape [rows, cols]. REQUIRES: values.size() == rows * cols.
  int AddInts(absl::string_view name, int64_t rows, absl::Span<const int32_t> values);
  // REQUIRES: each flag is 0 or 1.
  int AddFlags(absl::string_view name, absl::Span<const uint8_t> flags);
  // A matrix of -1 and +1.
  int AddBits(absl::string_view name, ConstBitMatrixView bits);
  // Integer codes, as the QuantizeCodes kernel makes them, of any encoding but kFloat and kSigned. A number that is not
  // a code of the encoding is an error.
  int AddCodes(absl::string_view name, const Encoding& encoding, ConstMatrixView<float> codes);
  // The same for stored codes (core/encoding.h).
  int AddStoredCodes(absl::string_view name, const Encoding& encoding, ConstMatrixView<uint8_t> codes);
  // The same for the table of an embedding, whose rows lie in the file without gaps. REQUIRES: the view has none
  // either.
  int AddCodeTable(absl::string_view name, const Encoding& encoding, ConstMatrixView<uint8_t> codes);

  // ---- Instructions. Each function returns the id of the instruction's value.

  int AddLinear(absl::string_view layer, int x, const LinearSpec& spec);
  int AddConv2d(absl::string_view layer, int x, const ConvSpec& spec);
  int AddTapConv2d(absl::string_view layer, int x, const TapConvSpec& spec);
  // flips: a blob of AddFlags, [channels], where x is codes; -1: none.
  int AddMaxPool(absl::string_view layer, int x, const PoolGeometry& geometry, int flips = -1);
  // A threshold: where x is codes.
  int AddAveragePool(absl::string_view layer, int x, const PoolGeometry& geometry, const ThresholdSpec& threshold = {});
  int AddBatchNorm(absl::string_view layer, int x, int mean, int inv_std, int gamma, int beta);
  int AddUnary(absl::string_view layer, int x, Unary op, float parameter = 0);
  // coefficients: blob, floats [channels, knots]
  int AddSpline(absl::string_view layer, int x, int coefficients, float range);
  // REQUIRES: the format is not a dynamic one.
  int AddRound(absl::string_view layer, int x, const NumberFormat& format);
  int AddBinary(absl::string_view layer, int a, Binary op, int b);
  // blob: FLOAT32, with the elements of one example or of its last dimension.
  int AddBinaryConstant(absl::string_view layer, int a, Binary op, int blob);
  int AddQuantize(absl::string_view layer, int x, const PackedQuantizer& quantizer);
  int AddConcat(absl::string_view layer, absl::Span<const int> values);
  // `shape` is of one example, without the batch.
  int AddReshape(absl::string_view layer, int x, const Shape& shape);
  // tokens: kInputValue; table: a blob of AddCodeTable, AddStoredCodes, AddCodes, AddBits or AddFloats with rows of
  // `width` numbers; scale: of its codes, 0 for floats.
  int AddEmbedding(absl::string_view layer, int tokens, int table, int64_t width, float scale);
  int AddSliceColumns(absl::string_view layer, int x, int64_t begin, int64_t size);
  int AddState(absl::string_view layer, int slot);

  // ---- Instructions of fixed-point codes.

  int AddShiftLinear(absl::string_view layer, int x, int weight, const RequantizeSpec& spec);
  // The geometry's batch and the image's extents are ignored.
  int AddShiftConv2d(absl::string_view layer, int x, int weight, const ConvGeometry& geometry,
                     const RequantizeSpec& spec);
  int AddShiftAveragePool(absl::string_view layer, int x, const PoolGeometry& geometry, const RequantizeSpec& spec);
  int AddShiftAdd(absl::string_view layer, int a, int a_shift, int b, int b_shift, const RequantizeSpec& spec);
  int AddShiftConcat(absl::string_view layer, absl::Span<const int> values, absl::Span<const int> shifts,
                     const RequantizeSpec& spec);
  // mean, inv_std: blobs of AddFloats, [channels]; -1: none.
  int AddFixedPoint(absl::string_view layer, int x, const Encoding& encoding, int fraction_bits, int mean = -1,
                    int inv_std = -1);

  // ---- States. A slot has to get a next value, and an instruction that reads it.

  // Returns the slot.
  int AddStateSlot(absl::string_view name, int64_t width);
  // REQUIRES: the slot exists.
  void SetNextValue(int slot, int value) { header_.mutable_states(slot)->set_next(value); }

  // The bytes of the file, for models that are kept in memory (PackedModel::FromBytes).
  absl::StatusOr<std::string> Serialize() const;

  // Writes the file and returns its size. After an error there is no file, or the one from before (core/atomic_file.h).
  absl::StatusOr<int64_t> Write(const std::string& path) const;

 private:
  packed::Blob& NewBlob(absl::string_view name, packed::Blob::Kind kind, const Shape& shape);
  int FinishBlob(std::string bytes);
  packed::Instruction& NewInstruction(absl::string_view layer, absl::Span<const int> operands);
  int ValueOfLast() const { return header_.instructions_size(); }
  void ReportError(absl::Status error) {
    if (status_.ok()) status_ = std::move(error);
  }

  packed::Header header_;
  std::vector<std::string> blob_bytes_;
  absl::Status status_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_MODEL_WRITER_H_
