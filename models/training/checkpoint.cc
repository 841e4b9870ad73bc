#include "bitgrad/models/training/checkpoint.h"

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/core/version.h"
#include "bitgrad/models/training/check_header.h"
#include "zlib.h"

namespace bitgrad {
namespace {

constexpr char kMagic[8] = {'B', 'I', 'T', 'G', 'C', 'K', 'P', 'T'};
// How packed models (runtime/preamble.h) begin, to tell users who mix up the two kinds of files.
constexpr char kPackedModelMagic[8] = {'B', 'I', 'T', 'G', 'R', 'A', 'D', '\0'};
constexpr uint32_t kFormatVersion = 1;
constexpr uint64_t kUnit = 64;

struct Preamble {
  char magic[8];
  uint32_t version;
  uint32_t header_crc32;
  uint64_t header_bytes;
  uint64_t file_bytes;
  uint8_t zeros[32];
};
static_assert(sizeof(Preamble) == kUnit);

uint64_t RoundUp(uint64_t bytes) { return (bytes + kUnit - 1) / kUnit * kUnit; }

uint32_t Crc32(const void* bytes, size_t count) {
  return static_cast<uint32_t>(crc32_z(0, static_cast<const Bytef*>(bytes), count));
}

void AddEntry(const std::string& name, const Tensor& tensor, int64_t& offset,
              google::protobuf::RepeatedPtrField<checkpoint::TensorEntry>& entries) {
  checkpoint::TensorEntry& entry = *entries.Add();
  entry.set_name(name);
  entry.set_dtype(static_cast<int>(tensor.dtype()));
  for (int64_t dim : tensor.shape().dims()) entry.add_shape(dim);
  entry.set_offset(offset);
  entry.set_byte_size(static_cast<int64_t>(tensor.byte_size()));
  entry.set_crc32(Crc32(tensor.raw_data(), tensor.byte_size()));
  offset += static_cast<int64_t>(RoundUp(tensor.byte_size()));
}

absl::Status Append(AtomicFile& file, const void* bytes, size_t count) {
  BITGRAD_RETURN_IF_ERROR(file.Append({static_cast<const char*>(bytes), count}));
  static constexpr char kZeros[kUnit] = {};
  return file.Append({kZeros, RoundUp(count) - count});
}

Shape ShapeOf(const checkpoint::TensorEntry& entry) {
  return Shape(absl::MakeConstSpan(entry.shape().data(), entry.shape_size()));
}

// Empty if the entry describes bytes within the data.
std::string CheckPlace(const checkpoint::TensorEntry& entry, absl::Span<const uint8_t> data) {
  const Shape shape = ShapeOf(entry);
  const uint64_t element = SizeOf(static_cast<DType>(entry.dtype()));
  if (element == 0) return absl::StrCat("has unknown dtype ", entry.dtype());
  if (!shape.Validate().ok()) return absl::StrCat("has shape ", shape.ToString());
  const uint64_t bytes = static_cast<uint64_t>(shape.num_elements()) * element;
  if (static_cast<uint64_t>(entry.byte_size()) != bytes) {
    return absl::StrCat("has ", entry.byte_size(), " bytes where shape ", shape.ToString(), " needs ", bytes);
  }
  if (entry.offset() < 0 || entry.offset() % kUnit != 0 || static_cast<uint64_t>(entry.offset()) > data.size() ||
      bytes > data.size() - entry.offset()) {
    return absl::StrCat("lies outside of the file (offset ", entry.offset(), ")");
  }
  return "";
}

// Whether the values of a number that a quantizer learns are within the parameter's bounds: a bit length from 1 to 8, a
// scale that is positive and finite. The optimizer sees to that after each step, so that other values are damage.
absl::Status CheckBounds(const std::string& path, const Parameter& parameter, const Tensor& values) {
  if (parameter.kind != ParameterKind::kQuantizerVariable) return absl::OkStatus();
  const bool open = parameter.has_to_stay_inside;
  for (const float value : values.span<float>()) {
    const bool inside =
        open ? value > parameter.least && value < parameter.most : value >= parameter.least && value <= parameter.most;
    if (inside) continue;
    return absl::FailedPreconditionError(absl::StrCat("checkpoint '", path, "': parameter '", parameter.name, "' is ",
                                                      value, "; it has to be ", open ? "above " : "from ",
                                                      parameter.least, open ? " and below " : " to ", parameter.most,
                                                      ", so the checkpoint is of another model or damaged"));
  }
  return absl::OkStatus();
}

using Entries = google::protobuf::RepeatedPtrField<checkpoint::TensorEntry>;

std::array<const Entries*, 4> AllEntries(const checkpoint::Header& header) {
  return {&header.parameters(), &header.optimizer_state(), &header.preprocessing(), &header.states()};
}

template <typename... What>
absl::Status Damaged(const std::string& path, const What&... what) {
  return absl::DataLossError(
      absl::StrCat("checkpoint '", path, "' ", what..., "; use another checkpoint or train again"));
}

}  // namespace

ImageShape ImageShapeOf(const checkpoint::Header& header) {
  if (header.text() != checkpoint::NO_TEXT) return {};
  if (header.image_shape_size() != 3) return {1, header.features(), 1};
  return {header.image_shape(0), header.image_shape(1), header.image_shape(2)};
}

absl::Status WriteCheckpoint(ExecContext& context, const std::string& path, checkpoint::Header header,
                             const ParameterStore& store, const LearnerState& learner,
                             const Preprocessing& preprocessing) {
  header.set_producer(absl::StrCat("bitgrad ", kVersion));
  header.clear_parameters();
  header.clear_optimizer_state();
  header.clear_optimizer_steps();
  header.clear_preprocessing();
  header.clear_states();
  std::vector<Tensor> tensors;
  int64_t offset = 0;
  const auto add = [&](const std::string& name, const Tensor& tensor, auto* entries) {
    tensors.push_back(ToHost(context, tensor));
    AddEntry(name, tensors.back(), offset, *entries);
  };
  for (const Parameter* parameter : store.parameters()) {
    add(parameter->name, parameter->value, header.mutable_parameters());
  }
  header.set_optimizer_steps(learner.steps);
  for (const NamedTensor& state : learner.tensors) add(state.name, *state.tensor, header.mutable_optimizer_state());
  for (const LearnedTensor& learned : preprocessing.learned()) {
    add(learned.name, *learned.tensor, header.mutable_preprocessing());
  }
  if (header.progress().batches_done() > 0) {
    for (const NamedState& state : learner.states) add(state.name, state.value, header.mutable_states());
  }
  BITGRAD_RETURN_IF_ERROR(context.status());
  const std::string header_bytes = header.SerializeAsString();
  Preamble preamble = {};
  std::memcpy(preamble.magic, kMagic, sizeof(kMagic));
  preamble.version = kFormatVersion;
  preamble.header_crc32 = Crc32(header_bytes.data(), header_bytes.size());
  preamble.header_bytes = header_bytes.size();
  preamble.file_bytes = kUnit + RoundUp(header_bytes.size()) + offset;

  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(Append(file, &preamble, sizeof(preamble)));
  BITGRAD_RETURN_IF_ERROR(Append(file, header_bytes.data(), header_bytes.size()));
  for (const Tensor& tensor : tensors) {
    BITGRAD_RETURN_IF_ERROR(Append(file, tensor.raw_data(), tensor.byte_size()));
  }
  // That there is no memory to read it with now says nothing about the file, and is no reason to lose it.
  if (const absl::Status readable = Checkpoint::OpenHeader(file.temporary_path()).status();
      !readable.ok() && !absl::IsResourceExhausted(readable)) {
    return absl::Status(readable.code(), absl::StrCat("cannot write checkpoint '", path,
                                                      "', it would not be readable: ", readable.message()));
  }
  return file.Commit();
}

absl::StatusOr<Checkpoint> Checkpoint::OpenHeader(const std::string& path) {
  Checkpoint checkpoint;
  checkpoint.path_ = path;
  BITGRAD_ASSIGN_OR_RETURN(checkpoint.file_, MappedFile::Open(path));
  const absl::Span<const uint8_t> bytes = checkpoint.file_.bytes();
  Preamble preamble;
  if (bytes.size() < sizeof(preamble)) return Damaged(path, "is cut off: it has ", bytes.size(), " bytes");
  std::memcpy(&preamble, bytes.data(), sizeof(preamble));
  if (std::memcmp(preamble.magic, kPackedModelMagic, sizeof(kPackedModelMagic)) == 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is a packed model, not a checkpoint; name the ",
                                                   "checkpoint that it was frozen from, or the run's folder"));
  }
  if (std::memcmp(preamble.magic, kMagic, sizeof(kMagic)) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("'", path, "' is not a checkpoint of bitgrad (wrong magic bytes)"));
  }
  if (preamble.version != kFormatVersion) {
    return absl::InvalidArgumentError(absl::StrCat("checkpoint '", path, "' has format version ", preamble.version,
                                                   "; this build reads version ", kFormatVersion));
  }
  if (preamble.file_bytes != bytes.size()) {
    return Damaged(path, "has ", bytes.size(), " bytes where it should have ", preamble.file_bytes);
  }
  if (std::any_of(std::begin(preamble.zeros), std::end(preamble.zeros), [](uint8_t b) { return b; })) {
    return Damaged(path, "has a damaged preamble");
  }
  if (preamble.header_bytes > bytes.size() - kUnit || RoundUp(preamble.header_bytes) > bytes.size() - kUnit ||
      preamble.header_bytes > std::numeric_limits<int>::max()) {
    return Damaged(path, "has a header of ", preamble.header_bytes, " bytes, more than the file");
  }
  const uint8_t* header = bytes.data() + kUnit;
  if (Crc32(header, preamble.header_bytes) != preamble.header_crc32) {
    return Damaged(path, "has a damaged header (wrong checksum)");
  }
  if (!checkpoint.header_.ParseFromArray(header, static_cast<int>(preamble.header_bytes))) {
    return Damaged(path,
                   "has a header that is no message of proto/checkpoint.proto, or has text in it that is not UTF-8");
  }
  if (const absl::Status valid = CheckHeader(checkpoint.header_); !valid.ok()) {
    return Damaged(path, "has a header that makes no sense: ", valid.message());
  }
  checkpoint.data_ = bytes.subspan(kUnit + RoundUp(preamble.header_bytes));
  for (const auto* entries : AllEntries(checkpoint.header_)) {
    for (const checkpoint::TensorEntry& entry : *entries) {
      if (const std::string error = CheckPlace(entry, checkpoint.data_); !error.empty()) {
        return Damaged(path, "is damaged: tensor '", entry.name(), "' ", error);
      }
    }
  }
  return checkpoint;
}

