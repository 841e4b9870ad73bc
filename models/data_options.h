// What a recipe says about loading its data set.

#ifndef BITGRAD_MODELS_DATA_OPTIONS_H_
#define BITGRAD_MODELS_DATA_OPTIONS_H_

#include "bitgrad/data/load_options.h"
#include "bitgrad/proto/recipe.pb.h"

namespace bitgrad {

// The recipe's part of the options; data_dir, split, seed and threads are the caller's.
LoadOptions LoadOptionsOf(const recipe::DataSet& data);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_DATA_OPTIONS_H_
