// write_onnx_samples: exports the packed models of tests to ONNX, with inputs and the interpreter's answers, for
// programs that run ONNX files (tests/interop/).
//
//   write_onnx_samples FOLDER
//
// writes, for each model and each dialect that can say it, NAME.DIALECT.onnx, and for each model NAME.input and
// NAME.output: float32 [3, ...], or for a model of tokens int32 [4 steps, 3 streams] and float32 [4 steps, 3, ...].

#include <cstdio>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/onnx.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/export/onnx_samples.h"

namespace bitgrad {
namespace {

absl::Status WriteFile(const std::string& path, absl::string_view bytes) {
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit();
}

absl::Status WriteSamples(const std::string& folder) {
  ExecContext context({.threads = 1});
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<OnnxSample> samples, OnnxSamples());
  for (const OnnxSample& sample : samples) {
    const std::string path = absl::StrCat(folder, "/", sample.name);
    BITGRAD_ASSIGN_OR_RETURN(const auto answers, AnswersOf(*sample.model, context));
    BITGRAD_RETURN_IF_ERROR(WriteFile(path + ".input", RawBytes(answers.input)));
    BITGRAD_RETURN_IF_ERROR(WriteFile(path + ".output", RawBytes(answers.output)));
    for (const OnnxDialect dialect : {OnnxDialect::kPlain, OnnxDialect::kQonnx, OnnxDialect::kQcdq}) {
      const absl::StatusOr<onnx::ModelProto> proto = ToOnnx(*sample.model, {.dialect = dialect});
      if (absl::IsUnimplemented(proto.status())) continue;
      BITGRAD_RETURN_IF_ERROR(proto.status());
      BITGRAD_RETURN_IF_ERROR(WriteFile(absl::StrCat(path, ".", Name(dialect), ".onnx"), proto->SerializeAsString()));
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  if (argc != 2) {
    std::fprintf(stderr, "usage: write_onnx_samples FOLDER\n");
    return 1;
  }
  const absl::Status status = bitgrad::WriteSamples(argv[1]);
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
