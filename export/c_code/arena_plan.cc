#include "bitgrad/export/c_code/arena_plan.h"

#include <algorithm>
#include <numeric>

namespace bitgrad {
namespace {

int64_t Rounded(int64_t bytes) { return (bytes + 7) / 8 * 8; }

}  // namespace

int64_t PlanArena(std::vector<ArenaBuffer>& buffers) {
  std::vector<size_t> order(buffers.size());
  std::iota(order.begin(), order.end(), size_t{0});
  std::stable_sort(order.begin(), order.end(), [&](size_t a, size_t b) { return buffers[a].bytes > buffers[b].bytes; });
  std::vector<const ArenaBuffer*> placed;  // by offset
  int64_t size = 0;
  for (const size_t i : order) {
    ArenaBuffer& buffer = buffers[i];
    const int64_t bytes = Rounded(buffer.bytes);
    int64_t offset = 0;
    for (const ArenaBuffer* other : placed) {
      if (other->last < buffer.first || buffer.last < other->first) continue;
      if (offset + bytes <= other->offset) break;
      offset = std::max(offset, other->offset + Rounded(other->bytes));
    }
    buffer.offset = offset;
    size = std::max(size, offset + bytes);
    const auto place = std::upper_bound(placed.begin(), placed.end(), offset,
                                        [](int64_t at, const ArenaBuffer* other) { return at < other->offset; });
    placed.insert(place, &buffer);
  }
  return size;
}

}  // namespace bitgrad
