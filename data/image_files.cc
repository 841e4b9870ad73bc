#include "bitgrad/data/image_files.h"

#include <algorithm>
#include <atomic>
#include <utility>

#include "absl/functional/function_ref.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/mapped_file.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/decode_image.h"
#include "bitgrad/data/resize.h"

namespace bitgrad {
namespace {

constexpr absl::string_view kPrefix = "image_folder: ";
constexpr size_t kMostNamed = 20;

// Applies `check` to 0 .. count - 1 on `threads` threads. Of all errors one is made, which does not depend on threads.
absl::Status ForAll(int threads, int64_t count, absl::FunctionRef<absl::Status(int64_t)> check) {
  std::mutex mutex;
  std::vector<std::pair<int64_t, absl::Status>> bad;
  ParallelFor(threads, count, 1, [&](int64_t begin, int64_t end) {
    for (int64_t i = begin; i < end; ++i) {
      absl::Status status = check(i);
      if (status.ok()) continue;
      const std::lock_guard<std::mutex> lock(mutex);
      bad.emplace_back(i, std::move(status));
    }
  });
  if (bad.empty()) return absl::OkStatus();
  std::sort(bad.begin(), bad.end(), [](const auto& a, const auto& b) { return a.first < b.first; });
  if (bad.size() == 1) return bad[0].second;
  std::string message = absl::StrCat(kPrefix, bad.size(), " of ", count, " files cannot be read: ");
  for (size_t i = 0; i < std::min(bad.size(), kMostNamed); ++i) {
    absl::StrAppend(&message, i == 0 ? "" : "; ", absl::StripPrefix(bad[i].second.message(), kPrefix));
  }
  if (bad.size() > kMostNamed) absl::StrAppend(&message, "; and ", bad.size() - kMostNamed, " more");
  return absl::Status(bad[0].second.code(), message);
}

}  // namespace

ImageFiles::ImageFiles(std::string directory, std::vector<std::string> paths, int64_t side, int64_t cache_bytes)
    : directory_(std::move(directory)),
      paths_(std::move(paths)),
      side_(side),
      free_bytes_(cache_bytes),
      kept_(paths_.size()) {}

absl::Status ImageFiles::Read(int64_t example, uint8_t* pixels) const {
  const int64_t bytes = shape().features();
  const uint8_t* kept = nullptr;
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    kept = kept_[example].get();
  }
  if (kept != nullptr) {  // Once kept, an image stays where it is.
    std::copy_n(kept, bytes, pixels);
    return absl::OkStatus();
  }
  BITGRAD_RETURN_IF_ERROR(Decode(example, pixels, nullptr));
  {
    const std::lock_guard<std::mutex> lock(mutex_);
    if (kept_[example] != nullptr || free_bytes_ < bytes) return absl::OkStatus();
    free_bytes_ -= bytes;
  }
  std::unique_ptr<uint8_t[]> copy(new uint8_t[bytes]);
  std::copy_n(pixels, bytes, copy.get());
  const std::lock_guard<std::mutex> lock(mutex_);
  if (kept_[example] == nullptr) {
    kept_[example] = std::move(copy);
  } else {  // Another thread has read the same image meanwhile.
    free_bytes_ += bytes;
  }
  return absl::OkStatus();
}

absl::StatusOr<int64_t> ImageFiles::DecodeAll(int threads, uint8_t* pixels) const {
  std::atomic<int64_t> with_junk = 0;
  BITGRAD_RETURN_IF_ERROR(ForAll(threads, size(), [&](int64_t i) -> absl::Status {
    bool has_junk = false;
    BITGRAD_RETURN_IF_ERROR(Decode(i, pixels + i * shape().features(), &has_junk));
    with_junk += has_junk;
    return absl::OkStatus();
  }));
  return with_junk.load();
}

absl::Status ImageFiles::Check(int threads) const {
  return ForAll(threads, size(), [&](int64_t i) { return Glance(i); });
}

absl::Status ImageFiles::Glance(int64_t example) const {
  const absl::StatusOr<MappedFile> file = MappedFile::Open(Path(example));
  if (file.ok() && LooksWhole(file->bytes())) return absl::OkStatus();
  std::vector<uint8_t> pixels(shape().features());
  return Decode(example, pixels.data(), nullptr);
}

absl::Status ImageFiles::Decode(int64_t example, uint8_t* pixels, bool* has_junk) const {
  const std::string path = Path(example);
  const absl::StatusOr<MappedFile> file = MappedFile::Open(path);
  if (!file.ok()) return absl::Status(file.status().code(), absl::StrCat(kPrefix, file.status().message()));
  const absl::StatusOr<Image> image = DecodeImage(file->bytes(), has_junk);
  if (!image.ok()) {
    return absl::Status(image.status().code(), absl::StrCat(kPrefix, "'", path, "': ", image.status().message()));
  }
  const Image square = ResizeAndCrop(*image, side_);
  std::copy(square.pixels.begin(), square.pixels.end(), pixels);
  return absl::OkStatus();
}

std::string ImageFiles::Path(int64_t example) const { return absl::StrCat(directory_, "/", paths_[example]); }

}  // namespace bitgrad
