#include "bitgrad/data/mat_file.h"

#include <matio.h>

#include <cstring>
#include <memory>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/mat5_elements.h"
#include "bitgrad/data/mat73_variable.h"

namespace bitgrad {
namespace {

constexpr size_t kHdf5Offset = 512;
constexpr absl::string_view kHdf5Signature = "\x89HDF\r\n\x1a\n";

struct FileCloser {
  void operator()(mat_t* file) const { Mat_Close(file); }
};
struct VariableCloser {
  void operator()(matvar_t* variable) const { Mat_VarFree(variable); }
};

absl::Status Damaged(const std::string& path) {
  return absl::DataLossError(absl::StrCat(path, ": truncated or damaged; get the file again"));
}

absl::StatusOr<MatVariable> ReadMat5Variable(const std::string& path, const std::string& name, int64_t most_numbers) {
  const std::unique_ptr<mat_t, FileCloser> file(Mat_Open(path.c_str(), MAT_ACC_RDONLY));
  if (file == nullptr) return Damaged(path);
  const std::unique_ptr<matvar_t, VariableCloser> variable(Mat_VarReadInfo(file.get(), name.c_str()));
  if (variable == nullptr) {
    return absl::DataLossError(absl::StrCat(path, ": there is no variable ", name, "; get the file again"));
  }
  MatVariable result;
  result.dims.assign(variable->dims, variable->dims + variable->rank);
  result.is_uint8 = variable->class_type == MAT_C_UINT8;
  if ((!result.is_uint8 && variable->class_type != MAT_C_DOUBLE) || variable->isComplex != 0) {
    return absl::InvalidArgumentError(absl::StrCat(path, ": ", name,
                                                   " has another type than uint8 and double; check that the file is "
                                                   "what its name says"));
  }
  int64_t count = 1;
  for (const int64_t extent : result.dims) {
    if (__builtin_mul_overflow(count, extent, &count) || count > most_numbers) return Damaged(path);
  }
  if (Mat_VarReadDataAll(file.get(), variable.get()) != 0 || variable->data == nullptr ||
      static_cast<int64_t>(variable->nbytes) != count * (result.is_uint8 ? 1 : 8)) {
    return Damaged(path);
  }
  if (result.is_uint8) {
    const auto* bytes = static_cast<const uint8_t*>(variable->data);
    result.bytes.assign(bytes, bytes + count);
  } else {
    const auto* doubles = static_cast<const double*>(variable->data);
    result.doubles.assign(doubles, doubles + count);
  }
  return result;
}

}  // namespace

absl::StatusOr<MatFile> MatFile::Open(const std::string& path) {
  BITGRAD_ASSIGN_OR_RETURN(const MappedFile file, MappedFile::Open(path));
  const absl::string_view text(reinterpret_cast<const char*>(file.bytes().data()), file.bytes().size());
  if (absl::StartsWith(text, "MATLAB 7.3")) {
    if (text.size() < kHdf5Offset || !absl::StartsWith(text.substr(kHdf5Offset), kHdf5Signature)) return Damaged(path);
    return MatFile(path, /*is_hdf5=*/true);
  }
  if (!absl::StartsWith(text, "MATLAB 5.0")) {
    return absl::InvalidArgumentError(absl::StrCat(
        path,
        ": neither a MATLAB 5 nor a MATLAB 7.3 file; check that the file is what its name says, or get it again"));
  }
  if (!CheckMat5Elements(file.bytes())) return Damaged(path);
  return MatFile(path, /*is_hdf5=*/false);
}

absl::StatusOr<MatVariable> MatFile::Read(const std::string& name, int64_t most_numbers) const {
  return is_hdf5_ ? ReadMat73Variable(path_, name, most_numbers) : ReadMat5Variable(path_, name, most_numbers);
}

}  // namespace bitgrad
