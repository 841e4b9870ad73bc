#include "bitgrad/core/shape.h"

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace bitgrad {

int64_t Shape::num_elements() const {
  int64_t count = 1;
  for (int64_t dim : dims_) count *= dim;
  return count;
}

int64_t Shape::rows() const {
  int64_t count = 1;
  for (int i = 0; i + 1 < rank(); ++i) count *= dims_[i];
  return count;
}

absl::Status Shape::Validate() const {
  constexpr int64_t kMaxElements = int64_t{1} << 40;
  int64_t count = 1;
  for (int64_t dim : dims_) {
    if (dim < 0) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(), " has a negative extent"));
    }
    if (dim == 0) continue;
    if (count > kMaxElements / dim) {
      return absl::InvalidArgumentError(absl::StrCat("shape ", ToString(), " has more than 2^40 elements"));
    }
    count *= dim;
  }
  return absl::OkStatus();
}

std::string Shape::ToString() const { return absl::StrCat("[", absl::StrJoin(dims_, ", "), "]"); }

}  // namespace bitgrad
