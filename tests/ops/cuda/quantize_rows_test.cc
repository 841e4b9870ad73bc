#include <cmath>
#include <cstdint>
#include <vector>

#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/tests/ops/cuda/both.h"
#include "bitgrad/tests/ops/cuda/quantize_testing.h"

namespace bitgrad {
namespace {

using CudaQuantizeRowsTest = CudaTest;

constexpr RngStream kRng = {.seed = 77, .purpose = RngPurpose::kQuantizer, .step = 5, .stream = 9};

TEST_F(CudaQuantizeRowsTest, RowsAndColumns) {
  TestRandom random(1);
  auto shapes = Shapes();
  shapes.insert(shapes.end(), {{5, 0}, {128, 32}, {132, 516}, {6, 2050}});
  for (const Quantizer& q : QuantizersForTests()) {
    if (q.encoding().kind != EncodingKind::kSigned) continue;
    for (const auto& [m, n] : shapes) {
      for (const bool transpose : {false, true}) {
        for (const int64_t gap : {0, 3}) {
          for (const bool with_nan : {false, true}) {
            SCOPED_TRACE(testing::Message() << q.ToString() << ", " << m << " x " << n << ", gap " << gap
                                            << ", transpose " << transpose << ", NaN " << with_nan);
            const int64_t rows = transpose ? n : m, cols = transpose ? m : n;
            Both<float> x(gpu_, ValuesWithEdges(random, m * (n + gap), with_nan)), scale(gpu_, rows);
            Both<int8_t> codes(gpu_, rows * (cols + gap));
            OnBoth([&, m = m, n = n, gap = gap](ExecContext& c, const Kernels& k) {
              k.quantize_rows_s8(c, q, transpose, x.matrix(c, m, n, n + gap), kRng,
                                 codes.matrix(c, rows, cols, cols + gap), scale.on(c));
            });
            ExpectSame(codes);
            ExpectClose(scale, 0);  // NaNs may differ in their bits.
          }
        }
      }
    }
  }
}

// A row of zeros, and infinities.
TEST_F(CudaQuantizeRowsTest, SpecialRows) {
  const Quantizer q = *ParseQuantizer("stochastic_round(8)");
  const std::vector<float> values = {0, -0.0f, 0, 0, INFINITY, 1, -2, 0, -INFINITY, NAN, 3, 4, 1e-45f, 0, -1e-45f, 0};
  for (const bool transpose : {false, true}) {
    Both<float> x(gpu_, values), scale(gpu_, 4);
    Both<int8_t> codes(gpu_, 16);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.quantize_rows_s8(c, q, transpose, x.matrix(c, 4, 4), kRng, codes.matrix(c, 4, 4), scale.on(c));
    });
    ExpectSame(codes);
    ExpectClose(scale, 0);
  }
}

}  // namespace
}  // namespace bitgrad
