#include "bitgrad/export/quantize_tables.h"

#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/program_quantizer.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/quantizer_on_device.h"

namespace bitgrad {
namespace {

using program::Constant;
using program::Program;
using program::Uses;
using program::Value;

// Whether value i quantizes `rows` by what is fixed, to codes that a packed model can store.
bool CanMove(const Program& program, int i, int rows) {
  const Value& value = program.value(i);
  return value.as<program::Quantize>() != nullptr && value.operands[0] == rows &&
         std::count(value.operands.begin(), value.operands.end(), rows) == 1 && value.is_coded() &&
         KindOf(value.encoding.kind) != packed::Blob::UNSPECIFIED && value.encoding.bits <= 8 &&
         QuantizerOf(program, i).ok();
}

// The codes of the table [rows, cols].
std::shared_ptr<const CodedTensor> CodesOf(ExecContext& context, const PackedQuantizer& packed, const Tensor& table) {
  const QuantizerOnDevice quantizer(packed, context);
  Tensor terms(table.shape(), DType::kFloat32, context.allocator());
  quantizer.Codes(context, table.matrix<float>(), terms.mutable_matrix<float>());
  auto coded = std::make_shared<CodedTensor>();
  coded->encoding = packed.encoding();
  coded->matrix = table.shape();
  coded->factor = packed.value_scale();
  coded->codes = Tensor(table.shape(), DType::kUint8);
  KernelsFor(context.device())
      .pack_codes(context, coded->encoding, terms.matrix<float>(), coded->codes.mutable_matrix<uint8_t>());
  return coded;
}

}  // namespace

absl::Status QuantizeTables(ExecContext& context, Program& program) {
  const int size = program.size();  // constants are added behind
  for (int i = 0; i < size; ++i) {
    if (program.value(i).as<program::Embedding>() == nullptr || program.is_output(i)) continue;
    const Uses uses(program);
    if (!uses.is_used(i)) continue;
    const Value& table = program.operand(i, 1);
    const std::vector<int>& readers = uses.consumers(i);
    if (table.as<Constant>() == nullptr || table.floats.is_null() || table.shape.rank() != 2 ||
        !std::all_of(readers.begin(), readers.end(), [&](int reader) { return CanMove(program, reader, i); })) {
      continue;
    }
    // A table for each quantizer, which several of the readers may share.
    std::vector<std::pair<std::string, int>> tables;
    for (const int reader : readers) {
      BITGRAD_ASSIGN_OR_RETURN(const PackedQuantizer quantizer, QuantizerOf(program, reader));
      const std::string key = quantizer.ToProto().SerializeAsString();
      auto known = std::find_if(tables.begin(), tables.end(), [&](const auto& entry) { return entry.first == key; });
      if (known == tables.end()) {
        const Value& floats = program.operand(i, 1);
        Value codes = {.operation = Constant{.name = floats.as<Constant>()->name},
                       .operands = {},
                       .op = "embedding",
                       .layer = floats.layer,
                       .shape = floats.shape,
                       .encoding = quantizer.encoding(),
                       .scale = quantizer.value_scale(),
                       .floats = {},
                       .coded = CodesOf(context, quantizer, floats.floats)};
        known = tables.insert(tables.end(), {key, program.Add(std::move(codes))});
      }
      Value& rows = program.value(reader);
      rows.operation = program::Embedding();
      rows.op = "embedding";
      rows.operands = {program.value(i).operands[0], known->second};
    }
  }
  return context.status();
}

}  // namespace bitgrad
