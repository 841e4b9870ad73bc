// Exported C code, compiled and run.

#ifndef BITGRAD_TESTS_EXPORT_C_SOURCE_TESTING_H_
#define BITGRAD_TESTS_EXPORT_C_SOURCE_TESTING_H_

#include <sys/wait.h>
#include <unistd.h>

#include <cctype>
#include <cstdlib>
#include <fstream>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/c_code/c_source.h"
#include "bitgrad/runtime/packed_model.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline constexpr char kStrict[] = "-std=c99 -Wall -Wextra -Werror -pedantic";

inline CSource ExportedC(const PackedModel& model, const std::string& name = "net") {
  ExecContext context({.threads = 1});
  absl::StatusOr<CSource> source = ToCSource(model, context, {.name = name});
  if (source.ok()) return *std::move(source);
  ADD_FAILURE() << model.name() << ": " << source.status();
  return {};
}

inline void WriteText(const std::string& path, const std::string& text) {
  std::ofstream(path, std::ios::binary) << text;
}

// Compiles the three files with gcc, and runs the test. Its exit status; 1000 where it does not compile.
inline int CompileAndRun(const CSource& source, const std::string& flags, const std::string& name = "net") {
  // A folder of its own for each shard of the test.
  const std::string folder = absl::StrCat(testing::TempDir(), "/c_source_", getpid(), "/");
  EXPECT_EQ(std::system(absl::StrCat("mkdir -p ", folder).c_str()), 0);
  const std::string base = folder + name;
  WriteText(base + ".h", source.header);
  WriteText(base + ".c", source.source);
  WriteText(base + "_test.c", source.test);
  const std::string compile =
      absl::StrCat("gcc ", flags, " ", base, ".c ", base, "_test.c -o ", base, " 2>", base, ".err");
  if (std::system(compile.c_str()) != 0) {
    EXPECT_EQ(std::system(absl::StrCat("head -n 30 ", base, ".err").c_str()), 0);
    return 1000;
  }
  const int status = std::system(base.c_str());
  return WIFEXITED(status) ? WEXITSTATUS(status) : 1001;
}

// Identifiers and keywords of a text without its comments.
inline std::vector<std::string> Words(const std::string& text) {
  std::vector<std::string> words;
  std::string word;
  for (size_t i = 0; i < text.size(); ++i) {
    if (text.compare(i, 2, "/*") == 0) i = text.find("*/", i) + 1;
    if (std::isalnum(static_cast<unsigned char>(text[i])) || text[i] == '_') {
      word += text[i];
    } else if (!word.empty()) {
      words.push_back(word);
      word.clear();
    }
  }
  return words;
}

inline void ExpectNoFloats(const CSource& source) {
  for (const std::string& text : {source.source, source.header}) {
    for (const std::string& word : Words(text)) EXPECT_TRUE(word != "float" && word != "double") << text.substr(0, 200);
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_C_SOURCE_TESTING_H_
