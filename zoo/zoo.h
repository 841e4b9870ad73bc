// The zoo: packed models that are compiled into the programs, for everybody who has not trained anything yet.
//
//   BITGRAD_ASSIGN_OR_RETURN(const ZooModel* model, FindZooModel("mnist_bnn_mlp"));
//   BITGRAD_ASSIGN_OR_RETURN(const auto packed, PackedModel::FromBytes("zoo:mnist_bnn_mlp", model->bytes));
//
// They are the files zoo/NAME.bgm with what is known of them, zoo/NAME.textproto. To add one: //zoo:add
// (zoo/README.md). What programs call is OpenModel() (runtime/open_model.h).

#ifndef BITGRAD_ZOO_ZOO_H_
#define BITGRAD_ZOO_ZOO_H_

#include <cstdint>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/proto/zoo.pb.h"

namespace bitgrad {

// What stands before the name of a model of the zoo where a file could be meant: --model=zoo:mnist_bnn_mlp.
inline constexpr absl::string_view kZooPrefix = "zoo:";
// They are part of the checkout, and of each program that runs packed models.
inline constexpr int64_t kMostZooModelBytes = 1'000'000;
inline constexpr int64_t kMostZooBytes = 5'000'000;

struct ZooModel {
  const char* name;
  absl::string_view bytes;     // of the packed model file
  absl::string_view manifest;  // a zoo::Manifest (proto/zoo.proto) as text
};

// Sorted by name. Generated from zoo/*.bgm and zoo/*.textproto.
absl::Span<const ZooModel> ZooModels();

// The model of that name, which has no prefix. NotFound, with the nearest and all names, where there is none.
absl::StatusOr<const ZooModel*> FindZooModel(absl::string_view name);

// InvalidArgument, with line and column, where the text is no manifest.
absl::StatusOr<zoo::Manifest> ManifestOf(const ZooModel& model);

// The flags of //models:train that the model was trained with.
std::string TrainingFlags(const zoo::Manifest& manifest);

// "1.67 % test error", "1.234 bits per character": of the packed model, on the whole test set.
std::string FigureOf(const zoo::Manifest& manifest);

// The model's line of the table in zoo/README.md, with its end.
std::string ReadmeRow(absl::string_view name, const zoo::Manifest& manifest);

// A line per model, for --help.
std::string ZooHelp();

}  // namespace bitgrad

#endif  // BITGRAD_ZOO_ZOO_H_
