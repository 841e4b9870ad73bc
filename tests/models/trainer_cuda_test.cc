// The training loop on a GPU.

#include <cstdio>
#include <string>

#include "bitgrad/models/training/trainer.h"
#include "bitgrad/ops/dispatch.h"
#include "bitgrad/tests/models/models_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

// In the GPU's pool lie parameters and what the optimizer keeps, too: the measured memory of a step leaves them out.
TEST(TrainerCudaTest, TrainsAndTellsTheMemoryOfAStep) {
  if (const absl::Status status = DeviceStatus(Device::kCuda); !status.ok()) GTEST_SKIP() << status;
  const std::string directory = NewDirectory(), log_path = directory + "/log";
  std::FILE* log = std::fopen(log_path.c_str(), "w");
  const auto trainer =
      Trainer::Create(TinyRecipe({"data.limit=80", "data.validation_examples=20", "batch_size=20", "epochs=1"}),
                      {.out_dir = directory, .device = Device::kCuda, .threads = 1, .log = log});
  ASSERT_TRUE(trainer.ok()) << trainer.status();
  const auto result = (*trainer)->Run();
  std::fclose(log);
  ASSERT_TRUE(result.ok()) << result.status();
  const std::string text = ReadFile(log_path);
  const size_t line = text.find("memory of a step: ");
  ASSERT_NE(line, std::string::npos) << text;
  double predicted = 0, measured = 0;
  ASSERT_EQ(
      std::sscanf(text.c_str() + line, "memory of a step: predicted %lf MB, measured %lf MB", &predicted, &measured),
      2);
  EXPECT_NEAR(predicted, measured, 0.1 * measured) << text;
}

}  // namespace
}  // namespace bitgrad
