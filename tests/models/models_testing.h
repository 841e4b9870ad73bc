// What the tests of training share: tiny recipes, data, and checkpoints compared tensor by tensor.

#ifndef BITGRAD_TESTS_MODELS_MODELS_TESTING_H_
#define BITGRAD_TESTS_MODELS_MODELS_TESTING_H_

#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/batch.h"
#include "bitgrad/models/recipe.h"
#include "bitgrad/models/training/checkpoint.h"
#include "gtest/gtest.h"
#include "zlib.h"

namespace bitgrad {

// A new empty directory.
inline std::string NewDirectory() {
  static int count = 0;
  const std::string path = absl::StrCat(testing::TempDir(), "/dir", count++);
  std::filesystem::remove_all(path);
  std::filesystem::create_directories(path);
  return path;
}

inline std::string ReadFile(const std::string& path) {
  std::ifstream in(path, std::ios::binary);
  EXPECT_TRUE(in.good()) << path;
  std::stringstream text;
  text << in.rdbuf();
  return text.str();
}

inline void WriteFile(const std::string& path, const std::string& bytes) {
  std::ofstream(path, std::ios::binary).write(bytes.data(), static_cast<std::streamsize>(bytes.size()));
}

// The bytes of a checkpoint with another header, its length and checksum put right.
inline std::string WithHeader(const std::string& file, const checkpoint::Header& header) {
  uint64_t old_bytes;
  std::memcpy(&old_bytes, file.data() + 16, 8);
  std::string text = header.SerializeAsString();
  const uint64_t bytes = text.size();
  const auto crc = static_cast<uint32_t>(crc32_z(0, reinterpret_cast<const Bytef*>(text.data()), text.size()));
  text.resize((text.size() + 63) / 64 * 64);
  std::string result = file.substr(0, 64) + text + file.substr(64 + (old_bytes + 63) / 64 * 64);
  const uint64_t file_bytes = result.size();
  std::memcpy(result.data() + 12, &crc, 4);
  std::memcpy(result.data() + 16, &bytes, 8);
  std::memcpy(result.data() + 24, &file_bytes, 8);
  return result;
}

// 500 examples of the built-in digits in 10 batches, 100 to validate; 784-16-16-10; 3 epochs.
inline recipe::Recipe TinyRecipe(const std::vector<std::string>& assignments = {}) {
  recipe::Recipe recipe = *LoadRecipe("digits_bnn_mlp");
  std::vector<std::string> all = {"data.limit=600", "data.validation_examples=100", "model.mlp.hidden=16,16",
                                  "epochs=3", "batch_size=50"};
  all.insert(all.end(), assignments.begin(), assignments.end());
  for (const std::string& assignment : all) {
    const absl::Status status = SetField(assignment, recipe);
    EXPECT_TRUE(status.ok()) << status;
  }
  return recipe;
}

// Random inputs in [-1, 1) and labels, by the counter-based generator: the same on every machine.
struct Examples {
  Tensor x, labels;

  Batch batch() const { return {.images = x.Alias(), .labels = labels.Alias()}; }
};
inline Examples RandomExamples(int64_t count, int64_t features, int32_t classes, uint64_t seed) {
  Examples examples{Tensor({count, features}, DType::kFloat32), Tensor({count}, DType::kInt32)};
  const RngStream values{.seed = seed, .purpose = RngPurpose::kTest, .stream = 1};
  const RngStream labels{.seed = seed, .purpose = RngPurpose::kTest, .stream = 2};
  for (int64_t i = 0; i < examples.x.num_elements(); ++i) {
    examples.x.mutable_data<float>()[i] = 2 * Uniform(values, i) - 1;
  }
  for (int64_t i = 0; i < count; ++i) {
    examples.labels.mutable_data<int32_t>()[i] =
        static_cast<int32_t>(UniformBelow(labels, i, static_cast<uint32_t>(classes)));
  }
  return examples;
}

// All tensors of two checkpoint files are the same, bit for bit, and training stands at the same
// place in both.
inline void ExpectSameCheckpoints(const std::string& a_path, const std::string& b_path) {
  const auto a = Checkpoint::Open(a_path), b = Checkpoint::Open(b_path);
  ASSERT_TRUE(a.ok()) << a.status();
  ASSERT_TRUE(b.ok()) << b.status();
  const auto expect_same = [&](const auto& x, const auto& y) {
    ASSERT_EQ(x.size(), y.size());
    for (int i = 0; i < x.size(); ++i) {
      // Same names, shapes and CRCs in the same order; the bytes themselves are compared below.
      EXPECT_EQ(x[i].SerializeAsString(), y[i].SerializeAsString()) << x[i].name();
    }
  };
  expect_same(a->header().parameters(), b->header().parameters());
  expect_same(a->header().optimizer_state(), b->header().optimizer_state());
  expect_same(a->header().preprocessing(), b->header().preprocessing());
  expect_same(a->header().states(), b->header().states());
  EXPECT_EQ(a->header().optimizer_steps(), b->header().optimizer_steps());
  EXPECT_EQ(a->header().random_step(), b->header().random_step());
  EXPECT_EQ(a->header().progress().epoch(), b->header().progress().epoch());
  EXPECT_EQ(a->header().progress().batches_done(), b->header().progress().batches_done());
  EXPECT_EQ(a->header().progress().best_epoch(), b->header().progress().best_epoch());
  ASSERT_EQ(a->header().epochs_size(), b->header().epochs_size());
  for (int i = 0; i < a->header().epochs_size(); ++i) {
    checkpoint::EpochMetrics x = a->header().epochs(i), y = b->header().epochs(i);
    for (auto* metrics : {&x, &y}) {  // time differs
      metrics->clear_seconds();
      metrics->clear_examples_per_second();
    }
    EXPECT_EQ(x.DebugString(), y.DebugString());
  }
  // The data stand behind the headers, whose lengths may differ by the times in them.
  const auto data_of = [](const std::string& path, const Checkpoint& checkpoint) {
    int64_t bytes = 0;
    for (const auto* entries : {&checkpoint.header().parameters(), &checkpoint.header().optimizer_state(),
                                &checkpoint.header().preprocessing(), &checkpoint.header().states()}) {
      for (const auto& entry : *entries) bytes = std::max(bytes, entry.offset() + (entry.byte_size() + 63) / 64 * 64);
    }
    const std::string file = ReadFile(path);
    return file.substr(file.size() - static_cast<size_t>(bytes));
  };
  EXPECT_TRUE(data_of(a_path, *a) == data_of(b_path, *b)) << "the tensors' bytes differ";
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_MODELS_MODELS_TESTING_H_
