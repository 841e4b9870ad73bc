// Conversions between numbers and bits, against memcpy of the same number of bytes: the difference to the memory's
// bandwidth is what could still be gained.
//
//   ./bazelw run //bench:pack -- --benchmark_repetitions=5
//
// Names: WORKLOAD/PLACE/threads:T. Places: l2, where all operands together have 512 KiB; and memory, where they have
// 192 MiB and exceed every cache. The number of elements follows. Workloads (ops/kernels/bitpack.h):
//   Memcpy           the baseline: half the bytes read, half written
//   PackSigns        float -> bits
//   PackSignsWindow  float -> bits and the straight-through estimator's window
//   PackPlanes       8-bit codes -> eight bit planes
//   PackCodes        symmetric 8-bit codes as floats -> bytes (ops/kernels/coded_gemm.h)
//   UnpackSigns      bits -> float
//   MaskByBits       float gradients masked by bits
// Counter: GB/s, counting the bytes of the operands that are read and written. The processor may move more (a store may
// read its cache line first; memcpy avoids that for large copies). Data are random; results are checked before anything
// is timed.

#include <cmath>
#include <cstdint>
#include <cstring>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr int64_t kCols = 4096;

// Calls set(i, word) with random words, i < count.
template <typename Set>
void ForRandomWords(uint32_t stream, int64_t count, const Set& set) {
  const RngStream rng{.seed = 5, .stream = stream};
  for (int64_t i = 0; i < count; i += 4) {
    const RngBlock block = RandomBlock(rng, static_cast<uint64_t>(i / 4));
    for (int64_t l = 0; l < 4 && i + l < count; ++l) set(i + l, block.word[l]);
  }
}

Tensor RandomFloats(int64_t rows) {
  Tensor x({rows, kCols}, DType::kFloat32);
  float* values = x.mutable_data<float>();
  ForRandomWords(1, x.num_elements(), [&](int64_t i, uint32_t word) { values[i] = 4 * ToUniform(word) - 2; });
  return x;
}

BitMatrix RandomBits(int64_t rows) {
  BitMatrix bits(rows, kCols);  // has no padding, because kCols is whole lines
  uint64_t* words = bits.mutable_view().words;
  ForRandomWords(2, rows * kCols / 64, [&](int64_t i, uint32_t word) { words[i] = word * 0x9E3779B97F4A7C15u; });
  return bits;
}

// A kernel with operands of `rows` rows.
class Workload {
 public:
  virtual ~Workload() = default;
  virtual void Run(ExecContext& context) = 0;
  // Whether element (i, j) of the result of Run() is right.
  virtual bool Right(int64_t i, int64_t j) const = 0;

 protected:
  const Kernels& kernels_ = KernelsFor(Device::kCpu);
};

class Memcpy final : public Workload {
 public:
  explicit Memcpy(int64_t rows) : from_(RandomFloats(rows)), to_(from_.shape(), DType::kFloat32) {}
  void Run(ExecContext& context) override {
    ParallelFor(context.threads(), from_.shape().dim(0), 1, [&](int64_t begin, int64_t end) {
      std::memcpy(to_.mutable_matrix<float>().row(begin), from_.matrix<float>().row(begin),
                  static_cast<size_t>(end - begin) * kCols * sizeof(float));
    });
  }
  bool Right(int64_t i, int64_t j) const override {
    return to_.matrix<float>().at(i, j) == from_.matrix<float>().at(i, j);
  }

 private:
  Tensor from_, to_;
};

class PackSigns : public Workload {
 public:
  explicit PackSigns(int64_t rows) : x_(RandomFloats(rows)), bits_(rows, kCols) {}
  void Run(ExecContext& context) override {
    kernels_.pack_signs(context, x_.matrix<float>(), bits_.mutable_view(), {});
  }
  bool Right(int64_t i, int64_t j) const override {
    return bits_.view().bit(i, j) == (x_.matrix<float>().at(i, j) >= 0);
  }

 protected:
  Tensor x_;
  BitMatrix bits_;
};

class PackSignsWindow final : public PackSigns {
 public:
  explicit PackSignsWindow(int64_t rows) : PackSigns(rows), window_(rows, kCols) {}
  void Run(ExecContext& context) override {
    kernels_.pack_signs(context, x_.matrix<float>(), bits_.mutable_view(), window_.mutable_view());
  }
  bool Right(int64_t i, int64_t j) const override {
    return PackSigns::Right(i, j) && window_.view().bit(i, j) == (std::fabs(x_.matrix<float>().at(i, j)) <= 1);
  }

 private:
  BitMatrix window_;
};

class PackPlanes final : public Workload {
 public:
  explicit PackPlanes(int64_t rows) : codes_({rows, kCols}, DType::kUint8) {
    uint8_t* codes = codes_.mutable_data<uint8_t>();
    ForRandomWords(1, codes_.num_elements(), [&](int64_t i, uint32_t word) { codes[i] = static_cast<uint8_t>(word); });
    for (int b = 0; b < kPlanes; ++b) planes_.emplace_back(rows, kCols);
    for (BitMatrix& plane : planes_) views_.push_back(plane.mutable_view());
  }
  void Run(ExecContext& context) override {
    kernels_.pack_planes(context, codes_.matrix<uint8_t>(), kPlanes, views_.data());
  }
  bool Right(int64_t i, int64_t j) const override {
    int code = 0;
    for (int b = 0; b < kPlanes; ++b) code |= planes_[b].view().bit(i, j) << b;
    return code == codes_.matrix<uint8_t>().at(i, j);
  }

