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

constexpr Encoding Log(int bits) { return {EncodingKind::kLog, bits}; }
constexpr Encoding LogNonzero(int bits) { return {EncodingKind::kLogNonzero, bits}; }

// Whatever the batch, and for binary inputs, too.
TEST(DotKernelTest, LogarithmicWeightsAreBytes) {
  for (const Encoding& x : {kBinary, kTernary, Symmetric(8)}) {
    for (const int64_t rows : {1, 1000}) {
      for (const bool counts_words : {false, true}) {
        EXPECT_EQ(ChooseDotKernel(x, Log(4), 784, rows, counts_words), DotKernel::kInt8);
      }
    }
  }
  EXPECT_EQ(DescribeDotKernel(kBinary, Log(4), 784, true), "int8 GEMM of 1 bit x 4 bit log (1 byte), int32");
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), Log(4), 784, true), "int8 GEMM of 8 bit x 4 bit log (1 byte), int32");
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), Log(5), 257, true), "int8 GEMM of 8 bit x 5 bit log (2 bytes), int32");
  EXPECT_EQ(DescribeDotKernel(Symmetric(8), Log(5), 258, true), "int8 GEMM of 8 bit x 5 bit log (2 bytes), int64");
  EXPECT_EQ(DescribeDotKernel(Symmetric(2), Log(6), 784, true), "int8 GEMM of 2 bit x 6 bit log (4 bytes), int64");
  EXPECT_EQ(DescribeDotKernel(kTernary, LogNonzero(4), 784, true), "int8 GEMM of 2 bit x 4 bit log (2 bytes), int32");
}

TEST(DotKernelTest, LogarithmicInputsAreBytes) {
  for (const Encoding& w : {kBinary, kTernary, Symmetric(8), Log(4), LogNonzero(3)}) {
    for (const int64_t rows : {1, 1000}) {
      for (const bool counts_words : {false, true}) {
        EXPECT_EQ(ChooseDotKernel(Log(4), w, 784, rows, counts_words), DotKernel::kInt8);
      }
    }
  }
  EXPECT_EQ(DescribeDotKernel(Log(4), kBinary, 784, true), "int8 GEMM of 4 bit log (1 byte) x 1 bit, int32");
  EXPECT_EQ(DescribeDotKernel(LogNonzero(4), Symmetric(2), 784, true),
            "int8 GEMM of 4 bit log (2 bytes) x 2 bit, int32");
  EXPECT_EQ(DescribeDotKernel(Log(5), Log(5), 3, true),
            "int8 GEMM of 5 bit log (2 bytes) x 5 bit log (2 bytes), int32");
  EXPECT_EQ(DescribeDotKernel(Log(5), Log(5), 4, true),
            "int8 GEMM of 5 bit log (2 bytes) x 5 bit log (2 bytes), int64");
  EXPECT_EQ(DescribeDotKernel(Log(6), kBinary, 784, true), "int8 GEMM of 6 bit log (4 bytes) x 1 bit, int64");
}

TEST(DotKernelTest, LogarithmicSumsThatMayOverflowAreFloat) {
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), Log(6), 32768, 1, true), DotKernel::kInt8);
  EXPECT_EQ(ChooseDotKernel(Symmetric(8), Log(6), 32769, 1, true), DotKernel::kFloatGemm);
  EXPECT_EQ(DescribeDotKernel(kBinary, Log(7), 2, true), "float GEMM (sums may overflow)");
  EXPECT_EQ(DescribeDotKernel(Log(6), Log(6), 7, true),
            "int8 GEMM of 6 bit log (4 bytes) x 6 bit log (4 bytes), int64");
  EXPECT_EQ(DescribeDotKernel(Log(6), Log(6), 8, true), "float GEMM (sums may overflow)");
  EXPECT_EQ(DescribeDotKernel(Log(7), kBinary, 1, true), "float GEMM (sums may overflow)");
  EXPECT_EQ(DescribeDotKernel(Log(4), kFloat, 9, true), "float GEMM (float weights)");
  EXPECT_EQ(DescribeDotKernel(kFloat, Log(4), 9, true), "float GEMM (float input)");
}

}  // namespace
}  // namespace bitgrad
