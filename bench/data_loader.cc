// The rate at which BatchLoader prepares batches when nothing else takes time.
//
//   ./bazelw run //bench:data_loader
//
// Names: WORKLOAD/workers:W, where W threads prepare batches. Images are 32x32 RGB, random, in batches of 100,
// shuffled; an iteration is an epoch of 5,000. Workloads:
//   Memcpy      the baseline: copies the images' floats on one thread, as many bytes as a batch has
//   Plain       pixels to floats
//   CropFlip    crop(4), flip
//   Jitter      crop(4), flip, jitter(0.4,0.4,0.4)
//   MeanStd     crop(4), flip; mean_std
//   Zca         crop(4), flip; gcn, zca(0.1)
// Counter: images/s. Before a workload is timed, its batches are compared with those that one worker prepares.

#include <cstring>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/augmentation.h"
#include "bitgrad/data/batches.h"
#include "bitgrad/data/preprocessings.h"

namespace bitgrad {
namespace {

constexpr ImageShape kShape = {32, 32, 3};
constexpr int64_t kImages = 5000;
constexpr int64_t kBatch = 100;

const Dataset& RandomImages() {
  static const Dataset* const dataset = [] {
    auto* made = new Dataset{"random", Tensor({kImages, 32, 32, 3}, DType::kUint8),
                             Tensor::Zeros(Shape({kImages}), DType::kInt32), 10};
    const RngStream rng{.seed = 5};
    uint8_t* pixels = made->images.mutable_data<uint8_t>();
    for (int64_t i = 0; i < made->images.num_elements(); i += 16) {
      const RngBlock block = RandomBlock(rng, static_cast<uint64_t>(i / 16));
      std::memcpy(pixels + i, block.word, 16);
    }
    return made;
  }();
  return *dataset;
}

struct Workload {
  const char* name;
  std::vector<std::string> augmentation;
  std::vector<std::string> preprocessing;
};

const std::vector<Workload>& Workloads() {
  static const auto* const workloads = new std::vector<Workload>{
      {"Plain", {}, {}},
      {"CropFlip", {"crop(4)", "flip"}, {}},
      {"Jitter", {"crop(4)", "flip", "jitter(0.4,0.4,0.4)"}, {}},
      {"MeanStd", {"crop(4)", "flip"}, {"mean_std"}},
      {"Zca", {"crop(4)", "flip"}, {"gcn", "zca(0.1)"}},
  };
  return *workloads;
}

using FittedPreprocessing = absl::StatusOr<std::shared_ptr<const Preprocessing>>;

// Fitted to a fifth of the images only, because the suite times how fast preprocessing is applied.
FittedPreprocessing Fit(const Workload& workload) {
  BITGRAD_ASSIGN_OR_RETURN(Preprocessing made, ParsePreprocessing(workload.preprocessing));
  BITGRAD_RETURN_IF_ERROR(made.SetShape(kShape));
  BITGRAD_RETURN_IF_ERROR(made.Fit(RandomImages(), {0, kImages / 5}, /*threads=*/2));
  return std::make_shared<const Preprocessing>(std::move(made));
}

const FittedPreprocessing& Fitted(const Workload& workload) {
  static Last<FittedPreprocessing> last;
  return last.Get(workload.name, [&] { return std::make_unique<FittedPreprocessing>(Fit(workload)); });
}

absl::StatusOr<BatchLoader> MakeLoader(const Workload& workload, int workers) {
  BITGRAD_ASSIGN_OR_RETURN(Augmentation augmentation, ParseAugmentation(workload.augmentation));
  BITGRAD_ASSIGN_OR_RETURN(auto preprocessing, Fitted(workload));
  return BatchLoader::Create(RandomImages(), {0, kImages},
                             {.batch_size = kBatch,
                              .shuffle = true,
                              .workers = workers,
                              .augmentation = std::move(augmentation),
                              .preprocessing = std::move(preprocessing)});
}

// Whether the loader's first batches equal those of one worker.
bool SameBatches(const Workload& workload, const BatchLoader& loader) {
  const absl::StatusOr<BatchLoader> one = MakeLoader(workload, 1);
  if (!one.ok()) return false;
  EpochBatches a = one->Epoch(0), b = loader.Epoch(0);
  for (int i = 0; i < 4; ++i) {
    const Batch* x = a.Next();
    const Batch* y = b.Next();
    if (std::memcmp(x->images.raw_data(), y->images.raw_data(), x->images.byte_size()) != 0) return false;
  }
  return true;
}

void Run(benchmark::State& state, const Workload& workload, int workers) {
  const absl::StatusOr<BatchLoader> loader = MakeLoader(workload, workers);
  if (!loader.ok() || !SameBatches(workload, *loader)) {
    state.SkipWithError("the batches are wrong");
    return;
  }
  int64_t epoch = 0;
  const double seconds = SecondsPerIteration(state, [&] {
    for (const Batch& batch : loader->Epoch(epoch++)) benchmark::DoNotOptimize(batch.size());
  });
  state.counters["images/s"] = static_cast<double>(kImages) / seconds;
}

void RunMemcpy(benchmark::State& state) {
  const Tensor from = Tensor::Zeros({kBatch, kShape.features()});
  Tensor to({kBatch, kShape.features()}, DType::kFloat32);
  const double seconds = SecondsPerIteration(state, [&] {
    for (int64_t i = 0; i < kImages; i += kBatch) {
      std::memcpy(to.mutable_raw_data(), from.raw_data(), from.byte_size());
      benchmark::ClobberMemory();
    }
  });
  state.counters["images/s"] = static_cast<double>(kImages) / seconds;
}

absl::Status Register() {
  benchmark::RegisterBenchmark("Memcpy/workers:1", RunMemcpy)->UseRealTime()->Unit(benchmark::kMillisecond);
  for (const Workload& workload : Workloads()) {
    for (const int workers : {1, 2}) {
      const std::string name = absl::StrCat(workload.name, "/workers:", workers);
      benchmark::RegisterBenchmark(name.c_str(),
                                   [&workload, workers](benchmark::State& state) { Run(state, workload, workers); })
          ->UseRealTime()
          ->Unit(benchmark::kMillisecond);
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
