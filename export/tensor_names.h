// TensorNames: what parameters are called in a file of another framework, and how they lie there.
//
//   # our path = their name, and the layout where it differs (tensor_layout.h)
//   conv1/weight   = features.0.weight nchw
//   hidden1/weight = classifier.0.weight from_nchw(64,4,4)
//   hidden1/bias   = classifier.0.bias
//   hidden1/quantizer/input_step = -      # stays out of the file, and keeps its value
//
// A parameter that is not named has its own path for a name. '#' begins a comment; names have no white space, no '='
// and no '#' in them.

#ifndef BITGRAD_EXPORT_TENSOR_NAMES_H_
#define BITGRAD_EXPORT_TENSOR_NAMES_H_

#include <map>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/export/tensor_layout.h"

namespace bitgrad {

struct TensorName {
  std::string name;  // empty: the file does not have the parameter
  TensorLayout layout;
  int line = 0;  // of the names file; 0: it does not name the parameter
};

class TensorNames {
 public:
  TensorNames() = default;  // No parameter is named.
  // The text of a names file. InvalidArgument "PATH:LINE: ...", for a line that is not as above, a parameter or a name
  // that occurs twice, an unknown layout.
  static absl::StatusOr<TensorNames> Parse(const std::string& path, absl::string_view text);
  // The same of a file.
  static absl::StatusOr<TensorNames> Read(const std::string& path);

  // InvalidArgument "PATH:LINE: ..." where a parameter that is named does not exist, and where a name is that of
  // another parameter, which is not named.
  absl::Status CheckParameters(absl::Span<const std::string> parameters) const;
  TensorName Of(const std::string& parameter) const;
  // Where an error about the parameter lies: "PATH:LINE: ", empty where no names file names it.
  std::string PlaceOf(const std::string& parameter) const;

 private:
  std::string path_;
  std::map<std::string, TensorName> names_;  // by parameter
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_TENSOR_NAMES_H_
