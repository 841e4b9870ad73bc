// What the tests of recipes share.

#ifndef BITGRAD_TESTS_MODELS_RECIPE_TESTING_H_
#define BITGRAD_TESTS_MODELS_RECIPE_TESTING_H_

#include <fstream>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/data/image_shape.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline constexpr ImageShape kMnist = {28, 28, 1};

inline std::string Message(const absl::Status& status) {
  EXPECT_FALSE(status.ok());
  return std::string(status.message());
}

// Writes a recipe into a file of its own and returns its path.
inline std::string WriteRecipe(const std::string& text) {
  static int count = 0;
  const std::string path = absl::StrCat(testing::TempDir(), "/recipe", count++, ".textproto");
  std::ofstream(path) << text;
  return path;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_RECIPE_TESTING_H_
