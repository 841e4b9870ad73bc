#include "bitgrad/data/fingerprint.h"

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/status_macros.h"
#include "zlib.h"

namespace bitgrad {
namespace {

constexpr int64_t kSample = 64;

uint32_t Crc32(uint32_t before, const void* bytes, size_t count) {
  return static_cast<uint32_t>(crc32_z(before, static_cast<const Bytef*>(bytes), count));
}

bool IsText(const fingerprint::DataSet& data) { return data.tokens() > 0; }

}  // namespace

absl::StatusOr<fingerprint::DataSet> FingerprintOf(const Dataset& dataset) {
  fingerprint::DataSet result;
  result.set_name(dataset.name);
  result.set_images(dataset.size());
  const ImageShape shape = dataset.image_shape();
  for (const int64_t extent : {shape.height, shape.width, shape.channels}) result.add_image_shape(extent);
  result.set_classes(dataset.num_classes);
  result.set_labels_crc32(Crc32(0, dataset.labels.raw_data(), dataset.labels.byte_size()));
  const int64_t sample = std::min(kSample, dataset.size());
  uint32_t crc = 0;
  std::vector<uint8_t> buffer;
  for (int64_t i = 0; i < sample; ++i) {
    // Example 0 for i = 0, the last one for i = sample - 1.
    const int64_t example = sample == 1 ? 0 : i * (dataset.size() - 1) / (sample - 1);
    BITGRAD_ASSIGN_OR_RETURN(const auto pixels, dataset.Pixels({example, example + 1}, /*threads=*/1, buffer));
    crc = Crc32(crc, pixels.data, static_cast<size_t>(dataset.features()));
  }
  result.set_images_crc32(crc);
  return result;
}

fingerprint::DataSet FingerprintOf(const Text& text) {
  fingerprint::DataSet result;
  result.set_name(text.data_set);
  result.set_tokens(text.size());
  result.set_classes(text.vocabulary);
  result.set_tokens_crc32(Crc32(0, text.tokens.raw_data(), text.tokens.byte_size()));
  return result;
}

std::string DifferenceOf(const fingerprint::DataSet& known, const fingerprint::DataSet& found) {
  std::vector<std::string> differences;
  if (known.name() != found.name()) {
    differences.push_back(absl::StrCat("data set '", found.name(), "' instead of '", known.name(), "'"));
  }
  if (known.tokens() != found.tokens()) {
    differences.push_back(absl::StrCat(found.tokens(), " tokens instead of ", known.tokens()));
  }
  if (known.images() != found.images()) {
    differences.push_back(absl::StrCat(found.images(), " images instead of ", known.images()));
  }
  if (ImageShapeOf(known) != ImageShapeOf(found)) {
    differences.push_back(
        absl::StrCat("images of ", ImageShapeOf(found).ToString(), " instead of ", ImageShapeOf(known).ToString()));
  }
  if (known.classes() != found.classes()) {
    differences.push_back(absl::StrCat(found.classes(), IsText(found) ? " different tokens" : " classes",
                                       " instead of ", known.classes()));
  }
  if (known.labels_crc32() != found.labels_crc32()) differences.push_back("other labels");
  if (known.images_crc32() != found.images_crc32()) differences.push_back("other pixels");
  if (known.tokens_crc32() != found.tokens_crc32()) differences.push_back("another text");
  return absl::StrJoin(differences, ", ");
}

std::string ToString(const fingerprint::DataSet& data) {
  if (IsText(data)) {
    return absl::StrFormat("%s: %d tokens of %d %s", data.name(), data.tokens(), data.classes(), ChecksumsOf(data));
  }
  return absl::StrFormat("%s: %d images of %s in %d classes %s", data.name(), data.images(),
                         ImageShapeOf(data).ToString(), data.classes(), ChecksumsOf(data));
}

std::string ChecksumsOf(const fingerprint::DataSet& data) {
  if (IsText(data)) return absl::StrFormat("(tokens %08x)", data.tokens_crc32());
  return absl::StrFormat("(labels %08x, images %08x)", data.labels_crc32(), data.images_crc32());
}

ImageShape ImageShapeOf(const fingerprint::DataSet& data) {
  if (data.image_shape_size() != 3) return {};
  return {data.image_shape(0), data.image_shape(1), data.image_shape(2)};
}

absl::Status CheckKindOfData(absl::string_view model, const ImageShape& shape, int64_t classes,
                             absl::Span<const std::string> class_names, const Dataset& data) {
  const bool is_row = shape.height == 1 && shape.channels == 1;
  const bool same_images = is_row ? shape.features() == data.features() : shape == data.image_shape();
  if (!same_images || classes != data.num_classes) {
    return absl::InvalidArgumentError(absl::StrCat(
        model, " is for images of ", is_row ? absl::StrCat(shape.features(), " values") : shape.ToString(), " in ",
        classes, " classes; data set '", data.name, "' has images of ", data.image_shape().ToString(), " in ",
        data.num_classes, " classes; use the data that it was trained on (--data_dir)"));
  }
  if (const std::string other = DifferenceOfClassNames(class_names, data.class_names); !other.empty()) {
    return absl::InvalidArgumentError(absl::StrCat(model, " is for other classes than data set '", data.name, "' has: ",
                                                   other, "; use the data that it was trained on (--data_dir)"));
  }
  return absl::OkStatus();
}

std::string DifferenceOfClassNames(absl::Span<const std::string> known, absl::Span<const std::string> found) {
  for (size_t i = 0; i < std::min(known.size(), found.size()); ++i) {
    if (known[i] != found[i]) return absl::StrCat("class ", i, " is '", found[i], "' instead of '", known[i], "'");
  }
  return "";
}

std::string ListOfClassNames(absl::Span<const std::string> names, int most) {
  const auto count = static_cast<int>(names.size());
  if (count <= most) return absl::StrJoin(names, ", ");
  return absl::StrCat(absl::StrJoin(names.subspan(0, static_cast<size_t>(most - 1)), ", "), ", ..., ", names.back());
}

}  // namespace bitgrad
