#include <algorithm>
#include <cstdint>

#include "core/check.h"
#include "core/parallel_for.h"
#include "ops/cpu/functions.h"
#include "ops/cpu/segments.h"

#undef HWY_TARGET_INCLUDE
#define HWY_TARGET_INCLUDE "ops/cpu/bit_patches.cc"
#include "hwy/foreach_target.h"
#include "hwy/highway.h"
#include "ops/cpu/bit_patches-inl.h"

#if HWY_ONCE

namespace bitgrad::cpu {
namespace {

HWY_EXPORT(GatherBitPatches);

}  // namespace

void BitPatches(ExecContext& context, const ConvGeometry& geometry, int64_t group, ConstBitMatrixView x,
                bool border_bit, BitMatrixView patches) {
  BITGRAD_DCHECK(x.rows == geometry.batch && x.cols == geometry.height * geometry.width * geometry.channels);
  BITGRAD_DCHECK(patches.rows == geometry.pixels() && patches.cols == geometry.patch_size());
  BITGRAD_DCHECK(group >= 0 && group < geometry.groups);
  const int64_t words = BitMatrix::WordsPerRow(patches.cols);
  ParallelFor(context.threads(), patches.rows, RowGrain(patches.cols), [&](int64_t begin, int64_t end) {
    HWY_DYNAMIC_DISPATCH(GatherBitPatches)
    (geometry, group, x, border_bit, begin, end, words,
     {patches.row(begin), end - begin, patches.cols, patches.stride});
  });
}

}  // namespace bitgrad::cpu

#endif  // HWY_ONCE
