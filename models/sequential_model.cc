#include "bitgrad/models/sequential_model.h"

#include "absl/strings/strip.h"
#include "bitgrad/models/layers/layer_quantizer.h"

namespace bitgrad {
namespace {

bool IsWeight(const LayerQuantizer& quantizer) { return quantizer.quantizer().args().role == QuantizerRole::kWeight; }

}  // namespace

absl::Status SequentialModel::Harden(ExecContext& context) {
  absl::Status status;
  layers_.VisitQuantizers([&](LayerQuantizer& quantizer) {
    if (status.ok()) status = quantizer.Harden(context);
  });
  return status;
}

std::vector<ModelValue> SequentialModel::Report(ExecContext& context) {
  struct Mean {
    double sum = 0;
    int count = 0;
  };
  std::vector<ModelValue> values;
  Mean weights, activations;
  layers_.VisitQuantizers([&](LayerQuantizer& quantizer) {
    if (!quantizer.learns_bits()) return;
    const double bits = quantizer.Bits(context);
    Mean& mean = IsWeight(quantizer) ? weights : activations;
    mean.sum += bits;
    ++mean.count;
    const absl::string_view layer = absl::StripSuffix(absl::StripSuffix(quantizer.path(), "/weight"), "/input");
    values.push_back({std::string(layer), IsWeight(quantizer) ? "weight_bits" : "activation_bits", bits});
  });
  if (weights.count > 0) values.push_back({"", "average_weight_bits", weights.sum / weights.count});
  if (activations.count > 0) values.push_back({"", "average_activation_bits", activations.sum / activations.count});
  return values;
}

}  // namespace bitgrad
