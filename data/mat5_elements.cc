#include "bitgrad/data/mat5_elements.h"

#include <zlib.h>

#include <algorithm>
#include <cstring>
#include <vector>

#include "absl/strings/string_view.h"

namespace bitgrad {
namespace {

constexpr size_t kHeaderBytes = 128;
constexpr size_t kTagBytes = 8;
constexpr uint32_t kMatrix = 14;
constexpr uint32_t kCompressed = 15;

constexpr uLong kMaxInflatedBytes = uLong{1} << 32;  // more than any published file holds
constexpr size_t kHeadBytes = 4096;                  // enough for what stands before a matrix's data

// What an element begins with, and its whole size with the tag.
struct Element {
  std::vector<uint8_t> inflated;  // owns head where the element is compressed
  absl::Span<const uint8_t> head;
  int64_t bytes = 0;
};

// The element in a zlib stream; false unless the bytes are one whole stream.
bool Inflate(absl::Span<const uint8_t> bytes, Element& element) {
  z_stream stream = {};
  if (inflateInit(&stream) != Z_OK) return false;
  stream.next_in = const_cast<Bytef*>(bytes.data());
  stream.avail_in = static_cast<uInt>(bytes.size());
  std::vector<uint8_t> piece(1 << 18);
  int code = Z_OK;
  while (code == Z_OK && stream.total_out <= kMaxInflatedBytes) {
    stream.next_out = piece.data();
    stream.avail_out = static_cast<uInt>(piece.size());
    code = inflate(&stream, Z_NO_FLUSH);
    const size_t got = piece.size() - stream.avail_out;
    const size_t wanted = std::min(got, kHeadBytes - element.inflated.size());
    element.inflated.insert(element.inflated.end(), piece.begin(), piece.begin() + static_cast<int64_t>(wanted));
  }
  element.head = element.inflated;
  element.bytes = static_cast<int64_t>(stream.total_out);
  inflateEnd(&stream);
  return code == Z_STREAM_END && stream.avail_in == 0;
}

// Reads the elements within a matrix, one after the other.
class Parts {
 public:
  explicit Parts(const Element& matrix) : left_(matrix.head), bytes_left_(matrix.bytes) { Skip(kTagBytes); }

  struct Part {
    uint32_t type = 0;
    uint32_t size = 0;
    absl::Span<const uint8_t> content;  // as far as the head has it
  };

  // False where the matrix ends within the part.
  bool Next(Part& part) {
    uint32_t tag[2];
    if (left_.size() < kTagBytes) return false;
    std::memcpy(tag, left_.data(), kTagBytes);
    const bool packed = tag[0] >> 16 != 0;
    part.type = packed ? tag[0] & 0xffff : tag[0];
    part.size = packed ? tag[0] >> 16 : tag[1];
    Skip(packed ? 4 : kTagBytes);
    if ((packed && part.size > 4) || part.size > bytes_left_) return false;
    part.content = left_.first(std::min<size_t>(part.size, left_.size()));
    Skip(packed ? 4 : (int64_t{part.size} + 7) / 8 * 8);
    return true;
  }

 private:
  void Skip(int64_t count) {
    left_.remove_prefix(std::min<size_t>(count, left_.size()));
    bytes_left_ = std::max<int64_t>(bytes_left_ - count, 0);
  }

  absl::Span<const uint8_t> left_;  // of the head
  int64_t bytes_left_;              // of the matrix
};

// Bytes of a number of an element's type; 0: no numbers.
int64_t NumberBytes(uint32_t type) {
  switch (type) {
    case 1:
    case 2: return 1;  // int8, uint8
    case 3:
    case 4: return 2;
    case 5:
    case 6:
    case 7: return 4;  // int32, uint32, single
    case 9:
    case 12:
    case 13: return 8;  // double, int64, uint64
    default: return 0;
  }
}

// Whether a matrix of numbers has as many as its extents say. Matrices of other classes are not looked into.
bool HoldsItsNumbers(const Element& matrix) {
  constexpr uint32_t kFirstNumericClass = 6;  // double, single, then integers
  constexpr uint32_t kLastNumericClass = 15;
  Parts parts(matrix);
  Parts::Part flags, extents, name, data;
  if (!parts.Next(flags) || flags.content.size() < 4) return false;
  const uint32_t matrix_class = flags.content[0];
  if (matrix_class < kFirstNumericClass || matrix_class > kLastNumericClass) return true;
  if (!parts.Next(extents) || extents.content.size() != extents.size || extents.size % 4 != 0) return false;
  int64_t count = 1;
  for (size_t i = 0; i < extents.size; i += 4) {
    int32_t extent;
    std::memcpy(&extent, &extents.content[i], 4);
    if (extent < 0 || __builtin_mul_overflow(count, int64_t{extent}, &count)) return false;
  }
  if (!parts.Next(name) || !parts.Next(data)) return false;
  const int64_t number_bytes = NumberBytes(data.type);
  return number_bytes > 0 && data.size % number_bytes == 0 && data.size / number_bytes == count;
}

}  // namespace

bool CheckMat5Elements(absl::Span<const uint8_t> file) {
  constexpr absl::string_view kLittleEndian = "IM";
  if (file.size() <= kHeaderBytes) return false;
  if (std::memcmp(&file[kHeaderBytes - 2], kLittleEndian.data(), 2) != 0) return false;
  for (size_t at = kHeaderBytes; at != file.size();) {
    uint32_t tag[2];
    if (file.size() - at < kTagBytes) return false;
    std::memcpy(tag, &file[at], kTagBytes);
    if (tag[1] > file.size() - at - kTagBytes) return false;
    Element element;
    element.head = file.subspan(at, kTagBytes + tag[1]);
    element.bytes = static_cast<int64_t>(element.head.size());
    at += element.head.size();
    if (tag[0] == kCompressed) {
      if (!Inflate(element.head.subspan(kTagBytes), element) || element.head.size() < kTagBytes) return false;
      std::memcpy(tag, element.head.data(), kTagBytes);
      if (tag[1] > element.bytes - static_cast<int64_t>(kTagBytes)) return false;
    }
    if (tag[0] == kMatrix && !HoldsItsNumbers(element)) return false;
  }
  return true;
}

}  // namespace bitgrad
