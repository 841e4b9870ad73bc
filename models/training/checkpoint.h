// Checkpoints: all that a run needs to continue bit for bit.
//
// File: a preamble of 64 bytes
//   "BITGCKPT" | version u32 | CRC-32 of the header u32 | header bytes u64 | file bytes u64 | zeros
// then the header (proto/checkpoint.proto), zeros up to a multiple of 64, then the data: each tensor at a multiple of
// 64 bytes, as in memory (little endian), with its own CRC-32 in the header. A file is written whole or not at all
// (core/atomic_file.h): a crash leaves the old checkpoint or the new one. Before the new one takes the old one's place
// its header is read back from the disk and checked, so that a run never loses a good checkpoint to one that cannot be
// read.

#ifndef BITGRAD_MODELS_TRAINING_CHECKPOINT_H_
#define BITGRAD_MODELS_TRAINING_CHECKPOINT_H_

#include <cstdint>
#include <string>
#include <utility>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/data/image_shape.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/graph/state_store.h"
#include "bitgrad/models/scope.h"
#include "bitgrad/optim/optimizer.h"
#include "bitgrad/proto/checkpoint.pb.h"

namespace bitgrad {

// What a learner (models/training/learner.h) keeps from step to step beside the parameters. An optimizer is the state
// of gradient descent; a null pointer is none.
struct LearnerState {
  LearnerState(std::vector<NamedTensor> tensors, int64_t steps) : tensors(std::move(tensors)), steps(steps) {}
  LearnerState(const Optimizer* optimizer) {  // NOLINT(google-explicit-constructor)
    if (optimizer != nullptr) *this = LearnerState(optimizer->state(), optimizer->step_count());
  }

  std::vector<NamedTensor> tensors;
  int64_t steps = 0;
  // What the model carries from batch to batch; on the host.
  std::vector<NamedState> states;
};

// Writes `header` (recipe, progress, metrics, random step, data) with the tensors of `store`, the state of the learner,
// and what `preprocessing` has learned; the header's tensor entries are filled in here. What the model carries from
// batch to batch is written only within an epoch: the next epoch begins without. Tensors on the context's device
// are copied to the host. Errors name the file, which is then what it was before: the file cannot be written, or the
// header is one that Open() would refuse.
absl::Status WriteCheckpoint(ExecContext& context, const std::string& path, checkpoint::Header header,
                             const ParameterStore& store, const LearnerState& learner,
                             const Preprocessing& preprocessing = Preprocessing());

// The shape of the images that the model was built for. Old files do not know it: one row of `features` pixels then. A
// model of text has no image: 0 features.
ImageShape ImageShapeOf(const checkpoint::Header& header);

// A checkpoint file that was found to be whole, and whose header makes sense.
class Checkpoint {
 public:
  // Reads and verifies the whole file: all checksums, and every field of the header (check_header.h). Errors name the
  // file and what is wrong with it.
  static absl::StatusOr<Checkpoint> Open(const std::string& path);

  const std::string& path() const { return path_; }
  const checkpoint::Header& header() const { return header_; }

  // FailedPrecondition, "checkpoint ... is of another model", unless the file has a float32 parameter of this name and
  // shape.
  absl::Status CheckParameter(absl::string_view name, const Shape& shape) const;
  // Gives the store's parameters their values, on the host. A parameter that is missing, too many or of another shape
  // (the checkpoint of another model) is an error, and so is a quantizer's number that is not within its bounds, NaN
  // included; nothing was changed then.
  absl::Status RestoreParameters(ParameterStore& store) const;
  // Gives `restore` the state of the learner, on the host. FailedPrecondition where the file holds none (a "best"
  // checkpoint); otherwise what `restore` returns, with the file's name.
  absl::Status RestoreLearner(absl::FunctionRef<absl::Status(const LearnerState& state)> restore) const;
  // The same for an optimizer.
  absl::Status RestoreOptimizer(const ParameterStore& store, Optimizer& optimizer) const;
  // Copies what was learned into `preprocessing`. FailedPrecondition where the file holds something else than it has
  // learned(); nothing was changed then. REQUIRES: its shape is set.
  absl::Status RestorePreprocessing(Preprocessing& preprocessing) const;
  // A copy of one tensor of the model, NotFound if there is none of that name.
  absl::StatusOr<Tensor> Get(absl::string_view name) const;

 private:
  // Opens the file and checks all but the tensors' checksums.
  static absl::StatusOr<Checkpoint> OpenHeader(const std::string& path);
  friend absl::Status WriteCheckpoint(ExecContext&, const std::string&, checkpoint::Header, const ParameterStore&,
                                      const LearnerState&, const Preprocessing&);
  Tensor Read(const checkpoint::TensorEntry& entry) const;
  // Null if there is no parameter of that name.
  const checkpoint::TensorEntry* Find(absl::string_view name) const;
  template <typename... What>
  absl::Status OtherModel(const What&... what) const;

  std::string path_;
  MappedFile file_;
  checkpoint::Header header_;
  absl::Span<const uint8_t> data_;
};

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CHECKPOINT_H_
