// Makes idx files, good and bad, for the tests of their readers.

#ifndef BITGRAD_TESTS_DATA_IDX_FILES_H_
#define BITGRAD_TESTS_DATA_IDX_FILES_H_

#include <cstdint>
#include <string>
#include <vector>

namespace bitgrad {

// A new empty directory for one test.
std::string MakeTestDir();

// Header and data. The data need not fit the header.
std::string IdxBytes(const std::vector<uint32_t>& dims, const std::string& data);
// `count` images of height x width, pixel i of the file being i % 251.
std::string IdxImages(uint32_t count, uint32_t height, uint32_t width);
// `count` labels, 0 to 9 in turn.
std::string IdxLabels(uint32_t count);

std::string Gzip(const std::string& bytes);

// Writes a file and returns its path.
std::string WriteFile(const std::string& dir, const std::string& name, const std::string& bytes);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_DATA_IDX_FILES_H_
