// Channels next to each other that have the same tap are copied together.

#include <algorithm>
#include <cstdint>
#include <cstring>
#include <vector>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad::cpu {
namespace {

// Channels next to each other that move alike.
struct Group {
  int64_t begin, end;
  int64_t row, col;  // what the tap adds to a position
};

std::vector<Group> GroupsOf(const ShiftGeometry& g, const uint8_t* taps) {
  std::vector<Group> groups;
  for (int64_t c = 0; c < g.channels; ++c) {
    const int64_t row = taps[c] / g.kernel - g.pad(), col = taps[c] % g.kernel - g.pad();
    if (!groups.empty() && groups.back().row == row && groups.back().col == col) {
      ++groups.back().end;
    } else {
      groups.push_back({c, c + 1, row, col});
    }
  }
  return groups;
}

// Calls copy(offset in x or -1, offset in y, elements) for each group of channels of each pixel of y.
template <typename Copy>
void ForEachGroup(ExecContext& context, const ShiftGeometry& g, const uint8_t* taps, const Copy& copy) {
  const std::vector<Group> groups = GroupsOf(g, taps);
  const int64_t rows = g.out_height(), cols = g.out_width();
  ParallelFor(context.threads(), g.batch, 1, [&](int64_t begin, int64_t end) {
    for (int64_t n = begin; n < end; ++n) {
      for (int64_t p = 0; p < rows; ++p) {
        for (int64_t q = 0; q < cols; ++q) {
          const int64_t to = ((n * rows + p) * cols + q) * g.channels;
          for (const Group& group : groups) {
            const int64_t r = p * g.stride + group.row, s = q * g.stride + group.col;
            const bool inside = r >= 0 && r < g.height && s >= 0 && s < g.width;
            const int64_t from = inside ? ((n * g.height + r) * g.width + s) * g.channels + group.begin : -1;
            copy(from, to + group.begin, group.end - group.begin);
          }
        }
      }
    }
  });
}

}  // namespace

void ShiftChannelsForward(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps, const float* x,
                          float* y) {
  ForEachGroup(context, geometry, taps, [&](int64_t from, int64_t to, int64_t count) {
    if (from < 0) {
      std::fill_n(y + to, count, 0.0f);
    } else {
      std::memcpy(y + to, x + from, static_cast<size_t>(count) * sizeof(float));
    }
  });
}

void ShiftChannelsBackward(ExecContext& context, const ShiftGeometry& geometry, const uint8_t* taps, const float* dy,
                           float* dx) {
  std::fill_n(dx, geometry.batch * geometry.height * geometry.width * geometry.channels, 0.0f);
  // Each element of x has at most one of y.
  ForEachGroup(context, geometry, taps, [&](int64_t from, int64_t to, int64_t count) {
    if (from >= 0) std::memcpy(dx + from, dy + to, static_cast<size_t>(count) * sizeof(float));
  });
}

}  // namespace bitgrad::cpu
