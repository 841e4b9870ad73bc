#include "bitgrad/data/preprocessings.h"

#include <memory>
#include <utility>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/call.h"
#include "bitgrad/data/standardization.h"
#include "bitgrad/data/unit_range.h"
#include "bitgrad/data/whitening.h"

namespace bitgrad {
namespace {

const std::vector<CallForm>& Forms() {
  static const std::vector<CallForm>* const forms = new std::vector<CallForm>{
      {"mean_std", {}, 0, 0, false, "mean 0 and std 1 of each channel over the training images"},
      {"gcn", {1}, 1e-3f, 1e3f, false, "contrast normalization: mean 0 and this std of each image"},
      {"unit", {}, 0, 0, false, "pixels in [0, 1]; without it they are in [-1, 1]"},
      {"zca", {0.1f}, 1e-6f, 1e3f, false, "ZCA whitening; the number is added to eigenvalues"},
  };
  return *forms;
}

std::unique_ptr<PreprocessingStep> Make(const Call& call) {
  switch (call.form) {
    case 0: return std::make_unique<Standardization>();
    case 1: return std::make_unique<ContrastNormalization>(call.arguments[0]);
    case 2: return std::make_unique<UnitRange>();
    default: return std::make_unique<ZcaWhitening>(call.arguments[0]);
  }
}

}  // namespace

absl::StatusOr<Preprocessing> ParsePreprocessing(absl::Span<const std::string> texts) {
  std::vector<std::unique_ptr<PreprocessingStep>> steps;
  for (const std::string& text : texts) {
    BITGRAD_ASSIGN_OR_RETURN(const Call call, ParseCall("preprocessing", text, Forms()));
    steps.push_back(Make(call));
  }
  return Preprocessing(std::move(steps));
}

std::string PreprocessingHelp() { return CallsHelp(Forms()); }

}  // namespace bitgrad
