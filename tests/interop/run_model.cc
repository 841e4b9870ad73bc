// run_model --model=FILE --inputs=FILE --outputs=FILE [--threads=N] [--repeat=N]: runs a packed model on float inputs
// from a file of raw float32, [examples, features] in the packed model's order (images NHWC), and writes its results in
// the same form. For comparisons with other frameworks; last line: examples, features of the result, and the best
// time of a run.

#include <algorithm>
#include <chrono>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/flags/flag.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "bitgrad/core/atomic_file.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/working_directory.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"

ABSL_FLAG(std::string, model, "", "Packed model file.");
ABSL_FLAG(std::string, inputs, "", "File of float32 inputs.");
ABSL_FLAG(std::string, outputs, "", "File of float32 results to write.");
ABSL_FLAG(int, threads, 1, "Number of threads.");
ABSL_FLAG(int, repeat, 1, "How often the model runs.");

namespace bitgrad {
namespace {

absl::Status WriteBytes(const std::string& path, const std::string& bytes) {
  BITGRAD_ASSIGN_OR_RETURN(AtomicFile file, AtomicFile::Create(path));
  BITGRAD_RETURN_IF_ERROR(file.Append(bytes));
  return file.Commit();
}

absl::Status RunModel() {
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<PackedModel> model,
                           PackedModel::Open(ResolvePath(absl::GetFlag(FLAGS_model))));
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile inputs, MappedFile::Open(ResolvePath(absl::GetFlag(FLAGS_inputs))));
  const int64_t features = model->input().num_elements();
  const int64_t count = static_cast<int64_t>(inputs.bytes().size() / sizeof(float));
  if (count == 0 || count % features != 0 || inputs.bytes().size() % sizeof(float) != 0) {
    return absl::InvalidArgumentError(absl::StrCat("--inputs: no float32 [examples, ", features, "]"));
  }
  ExecContext context({.threads = absl::GetFlag(FLAGS_threads)});
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(*model, context));
  const ConstMatrixView<float> x(reinterpret_cast<const float*>(inputs.bytes().data()), count / features, features);
  Tensor result;
  double best = 1e30;
  for (int i = 0; i < std::max(1, absl::GetFlag(FLAGS_repeat)); ++i) {
    const auto begin = std::chrono::steady_clock::now();
    BITGRAD_ASSIGN_OR_RETURN(result, interpreter->Run(x));
    best = std::min(best, std::chrono::duration<double>(std::chrono::steady_clock::now() - begin).count());
  }
  const std::string bytes(reinterpret_cast<const char*>(result.raw_data()), result.byte_size());
  BITGRAD_RETURN_IF_ERROR(WriteBytes(ResolvePath(absl::GetFlag(FLAGS_outputs)), bytes));
  absl::PrintF("run_model: examples=%d features=%d seconds=%.6f\n", x.rows, result.num_elements() / x.rows, best);
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(argc, argv, {.usage = "Runs a packed model on floats."}, [] { return bitgrad::RunModel(); });
}
