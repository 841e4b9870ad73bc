// Packed models on a device against the CPU: the same bits wherever sums are exact. What rounds is in interpreter_test,
// against a scalar evaluation.

#include <cmath>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

struct Case {
  SampleModel model;
  double tolerance = 0;  // of a logit; 0: the same bits
};

std::vector<Case> Cases() {
  const Encoding binary{EncodingKind::kBinary, 1};
  const Encoding symmetric{EncodingKind::kSymmetric, 3};
  std::vector<Case> cases;
  cases.push_back({ResidualModel()});
  cases.push_back({CodedConvModel()});
  cases.push_back({AveragesModel()});
  // Its last layer sums 7 products in float, each a mean of binary sums below 65 * 9 * 0.37 = 217 times a weight below
  // 1. On either side each product and partial sum is off by at most 2^-24 of 7 * 217.
  cases.push_back({ImageModel(), 2 * 14 * 0x1p-24 * 7 * 217});
  cases.push_back({BnnModel()});
  cases.push_back({ReshapedInputModel()});
  for (const bool threshold : {false, true}) {
    cases.push_back({LinearModel("sign", binary, 513, 67, threshold)});
    cases.push_back({LinearModel("k_bit(8)", binary, 129, 33, threshold)});
    cases.push_back({LinearModel("k_bit(3)", {EncodingKind::kTernary, 2}, 65, 9, threshold)});
    cases.push_back({LinearModel("sign", symmetric, 65, 9, threshold)});
    cases.push_back({LinearModel("dorefa_activation(4)", symmetric, 127, 9, threshold)});
  }
  return cases;
}

// What the model makes of pixels as floats.
Tensor ValuesOf(const PackedModel& model, const Tensor& pixels) {
  const packed::PixelMapping& mapping = model.header().input().pixels();
  Tensor values(pixels.shape(), DType::kFloat32);
  for (int64_t i = 0; i < pixels.num_elements(); ++i) {
    values.mutable_data<float>()[i] =
        (mapping.multiplier() * static_cast<float>(pixels.data<uint8_t>()[i]) + mapping.offset()) / mapping.divisor();
  }
  return values;
}

void ExpectSame(const absl::StatusOr<Tensor>& expected, const absl::StatusOr<Tensor>& actual, double tolerance) {
  ASSERT_TRUE(expected.ok() && actual.ok()) << expected.status() << ", " << actual.status();
  ASSERT_EQ(expected->shape(), actual->shape());
  for (int64_t i = 0; i < expected->num_elements(); ++i) {
    const float a = expected->data<float>()[i], b = actual->data<float>()[i];
    if (tolerance == 0) {
      ASSERT_EQ(std::memcmp(&a, &b, sizeof(a)), 0) << "logit " << i << ": CPU " << a << ", device " << b;
    } else {
      ASSERT_NEAR(a, b, tolerance) << "logit " << i;
    }
  }
}

using DevicePredictTest = OnTestDevice<testing::Test>;

