#include "bitgrad/export/summary.h"

#include <memory>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

absl::StatusOr<Summary> Summarize(ExecContext& context, Model& model, const Shape& example) {
  std::vector<int64_t> dims = {1};
  dims.insert(dims.end(), example.dims().begin(), example.dims().end());
  // A few streams of tokens, so that a constant with a row for each of them is not taken for one without.
  const Tensor x =
      example.rank() == 0 ? Tensor::Zeros({3}, DType::kInt32) : Tensor::Zeros(Shape(absl::MakeConstSpan(dims)));
  std::string bytes;
  {
    BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, Freeze(context, model, x, {.allow_unset_numbers = true}));
    BITGRAD_ASSIGN_OR_RETURN(bytes, writer.Serialize());
  }
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<PackedModel> packed, PackedModel::FromBytes("summary", bytes));
  Summary summary = {.cost = CostOf(*packed), .table = {}};
  summary.table = CostTable(*packed, summary.cost);
  return summary;
}

}  // namespace bitgrad
