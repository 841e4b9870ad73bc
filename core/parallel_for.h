// Parallel loops over OpenMP's threads. oneDNN uses the same ones, so the two never compete for cores.
//
//   ParallelFor(context.threads(), rows, /*min_chunk=*/16, [&](int64_t begin, int64_t end) { ... });

#ifndef BITGRAD_CORE_PARALLEL_FOR_H_
#define BITGRAD_CORE_PARALLEL_FOR_H_

#include <algorithm>
#include <cstdint>

namespace bitgrad {

// Calls body(begin, end) on disjoint ranges that cover [0, count), on up to `threads` threads. Where there is more than
// one range, each has at least `min_chunk` elements: small work stays on the caller's thread. The ranges depend on
// `threads`, so a body whose floating-point result depends on where ranges begin must use ParallelForBlocks().
// REQUIRES: min_chunk > 0.
template <typename Body>
void ParallelFor(int threads, int64_t count, int64_t min_chunk, const Body& body) {
  const int64_t chunks = std::min<int64_t>(threads, count / min_chunk);
  if (chunks <= 1) {
    if (count > 0) body(int64_t{0}, count);
    return;
  }
  const int team = static_cast<int>(chunks);
#pragma omp parallel for num_threads(team) schedule(static, 1)
  for (int64_t c = 0; c < chunks; ++c) {
    body(count * c / chunks, count * (c + 1) / chunks);
  }
}

// Calls body(block, begin, end) for the fixed blocks of `block_size` elements that cover [0, count). The blocks do not
// depend on `threads`: partial results of the blocks, combined in block order, give the same bits on any number of
// threads.
template <typename Body>
void ParallelForBlocks(int threads, int64_t count, int64_t block_size, const Body& body) {
  const int64_t blocks = (count + block_size - 1) / block_size;
  ParallelFor(threads, blocks, 1, [&](int64_t first, int64_t last) {
    for (int64_t b = first; b < last; ++b) {
      body(b, b * block_size, std::min(count, (b + 1) * block_size));
    }
  });
}

}  // namespace bitgrad

#endif  // BITGRAD_CORE_PARALLEL_FOR_H_
