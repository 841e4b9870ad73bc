// The interpreter against a scalar evaluation, for each instruction, blob kind and kernel; on every device.

#include "bitgrad/runtime/interpreter.h"

#include <cmath>
#include <cstring>

#include "bitgrad/ops/dispatch.h"
#include "bitgrad/runtime/kernel_choice.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/reference_interpreter.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using InterpreterTest = OnTestDevice<testing::Test>;

std::unique_ptr<PackedModel> Pack(const SampleModel& sample) {
  absl::StatusOr<std::string> bytes = sample.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << sample.name << ": " << bytes.status();
  if (!bytes.ok()) return nullptr;
  auto model = PackedModel::FromBytes(sample.name, *bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

void ExpectReference(const PackedModel& model, const Tensor& x, const Tensor& y) {
  for (int64_t i = 0; i < x.shape().dim(0); ++i) {
    const int64_t in = x.shape().dim(1);
    const int64_t out = y.shape().dim(1);
    const absl::StatusOr<ReferenceResult> expected = RunReference(model, x.span<float>().subspan(i * in, in));
    ASSERT_TRUE(expected.ok()) << model.name() << ": " << expected.status();
    ASSERT_EQ(static_cast<int64_t>(expected->value.size()), out);
    for (int64_t j = 0; j < out; ++j) {
      const float actual = y.data<float>()[i * out + j];
      ASSERT_NEAR(actual, expected->value[j], expected->tolerance[j])
          << model.name() << " example " << i << " of " << x.shape().dim(0) << " output " << j;
    }
  }
}

TEST_F(InterpreterTest, EveryModelGivesTheScalarAnswers) {
  for (const SampleModel& sample : AllSampleModels()) {
    const auto model = Pack(sample);
    ASSERT_NE(model, nullptr);
    for (const int threads : {1, 2}) {
      ExecContext context({.device = TestDevice(), .threads = threads});
      auto interpreter = Interpreter::Create(*model, context);
      ASSERT_TRUE(interpreter.ok()) << interpreter.status();
      // Buffers are kept: sizes go up and down.
      for (const int64_t batch : {1, 3, 100, 0, 3}) {
        const Tensor x = RandomInput(batch, model->input().num_elements(), 77 + batch);
        const absl::StatusOr<Tensor> y = (*interpreter)->Run(x.matrix<float>());
        ASSERT_TRUE(y.ok()) << y.status();
        ASSERT_EQ(y->shape(), Shape({batch, model->result().features()}));
        ExpectReference(*model, x, *y);
      }
    }
  }
}

// Inputs are the values of pixels: with them all sums are exact, so that the answers are, too (but for the last layer
// of ImageModel).
TEST_F(InterpreterTest, ModelsOfImagesGiveTheScalarAnswers) {
  for (const SampleModel& sample :
       {ImageModel(), ResidualModel(), CodedConvModel(), CodeToCodeModel(), AveragesModel(), TapModel()}) {
    const auto model = Pack(sample);
    ASSERT_NE(model, nullptr);
    const packed::PixelMapping& mapping = model->header().input().pixels();
    for (const int threads : {1, 2}) {
      ExecContext context({.device = TestDevice(), .threads = threads});
      auto interpreter = Interpreter::Create(*model, context);
      ASSERT_TRUE(interpreter.ok()) << interpreter.status();
      for (const int64_t batch : {1, 20}) {
        const Tensor pixels = RandomPixels(batch, model->input().num_elements(), 7 + batch);
        Tensor x(pixels.shape(), DType::kFloat32);
        for (int64_t i = 0; i < x.num_elements(); ++i) {
          x.mutable_data<float>()[i] =
              (mapping.multiplier() * static_cast<float>(pixels.data<uint8_t>()[i]) + mapping.offset()) /
              mapping.divisor();
        }
        for (const absl::StatusOr<Tensor>& y :
             {(*interpreter)->Run(x.matrix<float>()), (*interpreter)->RunPixels(pixels.matrix<uint8_t>())}) {
          ASSERT_TRUE(y.ok()) << y.status();
          ASSERT_EQ(y->shape(), Shape({batch, model->result().features()}));
          ExpectReference(*model, x, *y);
        }
      }
    }
  }
}

TEST(ReferenceInterpreterTest, WhatItDoesNotKnowIsAnError) {
  const auto error_after = [](const SampleModel& sample, auto change) {
    const auto model = Pack(sample);
    const std::vector<float> x(model->input().num_elements(), 0.5f);
    EXPECT_TRUE(RunReference(*model, x).ok());
    change(const_cast<packed::Header&>(model->header()));
    return RunReference(*model, x).status();
  };
  EXPECT_EQ(error_after(ImageModel(), [](packed::Header& header) { header.mutable_instructions(2)->clear_kind(); }),
            absl::UnimplementedError("reference: instruction 2 ('pool'): an unknown kind of instruction"));
  EXPECT_EQ(error_after(ImageModel(),
                        [](packed::Header& header) {
                          header.mutable_instructions(3)->mutable_conv2d()->set_padding(
                              static_cast<packed::Conv2d::Padding>(3));
                        }),
            absl::UnimplementedError("reference: instruction 3 ('conv2'): an unknown border"));
  EXPECT_EQ(error_after(EveryInstructionModel(),
                        [](packed::Header& header) {
                          header.mutable_instructions(1)->mutable_unary()->set_op(static_cast<packed::Unary::Op>(6));
                        }),
            absl::UnimplementedError("reference: instruction 1 ('leaky'): an unknown unary op"));
}

TEST_F(InterpreterTest, PixelsGiveTheBitsOfTheirFloats) {
  for (const SampleModel& sample : AllSampleModels()) {
    const auto model = Pack(sample);
    ASSERT_NE(model, nullptr);
    ExecContext context({.device = TestDevice(), .threads = 2});
    auto interpreter = Interpreter::Create(*model, context);
    ASSERT_TRUE(interpreter.ok()) << interpreter.status();
    const int64_t in = model->input().num_elements();
    const Tensor pixels = RandomPixels(300, in, 5);
    Tensor x({300, in}, DType::kFloat32);
    for (int64_t i = 0; i < x.num_elements(); ++i) {
      x.mutable_data<float>()[i] = (2.0f * static_cast<float>(pixels.data<uint8_t>()[i]) - 255.0f) / 255.0f;
    }
    const auto from_pixels = (*interpreter)->RunPixels(pixels.matrix<uint8_t>());
    const auto from_floats = (*interpreter)->Run(x.matrix<float>());
    ASSERT_TRUE(from_pixels.ok() && from_floats.ok());
    EXPECT_EQ(std::memcmp(from_pixels->raw_data(), from_floats->raw_data(), from_floats->byte_size()), 0)
        << sample.name;
  }
}

TEST_F(InterpreterTest, RowsOfAWiderMatrixAreEnough) {
  const auto model = Pack(BnnModel());
  ExecContext context({.device = TestDevice()});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const Tensor wide = RandomInput(5, 90, 3);
  const Tensor wide_pixels = RandomPixels(5, 90, 3);
  Tensor narrow({5, 70}, DType::kFloat32);
  Tensor narrow_pixels({5, 70}, DType::kUint8);
  for (int64_t i = 0; i < 5; ++i) {
    for (int64_t j = 0; j < 70; ++j) {
      narrow.mutable_data<float>()[i * 70 + j] = wide.data<float>()[i * 90 + j];
      narrow_pixels.mutable_data<uint8_t>()[i * 70 + j] = wide_pixels.data<uint8_t>()[i * 90 + j];
    }
  }
  const auto a = (*interpreter)->Run({wide.data<float>(), 5, 70, 90});
  const auto b = (*interpreter)->Run(narrow.matrix<float>());
  ASSERT_TRUE(a.ok() && b.ok());
  EXPECT_EQ(a->span<float>(), b->span<float>());
  const auto c = (*interpreter)->RunPixels({wide_pixels.data<uint8_t>(), 5, 70, 90});
  const auto d = (*interpreter)->RunPixels(narrow_pixels.matrix<uint8_t>());
  ASSERT_TRUE(c.ok() && d.ok());
  EXPECT_EQ(c->span<float>(), d->span<float>());
}

TEST_F(InterpreterTest, ABatchLargerThanAPieceGivesTheSameAnswers) {
  // 2 values of 60,000 features: 32 MiB, the CPU's piece, hold about 70 examples.
  const SampleModel sample = LinearModel("sign", {EncodingKind::kBinary, 1}, 60000, 60000 / 1000, false);
  const auto model = Pack(sample);
  ExecContext context({.device = TestDevice(), .threads = 2});
  auto interpreter = Interpreter::Create(
      *model, context, {.piece_bytes = TestDevice() == Device::kCpu ? int64_t{0} : int64_t{32} << 20});
  ASSERT_TRUE(interpreter.ok());
  const Tensor x = RandomInput(150, 60000, 3);
  const auto all = (*interpreter)->Run(x.matrix<float>());
  ASSERT_TRUE(all.ok());
  for (int64_t i = 0; i < 150; i += 30) {
    const auto part = (*interpreter)->Run({x.data<float>() + i * 60000, 30, 60000});
    ASSERT_TRUE(part.ok());
    EXPECT_EQ(part->span<float>(), all->span<float>().subspan(i * 60, 30 * 60)) << i;
  }
  EXPECT_LT(context.allocator().peak_bytes(), size_t{64} << 20);
}

TEST_F(InterpreterTest, KernelsFollowFromTheEncodings) {
  const auto kernel_of = [](const std::string& input, const Encoding& weights, int64_t in) {
    return ChooseKernel(*Pack(LinearModel(input, weights, in, 3, false)), input == "identity" ? 0 : 1).kernel;
  };
  const Encoding binary{EncodingKind::kBinary, 1};
  const Encoding ternary{EncodingKind::kTernary, 2};
  const Encoding symmetric{EncodingKind::kSymmetric, 8};
  const Encoding real{EncodingKind::kFloat, 32};
  EXPECT_EQ(kernel_of("sign", binary, 9), DotKernel::kXnorPopcount);
  EXPECT_EQ(kernel_of("k_bit(1)", binary, 9), DotKernel::kXnorPopcount);
  EXPECT_EQ(kernel_of("swish_sign(5)", binary, 9), DotKernel::kXnorPopcount);
  EXPECT_NE(kernel_of("k_bit(8)", binary, 784), DotKernel::kFloatGemm);
  EXPECT_EQ(kernel_of("sign", ternary, 9), DotKernel::kBitPlanes);
  EXPECT_EQ(kernel_of("dorefa_activation(2)", binary, 9), DotKernel::kBitPlanes);
  EXPECT_EQ(kernel_of("identity", binary, 9), DotKernel::kFloatGemm);
  EXPECT_EQ(kernel_of("sign", real, 9), DotKernel::kFloatGemm);
  EXPECT_NE(kernel_of("k_bit(8)", symmetric, 258), DotKernel::kFloatGemm);
  EXPECT_EQ(kernel_of("k_bit(8)", symmetric, 259), DotKernel::kFloatGemm);
}

TEST_F(InterpreterTest, WrongInputsAreErrors) {
  SampleModel sample = BnnModel();
  const auto model = Pack(sample);
  ExecContext context({.device = TestDevice()});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const Tensor x = RandomInput(2, 71, 3);
  const auto y = (*interpreter)->Run(x.matrix<float>());
  EXPECT_THAT(std::string(y.status().message()), testing::HasSubstr("takes 70 numbers per example, not 71"));

  sample.writer.header().mutable_input()->clear_pixels();
  const auto float_model = Pack(sample);
  auto float_interpreter = Interpreter::Create(*float_model, context);
  ASSERT_TRUE(float_interpreter.ok());
  const Tensor pixels = RandomPixels(2, 70, 3);
  const auto z = (*float_interpreter)->RunPixels(pixels.matrix<uint8_t>());
  EXPECT_THAT(std::string(z.status().message()), testing::HasSubstr("takes floats, not 8-bit pixels"));

  if (DeviceStatus(Device::kCuda).ok()) return;
  ExecContext cuda({.device = Device::kCuda});
  EXPECT_EQ(Interpreter::Create(*model, cuda).status(), DeviceStatus(Device::kCuda));
}

TEST_F(InterpreterTest, BuffersAreKeptBetweenRuns) {
  const auto model = Pack(BnnModel());
  ExecContext context({.device = TestDevice(), .threads = 1});
  auto interpreter = Interpreter::Create(*model, context);
  ASSERT_TRUE(interpreter.ok());
  const Tensor x = RandomInput(100, 70, 3);
  // Two runs: a block that a kernel of the first gave back may be taken for a buffer that is kept.
  for (int i = 0; i < 2; ++i) ASSERT_TRUE((*interpreter)->Run(x.matrix<float>()).ok());
  const int64_t allocations = context.allocator().system_allocations();
  for (int i = 0; i < 10; ++i) ASSERT_TRUE((*interpreter)->Run(x.matrix<float>()).ok());
  EXPECT_EQ(context.allocator().system_allocations(), allocations);
}

}  // namespace
}  // namespace bitgrad
