#include "bitgrad/runtime/packed_model.h"

#include <algorithm>
#include <filesystem>
#include <system_error>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/program_command.h"
#include "bitgrad/core/shell_quote.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/preamble.h"
#include "bitgrad/runtime/requantize.h"
#include "bitgrad/runtime/version_1.h"

namespace bitgrad {
namespace {

absl::Status CheckZeros(absl::Span<const uint8_t> bytes, absl::string_view where) {
  for (const uint8_t byte : bytes) {
    if (byte != 0) return absl::InvalidArgumentError(absl::StrCat("the padding behind ", where, " is not zero"));
  }
  return absl::OkStatus();
}

// The threshold of an instruction; null where it has none.
const packed::Threshold* ThresholdOf(const packed::Instruction& instruction) {
  if (instruction.linear().has_threshold()) return &instruction.linear().threshold();
  if (instruction.conv2d().has_threshold()) return &instruction.conv2d().threshold();
  if (instruction.average_pool().has_threshold()) return &instruction.average_pool().threshold();
  return nullptr;
}

// The command that makes a packed model, in the folder of the checkpoint or of the run.
std::string FreezeCommand(const std::string& checkpoint, const std::filesystem::path& folder) {
  return absl::StrCat(ProgramCommand("//export:freeze"), " --checkpoint=", ShellQuoted(checkpoint),
                      " --out=", ShellQuoted((folder / "model.bgm").string()));
}

// Makes an error of the form "'net.bgm': <what>; <what to do>".
absl::Status Annotate(const std::string& name, const absl::Status& status) {
  if (status.ok()) return status;
  std::string advice;
  switch (status.code()) {
    case absl::StatusCode::kFailedPrecondition:
      advice = absl::StrCat("; freeze it first: ", FreezeCommand(name, std::filesystem::path(name).parent_path()));
      break;
    case absl::StatusCode::kDataLoss: advice = "; the file is damaged: copy it again or freeze the model again"; break;
    case absl::StatusCode::kUnimplemented:
      advice = "; freeze the model again with this bitgrad, or use a newer one";
      break;
    default: advice = "; freeze the model again"; break;
  }
  return absl::Status(status.code(), absl::StrCat("packed model '", name, "': ", status.message(), advice));
}

}  // namespace

absl::StatusOr<std::unique_ptr<PackedModel>> PackedModel::Open(const std::string& path) {
  if (std::error_code error; std::filesystem::is_directory(path, error)) {
    return absl::InvalidArgumentError(absl::StrCat("'", path,
                                                   "' is a folder, not a packed model; name a file in it, or ",
                                                   "freeze a run's folder first: ", FreezeCommand(path, path)));
  }
  BITGRAD_ASSIGN_OR_RETURN(MappedFile file, MappedFile::Open(path));
  std::unique_ptr<PackedModel> model(new PackedModel);
  model->name_ = path;
  model->file_ = std::move(file);
  BITGRAD_RETURN_IF_ERROR(Annotate(path, model->Load(model->file_.bytes())));
  return model;
}

absl::StatusOr<std::unique_ptr<PackedModel>> PackedModel::FromBytes(std::string name, absl::string_view bytes) {
  std::unique_ptr<PackedModel> model(new PackedModel);
  model->name_ = std::move(name);
  // The buffer of a tensor is aligned like a mapped file.
  model->copy_ = Tensor({static_cast<int64_t>(bytes.size())}, DType::kUint8);
  std::copy(bytes.begin(), bytes.end(), model->copy_.mutable_data<uint8_t>());
  BITGRAD_RETURN_IF_ERROR(Annotate(model->name_, model->Load(model->copy_.span<uint8_t>())));
  return model;
}

absl::Status PackedModel::Load(absl::Span<const uint8_t> bytes) {
  BITGRAD_ASSIGN_OR_RETURN(const Preamble preamble, DecodePreamble(bytes));
  byte_size_ = static_cast<int64_t>(bytes.size());
  const absl::Span<const uint8_t> header = bytes.subspan(kPreambleBytes, preamble.header_bytes);
  if (Crc32(header) != preamble.header_crc32) {
    return absl::DataLossError("the header's CRC-32 does not match its bytes");
  }
  BITGRAD_RETURN_IF_ERROR(LoadHeader(preamble.version, header));
  const int64_t header_end = kPreambleBytes + preamble.header_bytes;
  head_bytes_ = AlignUp(header_end);
  if (head_bytes_ > byte_size_) return absl::DataLossError("the file ends inside the padding behind the header");
  BITGRAD_RETURN_IF_ERROR(CheckZeros(bytes.subspan(header_end, head_bytes_ - header_end), "the header"));
  BITGRAD_RETURN_IF_ERROR(LoadBlobs(bytes, head_bytes_));
  return CheckThresholds();
}

absl::Status PackedModel::CheckThresholds() const {
  for (const packed::Instruction& instruction : header_.instructions()) {
    if (const packed::Requantize* requantize = RequantizeOf(instruction); requantize && requantize->has_bias()) {
      const int id = requantize->bias();
      if (const absl::Status status = CheckBiases(*requantize, ints(id)); !status.ok()) {
        return absl::InvalidArgumentError(absl::StrCat("blob ", id, " (", blob(id).name(), "): ", status.message()));
      }
    }
    const packed::Threshold* const threshold = ThresholdOf(instruction);
    if (threshold == nullptr) continue;
    const int id = threshold->thresholds();
    const absl::Span<const int32_t> thresholds = ints(id);
    const size_t out = static_cast<size_t>(blob(id).shape(1));
    for (size_t i = out; i < thresholds.size(); ++i) {
      if (thresholds[i] < thresholds[i - out]) {
        return absl::InvalidArgumentError(absl::StrCat("blob ", id, " (", blob(id).name(),
                                                       "): the thresholds of output ", i % out, " do not ascend"));
      }
    }
  }
  return absl::OkStatus();
}

absl::Status PackedModel::LoadHeader(uint32_t version, absl::Span<const uint8_t> bytes) {
  // The parser takes the size as an int, so a header of 2^31 bytes or more is refused.
  if (static_cast<int64_t>(bytes.size()) > INT32_MAX ||
      !header_.ParseFromArray(bytes.data(), static_cast<int>(bytes.size()))) {
    return absl::InvalidArgumentError("the header is no packed.Header message");
  }
  // A field that this program does not know may change the meaning of others.
  header_.DiscardUnknownFields();
  if (header_.ByteSizeLong() != bytes.size()) {
    return absl::UnimplementedError("the header has fields that are unknown to this program");
  }
  if (version == 1) {
    BITGRAD_ASSIGN_OR_RETURN(header_, UpgradeFromVersion1(header_));
  }
  BITGRAD_ASSIGN_OR_RETURN(program_, CheckProgram(header_));
  return absl::OkStatus();
}

absl::Status PackedModel::LoadBlobs(absl::Span<const uint8_t> bytes, int64_t begin) {
  // Blobs lie one behind the other. Their order and sizes determine their places, so they can neither overlap nor leave
  // gaps.
  for (int i = 0; i < header_.blobs_size(); ++i) {
    const packed::Blob& descriptor = blob(i);
    const std::string what = absl::StrCat("blob ", i, " (", descriptor.name(), ")");
    const int64_t end = begin + descriptor.byte_size();  // No overflow: CheckBlobDescriptor bounds sizes.
    const int64_t next = AlignUp(end);
    if (next > byte_size_) {
      return absl::InvalidArgumentError(absl::StrCat(what, ": its ", descriptor.byte_size(), " bytes at ", begin,
                                                     " do not lie in the file of ", byte_size_, " bytes"));
    }
    const absl::Span<const uint8_t> contents = bytes.subspan(begin, descriptor.byte_size());
    if (const absl::Status status = CheckBlobBytes(descriptor, contents); !status.ok()) {
      return absl::Status(status.code(), absl::StrCat(what, ": ", status.message()));
    }
    BITGRAD_RETURN_IF_ERROR(CheckZeros(bytes.subspan(end, next - end), what));
    blob_data_.push_back(contents.data());
    begin = next;
  }
  if (begin != byte_size_) {
    return absl::InvalidArgumentError(
        absl::StrCat("the file's ", byte_size_, " bytes go beyond its last blob, which ends at ", begin));
  }
  return absl::OkStatus();
}

Shape PackedModel::input() const {
  const Shape& shape = value(0).example;
  if (time_steps() == 0) return shape;
  std::vector<int64_t> dims = {time_steps()};
  dims.insert(dims.end(), shape.dims().begin(), shape.dims().end());
  return Shape(dims);
}

absl::Span<const float> PackedModel::floats(int id) const {
  return {reinterpret_cast<const float*>(blob_data_[id]), static_cast<size_t>(ShapeOf(blob(id)).num_elements())};
}

absl::Span<const int32_t> PackedModel::ints(int id) const {
  return {reinterpret_cast<const int32_t*>(blob_data_[id]), static_cast<size_t>(ShapeOf(blob(id)).num_elements())};
}

}  // namespace bitgrad
