// Attention over taps, shifts of channels, and what is made of them: against formulas in double precision.

#include "bitgrad/ops/tap_attention.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/transfer.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/conv2d.h"
#include "bitgrad/ops/kernels/tap_probabilities.h"
#include "bitgrad/ops/quantize.h"
#include "bitgrad/ops/shift_channels.h"
#include "bitgrad/tests/testing/gradient_check.h"
#include "bitgrad/tests/testing/tensors.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using Array = std::vector<double>;
using testing::HasSubstr;

class TapAttentionTest : public OnTestDevice<testing::Test> {
 protected:
  ExecContext context_{{.device = TestDevice(), .threads = 2}};
  Tape tape_{context_};

  Tensor OnDevice(const Tensor& tensor) { return ToDevice(context_, tensor); }
  std::vector<float> ValuesOn(const Var& var) {
    const absl::StatusOr<const Tensor*> value = tape_.Value(var);
    EXPECT_TRUE(value.ok()) << value.status();
    return value.ok() ? ValuesOf(ToHost(context_, **value)) : std::vector<float>();
  }
};
class ShiftChannelsTest : public TapAttentionTest {};

// P of the taps of one kernel.
Array ProbabilitiesOf(const Array& a, double t) {
  const auto n = static_cast<double>(a.size());
  const double largest = *std::max_element(a.begin(), a.end());
  double mean = 0, squares = 0, sum = 0;
  for (const double x : a) mean += x / n;
  for (const double x : a) squares += (x - mean) * (x - mean);
  Array p;
  for (const double x : a) p.push_back(std::exp(t * (x - largest) / std::sqrt(squares / (n - 1))));
  for (const double x : p) sum += x;
  for (double& x : p) x /= sum;
  return p;
}

// P w, for w [filters, taps, channels] and a of `rows` rows.
Array Attended(const Array& w, const Array& a, int64_t filters, int64_t rows, int64_t taps, int64_t channels,
               double temperature) {
  Array y(w.size());
  for (int64_t o = 0; o < filters; ++o) {
    for (int64_t i = 0; i < channels; ++i) {
      Array column;
      for (int64_t t = 0; t < taps; ++t) column.push_back(a[((rows == 1 ? 0 : o) * taps + t) * channels + i]);
      const Array p = ProbabilitiesOf(column, temperature);
      for (int64_t t = 0; t < taps; ++t) y[(o * taps + t) * channels + i] = p[t] * w[(o * taps + t) * channels + i];
    }
  }
  return y;
}

TEST(TapProbabilitiesTest, RowsOfProbabilitiesSumToOne) {
  for (const int64_t taps : {2, 4, 9, 15}) {
    for (const float temperature : {0.15f, 1.0f, 20.0f, 70.0f, 1e4f}) {
      TestRandom random(static_cast<uint64_t>(taps));
      const int64_t channels = 37;
      const std::vector<float> a = ValuesOf(random.UniformTensor({taps, channels}, 0, 1));
      std::vector<float> p(a.size());
      for (int64_t i = 0; i < channels; ++i) {
        ProbabilitiesOfTaps(taps, channels, a.data() + i, temperature, p.data() + i);
        Array column;
        for (int64_t t = 0; t < taps; ++t) column.push_back(a[t * channels + i]);
        const Array expected = ProbabilitiesOf(column, temperature);
        double sum = 0;
        for (int64_t t = 0; t < taps; ++t) {
          sum += p[t * channels + i];
          EXPECT_GE(p[t * channels + i], 0);
          // An error of the logit, of 1e-7 of up to about 3 T, is one of P.
          EXPECT_NEAR(p[t * channels + i], expected[t], 1e-6 + 1e-6 * temperature);
        }
        EXPECT_NEAR(sum, 1, 1e-6);
      }
    }
  }
}