TEST_F(DevicePredictTest, GivesTheCpusAnswers) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.model.name);
    const absl::StatusOr<std::string> bytes = c.model.writer.Serialize();
    ASSERT_TRUE(bytes.ok()) << bytes.status();
    const auto model = PackedModel::FromBytes(c.model.name, *bytes);
    ASSERT_TRUE(model.ok()) << model.status();
    ExecContext cpu({.threads = 1}), device({.device = TestDevice(), .threads = 2});
    const auto expected = Interpreter::Create(**model, cpu);
    const auto whole = Interpreter::Create(**model, device);
    // A few examples of a model with 70 values, one of a larger one.
    const auto in_pieces = Interpreter::Create(**model, device, {.piece_bytes = 4000});
    ASSERT_TRUE(expected.ok() && whole.ok() && in_pieces.ok());
    const int64_t features = (*model)->input().num_elements();
    // Few rows have kernels of their own; buffers grow, and are kept when batches shrink.
    for (const int64_t batch : {3, 21, 0, 10}) {
      SCOPED_TRACE(batch);
      const Tensor pixels = RandomPixels(batch, features, 7 + batch);
      const Tensor values = ValuesOf(**model, pixels);
      const auto from_pixels = (*expected)->RunPixels(pixels.matrix<uint8_t>());
      const auto from_values = (*expected)->Run(values.matrix<float>());
      ExpectSame(from_pixels, (*whole)->RunPixels(pixels.matrix<uint8_t>()), c.tolerance);
      ExpectSame(from_values, (*whole)->Run(values.matrix<float>()), c.tolerance);
      ExpectSame(from_pixels, (*in_pieces)->RunPixels(pixels.matrix<uint8_t>()), c.tolerance);
      if (batch > 3) {  // Every other row.
        const auto half = (*expected)->RunPixels({pixels.data<uint8_t>(), batch / 2, features, 2 * features});
        ExpectSame(half, (*in_pieces)->RunPixels({pixels.data<uint8_t>(), batch / 2, features, 2 * features}),
                   c.tolerance);
      }
      if (HasFatalFailure()) return;
    }
  }
}

// A GPU cannot read the host's memory; the emulator's kernels can, and would not say so.
TEST_F(DevicePredictTest, ReadsNothingOfTheFile) {
  if (TestDevice() == Device::kCpu) GTEST_SKIP() << "on the CPU weights are used where they are";
  std::vector<Case> cases = Cases();
  cases.push_back({EveryInstructionModel()});
  for (const Case& c : cases) {
    SCOPED_TRACE(c.model.name);
    const auto model = PackedModel::FromBytes(c.model.name, *c.model.writer.Serialize());
    ASSERT_TRUE(model.ok()) << model.status();
    ExecContext context({.device = TestDevice()});
    const auto interpreter = Interpreter::Create(**model, context);
    ASSERT_TRUE(interpreter.ok()) << interpreter.status();
    const Tensor pixels = RandomPixels(10, (*model)->input().num_elements(), 3);
    const auto before = (*interpreter)->RunPixels(pixels.matrix<uint8_t>());
    for (int id = 0; id < (*model)->header().blobs_size(); ++id) {
      const absl::Span<const uint8_t> bytes = (*model)->bytes(id);
      std::memset(const_cast<uint8_t*>(bytes.data()), 0x55, bytes.size());
    }
    ExpectSame(before, (*interpreter)->RunPixels(pixels.matrix<uint8_t>()), 0);
    if (HasFatalFailure()) return;
  }
}

// Models that say little would pass with anything.
TEST_F(DevicePredictTest, AnswersDiffer) {
  for (const Case& c : Cases()) {
    SCOPED_TRACE(c.model.name);
    const auto model = PackedModel::FromBytes(c.model.name, *c.model.writer.Serialize());
    ASSERT_TRUE(model.ok()) << model.status();
    ExecContext context({.device = TestDevice()});
    const auto interpreter = Interpreter::Create(**model, context);
    ASSERT_TRUE(interpreter.ok()) << interpreter.status();
    const Tensor pixels = RandomPixels(10, (*model)->input().num_elements(), 3);
    const absl::StatusOr<Tensor> y = (*interpreter)->RunPixels(pixels.matrix<uint8_t>());
    ASSERT_TRUE(y.ok()) << y.status();
    const int64_t out = y->shape().cols();
    int different = 0;
    for (int64_t j = 0; j < out; ++j) {
      bool differs = false;
      for (int64_t i = 1; i < 10; ++i) differs |= y->data<float>()[i * out + j] != y->data<float>()[j];
      different += differs;
    }
    // Some thresholds are beyond all sums.
    EXPECT_GE(5 * different, out) << different << " outputs of " << out << " depend on the input";
  }
}

}  // namespace
}  // namespace bitgrad
