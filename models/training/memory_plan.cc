#include "bitgrad/models/training/memory_plan.h"

#include <algorithm>
#include <limits>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {
namespace {

std::string Size(int64_t bytes) {
  const auto size = static_cast<double>(bytes);
  return bytes < 1000000000 ? absl::StrFormat("%.2f MB", 1e-6 * size) : absl::StrFormat("%.2f GB", 1e-9 * size);
}

}  // namespace

int64_t MemoryPlan::needed() const {
  int64_t sum = 0;
  for (const Item& item : items_) {
    if (item.held) continue;
    if (item.bytes > std::numeric_limits<int64_t>::max() - sum) return std::numeric_limits<int64_t>::max();
    sum += item.bytes;
  }
  return sum;
}

std::vector<MemoryPlan::Item> MemoryPlan::Sorted() const {
  std::vector<Item> sorted = items_;
  std::stable_sort(sorted.begin(), sorted.end(), [](const Item& a, const Item& b) { return a.bytes > b.bytes; });
  return sorted;
}

std::string MemoryPlan::Table() const {
  std::string table;
  for (const Item& item : Sorted()) {
    absl::StrAppendFormat(&table, "%14s  %s%s\n", Size(item.bytes), item.what, item.held ? " (in memory already)" : "");
  }
  absl::StrAppendFormat(&table, "%14s  still needed\n", Size(needed()));
  return table;
}

absl::Status MemoryPlan::Check(const AvailableMemory& available) const {
  if (needed() <= available.bytes) return absl::OkStatus();
  std::string items;
  for (const Item& item : Sorted()) {
    if (!item.held) absl::StrAppend(&items, items.empty() ? "" : ", ", item.what, " ", Size(item.bytes));
  }
  return absl::ResourceExhaustedError(absl::StrCat("not enough memory: ", Size(needed()), " are needed (", items,
                                                   ") and ", Size(available.bytes), " are available (", available.limit,
                                                   "); make the batch or the model smaller"));
}

}  // namespace bitgrad
