#include "bitgrad/data/shuffle.h"

#include <numeric>
#include <utility>

#include "bitgrad/core/rng.h"

namespace bitgrad {

std::vector<int64_t> ShuffledOrder(const ExampleRange& range, uint64_t seed, int64_t epoch) {
  std::vector<int64_t> order(range.size());
  std::iota(order.begin(), order.end(), range.begin);
  const RngStream rng{.seed = seed, .purpose = RngPurpose::kShuffle, .step = static_cast<uint32_t>(epoch)};
  for (int64_t i = range.size() - 1; i > 0; --i) {
    const uint32_t j = UniformBelow(rng, static_cast<uint64_t>(i), static_cast<uint32_t>(i + 1));
    std::swap(order[i], order[j]);
  }
  return order;
}

}  // namespace bitgrad
