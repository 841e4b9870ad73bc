// The rules of packed programs (docs/packed_model_format.md), behind CheckProgram(): those of products and pools are in
// check_products.cc, all others in check_program.cc.

#ifndef BITGRAD_RUNTIME_PROGRAM_CHECKER_H_
#define BITGRAD_RUNTIME_PROGRAM_CHECKER_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/check_program.h"
#include "bitgrad/runtime/packed_quantizer.h"

namespace bitgrad {

// The shape of an example, where it is one that a value may have.
absl::StatusOr<Shape> CheckExampleShape(absl::Span<const int64_t> dims);

// Visits the instructions once, in order. When a Check* function is called, the operands of its instruction have been
// checked already.
class ProgramChecker {
 public:
  explicit ProgramChecker(const packed::Header& header)
      : header_(header), blob_is_used_(static_cast<size_t>(header.blobs_size())) {}

  absl::StatusOr<CheckedProgram> Run();

 private:
  absl::Status CheckHead();
  absl::Status CheckData() const;
  absl::StatusOr<PackedValue> CheckInstruction(const packed::Instruction& instruction);
  absl::StatusOr<PackedValue> CheckLinear(const packed::Linear& linear);
  absl::StatusOr<PackedValue> CheckConv2d(const packed::Conv2d& conv);
  absl::StatusOr<PackedValue> CheckTapConv2d(const packed::TapConv2d& conv);
  absl::StatusOr<PackedValue> CheckPool(bool is_max, const packed::Pool& pool);
  absl::StatusOr<PackedValue> CheckBatchNorm(const packed::BatchNorm& batch_norm);
  absl::StatusOr<PackedValue> CheckUnary(const packed::Unary& unary);
  absl::StatusOr<PackedValue> CheckRound(const packed::Round& round);
  absl::StatusOr<PackedValue> CheckSpline(const packed::Spline& spline);
  absl::StatusOr<PackedValue> CheckBinary(const packed::Binary& binary);
  absl::StatusOr<PackedValue> CheckConcat();
  absl::StatusOr<PackedValue> CheckReshape(const packed::Reshape& reshape);
  absl::StatusOr<PackedValue> CheckTokensAndStates(const packed::Instruction& instruction);
  // The instructions of requantize.h.
  absl::StatusOr<PackedValue> CheckShifts(const packed::Instruction& instruction);
  absl::StatusOr<PackedValue> CheckFixedPointInput(const packed::FixedPoint& fixed_point);
  // Checks what linear and conv2d have in common: the operand and the weight, whose shape is returned.
  template <typename Product>
  absl::StatusOr<Shape> CheckProduct(const std::string& kind, const Product& product);
  // Checks what linear and conv2d make of their sums. Returns the value, of examples of shape y.
  template <typename Product>
  absl::StatusOr<PackedValue> CheckOutput(const std::string& kind, const Product& product, const Shape& y);
  absl::Status CheckThreshold(const std::string& field, const packed::Threshold& threshold, int64_t out,
                              PackedValue& value);
  absl::StatusOr<PackedValue> CheckQuantize(const packed::Quantize& quantize);

  absl::Status CheckOperands(const packed::Instruction& instruction);
  absl::Status CheckOperandCount(int count) const;
  // Checks that the blob exists, and marks it as used.
  absl::StatusOr<const packed::Blob*> UseBlob(const char* field, int id);
  absl::Status UseBlob(const char* field, int id, packed::Blob::Kind kind, const Shape& shape);
  const PackedValue& operand(int i) const { return program_.values[operands_[i]]; }

  const packed::Header& header_;
  std::vector<bool> blob_is_used_;
  CheckedProgram program_;
  std::vector<int> operands_;  // of the instruction that is being checked
  PackedQuantizer quantizer_;  // of the instruction that is being checked
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PROGRAM_CHECKER_H_
