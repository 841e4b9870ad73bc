// Reader of idx files, the format of the MNIST database; plain or gzip-compressed.
//
// An idx file, all integers big-endian:
//
//   file  = 0x00 0x00 dtype rank extent[rank] data
//   dtype = 0x08 (uint8; the format has others, which this reader refuses)
//   extent: uint32, the slowest-varying dimension first
//   data  = one byte per element, row-major
//
//   BITGRAD_ASSIGN_OR_RETURN(Tensor images, ReadIdx("train-images-idx3-ubyte.gz", 3));

#ifndef BITGRAD_DATA_IDX_H_
#define BITGRAD_DATA_IDX_H_

#include <string>

#include "absl/status/statusor.h"
#include "bitgrad/core/tensor.h"

namespace bitgrad {

// The file's content as a uint8 tensor of least_rank to most_rank dimensions, all positive. Whether the file is
// compressed is seen from its content, not from its name. Memory grows with the bytes that are really read, never with
// what the header claims.
//
// Errors name the file, what was expected and found, and what to do: NotFound and PermissionDenied as the system says;
// InvalidArgument for a wrong magic number, dtype or rank, a zero or absurd extent, or bytes after the data; DataLoss
// for truncated or damaged files.
absl::StatusOr<Tensor> ReadIdx(const std::string& path, int least_rank, int most_rank);

inline absl::StatusOr<Tensor> ReadIdx(const std::string& path, int rank) { return ReadIdx(path, rank, rank); }

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IDX_H_
