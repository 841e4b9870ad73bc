#include "bitgrad/bench/bench_main.h"

#include <cstdio>
#include <string>
#include <vector>

#include "absl/flags/commandlineflag.h"
#include "absl/flags/flag.h"
#include "absl/flags/reflection.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/processor_name.h"
#include "bitgrad/core/status_macros.h"
#include "hwy/highway.h"

ABSL_FLAG(std::string, hwy_target, "", "Instruction set of bitgrad's kernels, as Highway names it; empty: the best.");

namespace bitgrad {
namespace {

// Sets the flags that are defined in this program. `rest` gets the arguments that are not among them.
absl::Status TakeFlags(int argc, char** argv, std::vector<char*>& rest) {
  for (int i = 0; i < argc; ++i) {
    absl::string_view name = argv[i];
    absl::string_view value = "true";
    if (const size_t equals = name.find('='); equals != absl::string_view::npos) {
      value = name.substr(equals + 1);
      name = name.substr(0, equals);
    }
    absl::CommandLineFlag* flag = i > 0 && absl::ConsumePrefix(&name, "--") ? absl::FindCommandLineFlag(name) : nullptr;
    if (flag == nullptr) {
      rest.push_back(argv[i]);
      continue;
    }
    std::string error;
    if (!flag->ParseFrom(value, &error)) return absl::InvalidArgumentError(error);
  }
  return absl::OkStatus();
}

// Restricts the kernels to the instruction set of --hwy_target, and adds the name of the one in use to the run's
// header.
absl::Status ChooseTarget() {
  const std::string wanted = absl::GetFlag(FLAGS_hwy_target);
  const std::vector<int64_t> targets = hwy::SupportedAndGeneratedTargets();  // the best one first
  std::string names;
  for (const int64_t target : targets) {
    const char* name = hwy::TargetName(target);
    if (wanted.empty() || wanted == name) {
      if (!wanted.empty()) hwy::SetSupportedTargetsForTest(target);
      benchmark::AddCustomContext("hwy_target", name);
      return absl::OkStatus();
    }
    absl::StrAppend(&names, names.empty() ? "" : ", ", name);
  }
  return absl::InvalidArgumentError(
      absl::StrCat("--hwy_target=", wanted, " is not among what was compiled and this machine has: ", names));
}

// Reports in Google Benchmark's default format, and remembers whether a benchmark reported an error.
class Reporter final : public benchmark::BenchmarkReporter {
 public:
  bool ReportContext(const Context& context) override { return shown_.ReportContext(context); }
  void ReportRuns(const std::vector<Run>& runs) override {
    for (const Run& run : runs) failed_ |= run.error_occurred;
    shown_.ReportRuns(runs);
  }
  void Finalize() override { shown_.Finalize(); }
  bool failed() const { return failed_; }

 private:
  benchmark::BenchmarkReporter& shown_ = *benchmark::CreateDefaultDisplayReporter();
  bool failed_ = false;
};

}  // namespace

int BenchMain(int argc, char** argv, absl::FunctionRef<absl::Status()> setup) {
  std::vector<char*> arguments;
  const absl::Status status = [&]() -> absl::Status {
    BITGRAD_RETURN_IF_ERROR(TakeFlags(argc, argv, arguments));
    BITGRAD_RETURN_IF_ERROR(ChooseTarget());
    benchmark::AddCustomContext("processor", ProcessorName());
    return setup();
  }();
  if (!status.ok()) {
    std::fprintf(stderr, "%s: %s\n", argv[0], std::string(status.message()).c_str());
    return 1;
  }
  int count = static_cast<int>(arguments.size());
  benchmark::Initialize(&count, arguments.data());
  if (benchmark::ReportUnrecognizedArguments(count, arguments.data())) return 1;
  Reporter reporter;
  if (benchmark::RunSpecifiedBenchmarks(&reporter) == 0) {
    std::fprintf(stderr, "%s: no benchmark matches the filter\n", argv[0]);
    return 1;
  }
  benchmark::Shutdown();
  return reporter.failed() ? 1 : 0;
}

}  // namespace bitgrad
