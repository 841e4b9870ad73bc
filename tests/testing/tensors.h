// Tensors for tests: with values written out, or random with a seed that failures print; and comparisons to the last
// bit.

#ifndef BITGRAD_TESTS_TESTING_TENSORS_H_
#define BITGRAD_TESTS_TESTING_TENSORS_H_

#include <cstdint>
#include <cstring>
#include <string>
#include <utility>
#include <vector>

#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/graph/parameter.h"
#include "gtest/gtest.h"

namespace bitgrad {

// The largest error of one rounding to float, relative to the result.
inline constexpr double kRounding = 0x1p-24;

inline Tensor Floats(Shape shape, const std::vector<float>& values) {
  return Tensor::Of<float>(std::move(shape), values);
}

inline Tensor Labels(const std::vector<int32_t>& values) {
  return Tensor::Of<int32_t>({static_cast<int64_t>(values.size())}, values);
}

inline Tensor Filled(Shape shape, float value) {
  const std::vector<float> values(shape.num_elements(), value);
  return Floats(std::move(shape), values);
}

inline std::vector<float> ValuesOf(const Tensor& tensor) {
  return {tensor.span<float>().begin(), tensor.span<float>().end()};
}

inline Parameter MakeParameter(std::string name, Tensor value) {
  Parameter parameter;
  parameter.name = std::move(name);
  parameter.value = std::move(value);
  return parameter;
}

// A random sequence for values and gradients of tests; the same seed gives the same sequence.
class TestRandom {
 public:
  explicit TestRandom(uint64_t seed) : rng_{.seed = seed, .purpose = RngPurpose::kTest} {}

  float Uniform(float low, float high) { return low + (high - low) * bitgrad::Uniform(rng_, next_++); }
  uint32_t Below(uint32_t n) { return UniformBelow(rng_, next_++, n); }

  Tensor UniformTensor(const Shape& shape, float low = -2, float high = 2) {
    std::vector<float> values(shape.num_elements());
    for (float& value : values) value = Uniform(low, high);
    return Floats(shape, values);
  }

  std::string ToString() const { return "seed " + std::to_string(rng_.seed); }

 private:
  RngStream rng_;
  uint64_t next_ = 0;
};

#define BITGRAD_TRACE(random) SCOPED_TRACE((random).ToString())

// Expects equal shapes and equal bits.
inline void ExpectSameBits(const Tensor& a, const Tensor& b) {
  ASSERT_EQ(a.shape(), b.shape()) << a.shape().ToString() << " and " << b.shape().ToString();
  ASSERT_EQ(a.dtype(), b.dtype());
  if (std::memcmp(a.raw_data(), b.raw_data(), a.byte_size()) == 0) return;
  const std::vector<float> x = ValuesOf(a), y = ValuesOf(b);
  for (size_t i = 0; i < x.size(); ++i) {
    ASSERT_EQ(std::memcmp(&x[i], &y[i], sizeof(float)), 0) << "element " << i << ": " << x[i] << " and " << y[i];
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_TENSORS_H_
