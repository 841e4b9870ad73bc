// The nodes that quantize: Quant, BipolarQuant, Trunc, QuantizeLinear, DequantizeLinear.

#include <algorithm>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/import_constants.h"
#include "bitgrad/export/import_ops.h"
#include "bitgrad/export/import_quantizers.h"
#include "bitgrad/export/import_steps.h"

namespace bitgrad {
namespace {

// A Clip of whole numbers, between a weight's QuantizeLinear and DequantizeLinear.
absl::StatusOr<std::optional<ImportTensor>> FoldClip(const ImportNode& node, const ImportTensor& x,
                                                     const ImportTensor* least, const ImportTensor* most) {
  if (!x.is_integer || least == nullptr || most == nullptr || least->size() != 1 || most->size() != 1 ||
      !least->is_integer || !most->is_integer) {
    return node.Unsupported("of a constant is read where it bounds whole numbers on both sides");
  }
  if (least->ints[0] > most->ints[0]) return node.Error("its min is above its max");
  ImportTensor y = x;
  for (int64_t& i : y.ints) i = std::clamp(i, least->ints[0], most->ints[0]);
  return y;
}

}  // namespace

absl::StatusOr<std::optional<ImportTensor>> FoldCall(const ImportCall& call) {
  const ImportNode& node = call.node;
  const std::string& op = node.op();
  const std::vector<const ImportTensor*> constants = call.constants();
  const ImportTensor* const x = call.constant(0);
  if (x == nullptr) return FoldNode(node, constants);
  if (op == "Clip" && constants.size() == 3) return FoldClip(node, *x, constants[1], constants[2]);
  const bool quantizes = op == "Quant" || op == "BipolarQuant" || op == "QuantizeLinear";
  if (!quantizes && op != "DequantizeLinear") return FoldNode(node, constants);
  BITGRAD_ASSIGN_OR_RETURN(const QuantizerOfNode quantizer, ReadQuantizer(node, x->shape, constants));
  if (op == "DequantizeLinear") return DequantizeConstant(node, *x, quantizer);
  BITGRAD_ASSIGN_OR_RETURN(ImportTensor y, QuantizeConstant(node, *x, quantizer));
  if (op != "QuantizeLinear") return y;
  ImportTensor integers = {.shape = y.shape, .floats = {}, .ints = {}, .is_integer = true, .data_type = 0, .codes = {}};
  integers.ints.assign(y.codes->codes.begin(), y.codes->codes.end());
  return integers;
}

absl::StatusOr<Imported> ImportQuant(const ImportCall& call) {
  const Imported& x = call.x();
  BITGRAD_ASSIGN_OR_RETURN(const QuantizerOfNode quantizer, ReadQuantizer(call.node, x.shape, call.constants()));
  BITGRAD_RETURN_IF_ERROR(CheckOneScale(call.node, quantizer));
  Imported y = {.shape = x.shape, .is_image = x.is_image, .columns = x.columns};
  if (x.id >= 0) {
    BITGRAD_ASSIGN_OR_RETURN(y, QuantizeValue(call.graph, call.node, x, quantizer));
  }
  // Of floats that are rounded to nearest, ties to even, QuantizeValue() has the better form.
  if (IsStepped(call.graph, x) || quantizer.is_sign || quantizer.rounding == "FLOOR") {
    const float scale = quantizer.scales[0];
    Follow(call.graph, x, {[quantizer, scale](float v, int64_t) { return CodeOf(quantizer, v, scale) * scale; }},
           /*has_steps=*/true, y);
  }
  return y;
}

absl::StatusOr<Imported> ImportTrunc(const ImportCall& call) {
  return TruncateValue(call.graph, call.node, call.x(), call.constants());
}

absl::StatusOr<Imported> ImportQuantizeLinear(const ImportCall& call) {
  const Imported& x = call.x();
  BITGRAD_ASSIGN_OR_RETURN(const QuantizerOfNode quantizer, ReadQuantizer(call.node, x.shape, call.constants()));
  BITGRAD_RETURN_IF_ERROR(CheckOneScale(call.node, quantizer));
  const float scale = quantizer.scales[0];
  if (IsStepped(call.graph, x)) {
    Imported y = {.shape = x.shape, .is_image = x.is_image, .columns = x.columns, .whole = true};
    Follow(call.graph, x, {[quantizer, scale](float v, int64_t) { return CodeOf(quantizer, v, scale); }},
           /*has_steps=*/true, y);
    return y;
  }
  Imported y = x;
  y.pending = PendingCodes{
      .scale = scale, .least = static_cast<int>(quantizer.least), .most = static_cast<int>(quantizer.most)};
  return y;
}

absl::StatusOr<Imported> ImportDequantizeLinear(const ImportCall& call) {
  const ImportNode& node = call.node;
  const Imported& x = call.x();
  if (!x.pending.has_value() && x.stepped.empty()) {
    return node.Unsupported("its operand does not come from a QuantizeLinear");
  }
  BITGRAD_ASSIGN_OR_RETURN(QuantizerOfNode quantizer, ReadQuantizer(node, x.shape, call.constants()));
  BITGRAD_RETURN_IF_ERROR(CheckOneScale(node, quantizer));
  const float scale = quantizer.scales[0];
  if (!x.pending.has_value()) {
    Imported y = {.shape = x.shape, .is_image = x.is_image, .columns = x.columns};
    Follow(call.graph, x, {[scale](float v, int64_t) { return v * scale; }}, /*has_steps=*/false, y);
    return y;
  }
  const PendingCodes pending = *x.pending;
  if (scale != pending.scale) {
    return node.Unsupported("its scale is not that of the QuantizeLinear before, ", pending.scale);
  }
  quantizer.least = pending.least;
  quantizer.most = pending.most;
  return QuantizeValue(call.graph, node, x, quantizer);
}

}  // namespace bitgrad
