// The choice of kernels: which kernel runs, and that the kernel that is reported is the one that runs.

#include "bitgrad/ops/dot_kernel.h"

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

constexpr Encoding kFloat{};
constexpr Encoding kBinary{EncodingKind::kBinary, 1};
constexpr Encoding kTernary{EncodingKind::kTernary, 2};
constexpr Encoding Symmetric(int bits) { return {EncodingKind::kSymmetric, bits}; }

TEST(DotKernelTest, FollowsFromTheEncodings) {
  EXPECT_EQ(ChooseDotKernel(kBinary, kBinary, 9, 1000, true), DotKernel::kXnorPopcount);
  EXPECT_EQ(ChooseDotKernel(kBinary, kTernary, 9, 1000, true), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(kTernary, kTernary, 9, 1000, true), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(kBinary, Symmetric(8), 9, 1000, true), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(kFloat, kBinary, 9, 1, true), DotKernel::kFloatGemm);
  EXPECT_EQ(ChooseDotKernel(kBinary, kFloat, 9, 1, true), DotKernel::kFloatGemm);
}

TEST(DotKernelTest, ManyPlanesAndRowsTakeTheInt8Gemm) {
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), kBinary, 784, 15, true), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), kBinary, 784, 16, true), DotKernel::kInt8);
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), kBinary, 784, true), "8 x 1 bit planes (rows < 16), int8 GEMM");
  EXPECT_EQ(DescribeDotKernel(kTernary, kTernary, 784, true), "2 x 2 bit planes");
}

TEST(DotKernelTest, WhereWordsAreNotCountedFewPlanesDo) {
  EXPECT_EQ(ChooseDotKernel(kTernary, kTernary, 784, 1000, false), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(Symmetric(5), kBinary, 784, 1, false), DotKernel::kBitPlanes);
  EXPECT_EQ(ChooseDotKernel(Symmetric(5), kBinary, 784, 2, false), DotKernel::kInt8);
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), kBinary, 784, 1, false), DotKernel::kInt8);
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), kBinary, 784, false), "int8 GEMM");
}

TEST(DotKernelTest, SumsThatMayNotBeExactAreFloat) {
  EXPECT_NE(ChooseDotKernel(Symmetric(8), Symmetric(8), 258, 100, true), DotKernel::kFloatGemm);
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), Symmetric(8), 259, 100, true), DotKernel::kFloatGemm);
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), Symmetric(8), 259, true), "float GEMM (sums may exceed 2^24)");
  EXPECT_EQ(ChooseDotKernel(Symmetric(9), kBinary, 2, 1, true), DotKernel::kFloatGemm);
}

}  // namespace
}  // namespace bitgrad
