#include "bitgrad/models/diagnostics/run_record.h"

#include <cstdint>
#include <fstream>
#include <sstream>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/checkpoint.h"
#include "google/protobuf/util/json_util.h"

namespace bitgrad {
namespace {

absl::StatusOr<std::string> ToJson(const google::protobuf::Message& message) {
  google::protobuf::util::JsonPrintOptions options;
  options.preserve_proto_field_names = true;
  std::string json;
  const auto status = google::protobuf::util::MessageToJsonString(message, &json, options);
  if (!status.ok()) return absl::InternalError(std::string(status.message()));
  return json + "\n";
}

// Fields that a later version may have added are passed by.
absl::Status FromJson(absl::string_view json, google::protobuf::Message& message) {
  google::protobuf::util::JsonParseOptions options;
  options.ignore_unknown_fields = true;
  const auto status = google::protobuf::util::JsonStringToMessage(std::string(json), &message, options);
  return status.ok() ? absl::OkStatus() : absl::DataLossError(std::string(status.message()));
}

absl::StatusOr<std::string> Contents(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  return std::string(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
}

absl::Status WriteFile(const std::string& path, absl::string_view contents) {
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(contents));
  return file.Commit();
}

absl::Status LoadEpochs(RunRecord& run) {
  absl::StatusOr<std::string> lines = Contents(DiagnosticsPath(run.folder));
  if (absl::IsNotFound(lines.status())) return absl::OkStatus();
  if (!lines.ok()) return lines.status();
  int number = 0;
  for (const absl::string_view line : absl::StrSplit(*lines, '\n', absl::SkipEmpty())) {
    ++number;
    diagnostics::Epoch epoch;
    if (const absl::Status status = FromJson(line, epoch); !status.ok()) {
      return absl::DataLossError(absl::StrCat("line ", number, ": ", status.message()));
    }
    const int after = run.diagnostics.empty() ? 0 : run.diagnostics.back().epoch();
    if (epoch.epoch() <= after) return absl::DataLossError(absl::StrCat("line ", number, ": epochs are not in order"));
    // Of a run that ended between the two files, or that was resumed from an older checkpoint.
    if (epoch.epoch() > run.header.epochs_size()) break;
    run.diagnostics.push_back(std::move(epoch));
  }
  return absl::OkStatus();
}

absl::Status LoadLatest(RunRecord& run) {
  const absl::StatusOr<std::string> json = Contents(LatestPath(run.folder));
  if (absl::IsNotFound(json.status())) return absl::OkStatus();
  if (!json.ok()) return json.status();
  diagnostics::Latest latest;
  BITGRAD_RETURN_IF_ERROR(FromJson(*json, latest));
  if (latest.epoch() == run.header.epochs_size()) run.latest = std::move(latest);
  return absl::OkStatus();
}

}  // namespace

std::string DiagnosticsPath(const std::string& folder) { return folder + "/diagnostics.jsonl"; }
std::string LatestPath(const std::string& folder) { return folder + "/latest.json"; }

MetricDisplay DisplayOf(const checkpoint::Header& header) {
  switch (header.text()) {
    case checkpoint::WORDS: return MetricDisplay::kPerplexity;
    case checkpoint::CHARACTERS: return MetricDisplay::kBitsPerCharacter;
    default: return MetricDisplay::kErrorPercent;
  }
}

void LoadDiagnostics(RunRecord& run, std::vector<std::string>* warnings) {
  const auto keep_warning = [&](const std::string& path, const absl::Status& status) {
    if (status.ok() || warnings == nullptr) return;
    warnings->push_back(absl::StrCat("'", path, "' cannot be read; what it says is left out: ", status.message()));
  };
  keep_warning(DiagnosticsPath(run.folder), LoadEpochs(run));
  keep_warning(LatestPath(run.folder), LoadLatest(run));
}

absl::StatusOr<RunRecord> LoadRunRecord(const std::string& folder, std::vector<std::string>* warnings) {
  const absl::StatusOr<Checkpoint> checkpoint = Checkpoint::Open(folder + "/checkpoint.bgc");
  if (absl::IsNotFound(checkpoint.status())) {
    return absl::NotFoundError(absl::StrCat("'", folder,
                                            "' is no folder of a run: there is no checkpoint.bgc in it; "
                                            "give the folder that `train` has written (--out)"));
  }
  if (!checkpoint.ok()) return checkpoint.status();
  RunRecord run = {.folder = folder, .header = checkpoint->header(), .display = DisplayOf(checkpoint->header())};
  LoadDiagnostics(run, warnings);
  return run;
}

absl::Status WriteDiagnostics(const RunRecord& run) {
  std::string lines;
  for (const diagnostics::Epoch& epoch : run.diagnostics) {
    BITGRAD_ASSIGN_OR_RETURN(const std::string line, ToJson(epoch));
    lines += line;
  }
  BITGRAD_RETURN_IF_ERROR(WriteFile(DiagnosticsPath(run.folder), lines));
  BITGRAD_ASSIGN_OR_RETURN(const std::string latest, ToJson(run.latest));
  return WriteFile(LatestPath(run.folder), latest);
}

}  // namespace bitgrad