absl::StatusOr<Checkpoint> Checkpoint::Open(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(Checkpoint checkpoint, OpenHeader(path));
  const checkpoint::Header& header = checkpoint.header_;
  for (const auto* entries : AllEntries(header)) {
    for (const checkpoint::TensorEntry& entry : *entries) {
      const auto bytes = static_cast<size_t>(entry.byte_size());
      if (Crc32(checkpoint.data_.data() + entry.offset(), bytes) != entry.crc32()) {
        return Damaged(path, "is damaged: tensor '", entry.name(), "' has a wrong checksum");
      }
    }
  }
  return checkpoint;
}

Tensor Checkpoint::Read(const checkpoint::TensorEntry& entry) const {
  Tensor tensor(ShapeOf(entry), static_cast<DType>(entry.dtype()));
  std::memcpy(tensor.mutable_raw_data(), data_.data() + entry.offset(), tensor.byte_size());
  return tensor;
}

const checkpoint::TensorEntry* Checkpoint::Find(absl::string_view name) const {
  for (const checkpoint::TensorEntry& entry : header_.parameters()) {
    if (entry.name() == name) return &entry;
  }
  return nullptr;
}

absl::StatusOr<Tensor> Checkpoint::Get(absl::string_view name) const {
  if (const checkpoint::TensorEntry* entry = Find(name); entry != nullptr) return Read(*entry);
  return absl::NotFoundError(absl::StrCat("checkpoint '", path_, "' has no tensor '", name, "'"));
}

