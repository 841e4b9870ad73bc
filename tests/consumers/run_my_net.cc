// A user's program that only runs packed models: it is linked with the runtime alone.
//
//   run_my_net FILE      prints the model's name, and its answer to an image of zeros

#include <cstdio>
#include <string>
#include <vector>

#include "bitgrad/core/status_macros.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"

namespace {

absl::Status Run(const std::string& file) {
  bitgrad::ExecContext context({.threads = 2});
  BITGRAD_ASSIGN_OR_RETURN(const auto model, bitgrad::PackedModel::Open(file));
  BITGRAD_ASSIGN_OR_RETURN(const auto interpreter, bitgrad::Interpreter::Create(*model, context));
  const std::vector<uint8_t> image(784);
  BITGRAD_ASSIGN_OR_RETURN(const bitgrad::Tensor logits, interpreter->RunPixels({image.data(), 1, 784}));
  std::printf("%s:", model->header().name().c_str());
  for (int64_t i = 0; i < logits.num_elements(); ++i) std::printf(" %g", logits.data<float>()[i]);
  std::printf("\n");
  return absl::OkStatus();
}

}  // namespace

int main(int argc, char** argv) {
  const absl::Status status = Run(argc > 1 ? argv[1] : "my_net.bgm");
  if (!status.ok()) std::fprintf(stderr, "%s\n", status.ToString().c_str());
  return status.ok() ? 0 : 1;
}
