// PackedModel: a packed model file, memory-mapped, checked as a whole and used in place.
//
//   BITGRAD_ASSIGN_OR_RETURN(auto model, PackedModel::Open("net.bgm"));
//   ConstBitMatrixView weights = model->plane(blob, 0);
//
// Open() verifies every byte of the file (docs/packed_model_format.md) and every rule of its program, so that neither
// the accessors nor the interpreter have to check anything again. Errors name the file, the field or blob, and what to
// do. While the file is open it must not be changed in place. Replacing it by renaming another file, as
// PackedModelWriter::Write() does, is safe.

#ifndef BITGRAD_RUNTIME_PACKED_MODEL_H_
#define BITGRAD_RUNTIME_PACKED_MODEL_H_

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/check_program.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

class PackedModel {
 public:
  static absl::StatusOr<std::unique_ptr<PackedModel>> Open(const std::string& path);
  // The same for a copy of the file's bytes. Errors say `name` where they would name the path.
  static absl::StatusOr<std::unique_ptr<PackedModel>> FromBytes(std::string name, absl::string_view bytes);

  const std::string& name() const { return name_; }
  // The header, whose program is of version 2 whatever the file's version is.
  const packed::Header& header() const { return header_; }
  int64_t byte_size() const { return byte_size_; }
  // Of preamble and header, with the padding behind them.
  int64_t head_bytes() const { return head_bytes_; }

  // Value 0 is the input; value i + 1 is that of instruction i.
  const PackedValue& value(int id) const { return program_.values[id]; }
  const PackedValue& result() const { return program_.values.back(); }
  // The shape of one example, as the interpreter takes it: that of value 0, behind the number of time steps where the
  // model reads it in time steps.
  Shape input() const;
  // How many time steps an example has; 0: the model does not read it in time steps.
  int64_t time_steps() const { return header_.input().time_steps(); }
  // How often the instruction runs for an example: more than once where the next time step depends on it.
  int64_t runs(int instruction) const { return program_.runs[instruction]; }
  // REQUIRES: the instruction is quantize.
  const PackedQuantizer& quantizer(int instruction) const { return program_.quantizers[instruction]; }

  // The contents of a blob. The views are valid as long as the model lives.
  const packed::Blob& blob(int id) const { return header_.blobs(id); }
  absl::Span<const uint8_t> bytes(int id) const { return {blob_data_[id], static_cast<size_t>(blob(id).byte_size())}; }
  // REQUIRES: the blob is FLOAT32.
  absl::Span<const float> floats(int id) const;
  // REQUIRES: the blob is INT32.
  absl::Span<const int32_t> ints(int id) const;
  // REQUIRES: the blob is FLAGS (one plane with one row) or codes, and plane < PlaneCount(blob).
  ConstBitMatrixView plane(int id, int plane) const { return PlaneOf(blob(id), blob_data_[id], plane); }

 private:
  PackedModel() = default;
  // Checks all of `bytes`, which live as long as the model. Errors do not name the file.
  absl::Status Load(absl::Span<const uint8_t> bytes);
  absl::Status LoadHeader(uint32_t version, absl::Span<const uint8_t> bytes);
  absl::Status LoadBlobs(absl::Span<const uint8_t> bytes, int64_t begin);
  // Checks that the thresholds of each output ascend.
  absl::Status CheckThresholds() const;

  std::string name_;
  MappedFile file_;  // this or copy_ holds the bytes
  Tensor copy_;
  int64_t byte_size_ = 0;
  int64_t head_bytes_ = 0;
  packed::Header header_;
  std::vector<const uint8_t*> blob_data_;
  CheckedProgram program_;
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_MODEL_H_
