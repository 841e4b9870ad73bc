#include "bitgrad/export/c_code/golden_vectors.h"

#include <algorithm>
#include <memory>

#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/export/c_code/error_bound.h"
#include "bitgrad/runtime/interpreter.h"

namespace bitgrad {
namespace {

constexpr int64_t kVectors = 8, kTokens = 16;
// Of all inputs together: more would make a test that compilers are slow on.
constexpr int64_t kMostElements = 1 << 18;
constexpr float kLargestFloat = 1.25f;

// Random pixels, but drawn digits where an example has as many pixels as they have.
absl::StatusOr<Tensor> Pixels(int64_t count, int64_t features, const RngStream& random) {
  Tensor pixels({count, features}, DType::kUint8);
  for (int64_t i = 0; i < pixels.num_elements(); ++i) {
    pixels.mutable_data<uint8_t>()[i] = static_cast<uint8_t>(RandomWord(random, static_cast<uint64_t>(i)));
  }
  if (features != 28 * 28) return pixels;
  BITGRAD_ASSIGN_OR_RETURN(const Dataset digits, LoadDataset("digits", {.split = Split::kTest, .limit = count / 2}));
  std::copy_n(digits.images.data<uint8_t>(), count / 2 * features, pixels.mutable_data<uint8_t>());
  return pixels;
}

}  // namespace

absl::StatusOr<GoldenVectors> MakeGoldenVectors(const PackedModel& model, ExecContext& context, uint64_t seed) {
  const packed::Input& input = model.header().input();
  const RngStream random = {.seed = seed, .purpose = RngPurpose::kTest};
  const int64_t features = model.value(0).features();
  GoldenVectors golden;
  BITGRAD_ASSIGN_OR_RETURN(const std::unique_ptr<Interpreter> interpreter, Interpreter::Create(model, context));
  if (input.tokens() > 0) {
    golden.count = kTokens;
    golden.tokens = Tensor({kTokens, 1}, DType::kInt32);
    for (int64_t t = 0; t < kTokens; ++t) {
      golden.tokens.mutable_data<int32_t>()[t] =
          static_cast<int32_t>(UniformBelow(random, static_cast<uint64_t>(t), static_cast<uint32_t>(input.tokens())));
    }
    BITGRAD_ASSIGN_OR_RETURN(golden.results, interpreter->RunTokens(golden.tokens.matrix<int32_t>()));
    golden.tolerance = DifferenceBound(model, kTokens, 0, /*codes_change=*/false);
    golden.widest = DifferenceBound(model, kTokens, 0, /*codes_change=*/true);
    return golden;
  }
  golden.count = std::clamp<int64_t>(kMostElements / features, 1, kVectors);
  golden.tolerance = DifferenceBound(model, 1, kLargestFloat, /*codes_change=*/false);
  golden.widest = DifferenceBound(model, 1, kLargestFloat, /*codes_change=*/true);
  if (input.has_pixels()) {
    BITGRAD_ASSIGN_OR_RETURN(golden.pixels, Pixels(golden.count, features, random));
    BITGRAD_ASSIGN_OR_RETURN(golden.results, interpreter->RunPixels(golden.pixels.matrix<uint8_t>()));
    return golden;
  }
  golden.floats = Tensor({golden.count, features}, DType::kFloat32);
  for (int64_t i = 0; i < golden.floats.num_elements(); ++i) {
    golden.floats.mutable_data<float>()[i] = kLargestFloat * (2.0f * Uniform(random, static_cast<uint64_t>(i)) - 1.0f);
  }
  BITGRAD_ASSIGN_OR_RETURN(golden.results, interpreter->Run(golden.floats.matrix<float>()));
  return golden;
}

}  // namespace bitgrad
