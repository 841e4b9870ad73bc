// The packed model that a user of a program names.

#ifndef BITGRAD_RUNTIME_OPEN_MODEL_H_
#define BITGRAD_RUNTIME_OPEN_MODEL_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// What programs say where --model is missing.
inline constexpr absl::string_view kNoModelGiven =
    "no model given; name a packed model: --model=FILE, or --model=zoo:NAME (--help lists the zoo)";

// "zoo:NAME": a model of the zoo (zoo/zoo.h). All else is the path of a packed model file, from where the user stands;
// a file whose name begins with "zoo:" is "./zoo:NAME". Errors are FindZooModel()'s and PackedModel::Open()'s.
absl::StatusOr<std::unique_ptr<PackedModel>> OpenModel(const std::string& name);

}  // namespace bitgrad

#endif  // BITGRAD_RUNTIME_OPEN_MODEL_H_
