#include "bitgrad/tests/data/idx_files.h"

#include <stdlib.h>
#include <zlib.h>

#include <fstream>

#include "bitgrad/core/check.h"
#include "gtest/gtest.h"

namespace bitgrad {

std::string MakeTestDir() {
  std::string dir = testing::TempDir() + "/bitgrad_XXXXXX";
  BITGRAD_CHECK(mkdtemp(dir.data()) != nullptr);
  return dir;
}

std::string IdxBytes(const std::vector<uint32_t>& dims, const std::string& data) {
  std::string bytes = {0, 0, 8, static_cast<char>(dims.size())};
  for (const uint32_t dim : dims) {
    for (int shift = 24; shift >= 0; shift -= 8) bytes.push_back(static_cast<char>(dim >> shift));
  }
  return bytes + data;
}

std::string IdxImages(uint32_t count, uint32_t height, uint32_t width) {
  std::string data(static_cast<size_t>(count) * height * width, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 251);
  return IdxBytes({count, height, width}, data);
}

std::string IdxLabels(uint32_t count) {
  std::string data(count, '\0');
  for (size_t i = 0; i < data.size(); ++i) data[i] = static_cast<char>(i % 10);
  return IdxBytes({count}, data);
}

std::string Gzip(const std::string& bytes) {
  z_stream stream = {};
  // 16 added to the window size asks for a gzip header.
  BITGRAD_CHECK(deflateInit2(&stream, Z_DEFAULT_COMPRESSION, Z_DEFLATED, 15 + 16, 8, Z_DEFAULT_STRATEGY) == Z_OK);
  std::string result(deflateBound(&stream, bytes.size()), '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(bytes.data()));
  stream.avail_in = bytes.size();
  stream.next_out = reinterpret_cast<Bytef*>(result.data());
  stream.avail_out = result.size();
  BITGRAD_CHECK(deflate(&stream, Z_FINISH) == Z_STREAM_END);
  result.resize(stream.total_out);
  deflateEnd(&stream);
  return result;
}

std::string WriteFile(const std::string& dir, const std::string& name, const std::string& bytes) {
  const std::string path = dir + "/" + name;
  std::ofstream file(path, std::ios::binary);
  file.write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
  file.close();
  BITGRAD_CHECK(file.good());
  return path;
}

}  // namespace bitgrad