template <typename... What>
absl::Status Checkpoint::OtherModel(const What&... what) const {
  return absl::FailedPreconditionError(absl::StrCat("checkpoint '", path_, "' is of another model: ", what...));
}

absl::Status Checkpoint::CheckParameter(absl::string_view name, const Shape& shape) const {
  const checkpoint::TensorEntry* entry = Find(name);
  if (entry == nullptr) return OtherModel("it has no parameter '", name, "'");
  if (entry->dtype() != static_cast<int>(DType::kFloat32)) {
    return OtherModel("parameter '", name, "' has numbers of type ", entry->dtype(), " there");
  }
  if (ShapeOf(*entry) == shape) return absl::OkStatus();
  return OtherModel("parameter '", name, "' is ", ShapeOf(*entry).ToString(), " there and ", shape.ToString(),
                    " in the model");
}

absl::Status Checkpoint::RestoreParameters(ParameterStore& store) const {
  for (const checkpoint::TensorEntry& entry : header_.parameters()) {
    if (store.Find(entry.name()) == nullptr) return OtherModel("the model has no parameter '", entry.name(), "'");
  }
  std::vector<std::pair<Parameter*, Tensor>> values;
  for (Parameter* parameter : store.parameters()) {
    BITGRAD_RETURN_IF_ERROR(CheckParameter(parameter->name, parameter->value.shape()));
    values.emplace_back(parameter, Read(*Find(parameter->name)));
    BITGRAD_RETURN_IF_ERROR(CheckBounds(path_, *parameter, values.back().second));
  }
  for (auto& [parameter, value] : values) {
    parameter->value = std::move(value);
    parameter->is_set = true;
  }
  return absl::OkStatus();
}

