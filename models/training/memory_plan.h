// MemoryPlan: what a training run will hold in memory at once, and whether it can.
//
//   MemoryPlan plan;
//   plan.AddHeld("images and labels", bytes);        // is there already
//   plan.Add("a training step", predicted_bytes);    // will be allocated
//   BITGRAD_RETURN_IF_ERROR(plan.Check(FindAvailableMemory()));

#ifndef BITGRAD_MODELS_TRAINING_MEMORY_PLAN_H_
#define BITGRAD_MODELS_TRAINING_MEMORY_PLAN_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "bitgrad/core/available_memory.h"

namespace bitgrad {

class MemoryPlan {
 public:
  // What is still to be allocated.
  void Add(std::string what, int64_t bytes) { items_.push_back({std::move(what), bytes, false}); }
  // What lies in memory already: it is part of the table, and of what is available no more.
  void AddHeld(std::string what, int64_t bytes) { items_.push_back({std::move(what), bytes, true}); }

  // Bytes still to be allocated. A sum that no int64 holds is the largest int64.
  int64_t needed() const;
  // A line for each item, the largest first, and one for what is still needed.
  std::string Table() const;
  // ResourceExhausted, with the items in one line, where more is needed than is available.
  absl::Status Check(const AvailableMemory& available) const;

 private:
  struct Item {
    std::string what;
    int64_t bytes = 0;
    bool held = false;
  };
  std::vector<Item> Sorted() const;

  std::vector<Item> items_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_MEMORY_PLAN_H_
