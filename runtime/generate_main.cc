// generate: text from a packed model of text.

#include <cstdio>
#include <string>

#include "absl/flags/flag.h"
#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/run_main.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/generate.h"
#include "bitgrad/runtime/open_model.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/zoo/zoo.h"

ABSL_FLAG(std::string, model, "", "Packed model file of a model of text, as freeze writes it, or zoo:NAME.");
ABSL_FLAG(std::string, prompt, "", "The text to go on with. Default: the beginning of a line.");
ABSL_FLAG(int64_t, length, 200, "How many tokens to write behind the prompt: words, or characters.");
ABSL_FLAG(
    double, temperature, 1,
    "Logits are divided by it before one is drawn: below 1 likely tokens become likelier; 0 takes the likeliest.");
ABSL_FLAG(uint64_t, seed, 1, "Of the random numbers: the same seed gives the same text.");
ABSL_FLAG(int, threads, 0, "Number of threads; 0 means one per core.");
ABSL_FLAG(std::string, device, "cpu", "Where the model runs: cpu or cuda.");

namespace bitgrad {
namespace {

absl::Status WriteText() {
  const std::string path = absl::GetFlag(FLAGS_model);
  const int threads = absl::GetFlag(FLAGS_threads);
  if (path.empty()) {
    return absl::InvalidArgumentError(kNoModelGiven);
  }
  if (threads < 0 || threads > ExecContext::kMaxThreads) {
    return absl::InvalidArgumentError(
        absl::StrCat("--threads=", threads, " is not in 0 .. ", ExecContext::kMaxThreads, "; 0 means one per core"));
  }
  BITGRAD_ASSIGN_OR_RETURN(const Device device, ParseDevice(absl::GetFlag(FLAGS_device)));
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(device));
  BITGRAD_ASSIGN_OR_RETURN(const auto model, OpenModel(path));
  BITGRAD_ASSIGN_OR_RETURN(const Vocabulary vocabulary, VocabularyOf(*model));
  BITGRAD_ASSIGN_OR_RETURN(const Prompt prompt,
                           ReadPrompt(vocabulary, UnitOf(model->header()), absl::GetFlag(FLAGS_prompt)));
  if (!prompt.unknown.empty()) {
    std::fprintf(stderr, "note: the model does not know these and reads '%s' instead: %s\n", kUnknown,
                 absl::StrJoin(prompt.unknown, " ").c_str());
  }
  ExecContext context({.device = device, .threads = threads});
  BITGRAD_RETURN_IF_ERROR(CheckThreads(context.threads()));
  return Generate(*model, context, prompt.tokens,
                  {.length = absl::GetFlag(FLAGS_length),
                   .temperature = absl::GetFlag(FLAGS_temperature),
                   .seed = absl::GetFlag(FLAGS_seed)},
                  [](absl::string_view text) {
                    std::fwrite(text.data(), 1, text.size(), stdout);
                    std::fflush(stdout);
                  });
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::RunMain(
      argc, argv,
      {.usage = "Writes text that a packed model of text makes up, token after token.", .more_help = bitgrad::ZooHelp},
      [] { return bitgrad::WriteText(); });
}
