#include <algorithm>
#include <cstdint>

#include "bitgrad/core/parallel_for.h"
#include "bitgrad/ops/cpu/functions.h"
#include "bitgrad/ops/cpu/segments.h"

namespace bitgrad::cpu {

void PadImageF32(ExecContext& context, const ConvGeometry& geometry, float border, const float* x, float* y) {
  const int64_t height = geometry.height + 2 * geometry.pad_height;
  const int64_t line = geometry.width * geometry.channels;
  const int64_t margin = geometry.pad_width * geometry.channels;
  const int64_t out_line = line + 2 * margin;
  ParallelFor(context.threads(), geometry.batch * height, RowGrain(out_line), [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      float* const out = y + i * out_line;
      const int64_t h = i % height - geometry.pad_height;
      if (h < 0 || h >= geometry.height) {
        std::fill_n(out, out_line, border);
        continue;
      }
      std::fill_n(out, margin, border);
      std::copy_n(x + (i / height * geometry.height + h) * line, line, out + margin);
      std::fill_n(out + margin + line, margin, border);
    }
  });
}

}  // namespace bitgrad::cpu
