#include "bitgrad/data/svhn.h"

#include <matio.h>

#include <cstdio>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/tests/data/idx_files.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using ::testing::HasSubstr;

uint8_t Pixel(int64_t i, int64_t row, int64_t column, int64_t c) {
  return static_cast<uint8_t>(i * 7 + row * 5 + column * 3 + c * 80);
}

// A file's variables; each test changes what it is about.
struct MatFile {
  std::vector<size_t> x_dims = {32, 32, 3, 12};
  std::vector<size_t> y_dims = {12, 1};
  const char* x_name = "X";
  bool double_labels = false;
  bool double_pixels = false;
  bool compressed = true;
  double label(int64_t i) const { return i == odd_place ? odd_label : static_cast<double>(i % 10 + 1); }
  int64_t odd_place = -1;
  double odd_label = 0;

  void Write(const std::string& path) const {
    size_t pixels = 1, labels = 1;
    for (const size_t dim : x_dims) pixels *= dim;
    for (const size_t dim : y_dims) labels *= dim;
    std::vector<uint8_t> x;
    for (size_t p = 0; p < pixels; ++p) {
      x.push_back(Pixel(p / 3072, p % 32, p / 32 % 32, p / 1024 % 3));
    }
    std::vector<uint8_t> y;
    std::vector<double> wide_y;
    for (size_t i = 0; i < labels; ++i) {
      y.push_back(static_cast<uint8_t>(label(i)));
      wide_y.push_back(label(i));
    }
    const std::vector<double> wide_x(x.begin(), x.end());
    mat_t* file = Mat_CreateVer(path.c_str(), nullptr, MAT_FT_MAT5);
    ASSERT_NE(file, nullptr);
    const auto write = [&](const char* name, bool wide, const std::vector<size_t>& dims, const void* data) {
      matvar_t* variable =
          Mat_VarCreate(name, wide ? MAT_C_DOUBLE : MAT_C_UINT8, wide ? MAT_T_DOUBLE : MAT_T_UINT8,
                        static_cast<int>(dims.size()), const_cast<size_t*>(dims.data()), const_cast<void*>(data), 0);
      EXPECT_EQ(Mat_VarWrite(file, variable, compressed ? MAT_COMPRESSION_ZLIB : MAT_COMPRESSION_NONE), 0);
      Mat_VarFree(variable);
    };
    write(x_name, double_pixels, x_dims, double_pixels ? static_cast<const void*>(wide_x.data()) : x.data());
    write("y", double_labels, y_dims, double_labels ? static_cast<const void*>(wide_y.data()) : y.data());
    Mat_Close(file);
  }
};

class SvhnTest : public testing::Test {
 protected:
  absl::Status ErrorOf(const MatFile& file) {
    file.Write(path_);
    return Error();
  }
  absl::Status Error() {
    const absl::Status status = LoadSvhn({.data_dir = dir_, .split = Split::kTest}).status();
    EXPECT_FALSE(status.ok());
    EXPECT_THAT(std::string(status.message()), HasSubstr(path_));
    EXPECT_THAT(std::string(status.message()), Not(HasSubstr("\n")));
    return status;
  }

  const std::string dir_ = MakeTestDir();
  const std::string path_ = dir_ + "/test_32x32.mat";
};

TEST_F(SvhnTest, ReadsImagesAndLabels) {
  for (const bool compressed : {false, true}) {
    for (const bool double_labels : {false, true}) {
      MatFile{.double_labels = double_labels, .compressed = compressed}.Write(path_);
      const absl::StatusOr<Dataset> test = LoadSvhn({.data_dir = dir_, .split = Split::kTest});
      ASSERT_TRUE(test.ok()) << test.status();
      ASSERT_TRUE(test->Validate().ok());
      EXPECT_EQ(test->name, "svhn");
      EXPECT_EQ(test->num_classes, 10);
      ASSERT_EQ(test->images.shape(), Shape({12, 32, 32, 3}));
      const uint8_t* pixel = test->images.data<uint8_t>();
      for (int64_t i = 0; i < 12; ++i) {
        EXPECT_EQ(test->labels.data<int32_t>()[i], (i % 10 + 1) % 10) << "10 is the digit 0";
        for (int64_t p = 0; p < 1024; ++p) {
          for (int64_t c = 0; c < 3; ++c) ASSERT_EQ(*pixel++, Pixel(i, p / 32, p % 32, c));
        }
      }
    }
  }
}