TEST(TapProbabilitiesTest, WhereAllTapsAreAlikeEachHasTheSame) {
  const std::vector<float> a(9, 0.3f);
  std::vector<float> p(9), da(9, 1.0f);
  ProbabilitiesOfTaps(9, 1, a.data(), 20, p.data());
  EXPECT_THAT(p, testing::Each(testing::FloatEq(1.0f / 9)));
  GradientOfTaps(
      9, 1, a.data(), 20, p.data(), [](int64_t t) { return static_cast<double>(t); }, da.data());
  EXPECT_THAT(da, testing::Each(0.0f));
  EXPECT_EQ(KeptTap(9, 1, p.data()), 9);
}

// Central differences of the formula, for W and A.
TEST_F(TapAttentionTest, GradientsAreThoseOfTheFormula) {
  for (const int64_t rows : {3, 1}) {
    for (const double temperature : {0.5, 2.0}) {
      const int64_t filters = 3, channels = 5;
      for (const int64_t kernel : {2, 3}) {
        const int64_t taps = kernel * kernel;
        CheckGradients(
            {.name = "tap_attention",
             .operands = {{.shape = {filters, kernel, kernel, channels}},
                          {.shape = {rows, kernel, kernel, channels}, .low = 0, .high = 1}},
             .op =
                 [&](absl::Span<const Var> v) {
                   return TapAttention(v[0], v[1],
                                       v[0].tape()->Input(ToDevice(v[0].tape()->context(),
                                                                   Filled({}, static_cast<float>(temperature)))));
                 },
             .value =
                 [&](const Doubles& v) { return Attended(v[0], v[1], filters, rows, taps, channels, temperature); },
             .roundings = 64},
            static_cast<uint64_t>(rows * 10 + kernel));
        if (HasFatalFailure()) return;
      }
    }
  }
}

TEST_F(TapAttentionTest, HardKernelsHaveOneTapOrNoneAndZeroOnesAreCounted) {
  TestRandom random(7);
  const int64_t filters = 6, channels = 50;
  for (const bool shared : {false, true}) {
    int64_t zero = 0;
    tape_.Reset();
    const Tensor w = random.UniformTensor({filters, 3, 3, channels}, 0.5, 1);
    const Tensor a = random.UniformTensor({shared ? 1 : filters, 3, 3, channels}, 0, 1);
    const Tensor temperature = Filled({}, 8);
    const Var weight = tape_.Differentiable(OnDevice(w)), attention = tape_.Differentiable(OnDevice(a));
    const Var soft = TapAttention(weight, attention, tape_.Input(OnDevice(temperature)));
    const Var hard = TapAttention(weight, attention, tape_.Input(OnDevice(temperature)), /*hard=*/true);
    const std::vector<float> p = ValuesOn(soft), y = ValuesOn(hard), x = ValuesOf(w);
    for (int64_t o = 0; o < filters; ++o) {
      for (int64_t i = 0; i < channels; ++i) {
        int taps = 0;
        for (int64_t t = 0; t < 9; ++t) {
          const int64_t j = (o * 9 + t) * channels + i;
          const bool kept = p[j] / x[j] > 0.5f;
          EXPECT_EQ(y[j], kept ? x[j] : 0.0f);
          taps += y[j] != 0;
        }
        EXPECT_LE(taps, 1);
        zero += taps == 0;
      }
    }
    EXPECT_GT(zero, 0);
    EXPECT_LT(zero, filters * channels);
    EXPECT_EQ(CountZeroKernels(context_, a, temperature, filters), zero);
  }
}

std::vector<float> DecodedValues(ExecContext& context, const CodedTensor& coded) {
  std::vector<float> values;
  const Tensor on_host = ToHost(context, coded.codes);
  const ConstMatrixView<uint8_t> codes = on_host.matrix<uint8_t>();
  const Tensor scale = coded.scale.is_null() ? Filled({1}, 1) : ToHost(context, coded.scale);
  const ScaleView scales(coded.factor, scale.data<float>(), scale.num_elements() == 1 ? 0 : 1);
  for (int64_t o = 0; o < codes.rows; ++o) {
    for (int64_t j = 0; j < codes.cols; ++j) {
      values.push_back(static_cast<float>(coded.encoding.code(codes.row(o)[j])) * scales.at(o));
    }
  }
  return values;
}

