// ArenaPlan: where the buffers of a program lie in one piece of memory. A buffer lives from the first step that touches
// it to the last one; buffers that live at the same time do not overlap.

#ifndef BITGRAD_EXPORT_C_CODE_ARENA_PLAN_H_
#define BITGRAD_EXPORT_C_CODE_ARENA_PLAN_H_

#include <cstdint>
#include <vector>

namespace bitgrad {

struct ArenaBuffer {
  int64_t bytes = 0;
  int first = 0, last = 0;  // steps
  int64_t offset = 0;       // what PlanArena() finds; a multiple of 8
};

// Sets the offsets and returns the size of the arena, a multiple of 8. The largest buffers are placed first, each at
// the lowest offset that is free all its life.
int64_t PlanArena(std::vector<ArenaBuffer>& buffers);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_ARENA_PLAN_H_
