#include <cstdint>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/tests/ops/cuda/both.h"

namespace bitgrad {
namespace {

using CudaCodesTest = CudaTest;

constexpr Encoding kEncodings[] = {{EncodingKind::kBinary, 1},    {EncodingKind::kTernary, 2},
                                   {EncodingKind::kSymmetric, 2}, {EncodingKind::kSymmetric, 8},
                                   {EncodingKind::kUnsigned, 1},  {EncodingKind::kUnsigned, 8},
                                   {EncodingKind::kSigned, 8}};

TEST_F(CudaCodesTest, PacksAndUnpacks) {
  TestRandom random(1);
  for (const Encoding& encoding : kEncodings) {
    const int64_t codes = (encoding.max_code() - encoding.least_code()) / encoding.code_step() + 1;
    for (const auto& [m, n] : Shapes()) {
      // Rows without gaps between them, and with gaps.
      for (const int64_t gap : {0, 1, 4}) {
        SCOPED_TRACE(testing::Message() << Name(encoding.kind) << " of " << encoding.bits << " bits, " << m << " x "
                                        << n << ", gap " << gap);
        std::vector<float> values(m * (n + gap));
        for (float& value : values) {
          value = static_cast<float>(encoding.least_code() + encoding.code_step() * random.Below(codes));
        }
        Both<float> x(gpu_, std::move(values)), back(gpu_, m * (n + gap));
        Both<uint8_t> packed(gpu_, m * (n + gap));
        OnBoth([&, m = m, n = n](ExecContext& c, const Kernels& k) {
          k.pack_codes(c, encoding, x.matrix(c, m, n, n + gap), packed.matrix(c, m, n, n + gap));
          k.unpack_codes(c, encoding, packed.matrix(c, m, n, n + gap), back.matrix(c, m, n, n + gap));
        });
        ExpectSame(packed);
        ExpectSame(back);
      }
    }
  }
}

// Views whose first element is not aligned.
TEST_F(CudaCodesTest, TakesAnyAlignment) {
  TestRandom random(2);
  constexpr int64_t kCount = 1000;
  const Encoding encoding = {EncodingKind::kUnsigned, 8};
  std::vector<float> values(kCount + 8);
  for (float& value : values) value = static_cast<float>(random.Below(256));
  for (const int64_t offset : {1, 2, 3, 4}) {
    SCOPED_TRACE(offset);
    Both<float> x(gpu_, values), back(gpu_, kCount + 8);
    Both<uint8_t> packed(gpu_, kCount + 8);
    OnBoth([&](ExecContext& c, const Kernels& k) {
      k.pack_codes(c, encoding, {x.on(c) + offset, 10, kCount / 10}, {packed.on(c) + 4, 10, kCount / 10});
      k.unpack_codes(c, encoding, {packed.on(c) + 4, 10, kCount / 10}, {back.on(c) + offset, 10, kCount / 10});
    });
    ExpectSame(packed);
    ExpectSame(back);
  }
}

}  // namespace
}  // namespace bitgrad
