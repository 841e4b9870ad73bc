#include "bitgrad/export/c_code/product_arrays.h"

#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/runtime/blob_codes.h"
#include "bitgrad/runtime/blob_layout.h"

namespace bitgrad {
namespace {

// The stored codes of all elements, row by row.
std::vector<uint8_t> StoredCodes(const PackedModel& model, int blob) {
  const Encoding encoding = EncodingOf(model.blob(blob));
  std::vector<uint8_t> stored;
  for (const int64_t code : CodesOf(model, blob)) stored.push_back(static_cast<uint8_t>(encoding.stored(code)));
  return stored;
}

std::string WeightComment(CEmitter& c, int blob, absl::string_view layout) {
  return absl::StrCat(c.layer(), ": weight, ", EncodingText(EncodingOf(c.model().blob(blob))), " [",
                      c.model().blob(blob).shape(0), ", ", c.model().blob(blob).shape(1), "], ", layout);
}

}  // namespace

std::string PlaneArray(CEmitter& c, int blob) {
  return c.Once(absl::StrCat("planes", blob), [&] {
    const packed::Blob& descriptor = c.model().blob(blob);
    const int planes = PlaneCount(descriptor);
    const int64_t rows = descriptor.shape(0), cols = descriptor.shape(1), words = (cols + 31) / 32;
    std::vector<uint32_t> array(static_cast<size_t>(rows * planes * words));
    for (int plane = 0; plane < planes; ++plane) {
      const ConstBitMatrixView bits = c.model().plane(blob, plane);
      for (int64_t i = 0; i < rows; ++i) {
        uint32_t* const row = array.data() + (i * planes + plane) * words;
        for (int64_t j = 0; j < cols; ++j) row[j / 32] |= static_cast<uint32_t>(bits.bit(i, j)) << (j % 32);
      }
    }
    return c.arrays().Add(c.layer() + "_weight", WeightComment(c, blob, "rows of bits in words"),
                          absl::MakeConstSpan(array));
  });
}

std::string ByteArray(CEmitter& c, int blob) {
  return c.Once(absl::StrCat("bytes", blob), [&] {
    const packed::Blob& descriptor = c.model().blob(blob);
    const std::vector<uint8_t> stored = StoredCodes(c.model(), blob);
    if (EncodingOf(descriptor).bits > 4) {
      return c.arrays().Add(c.layer() + "_weight", WeightComment(c, blob, "stored codes"), absl::MakeConstSpan(stored));
    }
    const int64_t rows = descriptor.shape(0), cols = descriptor.shape(1), half = (cols + 1) / 2;
    std::vector<uint8_t> array(static_cast<size_t>(rows * half));
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < cols; ++j) {
        array[i * half + j % half] |= static_cast<uint8_t>(stored[i * cols + j] << (j < half ? 0 : 4));
      }
    }
    return c.arrays().Add(c.layer() + "_weight", WeightComment(c, blob, "stored codes, two in a byte"),
                          absl::MakeConstSpan(array));
  });
}

std::string RowOfBytes(CEmitter& c, int blob, absl::string_view what) {
  return c.Once(absl::StrCat("row", blob), [&] {
    return c.arrays().Add(absl::StrCat(c.layer(), "_", what), absl::StrCat(c.layer(), ": ", what, ", stored codes"),
                          absl::MakeConstSpan(StoredCodes(c.model(), blob)));
  });
}

std::string WeightTotals(CEmitter& c, int blob, int64_t x_least) {
  return c.Once(absl::StrCat("totals", blob, "_", x_least), [&] {
    const int64_t rows = c.model().blob(blob).shape(0), cols = c.model().blob(blob).shape(1);
    const std::vector<int64_t> codes = CodesOf(c.model(), blob);
    std::vector<int32_t> totals;
    for (int64_t i = 0; i < rows; ++i) {
      int64_t sum = 0;
      for (int64_t j = 0; j < cols; ++j) sum += codes[i * cols + j];
      totals.push_back(static_cast<int32_t>(x_least * sum));
    }
    return c.arrays().Add(c.layer() + "_totals",
                          absl::StrCat(c.layer(), ": ", x_least, " times the sum of each filter's weights"),
                          absl::MakeConstSpan(totals));
  });
}

std::string ShapeArray(CEmitter& c, const ConvGeometry& g) {
  return c.arrays().AddStruct(
      "net_conv", c.layer() + "_shape",
      absl::StrCat(c.layer(), ": image [", g.height, ", ", g.width, ", ", g.channels, "], kernel [", g.kernel_height,
                   ", ", g.kernel_width, "] -> [", g.out_height(), ", ", g.out_width(), ", ", g.filters, "]"),
      {g.height, g.width, g.channels, g.kernel_height, g.kernel_width, g.stride_height, g.stride_width, g.pad_height,
       g.pad_width, g.dilation_height, g.dilation_width, g.groups, g.filters, g.out_height(), g.out_width()});
}

std::string ShapeArray(CEmitter& c, const PoolGeometry& g) {
  return c.arrays().AddStruct(
      "net_conv", c.layer() + "_window",
      absl::StrCat(c.layer(), ": image [", g.height, ", ", g.width, ", ", g.channels, "], window [", g.kernel_height,
                   ", ", g.kernel_width, "] -> [", g.out_height(), ", ", g.out_width(), ", ", g.channels, "]"),
      {g.height, g.width, g.channels, g.kernel_height, g.kernel_width, g.stride_height, g.stride_width, g.pad_height,
       g.pad_width, 1, 1, 1, g.channels, g.out_height(), g.out_width()});
}

}  // namespace bitgrad
