#include "bitgrad/models/data_options.h"

namespace bitgrad {

LoadOptions LoadOptionsOf(const recipe::DataSet& data) {
  LoadOptions options;
  options.limit = data.limit();
  options.image_size = data.image_size();
  options.cache_bytes = int64_t{data.image_cache_mib()} << 20;
  if (data.has_first_label()) options.first_label = data.first_label();
  options.classes = data.classes();
  return options;
}

}  // namespace bitgrad
