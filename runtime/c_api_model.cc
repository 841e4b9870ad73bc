#include "bitgrad/runtime/c_api_model.h"

#include <cstdint>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/c_api_error.h"

namespace bitgrad {
namespace {

using LoadedModel = absl::StatusOr<std::unique_ptr<PackedModel>>;

absl::Status Load(absl::FunctionRef<LoadedModel()> open, bitgrad_model** model) {
  if (model == nullptr) return NullError("model");
  *model = nullptr;
  BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<PackedModel> packed, open());
  *model = new bitgrad_model{std::move(packed)};
  return absl::OkStatus();
}

LoadedModel FromMemory(const char* name, const void* bytes, size_t size) {
  if (name == nullptr) return NullError("name");
  if (bytes == nullptr && size > 0) return NullError("bytes");
  // The sizes that a tensor, which takes the copy, may have.
  if (const absl::Status status = Shape({static_cast<int64_t>(size)}).Validate(); !status.ok()) {
    return absl::InvalidArgumentError(absl::StrCat("size ", size, " is more than any file has"));
  }
  return PackedModel::FromBytes(name, {static_cast<const char*>(bytes), size});
}

// The shape of the input or the result; none for null.
Shape InputOf(const bitgrad_model* model) { return model == nullptr ? Shape({0}) : model->packed->input(); }
Shape OutputOf(const bitgrad_model* model) { return model == nullptr ? Shape({0}) : model->packed->result().example; }

int64_t DimOf(const Shape& shape, int32_t i) { return i < 0 || i >= shape.rank() ? 0 : shape.dim(i); }

}  // namespace
}  // namespace bitgrad

using bitgrad::CallForC;
using bitgrad::PackedModel;

extern "C" {

bitgrad_code bitgrad_model_load(const char* path, bitgrad_model** model) {
  return CallForC(__func__, [&] {
    return bitgrad::Load(
        [&]() -> bitgrad::LoadedModel {
          if (path == nullptr) return bitgrad::NullError("path");
          return PackedModel::Open(path);
        },
        model);
  });
}

bitgrad_code bitgrad_model_load_memory(const char* name, const void* bytes, size_t size, bitgrad_model** model) {
  return CallForC(__func__,
                  [&] { return bitgrad::Load([&] { return bitgrad::FromMemory(name, bytes, size); }, model); });
}

void bitgrad_model_free(bitgrad_model* model) { delete model; }

bitgrad_input bitgrad_model_input(const bitgrad_model* model) {
  if (model == nullptr) return BITGRAD_INPUT_NONE;
  const bitgrad::packed::Input& input = model->packed->header().input();
  if (input.tokens() > 0) return BITGRAD_INPUT_TOKENS;
  return input.has_pixels() ? BITGRAD_INPUT_PIXELS : BITGRAD_INPUT_FLOATS;
}

int32_t bitgrad_model_input_rank(const bitgrad_model* model) {
  return model == nullptr ? 0 : bitgrad::InputOf(model).rank();
}
int64_t bitgrad_model_input_dim(const bitgrad_model* model, int32_t i) {
  return bitgrad::DimOf(bitgrad::InputOf(model), i);
}
int64_t bitgrad_model_input_size(const bitgrad_model* model) { return bitgrad::InputOf(model).num_elements(); }

int32_t bitgrad_model_output_rank(const bitgrad_model* model) {
  return model == nullptr ? 0 : bitgrad::OutputOf(model).rank();
}
int64_t bitgrad_model_output_dim(const bitgrad_model* model, int32_t i) {
  return bitgrad::DimOf(bitgrad::OutputOf(model), i);
}
int64_t bitgrad_model_output_size(const bitgrad_model* model) { return bitgrad::OutputOf(model).num_elements(); }

int32_t bitgrad_model_token_count(const bitgrad_model* model) {
  return model == nullptr ? 0 : model->packed->header().input().tokens();
}

bitgrad_text bitgrad_model_text(const bitgrad_model* model) {
  if (model == nullptr) return BITGRAD_TEXT_NONE;
  switch (model->packed->header().text()) {
    case bitgrad::packed::Header::WORDS: return BITGRAD_TEXT_WORDS;
    case bitgrad::packed::Header::CHARACTERS: return BITGRAD_TEXT_CHARACTERS;
    default: return BITGRAD_TEXT_NONE;
  }
}

const char* bitgrad_model_name(const bitgrad_model* model) {
  return model == nullptr ? "" : model->packed->header().name().c_str();
}

const char* bitgrad_model_data_set(const bitgrad_model* model) {
  return model == nullptr ? "" : model->packed->header().data_set().c_str();
}

int32_t bitgrad_model_class_count(const bitgrad_model* model) {
  return model == nullptr ? 0 : model->packed->header().class_count();
}

const char* bitgrad_model_class_name(const bitgrad_model* model, int32_t i) {
  if (model == nullptr || i < 0 || i >= model->packed->header().class_names_size()) return "";
  return model->packed->header().class_names(i).c_str();
}

int64_t bitgrad_model_byte_size(const bitgrad_model* model) {
  return model == nullptr ? 0 : model->packed->byte_size();
}

}  // extern "C"
