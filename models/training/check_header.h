// Whether the header of a checkpoint makes sense: the one place that looks at every field before anything is built from
// it. Whoever has a Checkpoint (checkpoint.h) need not look again.

#ifndef BITGRAD_MODELS_TRAINING_CHECK_HEADER_H_
#define BITGRAD_MODELS_TRAINING_CHECK_HEADER_H_

#include <string>

#include "absl/status/status.h"
#include "bitgrad/proto/checkpoint.pb.h"

namespace bitgrad {

// InvalidArgument "FIELD is VALUE, ..." for the first field that no training writes. With n = progress.epoch, the
// number of complete epochs, and b = progress.batches_done, after OK:
//
//   recipe            ValidateRecipe() accepts it, and it has no field that this build does not know. It may be absent:
//                     a checkpoint of a model that does not come from a recipe
//   features          in [0, 2^31); the product of image_shape, where that is there
//   classes           in [0, 2^31)
//   class_names       `classes` of them, or none
//   text              a value of its enum. Of a model of text: features is 0, class_names are a vocabulary
//                     (data/vocabulary.h), a share below is a number of nats that is not negative, and images are
//                     tokens
//   training_data, test_data   where present: image_shape and classes as above, a positive number of images
//   n                 in [0, recipe.epochs]
//   b                 in [0, 2^31); 0 where n is recipe.epochs, the run being finished
//   best_epoch        in [1, n], 0 where n is 0; best_valid_error is in [0, 1] or NaN
//   partial           steps = b, examples = b * recipe.batch_size (times 1 to recipe.data.steps, of texts); no count is
//                     negative, none is more than what it is a part of; sums are finite
//   epochs            n of them, numbered from 1, their numbers finite, shares in [0, 1] (errors of empty splits NaN)
//   optimizer_steps   in [0, 2^53]
//   states            none where b is 0; matrices of float32
//   tensor entries    a name that no other of the list has. (What their bytes are is looked at when they are read.)
absl::Status CheckHeader(const checkpoint::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_TRAINING_CHECK_HEADER_H_
