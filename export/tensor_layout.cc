#include "bitgrad/export/tensor_layout.h"

#include <cstring>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"

namespace bitgrad {
namespace {

constexpr int64_t kMostExtent = int64_t{1} << 20;

template <typename... What>
absl::Status Error(const What&... what) {
  return absl::InvalidArgumentError(absl::StrCat(what...));
}

}  // namespace

absl::StatusOr<TensorLayout> ParseTensorLayout(absl::string_view word) {
  TensorLayout layout;
  if (word == "transpose") {
    layout.kind = TensorLayout::Kind::kTranspose;
    return layout;
  }
  if (word == "nchw") {
    layout.kind = TensorLayout::Kind::kNchw;
    return layout;
  }
  absl::string_view extents = word;
  if (!absl::ConsumePrefix(&extents, "from_nchw(") || !absl::ConsumeSuffix(&extents, ")")) {
    return Error("unknown layout '", word, "'; known: transpose, nchw, from_nchw(CHANNELS,HEIGHT,WIDTH)");
  }
  layout.kind = TensorLayout::Kind::kFromNchw;
  const std::vector<absl::string_view> numbers = absl::StrSplit(extents, ',');
  int64_t* const fields[] = {&layout.channels, &layout.height, &layout.width};
  bool good = numbers.size() == 3;
  for (size_t i = 0; good && i < 3; ++i) {
    good = absl::SimpleAtoi(numbers[i], fields[i]) && *fields[i] > 0 && *fields[i] <= kMostExtent;
  }
  if (!good) return Error("'", word, "' is not from_nchw(CHANNELS,HEIGHT,WIDTH) with numbers from 1 to ", kMostExtent);
  return layout;
}

std::string ToString(const TensorLayout& layout) {
  switch (layout.kind) {
    case TensorLayout::Kind::kSame: return "same";
    case TensorLayout::Kind::kTranspose: return "transpose";
    case TensorLayout::Kind::kNchw: return "nchw";
    case TensorLayout::Kind::kFromNchw: break;
  }
  return absl::StrCat("from_nchw(", layout.channels, ",", layout.height, ",", layout.width, ")");
}

absl::StatusOr<TensorPlaces> PlacesOf(const TensorLayout& layout, const Shape& here) {
  switch (layout.kind) {
    case TensorLayout::Kind::kSame: return TensorPlaces{.there = here, .cols = here.num_elements()};
    case TensorLayout::Kind::kTranspose:
      if (here.rank() != 2) return Error("transpose is for matrices, not for shape ", here.ToString());
      return TensorPlaces{.there = {here.dim(1), here.dim(0)}, .rows = here.dim(0), .cols = here.dim(1)};
    case TensorLayout::Kind::kNchw:
      if (here.rank() != 4) {
        return Error("nchw is for filters [out, height, width, channels], not for shape ", here.ToString());
      }
      return TensorPlaces{.there = {here.dim(0), here.dim(3), here.dim(1), here.dim(2)},
                          .batch = here.dim(0),
                          .rows = here.dim(1) * here.dim(2),
                          .cols = here.dim(3)};
    case TensorLayout::Kind::kFromNchw: break;
  }
  const int64_t pixels = layout.height * layout.width;
  if (here.rank() != 2 || here.dim(1) != pixels * layout.channels) {
    return Error(ToString(layout), " is for matrices of ", pixels * layout.channels, " columns, not for shape ",
                 here.ToString());
  }
  return TensorPlaces{.there = here, .batch = here.dim(0), .rows = pixels, .cols = layout.channels};
}

void Exchange(int64_t batch, int64_t rows, int64_t cols, size_t element_bytes, const void* from, void* to) {
  const auto* source = static_cast<const uint8_t*>(from);
  auto* const target = static_cast<uint8_t*>(to);
  for (int64_t b = 0; b < batch; ++b) {
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j, source += element_bytes) {
        std::memcpy(target + static_cast<size_t>((b * cols + j) * rows + i) * element_bytes, source, element_bytes);
      }
    }
  }
}

}  // namespace bitgrad
