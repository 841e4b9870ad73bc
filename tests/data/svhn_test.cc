#include "bitgrad/data/svhn.h"

#include <hdf5/serial/hdf5.h>
#include <matio.h>
#include <sys/resource.h>

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
  mat_ft version = MAT_FT_MAT5;
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
    mat_t* file = Mat_CreateVer(path.c_str(), nullptr, version);
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
  for (const mat_ft version : {MAT_FT_MAT5, MAT_FT_MAT73}) {
    for (const int variant : {0, 1, 2, 3}) {
      MatFile{.double_labels = variant % 2 == 1, .compressed = variant / 2 == 1, .version = version}.Write(path_);
      const absl::StatusOr<Dataset> test = LoadSvhn({.data_dir = dir_, .split = Split::kTest});
      ASSERT_TRUE(test.ok()) << test.status();
      ASSERT_TRUE(test->Validate().ok());
      EXPECT_EQ(test->name, "svhn");
      EXPECT_EQ(test->num_classes, 10);
      EXPECT_EQ(test->class_names[7], "7");
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

std::string Bytes(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// A version 5 file that is not compressed: a matrix's tag, flags, extents, name and data, each with a tag of 8 bytes.
// Its extents can then be changed to announce more images than there are.
TEST_F(SvhnTest, FewerNumbersThanAnnouncedAreAnError) {
  MatFile{.x_dims = {32, 32, 3, 12}, .y_dims = {12, 1}, .compressed = false}.Write(path_);
  const std::string bytes = Bytes(path_);
  const size_t extents = 128 + 8 + 16 + 8;  // of X, the first variable
  ASSERT_EQ(bytes.substr(extents, 4), std::string("\x20\0\0\0", 4));
  ASSERT_EQ(bytes[extents + 12], 12);
  const size_t label_extents =
      bytes.size() - 16 - 8 - 8 - 8;  // before the data, 12 bytes padded, its tag, and the name
  ASSERT_EQ(bytes[label_extents], 12);
  // 13 images; 11; half a million: 1.5 GB of a file of 37 kB.
  for (const std::string& count : {std::string("\x0d\0\0\0", 4), std::string("\x0b\0\0\0", 4),
                                   std::string("\x20\xa1\x07\0", 4), std::string("\xff\xff\xff\xff", 4)}) {
    std::string damaged = bytes;
    damaged.replace(extents + 12, 4, count);
    damaged.replace(label_extents, 4, count);
    WriteFile(dir_, "test_32x32.mat", damaged);
    EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss);
  }
  rusage usage = {};
  getrusage(RUSAGE_SELF, &usage);
  EXPECT_LT(usage.ru_maxrss, 1 << 20) << "KiB: memory was taken for what the header announces";
  WriteFile(dir_, "test_32x32.mat", bytes);
  EXPECT_TRUE(LoadSvhn({.data_dir = dir_, .split = Split::kTest}).ok());
}

// Whatever byte is changed: an error that names the file, or images of the right shape.
TEST_F(SvhnTest, DamagedBytesAreAnErrorOrImages) {
  for (const mat_ft version : {MAT_FT_MAT5, MAT_FT_MAT73}) {
    MatFile{.x_dims = {32, 32, 3, 2}, .y_dims = {2, 1}, .compressed = false, .version = version}.Write(path_);
    const std::string bytes = Bytes(path_);
    int errors = 0;
    // The numbers themselves are most of the file, and any byte of them is a pixel.
    for (size_t i = 0; i < bytes.size(); i += i < 400 ? 1 : 31) {
      std::string damaged = bytes;
      damaged[i] = static_cast<char>(~damaged[i]);
      WriteFile(dir_, "test_32x32.mat", damaged);
      const absl::StatusOr<Dataset> test = LoadSvhn({.data_dir = dir_, .split = Split::kTest});
      errors += !test.ok();
      if (test.ok()) {
        EXPECT_EQ(test->images.shape(), Shape({2, 32, 32, 3})) << i;
      } else {
        EXPECT_THAT(std::string(test.status().message()), HasSubstr(path_)) << i;
      }
    }
    EXPECT_GT(errors, 10);
  }
}

// A version 7.3 file of `count` images in chunks of one image, of which only the first `written` are there, and labels.
void WriteChunked(const std::string& path, hsize_t count, hsize_t written) {
  const hid_t creation = H5Pcreate(H5P_FILE_CREATE);
  H5Pset_userblock(creation, 512);
  const hid_t file = H5Fcreate(path.c_str(), H5F_ACC_TRUNC, creation, H5P_DEFAULT);
  const hsize_t dims[] = {count, 3, 32, 32}, chunk[] = {1, 3, 32, 32}, start[] = {0, 0, 0, 0};
  const hsize_t part[] = {written, 3, 32, 32}, label_dims[] = {1, count};
  const hid_t chunked = H5Pcreate(H5P_DATASET_CREATE);
  H5Pset_chunk(chunked, 4, chunk);
  const hid_t space = H5Screate_simple(4, dims, nullptr);
  const hid_t x = H5Dcreate2(file, "X", H5T_STD_U8LE, space, H5P_DEFAULT, chunked, H5P_DEFAULT);
  H5Sselect_hyperslab(space, H5S_SELECT_SET, start, nullptr, part, nullptr);
  const hid_t memory = H5Screate_simple(4, part, nullptr);
  const std::vector<uint8_t> pixels(written * 3072, 9);
  EXPECT_GE(H5Dwrite(x, H5T_NATIVE_UINT8, memory, space, H5P_DEFAULT, pixels.data()), 0);
  const hid_t label_space = H5Screate_simple(2, label_dims, nullptr);
  const hid_t y = H5Dcreate2(file, "y", H5T_IEEE_F64LE, label_space, H5P_DEFAULT, H5P_DEFAULT, H5P_DEFAULT);
  const std::vector<double> labels(count, 3);
  EXPECT_GE(H5Dwrite(y, H5T_NATIVE_DOUBLE, H5S_ALL, H5S_ALL, H5P_DEFAULT, labels.data()), 0);
  for (const hid_t set : {x, y}) H5Dclose(set);
  for (const hid_t of : {space, memory, label_space}) H5Sclose(of);
  for (const hid_t of : {creation, chunked}) H5Pclose(of);
  H5Fclose(file);
  std::fstream(path, std::ios::in | std::ios::out | std::ios::binary) << "MATLAB 7.3 MAT-file";
}

// HDF5's library gives zeros for chunks that are not there.
TEST_F(SvhnTest, MissingChunksAreAnError) {
  WriteChunked(path_, 5, 5);
  const absl::StatusOr<Dataset> test = LoadSvhn({.data_dir = dir_, .split = Split::kTest});
  ASSERT_TRUE(test.ok()) << test.status();
  EXPECT_EQ(test->images.data<uint8_t>()[5 * 3072 - 1], 9);
  EXPECT_EQ(test->labels.data<int32_t>()[4], 3);
  WriteChunked(path_, 5, 4);
  EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss);
  // A million images of which there is one: 3 GB of zeros.
  WriteChunked(path_, 1000000, 1);
  EXPECT_EQ(Error().code(), absl::StatusCode::kDataLoss);
}

TEST_F(SvhnTest, TruncatedVersion73IsAnError) {
  MatFile{.x_dims = {32, 32, 3, 2}, .y_dims = {2, 1}, .version = MAT_FT_MAT73}.Write(path_);
  const std::string bytes = Bytes(path_);
  for (size_t size = 0; size < bytes.size(); size += size < 16 ? 1 : 199) {
    WriteFile(dir_, "test_32x32.mat", bytes.substr(0, size));
    EXPECT_EQ(Error().code(), size < 10 ? absl::StatusCode::kInvalidArgument : absl::StatusCode::kDataLoss) << size;
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
  EXPECT_THAT(std::string(status.message()), HasSubstr("neither a MATLAB 5 nor a MATLAB 7.3 file"));
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
