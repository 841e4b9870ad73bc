// Checkpoints: all that a run needs to continue bit for bit.
//
// File: a preamble of 64 bytes
//   "BITGCKPT" | version u32 | CRC-32 of the header u32 | header bytes u64 | file bytes u64 | zeros
// then the header (proto/checkpoint.proto), zeros up to a multiple of 64, then the data: each tensor at a multiple of
// 64 bytes, as in memory (little endian), with its own CRC-32 in the header. A file is written whole or not at all
// (core/atomic_file.h): a crash leaves the old checkpoint or the new one.

#ifndef BITGRAD_MODELS_TRAINING_CHECKPOINT_H_
#define BITGRAD_MODELS_TRAINING_CHECKPOINT_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/checkpoint.pb.h"

namespace bitgrad {

// Writes `header` (recipe, progress, metrics, random step) with the tensors of `store`, unless it is null the state of
// `optimizer`, and what `preprocessing` has learned; fills in the header's tensor entries. Errors name the file.
// Tensors on the context's device are copied to the host.
absl::Status WriteCheckpoint(ExecContext& context, const std::string& path, checkpoint::Header header,
                             const ParameterStore& store, const Optimizer* optimizer,
                             const Preprocessing& preprocessing = Preprocessing());

// The images of the data that the model was built for. Of a file that does not know: one row of `features` pixels.
ImageShape ImageShapeOf(const checkpoint::Header& header);

class Checkpoint {
 public:
  // Reads and verifies the whole file. Errors name the file and what is wrong with it.
  static absl::StatusOr<Checkpoint> Open(const std::string& path);

  const checkpoint::Header& header() const { return header_; }

  // Gives the store's parameters their values, on the host. A parameter that is missing, too many or of another shape
  // (the checkpoint of another model) is an error; nothing was changed then.
  absl::Status RestoreParameters(ParameterStore& store) const;
  // FailedPrecondition where the file holds no optimizer state (a "best" checkpoint).
  absl::Status RestoreOptimizer(const ParameterStore& store, Optimizer& optimizer) const;
  // Copies what was learned into `preprocessing`. FailedPrecondition where the file holds something else than it has
  // learned(); nothing was changed then. REQUIRES: its shape is set.
  absl::Status RestorePreprocessing(Preprocessing& preprocessing) const;
  // A copy of one tensor of the model, NotFound if there is none of that name.
  absl::StatusOr<Tensor> Get(absl::string_view name) const;

 private:
  Tensor Read(const checkpoint::TensorEntry& entry) const;

  std::string path_;
  MappedFile file_;
  checkpoint::Header header_;
  absl::Span<const uint8_t> data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CHECKPOINT_H_
