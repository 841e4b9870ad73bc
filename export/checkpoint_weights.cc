#include "bitgrad/export/checkpoint_weights.h"

#include <memory>
#include <set>
#include <utility>
#include <vector>

#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/first_few.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/export/tensor_layout.h"
#include "bitgrad/models/training/model_bundle.h"

namespace bitgrad {
namespace {

std::vector<std::string> ParametersOf(const Checkpoint& checkpoint) {
  std::vector<std::string> names;
  for (const checkpoint::TensorEntry& entry : checkpoint.header().parameters()) names.push_back(entry.name());
  return names;
}

// An error about a parameter, with the line of the names file that names it.
template <typename... What>
absl::Status Error(const TensorNames& names, const std::string& parameter, const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat(names.PlaceOf(parameter), "parameter '", parameter, "': ", what...));
}

absl::StatusOr<TensorPlaces> PlacesIn(const TensorNames& names, const std::string& parameter, const Shape& shape) {
  absl::StatusOr<TensorPlaces> places = PlacesOf(names.Of(parameter).layout, shape);
  if (!places.ok()) return Error(names, parameter, places.status().message());
  return places;
}

// That file and checkpoint have the same tensors.
absl::Status CheckSameTensors(const Checkpoint& checkpoint, const SafetensorsFile& file, const BringOptions& options) {
  std::vector<std::string> missing, extra;
  std::set<std::string> taken;
  for (const std::string& parameter : ParametersOf(checkpoint)) {
    const std::string name = options.names.Of(parameter).name;
    if (name.empty()) continue;
    taken.insert(name);
    if (file.Find(name) == nullptr) missing.push_back(name == parameter ? name : absl::StrCat(parameter, " = ", name));
  }
  for (const SafetensorsTensor& tensor : file.tensors()) {
    if (taken.count(tensor.name) == 0) extra.push_back(absl::CHexEscape(tensor.name));
  }
  const std::string also = extra.empty() ? "" : absl::StrCat("; it has others, ", FirstFew(extra, "tensor", "tensors"));
  if (!missing.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(
        "'", file.path(), "' lacks ", FirstFew(missing, "parameter", "parameters"), " of the checkpoint", also,
        "; say what they are called there with --names=FILE, or there 'PARAMETER = -' for one that keeps its value"));
  }
  if (extra.empty() || options.allow_extra) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("'", file.path(), "' has ", FirstFew(extra, "tensor", "tensors"),
                                                 " that no parameter of the checkpoint takes; name them with ",
                                                 "--names=FILE, or leave them out with --allow_extra"));
}

// That the optimizer could have left such values, which the quantizers rely on.
absl::Status CheckBounds(const TensorNames& names, const Parameter& parameter, absl::Span<const float> values) {
  for (const float value : values) {
    if (parameter.has_to_stay_inside ? value > parameter.least && value < parameter.most
                                     : value >= parameter.least && value <= parameter.most) {
      continue;
    }
    const absl::string_view advice = parameter.is_quantized() ? "; clamp the latent weights before they are saved" : "";
    return Error(names, parameter.name, "the file has the value ", value, ", but it has to be ",
                 parameter.has_to_stay_inside ? "between " : "from ", parameter.least,
                 parameter.has_to_stay_inside ? " and " : " to ", parameter.most, advice);
  }
  return absl::OkStatus();
}