absl::Status Checkpoint::RestoreLearner(absl::FunctionRef<absl::Status(const LearnerState& state)> restore) const {
  if (header_.optimizer_steps() == 0 && header_.optimizer_state().empty()) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", path_, "' holds no optimizer state; resume from the last one written"));
  }
  std::vector<Tensor> tensors;
  for (const checkpoint::TensorEntry& entry : header_.optimizer_state()) tensors.push_back(Read(entry));
  LearnerState state({}, header_.optimizer_steps());
  for (size_t i = 0; i < tensors.size(); ++i) {
    state.tensors.push_back({header_.optimizer_state(static_cast<int>(i)).name(), &tensors[i]});
  }
  for (const checkpoint::TensorEntry& entry : header_.states()) state.states.push_back({entry.name(), Read(entry)});
  const absl::Status restored = restore(state);
  if (restored.ok()) return restored;
  return absl::Status(restored.code(), absl::StrCat("checkpoint '", path_, "': ", restored.message()));
}

absl::Status Checkpoint::RestoreOptimizer(const ParameterStore& store, Optimizer& optimizer) const {
  return RestoreLearner(
      [&](const LearnerState& state) { return optimizer.Restore(store.parameters(), state.tensors, state.steps); });
}

absl::Status Checkpoint::RestorePreprocessing(Preprocessing& preprocessing) const {
  const std::vector<LearnedTensor> learned = preprocessing.learned();
  const auto& entries = header_.preprocessing();
  bool same = static_cast<int>(learned.size()) == entries.size();
  for (int i = 0; same && i < entries.size(); ++i) {
    same = entries[i].name() == learned[i].name && ShapeOf(entries[i]) == learned[i].tensor->shape() &&
           entries[i].dtype() == static_cast<int>(learned[i].tensor->dtype());
  }
  if (!same) {
    return absl::FailedPreconditionError(
        absl::StrCat("checkpoint '", path_, "' does not hold what its recipe's data.preprocessing learns from the ",
                     "training images; train again"));
  }
  for (int i = 0; i < entries.size(); ++i) *learned[i].tensor = Read(entries[i]);
  return absl::OkStatus();
}

}  // namespace bitgrad
