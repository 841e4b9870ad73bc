#include "bitgrad/runtime/open_model.h"

#include "absl/strings/strip.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/zoo/zoo.h"

namespace bitgrad {

absl::StatusOr<std::unique_ptr<PackedModel>> OpenModel(const std::string& name) {
  absl::string_view in_the_zoo = name;
  if (!absl::ConsumePrefix(&in_the_zoo, kZooPrefix)) return PackedModel::Open(ResolvePath(name));
  BITGRAD_ASSIGN_OR_RETURN(const ZooModel* const model, FindZooModel(in_the_zoo));
  return PackedModel::FromBytes(name, model->bytes);
}

}  // namespace bitgrad
