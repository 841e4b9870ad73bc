#include "bitgrad/core/tensor.h"

#include <cstdint>
#include <type_traits>
#include <utility>
#include <vector>

#include "gtest/gtest.h"

namespace bitgrad {
namespace {

TEST(TensorTest, IsMovedButNotCopied) {
  static_assert(std::is_move_constructible_v<Tensor> && std::is_move_assignable_v<Tensor>);
  static_assert(!std::is_copy_constructible_v<Tensor> && !std::is_copy_assignable_v<Tensor>);
  Tensor a = Tensor::Of<float>({2, 2}, {1, 2, 3, 4});
  const float* data = a.data<float>();
  const Tensor b = std::move(a);
  EXPECT_EQ(b.data<float>(), data);
  EXPECT_TRUE(a.is_null());  // NOLINT: moved-from is null by contract
}

TEST(TensorTest, ZerosAndOf) {
  const Tensor zeros = Tensor::Zeros({3, 5});
  EXPECT_EQ(zeros.dtype(), DType::kFloat32);
  EXPECT_EQ(zeros.device(), Device::kCpu);
  EXPECT_EQ(zeros.byte_size(), 60u);
  for (float v : zeros.span<float>()) EXPECT_EQ(v, 0.0f);
  const Tensor labels = Tensor::Of<int32_t>({4}, {1, 2, 3, 4});
  EXPECT_EQ(labels.dtype(), DType::kInt32);
  EXPECT_EQ(labels.span<int32_t>()[3], 4);
  EXPECT_EQ(Tensor::Of<int64_t>({1}, {7}).byte_size(), 8u);
  EXPECT_EQ(Tensor::Of<uint8_t>({3}, {7, 8, 9}).byte_size(), 3u);
}

TEST(TensorTest, EmptyAndScalar) {
  const Tensor empty({0, 7}, DType::kFloat32);
  EXPECT_FALSE(empty.is_null());
  EXPECT_EQ(empty.num_elements(), 0);
  EXPECT_EQ(empty.span<float>().size(), 0u);
  const Tensor scalar({}, DType::kFloat32);
  EXPECT_EQ(scalar.num_elements(), 1);
  EXPECT_EQ(scalar.matrix<float>().rows, 1);
  EXPECT_TRUE(Tensor().is_null());
}

TEST(TensorTest, MatrixHasAllButTheLastDimensionAsRows) {
  Tensor images = Tensor::Zeros({2, 3, 4, 5});
  const MatrixView<float> rows = images.mutable_matrix<float>();
  EXPECT_EQ(rows.rows, 24);
  EXPECT_EQ(rows.cols, 5);
  EXPECT_EQ(rows.stride, 5);
  rows.at(23, 4) = 9.0f;
  EXPECT_EQ(images.data<float>()[119], 9.0f);
}

TEST(TensorTest, CloneCopiesAliasShares) {
  Tensor a = Tensor::Of<float>({2, 3}, {1, 2, 3, 4, 5, 6});
  const Tensor clone = a.Clone();
  const Tensor alias = a.Alias({3, 2});
  a.mutable_data<float>()[0] = 10.0f;
  EXPECT_EQ(clone.data<float>()[0], 1.0f);
  EXPECT_EQ(alias.data<float>()[0], 10.0f);
  EXPECT_EQ(alias.shape(), Shape({3, 2}));
}

TEST(TensorTest, BlocksGoBackToTheirPool) {
  PoolAllocator& pool = *PoolAllocator::New();
  {
    const Tensor a({100}, DType::kFloat32, pool);
    Tensor alias;
    {
      const Tensor b({100}, DType::kFloat32, pool);
      alias = b.Alias();
    }
    EXPECT_GE(pool.live_bytes(), 800u);  // The alias keeps b's block.
  }
  EXPECT_EQ(pool.live_bytes(), 0u);
  pool.Abandon();
}

TEST(ViewTest, StridesAndBroadcast) {
  std::vector<float> data = {0, 1, 2, 3, 4, 5, 6, 7};
  const MatrixView<float> view(data.data(), 2, 3, 4);
  EXPECT_FALSE(view.contiguous());
  EXPECT_EQ(view.at(1, 2), 6.0f);
  const ConstMatrixView<float> constant = view;
  EXPECT_EQ(constant.row(1), data.data() + 4);
  const ConstMatrixView<float> broadcast(data.data(), 100, 3, 0);
  EXPECT_EQ(broadcast.at(99, 1), 1.0f);
  EXPECT_FALSE(broadcast.contiguous());
  EXPECT_TRUE(ConstMatrixView<float>(data.data(), 1, 3, 0).contiguous());
}

TEST(TensorTest, WritingDropsWhatWasDerived) {
  Tensor x = Tensor::Zeros({2, 3});
  EXPECT_LT(x.sum_of_squares(), 0);
  x.set_sum_of_squares(4);
  const Tensor alias = x.Alias();
  EXPECT_EQ(alias.sum_of_squares(), 4);
  EXPECT_LT(x.Clone().sum_of_squares(), 0);
  x.data<float>();
  EXPECT_EQ(x.sum_of_squares(), 4);
  x.mutable_matrix<float>();
  EXPECT_LT(alias.sum_of_squares(), 0);
}

}  // namespace
}  // namespace bitgrad
