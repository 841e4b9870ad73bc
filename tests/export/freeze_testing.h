// Freezes models and compares the packed answers, on the device of tests/testing/test_device.h, with the graph's on the
// CPU.

#ifndef BITGRAD_TESTS_EXPORT_FREEZE_TESTING_H_
#define BITGRAD_TESTS_EXPORT_FREEZE_TESTING_H_

#include <cstdint>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/freeze.h"
#include "bitgrad/models/model.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/ops/batch_norm.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// A packed model in memory, ready to run. Not movable: the interpreter points into it.
struct FrozenModel {
  FrozenModel() = default;
  FrozenModel(const FrozenModel&) = delete;
  std::string bytes;
  std::unique_ptr<PackedModel> packed;
  std::unique_ptr<ExecContext> device;  // null: it runs on the context that it was frozen on
  std::unique_ptr<Interpreter> interpreter;

  // Instructions that end in bits.
  int thresholds() const;
};

absl::StatusOr<std::unique_ptr<FrozenModel>> FreezeToMemory(ExecContext& context, Model& model, const Shape& example,
                                                            const FreezeOptions& options = {});

// The same for any example: tokens, int32 [streams], too.
absl::StatusOr<std::unique_ptr<FrozenModel>> FreezeToMemory(ExecContext& context, Model& model, const Tensor& example,
                                                            const FreezeOptions& options = {});

// The quantizers that have integer codes in evaluation, in their role, made of the list of all quantizers, so that a
// new one is among them: each form in each number of bits, and with each scale that it can have, fixed, measured or
// learned, for the tensor or, of weights, for each output. Each is there once. Logarithmic codes of more than
// kMostLogBits are not among them: their sums exceed 2^24, where nothing folds into thresholds, or take more than 32
// bits, which convolutions do not have, so that they are floats there. LogarithmicOperands of freeze_parity_test has
// them.
inline constexpr int kMostLogBits = 4;
std::vector<Quantizer> IntegerQuantizers(QuantizerRole role);

// The variants of batch norm: each running statistic, the unbiased variance too, with epsilon in each place. Numbers
// that follow each other give each of them; a fifth has a large epsilon.
inline constexpr uint32_t kNormVariants = 8;
BatchNormOptions NormOf(uint32_t number);

// An emulated device computes thread by thread, so it gets few images.
int64_t ImagesOnDevice(int64_t on_cpu, int64_t on_device);

// Gives batch norms what training could give them: gammas of both signs and zero, betas, means and
// statistics, some of them such that a sum meets its threshold exactly. `unit`: what one count of
// the layers' sums is worth. Gives quantizers steps, clips, scales and ranges.
void RandomizeBatchNorms(ParameterStore& store, std::mt19937& random, float unit = 1.0f);

// [batch, ...]: values in [-1.25, 1.25), pixels' values, exact codes, halfway points between codes,
// zeros of both signs.
Tensor RandomInputs(const Shape& shape, std::mt19937& random);

// The graph's logits in evaluation.
Tensor GraphLogits(ExecContext& context, Model& model, const Tensor& x);

// Freezes the model and expects its logits to have the graph's bits on `batch` random inputs, as one batch and, unless
// told otherwise, one by one (where a product of floats is in the net its rounding may depend on the number of rows);
// that the file's size is as predicted. Returns the frozen model (null after a failure).
std::unique_ptr<FrozenModel> ExpectBitEqual(ExecContext& context, Model& model, const Shape& example, int64_t batch,
                                            std::mt19937& random, bool one_by_one = true);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_FREEZE_TESTING_H_
