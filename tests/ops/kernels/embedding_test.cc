#include <cstdint>
#include <utility>
#include <vector>

#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {
namespace {

// Numbers of positions, with widths around vectors and warps, and numbers of rows of the table: from one, so that all
// positions have the same id, to many more than positions.
struct Sizes {
  int64_t count, width, rows;
};

class EmbeddingTest : public KernelTest {
 protected:
  std::vector<Sizes> AllSizes() const {
    std::vector<Sizes> sizes = {{0, 3, 2},   {1, 1, 1},   {2, 5, 1},    {3, 0, 4},    {31, 7, 3},    {32, 16, 40},
                                {33, 65, 9}, {64, 17, 1}, {65, 33, 64}, {257, 3, 70}, {100, 130, 25}};
    if (!GetParam().slow) sizes.insert(sizes.end(), {{700, 650, 10000}, {2000, 64, 100}});
    return sizes;
  }
  static std::vector<int32_t> RandomIds(Random& random, const Sizes& s) {
    std::vector<int32_t> ids(s.count);
    for (int32_t& id : ids) id = static_cast<int32_t>(random.Below(static_cast<uint32_t>(s.rows)));
    return ids;
  }
};

TEST_P(EmbeddingTest, GathersRows) {
  Random random(1);
  for (const Sizes& s : AllSizes()) {
    SCOPED_TRACE(testing::Message() << s.count << " of " << s.rows << " rows of " << s.width);
    const int64_t stride = s.width + 3, y_stride = s.width + 1;
    const Array<int32_t> ids(*this, RandomIds(random, s));
    const Array<float> table(*this, RandomVector(random, s.rows * stride)), y(*this, s.count * y_stride);
    Run([&](ExecContext& c, const Kernels& k) {
      k.embedding_forward(c, ids.on(c), table.matrix(c, s.rows, s.width, stride),
                          y.matrix(c, s.count, s.width, y_stride));
    });
    ExpectMatrix(y, s.count, s.width, y_stride,
                 [&](int64_t i, int64_t j) { return table.initial(ids.initial(i) * stride + j); });
  }
}

// The sums are those of the positions in their order, to the last bit.
TEST_P(EmbeddingTest, SumsByRowAndAddsRows) {
  Random random(2);
  for (const Sizes& s : AllSizes()) {
    SCOPED_TRACE(testing::Message() << s.count << " of " << s.rows << " rows of " << s.width);
    const int64_t stride = s.width + 1, value_stride = s.width + 2, y_stride = s.width + 3;
    const Array<int32_t> ids(*this, RandomIds(random, s)), rows(*this, s.count);
    const Array<float> dy(*this, RandomVector(random, s.count * stride)), values(*this, s.count * value_stride);
    const Array<float> y(*this, RandomVector(random, s.rows * y_stride));
    Run([&](ExecContext& c, const Kernels& k) {
      k.embedding_backward(c, ids.on(c), dy.matrix(c, s.count, s.width, stride), rows.on(c),
                           values.matrix(c, s.count, s.width, value_stride));
      k.add_to_rows(c, rows.on(c), values.matrix(c, s.count, s.width, value_stride),
                    y.matrix(c, s.rows, s.width, y_stride));
    });
    std::vector<int32_t> expected_rows(s.count, -1);
    std::vector<float> expected(s.count * s.width, 0), sums = y.initial();
    std::vector<int64_t> owners(s.rows, -1);
    for (int64_t i = 0; i < s.count; ++i) {
      int64_t& owner = owners[ids.initial(i)];
      const bool is_first = owner < 0;
      if (is_first) {
        owner = i;
        expected_rows[i] = ids.initial(i);
      }
      for (int64_t j = 0; j < s.width; ++j) {
        float& sum = expected[owner * s.width + j];
        sum = is_first ? dy.initial(i * stride + j) : sum + dy.initial(i * stride + j);
      }
    }
    for (int64_t i = 0; i < s.count; ++i) {
      for (int64_t j = 0; expected_rows[i] >= 0 && j < s.width; ++j) {
        sums[expected_rows[i] * y_stride + j] += expected[i * s.width + j];
      }
    }
    ExpectValues(rows, [&](int64_t i) { return expected_rows[i]; });
    ExpectMatrix(values, s.count, s.width, value_stride,
                 [&](int64_t i, int64_t j) { return expected[i * s.width + j]; });
    ExpectMatrix(y, s.rows, s.width, y_stride, [&](int64_t i, int64_t j) { return sums[i * y_stride + j]; });
  }
}

BITGRAD_INSTANTIATE_ON_DEVICES(EmbeddingTest);

}  // namespace
}  // namespace bitgrad
