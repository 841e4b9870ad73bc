// Packed files whose header is another and whose checksums fit it.

#ifndef BITGRAD_TESTS_RUNTIME_CHANGED_HEADER_H_
#define BITGRAD_TESTS_RUNTIME_CHANGED_HEADER_H_

#include <cstddef>
#include <cstdint>
#include <functional>
#include <string>

#include "bitgrad/proto/packed_model.pb.h"
#include "bitgrad/runtime/preamble.h"
#include "gtest/gtest.h"

namespace bitgrad {

// The file with its header changed, without its last `missing` bytes, and with all that depends on
// the header's bytes made right again.
inline std::string WithHeader(const std::string& file, const std::function<void(packed::Header&)>& change,
                              size_t missing = 0) {
  const auto* data = reinterpret_cast<const uint8_t*>(file.data());
  const Preamble preamble = *DecodePreamble({data, file.size()});
  packed::Header header;
  EXPECT_TRUE(header.ParseFromArray(data + kPreambleBytes, static_cast<int>(preamble.header_bytes)));
  change(header);
  const std::string bytes = header.SerializeAsString();
  std::string blobs = file.substr(AlignUp(kPreambleBytes + preamble.header_bytes));
  blobs.resize(blobs.size() - missing);
  const int64_t head = AlignUp(kPreambleBytes + static_cast<int64_t>(bytes.size()));
  std::string result =
      EncodePreamble({.header_bytes = static_cast<uint32_t>(bytes.size()),
                      .file_bytes = head + blobs.size(),
                      .header_crc32 = Crc32({reinterpret_cast<const uint8_t*>(bytes.data()), bytes.size()})});
  result += bytes;
  result.resize(static_cast<size_t>(head), '\0');
  return result + blobs;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_CHANGED_HEADER_H_
