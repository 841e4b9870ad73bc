// Texts in temporary files.

#ifndef BITGRAD_TESTS_DATA_TEXT_FILES_H_
#define BITGRAD_TESTS_DATA_TEXT_FILES_H_

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline void WriteText(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// A new directory, with nothing in it.
inline std::string NewTextDirectory() {
  static int count = 0;
  const std::string path = absl::StrCat(testing::TempDir(), "/texts", count++);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

// A directory with the three files of "words".
inline std::string WordsDirectory(const std::string& train, const std::string& valid, const std::string& test) {
  const std::string path = NewTextDirectory();
  WriteText(path + "/train.txt", train);
  WriteText(path + "/valid.txt", valid);
  WriteText(path + "/test.txt", test);
  return path;
}

// A directory with the file of "characters".
inline std::string CharactersDirectory(const std::string& text) {
  const std::string path = NewTextDirectory();
  WriteText(path + "/input.txt", text);
  return path;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_DATA_TEXT_FILES_H_
