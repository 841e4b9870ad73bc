// ImageFiles: image files of any size, decoded, made squares of one size, and kept as far as memory allows.

#ifndef BITGRAD_DATA_IMAGE_FILES_H_
#define BITGRAD_DATA_IMAGE_FILES_H_

#include <cstdint>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/data/image_source.h"

namespace bitgrad {

// Example i is the file paths[i]: decoded (decode_image.h), its shorter side resized to `side`, the central square
// taken (resize.h). All images are RGB.
//
// An image that was read is kept while there is room for it, `cache_bytes` in all, and is never given up again: epochs
// visit all images alike, so a cache that replaced what it holds would have no more hits.
class ImageFiles final : public ImageSource {
 public:
  // REQUIRES: side > 0.
  ImageFiles(std::string directory, std::vector<std::string> paths, int64_t side, int64_t cache_bytes);

  int64_t size() const override { return static_cast<int64_t>(paths_.size()); }
  ImageShape shape() const override { return {side_, side_, 3}; }
  // Errors: "image_folder: 'PATH': ..." with what the system or decode_image.h says.
  absl::Status Read(int64_t example, uint8_t* pixels) const override;

  // Decodes all images to `pixels`, [size, side, side, 3], without the cache, on `threads` threads. Returns how many of
  // the files have bytes that belong to nothing (jpeg.h). All files are tried: the error names the first 20 that cannot
  // be read, each with the reason, and says how many there are.
  absl::StatusOr<int64_t> DecodeAll(int threads, uint8_t* pixels) const;

  // Looks at both ends of every file (LooksWhole), which finds missing, empty, truncated and foreign ones at a small
  // part of what decoding costs; files that fail are decoded, to be sure. Damage in the middle of a file is found by
  // Read(). The error is as that of DecodeAll().
  absl::Status Check(int threads) const;

 private:
  absl::Status Decode(int64_t example, uint8_t* pixels, bool* has_junk) const;
  absl::Status Glance(int64_t example) const;
  std::string Path(int64_t example) const;

  std::string directory_;
  std::vector<std::string> paths_;  // below the directory
  int64_t side_;
  mutable std::mutex mutex_;  // of what follows
  mutable int64_t free_bytes_;
  mutable std::vector<std::unique_ptr<uint8_t[]>> kept_;  // an image for each example, or null
};

}  // namespace bitgrad

#endif  // BITGRAD_DATA_IMAGE_FILES_H_
