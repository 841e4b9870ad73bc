// PackedQuantizer: the quantizer of a quantize instruction, with the numbers that training has left it: what it needs
// to quantize floats exactly as the graph does.

#ifndef BITGRAD_RUNTIME_PACKED_QUANTIZER_H_
#define BITGRAD_RUNTIME_PACKED_QUANTIZER_H_

#include <optional>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/encoding.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/proto/packed_model.pb.h"

namespace bitgrad {

struct PackedQuantizer {
  Quantizer quantizer;
  // Present where the quantizer reads them, one number for the tensor.
  std::optional<float> statistic;
  std::optional<float> variable;
  std::optional<float> scale;

  Encoding encoding() const { return quantizer.encoding(); }
  // The scale of its codes.
  float value_scale() const;

  // InvalidArgument for what a packed model cannot run: quantizers that need random numbers or numbers that are
  // missing, and numbers that are not finite.
  absl::Status Check() const;
  packed::Quantize ToProto() const;
  // Checked. Errors name the field.
  static absl::StatusOr<PackedQuantizer> FromProto(const packed::Quantize& quantize);
};

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_PACKED_QUANTIZER_H_
