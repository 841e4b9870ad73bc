// The quantizers and values that the tests of quantizers' kernels use.

#ifndef BITGRAD_TESTS_OPS_CUDA_QUANTIZE_TESTING_H_
#define BITGRAD_TESTS_OPS_CUDA_QUANTIZE_TESTING_H_

#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/tests/testing/tensors.h"

namespace bitgrad {

// Each of AllQuantizers() with several arguments.
inline std::vector<Quantizer> QuantizersForTests() {
  std::vector<Quantizer> all;
  for (const QuantizerInfo& info : AllQuantizers()) {
    switch (info.argument) {
      case QuantizerArgument::kNone: all.push_back(Quantizer(&info, {})); break;
      case QuantizerArgument::kBits:
        for (const int bits : {1, 2, 3, 8}) {
          if (bits >= info.min_argument && bits <= info.max_argument) all.push_back(Quantizer(&info, {.bits = bits}));
        }
        break;
      case QuantizerArgument::kParameter:
        all.push_back(Quantizer(&info, {.parameter = info.default_argument}));
        all.push_back(Quantizer(&info, {.parameter = 0.3f * info.default_argument}));
        break;
    }
  }
  return all;
}

// Uniform in [-1.5, 1.5], with values among them at which the results of quantizers change.
inline std::vector<float> ValuesWithEdges(TestRandom& random, int64_t count, bool with_nan = true) {
  const float edges[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 1.0000001f, -1.0000001f, 1e-40f, -1e-40f, 1.5f, NAN};
  std::vector<float> values(count);
  for (float& value : values) {
    const uint32_t edge = random.Below(60);
    value = edge < std::size(edges) - (with_nan ? 0 : 1) ? edges[edge] : random.Uniform(-1.5f, 1.5f);
  }
  return values;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_CUDA_QUANTIZE_TESTING_H_
