#include "bitgrad/data/augmentation.h"

#include <memory>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/call.h"
#include "bitgrad/data/color_jitter.h"
#include "bitgrad/data/random_crop.h"
#include "bitgrad/data/random_flip.h"

namespace bitgrad {
namespace {

const std::vector<CallForm>& Forms() {
  static const std::vector<CallForm>* const forms = new std::vector<CallForm>{
      {"crop", {4}, 1, 1024, true, "pads with so many black pixels, crops back at a random place"},
      {"flip", {}, 0, 0, false, "left and right change places, with probability 1/2"},
      {"jitter",
       {0.4f, 0.4f, 0.4f},
       0,
       1,
       false,
       "brightness, contrast and saturation times a factor in [1 - a, 1 + a]"},
  };
  return *forms;
}

std::shared_ptr<const ImageTransform> Make(const Call& call) {
  const std::vector<float>& a = call.arguments;
  switch (call.form) {
    case 0: return std::make_shared<RandomCrop>(static_cast<int>(a[0]));
    case 1: return std::make_shared<RandomFlip>();
    default: return std::make_shared<ColorJitter>(a[0], a[1], a[2]);
  }
}

}  // namespace

absl::StatusOr<Augmentation> ParseAugmentation(absl::Span<const std::string> texts) {
  Augmentation augmentation;
  for (const std::string& text : texts) {
    BITGRAD_ASSIGN_OR_RETURN(const Call call, ParseCall("augmentation", text, Forms()));
    augmentation.push_back(Make(call));
  }
  return augmentation;
}

std::string AugmentationHelp() { return CallsHelp(Forms()); }

}  // namespace bitgrad
