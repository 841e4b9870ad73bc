#include "bitgrad/data/mat73_variable.h"

#include <hdf5/serial/hdf5.h>

#include <algorithm>
#include <cstdint>
#include <filesystem>
#include <system_error>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"

namespace bitgrad {
namespace {

constexpr int64_t kMaxExpansion = 1032;  // of zlib's format, which compresses chunks
constexpr int kMaxRank = 8;

// An identifier of HDF5's library, closed in the end.
template <herr_t (*Close)(hid_t)>
class Handle {
 public:
  explicit Handle(hid_t id) : id_(id) {}
  ~Handle() {
    if (id_ >= 0) Close(id_);
  }
  Handle(const Handle&) = delete;
  Handle& operator=(const Handle&) = delete;

  bool valid() const { return id_ >= 0; }
  hid_t id() const { return id_; }

 private:
  hid_t id_;
};

using File = Handle<H5Fclose>;
using DataSet = Handle<H5Dclose>;
using Space = Handle<H5Sclose>;
using Type = Handle<H5Tclose>;
using Properties = Handle<H5Pclose>;

// Keeps the library from writing its errors to stderr: they become a status.
class Quiet {
 public:
  Quiet() {
    // Damaged files can leave objects open in the library, about which it would complain when the process ends.
    static const herr_t no_cleaning_up = H5dont_atexit();
    static_cast<void>(no_cleaning_up);
    H5Eget_auto2(H5E_DEFAULT, &function_, &data_);
    H5Eset_auto2(H5E_DEFAULT, nullptr, nullptr);
  }
  ~Quiet() { H5Eset_auto2(H5E_DEFAULT, function_, data_); }

 private:
  H5E_auto2_t function_ = nullptr;
  void* data_ = nullptr;
};

// Whether the file has all the data that the extents announce.
bool HasAllData(const DataSet& set, const std::vector<hsize_t>& dims, int64_t bytes) {
  const Properties properties(H5Dget_create_plist(set.id()));
  if (!properties.valid()) return false;
  if (H5Pget_layout(properties.id()) != H5D_CHUNKED) {
    return static_cast<int64_t>(H5Dget_storage_size(set.id())) >= bytes;
  }
  const int rank = static_cast<int>(dims.size());
  std::vector<hsize_t> chunk(rank);
  if (H5Pget_chunk(properties.id(), rank, chunk.data()) != rank) return false;
  hsize_t expected = 1, found = 0;
  for (int i = 0; i < rank; ++i) {
    if (chunk[i] == 0) return false;
    expected *= (dims[i] + chunk[i] - 1) / chunk[i];
  }
  const Space space(H5Dget_space(set.id()));
  return space.valid() && H5Dget_num_chunks(set.id(), space.id(), &found) >= 0 && found == expected;
}

}  // namespace

absl::StatusOr<MatVariable> ReadMat73Variable(const std::string& path, const std::string& name, int64_t most_numbers) {
  const absl::Status damaged = absl::DataLossError(absl::StrCat(path, ": truncated or damaged; get the file again"));
  const Quiet quiet;
  const File file(H5Fopen(path.c_str(), H5F_ACC_RDONLY, H5P_DEFAULT));
  if (!file.valid()) return damaged;
  const DataSet set(H5Dopen2(file.id(), name.c_str(), H5P_DEFAULT));
  if (!set.valid()) {
    return absl::DataLossError(absl::StrCat(path, ": there is no variable ", name, "; get the file again"));
  }
  const Space space(H5Dget_space(set.id()));
  const Type type(H5Dget_type(set.id()));
  if (!space.valid() || !type.valid()) return damaged;
  const int rank = H5Sget_simple_extent_ndims(space.id());
  if (rank < 1 || rank > kMaxRank) return damaged;
  std::vector<hsize_t> dims(rank);
  if (H5Sget_simple_extent_dims(space.id(), dims.data(), nullptr) != rank) return damaged;

  MatVariable variable;
  const size_t number_bytes = H5Tget_size(type.id());
  variable.is_uint8 =
      H5Tget_class(type.id()) == H5T_INTEGER && number_bytes == 1 && H5Tget_sign(type.id()) == H5T_SGN_NONE;
  if (!variable.is_uint8 && !(H5Tget_class(type.id()) == H5T_FLOAT && number_bytes == sizeof(double))) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", name,
                                                   " has another type than uint8 and double; check that the file is "
                                                   "what its name says"));
  }
  std::error_code error;
  const int64_t most_bytes = kMaxExpansion * static_cast<int64_t>(std::filesystem::file_size(path, error));
  if (error) return damaged;
  int64_t count = 1;
  for (const hsize_t extent : dims) {
    if (__builtin_mul_overflow(count, extent, &count) || count > most_numbers) return damaged;
  }
  const int64_t bytes = count * static_cast<int64_t>(number_bytes);
  if (bytes > most_bytes || !HasAllData(set, dims, bytes)) return damaged;
  // HDF5 names the slowest extent first, MATLAB the fastest.
  variable.dims.assign(dims.rbegin(), dims.rend());
  void* to = nullptr;
  if (variable.is_uint8) {
    variable.bytes.resize(count);
    to = variable.bytes.data();
  } else {
    variable.doubles.resize(count);
    to = variable.doubles.data();
  }
  const hid_t in_memory = variable.is_uint8 ? H5T_NATIVE_UINT8 : H5T_NATIVE_DOUBLE;
  if (H5Dread(set.id(), in_memory, H5S_ALL, H5S_ALL, H5P_DEFAULT, to) < 0) return damaged;
  return variable;
}

}  // namespace bitgrad