// Codes get a zero, and stay the values that they are.
TEST_F(TapAttentionTest, HardKernelsOfCodesAreCodes) {
  const struct {
    const char* quantizer;
    EncodingKind kind;
    int bits;
  } cases[] = {{"sign", EncodingKind::kTernary, 2},
               {"ternary(0.5)", EncodingKind::kTernary, 2},
               {"k_bit(3)", EncodingKind::kTwosComplement, 4},
               {"k_bit(8)", EncodingKind::kFloat, 32}};
  for (const auto& c : cases) {
    SCOPED_TRACE(c.quantizer);
    TestRandom random(3);
    Tape tape(context_, Mode::kEval);
    const Var w = Quantize(tape.Input(OnDevice(random.UniformTensor({4, 3, 3, 6}, -1, 1))),
                           ParseQuantizer(c.quantizer)->In(QuantizerRole::kWeight));
    const Var y = TapAttention(w, tape.Input(OnDevice(random.UniformTensor({4, 3, 3, 6}, 0, 1))),
                               tape.Input(OnDevice(Filled({}, 30))), true);
    const Var spread = SpreadOverTaps(Quantize(tape.Input(OnDevice(random.UniformTensor({4, 1, 1, 6}, -1, 1))),
                                               ParseQuantizer(c.quantizer)->In(QuantizerRole::kWeight)),
                                      EvenTaps(6, 3), 3);
    ASSERT_TRUE(tape.status().ok()) << tape.status();
    for (const Var& var : {y, spread}) {
      const auto coded = tape.nodes()[var.index()].coded;
      if (c.kind == EncodingKind::kFloat) {
        EXPECT_EQ(coded, nullptr);
        continue;
      }
      ASSERT_NE(coded, nullptr);
      EXPECT_EQ(coded->encoding.kind, c.kind);
      EXPECT_EQ(coded->encoding.bits, c.bits);
      EXPECT_EQ(DecodedValues(context_, *coded), ValuesOf(ToHost(context_, **tape.Value(var))));
    }
  }
}

// A formula of its own, by the definition.
Array Shifted(const Array& x, const Shape& shape, const std::vector<uint8_t>& taps, int64_t kernel, int64_t stride) {
  const int64_t h = shape.dim(1), w = shape.dim(2), channels = shape.dim(3), pad = kernel / 2;
  Array y;
  for (int64_t n = 0; n < shape.dim(0); ++n) {
    for (int64_t p = 0; p * stride + kernel <= h + 2 * pad; ++p) {
      for (int64_t q = 0; q * stride + kernel <= w + 2 * pad; ++q) {
        for (int64_t c = 0; c < channels; ++c) {
          const int64_t r = p * stride + taps[c] / kernel - pad, s = q * stride + taps[c] % kernel - pad;
          y.push_back(r < 0 || s < 0 || r >= h || s >= w ? 0 : x[((n * h + r) * w + s) * channels + c]);
        }
      }
    }
  }
  return y;
}

TEST_F(ShiftChannelsTest, GradientsAreThoseOfTheFormula) {
  for (const int64_t stride : {1, 2}) {
    for (const int64_t channels : {1, 11}) {
      const Shape shape({2, 5, 4, channels});
      std::vector<uint8_t> taps = EvenTaps(channels, 3);
      if (channels > 1) std::swap(taps[2], taps[9]);
      CheckGradients({.name = "shift_channels",
                      .operands = {{.shape = shape}},
                      .op = [&](absl::Span<const Var> v) { return ShiftChannels(v[0], taps, 3, stride); },
                      .value = [&](const Doubles& v) { return Shifted(v[0], shape, taps, 3, stride); }},
                     1);
      if (HasFatalFailure()) return;
    }
  }
}

