// TrainingData: what a recipe trains on, as Trainer sees it: batches, what a model has to know of them, what is to be
// learned, what checkpoints keep of it, what is said about it.
//
//   BITGRAD_ASSIGN_OR_RETURN(std::unique_ptr<TrainingData> data, LoadTrainingData(recipe, {.data_dir = dir}));
//   data->Describe(header);
//   const std::unique_ptr<Task> task = data->TaskOf(phase.recipe);
//   EpochBatches batches = data->training().Epoch(epoch);
//
// Images (image_training_data.h) and texts (text_training_data.h) are the two kinds there are; data.name says which. To
// add a kind: an implementation, and its lines in training_data.cc.

#ifndef BITGRAD_MODELS_TRAINING_TRAINING_DATA_H_
#define BITGRAD_MODELS_TRAINING_TRAINING_DATA_H_

#include <cstdint>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/optional.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/datasets.h"
#include "bitgrad/data/preprocessing.h"
#include "bitgrad/models/training/checkpoint.h"
#include "bitgrad/models/training/task.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/diagnostics.pb.h"
#include "bitgrad/proto/fingerprint.pb.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// What the data takes of the machine's memory.
struct DataMemory {
  const char* name = "";  // "images"
  int64_t held = 0;       // bytes that lie in memory already
  // Of the largest batch of an evaluation: its examples, as Task::Blank() counts them.
  int64_t evaluated = 0;
  int64_t batch = 0;  // bytes of the largest batch
};

class TrainingData {
 public:
  virtual ~TrainingData() = default;

  // What networks are made for.
  virtual DataKind kind() const = 0;
  // The shape of one input: [features] of images, [] of texts.
  virtual Shape example() const = 0;
  // What the recipe, or a phase of it, has a model learn.
  virtual std::unique_ptr<Task> TaskOf(const recipe::Recipe& recipe) const = 0;

  virtual const BatchLoader& training() const = 0;
  // What may train: batches leave some of it out where it fills no whole number of them.
  virtual int64_t training_examples() const = 0;
  // Null where there are no examples.
  virtual const BatchLoader* validation() const = 0;
  virtual const BatchLoader* test() const = 0;

  // What is done to batches, and has learned from the training examples; borrowed.
  virtual const Preprocessing& preprocessing() const = 0;
  // Has it learn, and says so. Before any batch is asked for.
  virtual absl::Status Fit(int threads, std::FILE* log) = 0;
  // Gives it what it has learned in the run of the checkpoint.
  virtual absl::Status Restore(const Checkpoint& checkpoint) = 0;

  // Sets the header's fields about the data: features, classes, fingerprints.
  virtual void Describe(checkpoint::Header& header) const = 0;
  // FailedPrecondition or InvalidArgument, with the checkpoint's name and what differs, where the checkpoint's run had
  // other data. Old checkpoints know less than new ones.
  virtual absl::Status CheckSame(const Checkpoint& checkpoint) const = 0;
  // What was found in the data, and what is odd about it.
  virtual void Print(std::FILE* log) const = 0;

  // The example that an evaluation has at this place, counted from 0, as it was published: of validation() or, where
  // that is null, of test(). Nothing where examples are no images, or are none of 1 or 3 channels.
  virtual absl::optional<diagnostics::Picture> PictureOf(int64_t /*example*/) const { return absl::nullopt; }

  virtual DataMemory memory() const = 0;
};

struct TrainingDataOptions {
  std::string data_dir;
  int threads = 1;  // for loading
  int workers = 1;  // threads that prepare batches
};

// What is wrong with the data fields of the recipe, or of a phase of it, as far as that is known without the files.
// Errors name the field.
absl::Status CheckDataFields(const recipe::Recipe& recipe);

// FailedPrecondition, "checkpoint 'PATH' was trained with other data. Its SPLIT set has: ...", where `found` is not as
// `known`.
absl::Status CheckSameFingerprint(absl::string_view path, absl::string_view split, const fingerprint::DataSet& known,
                                  const fingerprint::DataSet& found);

// Loads the recipe's data. Errors are those of the readers, of BatchLoader and TextBatches(). REQUIRES:
// ValidateRecipe(recipe).ok() and CheckDataFields(recipe).ok().
absl::StatusOr<std::unique_ptr<TrainingData>> LoadTrainingData(const recipe::Recipe& recipe,
                                                               const TrainingDataOptions& options);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_TRAINING_DATA_H_