TEST_F(SvhnTest, ExtraImagesFollowTheTrainingImages) {
  MatFile{.x_dims = {32, 32, 3, 4}, .y_dims = {4, 1}}.Write(dir_ + "/train_32x32.mat");
  MatFile{.x_dims = {32, 32, 3, 3}, .y_dims = {3, 1}}.Write(dir_ + "/extra_32x32.mat");
  const absl::StatusOr<Dataset> train = LoadSvhn({.data_dir = dir_});
  const absl::StatusOr<Dataset> both = LoadSvhnExtra({.data_dir = dir_});
  ASSERT_TRUE(train.ok() && both.ok()) << train.status() << both.status();
  EXPECT_EQ(train->size(), 4);
  ASSERT_EQ(both->size(), 7);
  EXPECT_EQ(both->labels.data<int32_t>()[3], 4);
  EXPECT_EQ(both->labels.data<int32_t>()[4], 1);
  EXPECT_EQ(LoadSvhnExtra({.data_dir = dir_, .limit = 5})->size(), 5);
}

TEST_F(SvhnTest, MissingFilesAreNamed) {
  const absl::Status status = Error();
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(status.message()), testing::AllOf(HasSubstr("train_32x32.mat"), HasSubstr("--data_dir=DIR")));
  EXPECT_THAT(std::string(LoadSvhnExtra({}).status().message()), HasSubstr("no data directory"));
}

TEST_F(SvhnTest, TruncatedAnywhereIsAnError) {
  for (const bool compressed : {false, true}) {
    MatFile{.x_dims = {32, 32, 3, 2}, .y_dims = {2, 1}, .compressed = compressed}.Write(path_);
    std::ifstream file(path_, std::ios::binary);
    const std::string bytes{std::istreambuf_iterator<char>(file), {}};
    for (size_t size = 0; size < bytes.size(); size += size < 400 ? 1 : 37) {
      WriteFile(dir_, "test_32x32.mat", bytes.substr(0, size));
      const absl::StatusCode code = Error().code();
      EXPECT_EQ(code, size < 10 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kDataLoss) << size;
    }
    WriteFile(dir_, "test_32x32.mat", bytes.substr(0, bytes.size() - 1));
    EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss);
  }
}

// matio gives back what it could inflate, without a word.
TEST_F(SvhnTest, DamagedCompressionIsAnError) {
  MatFile().Write(path_);
  std::ifstream file(path_, std::ios::binary);
  std::string bytes{std::istreambuf_iterator<char>(file), {}};
  bytes.replace(600, 100, std::string(100, '\xff'));
  WriteFile(dir_, "test_32x32.mat", bytes);
  EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SvhnTest, FilesOfAnotherKindAreErrors) {
  WriteFile(dir_, "test_32x32.mat", std::string(5000, 'x'));
  const absl::Status status = Error();
  EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(status.message()), HasSubstr("not a MATLAB 5 file"));
}

TEST_F(SvhnTest, WrongVariablesAreErrors) {
  const struct {
    MatFile file;
    const char* text;
  } cases[] = {
      {{.x_name = "Z"}, "no variable X"},
      {{.x_dims = {32, 32, 12}}, "expected X [32, 32, 3, N] uint8, found X [32, 32, 12]"},
      {{.x_dims = {32, 31, 3, 12}}, "found X [32, 31, 3, 12]"},
      {{.x_dims = {3, 32, 32, 12}}, "found X [3, 32, 32, 12]"},
      {{.double_pixels = true}, "found X [32, 32, 3, 12] of another type"},
      {{.y_dims = {12, 2}}, "expected y [N, 1], found y [12, 2]"},
      {{.y_dims = {11, 1}}, "12 images but 11 labels"},
      {{.odd_place = 7, .odd_label = 0}, "label 0 of image 7 is none of 1 to 10"},
      {{.odd_place = 3, .odd_label = 11}, "label 11 of image 3"},
      {{.double_labels = true, .odd_place = 3, .odd_label = 2.5}, "label 2.5 of image 3"},
      {{.double_labels = true, .odd_place = 3, .odd_label = 1e300}, "of image 3"},
  };
  for (const auto& c : cases) {
    EXPECT_THAT(std::string(ErrorOf(c.file).message()), HasSubstr(c.text));
  }
}

}  // namespace
}  // namespace bitgrad