// The parameter's value, from the file.
absl::StatusOr<Tensor> ValueOf(const Parameter& parameter, const SafetensorsFile& file, const TensorNames& names) {
  const Shape& shape = parameter.value.shape();
  const TensorName name = names.Of(parameter.name);
  const SafetensorsTensor& tensor = *file.Find(name.name);
  BITGRAD_ASSIGN_OR_RETURN(const TensorPlaces places, PlacesIn(names, parameter.name, shape));
  if (tensor.shape != places.there) {
    return Error(
        names, parameter.name, "it is ", shape.ToString(), " here",
        places.there == shape ? "" : absl::StrCat(", so ", places.there.ToString(), " in the file"), ", but '",
        absl::CHexEscape(tensor.name), "' is ", tensor.shape.ToString(),
        name.layout.kind == TensorLayout::Kind::kSame ? "; where the layout differs, name it in --names=FILE" : "");
  }
  Tensor there(places.there, DType::kFloat32);
  if (const absl::Status read = ReadFloats(tensor, there.mutable_span<float>()); !read.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("safetensors file '", file.path(), "': ", read.message()));
  }
  BITGRAD_RETURN_IF_ERROR(CheckBounds(names, parameter, there.span<float>()));
  Tensor here(shape, DType::kFloat32);
  Exchange(places.batch, places.cols, places.rows, sizeof(float), there.raw_data(), here.mutable_raw_data());
  return here;
}

// Of a run that has not done a step.
checkpoint::Header AtTheBeginning(checkpoint::Header header) {
  header.clear_progress();
  header.clear_epochs();
  header.clear_random_step();
  return header;
}

}  // namespace

absl::StatusOr<WeightsTaken> TakeWeights(const Checkpoint& checkpoint, const TensorNames& names,
                                         const std::string& out) {
  const std::vector<std::string> parameters = ParametersOf(checkpoint);
  BITGRAD_RETURN_IF_ERROR(names.CheckParameters(parameters));
  std::vector<NamedValue> values;
  for (const std::string& parameter : parameters) {
    const TensorName name = names.Of(parameter);
    if (name.name.empty()) continue;
    BITGRAD_ASSIGN_OR_RETURN(const Tensor here, checkpoint.Get(parameter));
    BITGRAD_ASSIGN_OR_RETURN(const TensorPlaces places, PlacesIn(names, parameter, here.shape()));
    Tensor there(places.there, here.dtype());
    Exchange(places.batch, places.rows, places.cols, SizeOf(here.dtype()), here.raw_data(), there.mutable_raw_data());
    values.push_back({name.name, std::move(there)});
  }
  BITGRAD_ASSIGN_OR_RETURN(const int64_t bytes, WriteSafetensors(out, values));
  return WeightsTaken{.tensors = static_cast<int64_t>(values.size()), .bytes = bytes};
}

absl::StatusOr<WeightsBrought> BringWeights(const Checkpoint& checkpoint, const SafetensorsFile& file,
                                            const BringOptions& options, const std::string& out) {
  BITGRAD_RETURN_IF_ERROR(options.names.CheckParameters(ParametersOf(checkpoint)));
  if (checkpoint.header().recipe().has_coordinate_descent()) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint '", checkpoint.path(),
                                                   "' is of coordinate descent, which begins with random ",
                                                   "weights; name one of gradient descent"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const ModelBundle bundle, LoadModel(checkpoint));
  BITGRAD_RETURN_IF_ERROR(CheckSameTensors(checkpoint, file, options));
  WeightsBrought brought;
  for (Parameter* parameter : bundle.store->parameters()) {
    ++brought.tensors;
    if (options.names.Of(parameter->name).name.empty()) continue;
    BITGRAD_ASSIGN_OR_RETURN(parameter->value, ValueOf(*parameter, file, options.names));
    ++brought.replaced;
  }
  // Texts have none.
  std::shared_ptr<const Preprocessing> preprocessing = std::make_shared<Preprocessing>();
  if (checkpoint.header().text() == checkpoint::NO_TEXT) {
    BITGRAD_ASSIGN_OR_RETURN(preprocessing, LoadPreprocessing(checkpoint));
  }
  ExecContext context({.threads = 1});
  BITGRAD_RETURN_IF_ERROR(
      WriteCheckpoint(context, out, AtTheBeginning(checkpoint.header()), *bundle.store, nullptr, *preprocessing));
  return brought;
}

}  // namespace bitgrad
