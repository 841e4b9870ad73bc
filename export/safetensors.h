// Safetensors files: named tensors as Hugging Face's libraries for PyTorch, JAX and others keep weights
// (https://github.com/huggingface/safetensors).
//
//   bytes of the header n, u64 | header, n bytes of JSON (safetensors_header.h) | data
//
// Numbers are little endian, tensors row-major. The tensors' places in the data follow one another without holes and
// without overlaps, from its first byte to its last. There are no checksums.
//
//   BITGRAD_ASSIGN_OR_RETURN(const SafetensorsFile file, SafetensorsFile::Open("net.safetensors"));
//   const SafetensorsTensor* weight = file.Find("fc1.weight");
//   std::vector<float> values(weight->shape.num_elements());
//   BITGRAD_RETURN_IF_ERROR(ReadFloats(*weight, absl::MakeSpan(values)));

#ifndef BITGRAD_EXPORT_SAFETENSORS_H_
#define BITGRAD_EXPORT_SAFETENSORS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

struct SafetensorsTensor {
  std::string name;
  std::string dtype;                // "F32", one that this build knows the size of
  Shape shape;                      // valid
  absl::Span<const uint8_t> bytes;  // as many as dtype and shape need
};

class SafetensorsFile {
 public:
  // Reads and checks everything but the tensors' values. InvalidArgument, or DataLoss where the file is cut off, which
  // name the file and what is wrong: a header that is larger than the file or than 100 MB, that is no such JSON, or
  // that has a name twice; a dtype that does not exist; a shape that makes no sense or does not fit its bytes; bytes
  // outside of the file, that two tensors have, or that none has. Takes memory for what the header lists and no more.
  static absl::StatusOr<SafetensorsFile> Open(const std::string& path);

  const std::string& path() const { return path_; }
  // In the order of their bytes, which point into the file and live as long as this does.
  absl::Span<const SafetensorsTensor> tensors() const { return tensors_; }
  // Null if there is none of that name.
  const SafetensorsTensor* Find(absl::string_view name) const;

 private:
  std::string path_;
  MappedFile file_;
  std::vector<SafetensorsTensor> tensors_;
};

// The tensor's values, of F64, F32, F16 or BF16. F64 is rounded to the nearest float, the others are exact.
// InvalidArgument, without the file's name, for another dtype, and for a value that is not finite as a float, with its
// place. REQUIRES: `values` has the tensor's elements.
absl::Status ReadFloats(const SafetensorsTensor& tensor, absl::Span<float> values);

// A tensor to write: its value is on the host, and dense.
struct NamedValue {
  std::string name;
  Tensor value;
};

// Writes the tensors in this order, whole or not at all, and returns the file's bytes. Their dtypes are F32, I64, I32,
// I8 and U8. InvalidArgument where a name is there twice, is no UTF-8, or is "__metadata__".
absl::StatusOr<int64_t> WriteSafetensors(const std::string& path, absl::Span<const NamedValue> tensors);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_SAFETENSORS_H_
