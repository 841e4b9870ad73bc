// How a convolution's output is cut into chunks of pixels. The patches of a chunk are gathered, multiplied and
// discarded while they are in the second-level cache. A chunk is a part of an image, or several whole images.

#ifndef BITGRAD_OPS_CPU_CONV_CHUNKS_H_
#define BITGRAD_OPS_CPU_CONV_CHUNKS_H_

#include <algorithm>
#include <cstdint>
#include <numeric>

#include "bitgrad/ops/kernels/conv2d.h"

namespace bitgrad::cpu {

class ConvChunks {
 public:
  // Chunks of at most about `max_pixels` pixels, and at least `ranges` chunks if there are that many pixels. With
  // `to_bits`, no two chunks write to the same word of the output's bit image.
  ConvChunks(const ConvGeometry& g, bool to_bits, int64_t max_pixels, int64_t ranges)
      : image_pixels_(g.out_height() * g.out_width()), images_(g.batch) {
    constexpr int64_t kTileRows = 6;  // chunks are multiples of a tile's rows, so no tile is partly empty
    const int64_t unit = (to_bits ? 64 / std::gcd(g.filters, int64_t{64}) : 1) * kTileRows;
    const int64_t share = std::max<int64_t>(1, std::min(max_pixels, g.pixels() / ranges));
    if (image_pixels_ <= share) {
      images_per_chunk_ = share / image_pixels_;
      parts_ = 1;
    } else {
      int64_t parts = (image_pixels_ + share - 1) / share;
      if (images_ < ranges) parts = (parts + ranges - 1) / ranges * ranges;  // the same number for each thread
      part_pixels_ = ((image_pixels_ + parts - 1) / parts + unit - 1) / unit * unit;
      parts_ = (image_pixels_ + part_pixels_ - 1) / part_pixels_;
    }
  }

  int64_t count() const { return (images_ + images_per_chunk_ - 1) / images_per_chunk_ * parts_; }
  // The number of pixels of the largest chunk.
  int64_t max_pixels() const {
    return parts_ == 1 ? std::min(images_, images_per_chunk_) * image_pixels_ : part_pixels_;
  }
  // The output pixels of a chunk are [begin(chunk), end(chunk)), counted over all images.
  int64_t begin(int64_t chunk) const {
    return chunk / parts_ * images_per_chunk_ * image_pixels_ + chunk % parts_ * part_pixels_;
  }
  int64_t end(int64_t chunk) const {
    const int64_t image = chunk / parts_ * images_per_chunk_;
    if (parts_ == 1) return std::min(images_, image + images_per_chunk_) * image_pixels_;
    return image * image_pixels_ + std::min(image_pixels_, (chunk % parts_ + 1) * part_pixels_);
  }

 private:
  const int64_t image_pixels_;
  const int64_t images_;
  int64_t images_per_chunk_ = 1;
  int64_t parts_;            // the number of chunks that an image is cut into
  int64_t part_pixels_ = 0;  // the last part may have fewer
};

}  // namespace bitgrad::cpu

#endif  // BITGRAD_OPS_CPU_CONV_CHUNKS_H_
