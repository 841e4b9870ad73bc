#include "bitgrad/models/training/norm_reestimation.h"

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/evaluate.h"

namespace bitgrad {
namespace {

const recipe::BatchNorm& NormOf(const recipe::Model& model) {
  switch (model.kind_case()) {
    case recipe::Model::kMlp: return model.mlp().norm();
    case recipe::Model::kConvNet: return model.conv_net().norm();
    case recipe::Model::kBirealNet: return model.bireal_net().norm();
    case recipe::Model::kResidualNet: return model.residual_net().norm();
    case recipe::Model::kRecurrentNet:  // it has no batch norm
    case recipe::Model::KIND_NOT_SET: break;
  }
  return recipe::BatchNorm::default_instance();
}

}  // namespace

absl::StatusOr<int64_t> ReestimateBatchesOf(const recipe::Model& model) {
  const int64_t batches = NormOf(model).reestimate_batches();
  if (NormOf(model).kind() == recipe::BatchNorm::NONE) return 0;
  if (batches >= 0) return batches;
  return absl::InvalidArgumentError(
      absl::StrCat("recipe: norm.reestimate_batches is ", batches,
                   "; it is a number of batches, or 0 to keep the moving averages of training"));
}

absl::Status ReestimateNorms(ExecContext& context, Model& model, ParameterStore& store, const BatchLoader& loader,
                             int64_t epoch, int64_t batches, absl::FunctionRef<bool()> stop) {
  if (batches == 0) return absl::OkStatus();
  const NormEstimation estimation(store);
  EpochBatches epoch_batches = loader.Epoch(epoch);
  for (const Batch& batch : epoch_batches) {
    if (stop()) return absl::CancelledError("the estimation of statistics was stopped");
    BITGRAD_RETURN_IF_ERROR(Logits(context, model, batch.images).status());
    if (batch.index + 1 == batches) break;
  }
  return epoch_batches.status();
}

}  // namespace bitgrad