 private:
  static constexpr int kPlanes = 8;
  Tensor codes_;
  std::vector<BitMatrix> planes_;
  std::vector<BitMatrixView> views_;
};

class PackCodes final : public Workload {
 public:
  explicit PackCodes(int64_t rows) : floats_({rows, kCols}, DType::kFloat32), codes_({rows, kCols}, DType::kUint8) {
    float* floats = floats_.mutable_data<float>();
    ForRandomWords(1, floats_.num_elements(), [&](int64_t i, uint32_t word) {
      floats[i] = static_cast<float>(kEncoding.least_code() + kEncoding.code_step() * static_cast<int>(word % 256));
    });
  }
  void Run(ExecContext& context) override {
    kernels_.pack_codes(context, kEncoding, floats_.matrix<float>(), codes_.mutable_matrix<uint8_t>());
  }
  bool Right(int64_t i, int64_t j) const override {
    const int code = codes_.matrix<uint8_t>().at(i, j);
    const int64_t value = kEncoding.least_code() + kEncoding.code_step() * code;
    return floats_.matrix<float>().at(i, j) == static_cast<float>(value);
  }

 private:
  static constexpr Encoding kEncoding = {EncodingKind::kSymmetric, 8};
  Tensor floats_, codes_;
};

class UnpackSigns final : public Workload {
 public:
  explicit UnpackSigns(int64_t rows) : bits_(RandomBits(rows)), y_({rows, kCols}, DType::kFloat32) {}
  void Run(ExecContext& context) override { kernels_.unpack_signs(context, bits_.view(), y_.mutable_matrix<float>()); }
  bool Right(int64_t i, int64_t j) const override {
    return y_.matrix<float>().at(i, j) == (bits_.view().bit(i, j) ? 1.0f : -1.0f);
  }

 private:
  BitMatrix bits_;
  Tensor y_;
};

class MaskByBits final : public Workload {
 public:
  explicit MaskByBits(int64_t rows)
      : mask_(RandomBits(rows)), dy_(RandomFloats(rows)), dx_(dy_.shape(), DType::kFloat32) {}
  void Run(ExecContext& context) override {
    kernels_.mask_by_bits(context, mask_.view(), dy_.matrix<float>(), dx_.mutable_matrix<float>());
  }
  bool Right(int64_t i, int64_t j) const override {
    return dx_.matrix<float>().at(i, j) == (mask_.view().bit(i, j) ? dy_.matrix<float>().at(i, j) : 0.0f);
  }

 private:
  BitMatrix mask_;
  Tensor dy_, dx_;
};

template <typename T>
std::unique_ptr<Workload> Make(int64_t rows) {
  return std::make_unique<T>(rows);
}

struct Entry {
  const char* name;
  int bits_per_element;  // bits that are read and written per element
  std::unique_ptr<Workload> (*make)(int64_t rows);
};
constexpr Entry kEntries[] = {
    {"Memcpy", 32 + 32, Make<Memcpy>},
    {"PackSigns", 32 + 1, Make<PackSigns>},
    {"PackSignsWindow", 32 + 2, Make<PackSignsWindow>},
    {"PackPlanes", 8 + 8, Make<PackPlanes>},
    {"PackCodes", 32 + 8, Make<PackCodes>},
    {"UnpackSigns", 1 + 32, Make<UnpackSigns>},
    {"MaskByBits", 32 + 1 + 32, Make<MaskByBits>},
};

struct Place {
  const char* name;
  int64_t bytes;  // of all operands
};
constexpr Place kPlaces[] = {{"l2", 512 << 10}, {"memory", 192 << 20}};

void Run(benchmark::State& state, const Entry& entry, const Place& place, int threads) {
  struct Checked {
    std::unique_ptr<Workload> workload;
    bool right = true;
  };
  const int64_t rows = place.bytes * 8 / (entry.bits_per_element * kCols);
  ExecContext context({.threads = threads});
  static Last<Checked> last;
  Checked& checked = last.Get(absl::StrCat(entry.name, place.name), [&] {
    auto made = std::make_unique<Checked>();
    made->workload = entry.make(rows);
    made->workload->Run(context);
    for (int64_t i = 0; i < rows; ++i) {
      for (int64_t j = 0; j < kCols; ++j) made->right &= made->workload->Right(i, j);
    }
    return made;
  });
  if (!checked.right || !context.status().ok()) {
    state.SkipWithError("the result is wrong");
    return;
  }
  const double seconds = SecondsPerIteration(state, [&] { checked.workload->Run(context); });
  state.counters["GB/s"] = static_cast<double>(rows * kCols) * entry.bits_per_element / 8e9 / seconds;
}

absl::Status Register() {
  for (const Place& place : kPlaces) {
    for (const Entry& entry : kEntries) {
      for (const int threads : {1, 2}) {
        const std::string name = absl::StrCat(entry.name, "/", place.name, "/threads:", threads);
        benchmark::RegisterBenchmark(
            name.c_str(), [&entry, &place, threads](benchmark::State& state) { Run(state, entry, place, threads); })
            ->UseRealTime()
            ->Unit(benchmark::kMicrosecond);
      }
    }
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) {
  return bitgrad::BenchMain(argc, argv, [] { return bitgrad::Register(); });
}
