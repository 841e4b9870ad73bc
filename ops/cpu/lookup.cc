#include <algorithm>
#include <cstdint>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"

namespace bitgrad::cpu {
namespace {

constexpr int64_t kMinChunk = 1 << 14;  // the least number of elements that is worth another thread

template <typename T>
void LookUp(ExecContext& context, const T* table, const uint8_t* x, T* y, int64_t count) {
  ParallelFor(context.threads(), count, kMinChunk, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) y[i] = table[x[i]];
  });
}

}  // namespace

void LookUpF32(ExecContext& context, const float* table, const uint8_t* x, float* y, int64_t count) {
  LookUp(context, table, x, y, count);
}

void LookUpU8(ExecContext& context, const uint8_t* table, const uint8_t* x, uint8_t* y, int64_t count) {
  LookUp(context, table, x, y, count);
}

void LookUpChannels(ExecContext& context, const uint8_t* tables, const uint8_t* x, uint8_t* y, int64_t rows,
                    int64_t channels) {
  if (channels == 0) return;
  ParallelFor(context.threads(), rows, std::max<int64_t>(1, kMinChunk / channels), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin * channels; i < end * channels; i += channels) {
      for (int64_t c = 0; c < channels; ++c) y[i + c] = tables[c * 256 + x[i + c]];
    }
  });
}

}  // namespace bitgrad::cpu