TEST(EvenTapsTest, AreAllTaps) {
  EXPECT_THAT(EvenTaps(9, 3), testing::ElementsAre(0, 1, 2, 3, 4, 5, 6, 7, 8));
  EXPECT_THAT(EvenTaps(5, 2), testing::ElementsAre(0, 0, 1, 2, 3));
}

// A shift and a 1x1 convolution are the convolution by spread kernels; and its gradient.
TEST_F(ShiftChannelsTest, SpreadKernelsDoTheSame) {
  for (const int64_t stride : {1, 2}) {
    TestRandom random(5);
    tape_.Reset();
    const std::vector<uint8_t> taps = EvenTaps(13, 3);
    const Var x = tape_.Input(OnDevice(random.UniformTensor({2, 6, 5, 13})));
    const Var w = tape_.Differentiable(OnDevice(random.UniformTensor({4, 1, 1, 13})));
    const Var a = Convolution(ShiftChannels(x, taps, 3, stride), w);
    const Var b = Convolution(x, SpreadOverTaps(w, taps, 3), {.stride = stride, .pad = 1});
    const std::vector<float> y = ValuesOn(a), z = ValuesOn(b);
    ASSERT_EQ(y.size(), z.size());
    for (size_t j = 0; j < y.size(); ++j) EXPECT_NEAR(y[j], z[j], 1e-5);
  }
  CheckGradients({.name = "spread_over_taps",
                  .operands = {{.shape = {3, 1, 1, 5}}},
                  .op = [](absl::Span<const Var> v) { return SpreadOverTaps(v[0], EvenTaps(5, 2), 2); },
                  .value =
                      [](const Doubles& v) {
                        Array y(3 * 4 * 5, 0);
                        const std::vector<uint8_t> taps = EvenTaps(5, 2);
                        for (int64_t o = 0; o < 3; ++o) {
                          for (int64_t i = 0; i < 5; ++i) y[(o * 4 + taps[i]) * 5 + i] = v[0][o * 5 + i];
                        }
                        return y;
                      }},
                 1);
}

TEST(TapMisuseTest, BadInputIsNamed) {
  const auto message = [](const std::vector<Shape>& shapes) {
    ExecContext context({.threads = 1});
    Tape tape(context);
    TapAttention(tape.Input(Tensor::Zeros(shapes[0])), tape.Input(Tensor::Zeros(shapes[1])),
                 tape.Input(Tensor::Zeros(shapes[2])));
    return std::string(tape.status().message());
  };
  EXPECT_THAT(message({Shape({4, 9}), Shape({4, 9}), Shape()}), HasSubstr("weight [4, 9] has to be [filters"));
  EXPECT_THAT(message({Shape({4, 1, 1, 2}), Shape({4, 1, 1, 2}), Shape()}), HasSubstr("has 1 taps"));
  EXPECT_THAT(message({Shape({4, 4, 4, 2}), Shape({4, 4, 4, 2}), Shape()}), HasSubstr("has 16 taps"));
  EXPECT_THAT(message({Shape({4, 3, 3, 2}), Shape({2, 3, 3, 2}), Shape()}), HasSubstr("attention [2, 3, 3, 2]"));
  EXPECT_THAT(message({Shape({4, 3, 3, 2}), Shape({4, 3, 3, 2}), Shape({2})}), HasSubstr("temperature [2]"));
  const auto shift = [](std::vector<uint8_t> taps, int64_t kernel, int64_t stride) {
    ExecContext context({.threads = 1});
    Tape tape(context);
    ShiftChannels(tape.Input(Tensor::Zeros({1, 2, 2, 3})), taps, kernel, stride);
    return std::string(tape.status().message());
  };
  EXPECT_THAT(shift({0, 1}, 3, 1), HasSubstr("2 taps for 3 channels"));
  EXPECT_THAT(shift({0, 1, 9}, 3, 1), HasSubstr("tap 9 of a window that has 9"));
  EXPECT_THAT(shift({0, 1, 2}, 3, 0), HasSubstr("stride 0"));
}

}  // namespace
}  // namespace bitgrad
