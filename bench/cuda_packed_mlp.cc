// 10,000 images, the size of the MNIST test set, through 784-4096-4096-4096-10 on a GPU: the packed net against the
// same net in float.
//
//   ./bazelw run //bench:cuda_packed_mlp -- --benchmark_repetitions=5
//
// Nets, all with the same random signs and thresholds:
//   Packed   8-bit pixels times signs to bits, two packed layers to bits, one to floats
//   Naive    floats, one thread per cell: what the papers compare with
//   Bf16     cuBLASLt in bf16; a kernel turns the sums into +-1 between the layers (cuda_baselines.h)
// Before anything is timed, the outputs of the three nets are compared. All sums are integers below 2^24, so they have
// to be equal.
//
// Counter: images/s. Names: NET/batch:B. Without a GPU the suite prints why and fails.

#include <cstdint>
#include <cstring>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/cuda_baselines.h"
#include "bitgrad/bench/cuda_timer.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/cuda/cublas_lt.h"
#include "bitgrad/ops/cuda/naive_gemm.h"
#include "bitgrad/ops/dispatch.h"

namespace bitgrad {
namespace {

constexpr int64_t kPixels = 784, kWidth = 4096, kClasses = 10;
constexpr int kLayers = 4;
constexpr int64_t kIns[kLayers] = {kPixels, kWidth, kWidth, kWidth};
constexpr int64_t kOuts[kLayers] = {kWidth, kWidth, kWidth, kClasses};
constexpr Encoding kPixelCodes = {EncodingKind::kSymmetric, 8};
constexpr Encoding kBinaryCodes = {EncodingKind::kBinary, 1};

// An array in the memory of the context's device, filled from the host.
template <typename T>
class OnDevice {
 public:
  OnDevice(ExecContext& context, int64_t count)
      : context_(context), bytes_(count * sizeof(T)), data_(context.allocator().Allocate(bytes_)) {}
  OnDevice(ExecContext& context, const std::vector<T>& values)
      : OnDevice(context, static_cast<int64_t>(values.size())) {
    context.Upload(data_, values.data(), bytes_);
  }
  ~OnDevice() { context_.allocator().Deallocate(data_, bytes_); }
  OnDevice(const OnDevice&) = delete;
  OnDevice& operator=(const OnDevice&) = delete;
  T* get() const { return static_cast<T*>(data_); }
  std::vector<T> ToHost() const {
    std::vector<T> values(bytes_ / sizeof(T));
    context_.Download(values.data(), data_, bytes_);
    return values;
  }

 private:
  ExecContext& context_;
  size_t bytes_;
  void* data_;
};

uint16_t Bf16OfInteger(int value) {
  // Exact, as the values have up to 8 bits.
  const float x = static_cast<float>(value);
  uint32_t bits;
  std::memcpy(&bits, &x, sizeof bits);
  return static_cast<uint16_t>(bits >> 16);
}

struct Layer {
  Layer(ExecContext& context, std::mt19937& random, int64_t in, int64_t out) : in(in), out(out) {
    const int64_t stride = BitMatrix::WordsPerRow(in);
    std::vector<uint64_t> words(out * stride, 0);
    std::vector<float> signs(out * in);
    std::vector<uint16_t> bf16(out * in);
    for (int64_t i = 0; i < out; ++i) {
      for (int64_t j = 0; j < in; ++j) {
        const bool plus = random() & 1;
        words[i * stride + j / 64] |= uint64_t{plus} << (j % 64);
        signs[i * in + j] = plus ? 1.0f : -1.0f;
        bf16[i * in + j] = plus ? 0x3f80 : 0xbf80;
      }
    }
    std::vector<int32_t> least(out);
    for (int32_t& t : least) t = static_cast<int32_t>(random() % 129) - 64;
    weight_bits = std::make_unique<OnDevice<uint64_t>>(context, words);
    weights = std::make_unique<OnDevice<float>>(context, signs);
    weights_bf16 = std::make_unique<OnDevice<uint16_t>>(context, bf16);
    threshold = std::make_unique<OnDevice<int32_t>>(context, least);
    flip = std::make_unique<OnDevice<uint8_t>>(context, std::vector<uint8_t>(out, 0));
  }
  ConstBitMatrixView bits() const { return {weight_bits->get(), out, in, BitMatrix::WordsPerRow(in)}; }

  int64_t in, out;
  std::unique_ptr<OnDevice<uint64_t>> weight_bits;
  std::unique_ptr<OnDevice<float>> weights;
  std::unique_ptr<OnDevice<uint16_t>> weights_bf16;
  std::unique_ptr<OnDevice<int32_t>> threshold;
  std::unique_ptr<OnDevice<uint8_t>> flip;
};

class Nets {
 public:
  explicit Nets(int64_t batch)
      : batch_(batch),
        logits_(context_, batch * kClasses),
        floats_{{context_, batch * kWidth}, {context_, batch * kWidth}},
        halves_(context_, batch * kWidth),
        bits_{{context_, batch * BitMatrix::WordsPerRow(kWidth)}, {context_, batch * BitMatrix::WordsPerRow(kWidth)}},
        workspace_(context_, cuda::kCublasWorkspaceBytes) {
    std::mt19937 random(1);
    for (int l = 0; l < kLayers; ++l) layers_.push_back(std::make_unique<Layer>(context_, random, kIns[l], kOuts[l]));
    std::vector<uint8_t> codes(batch * kPixels);
    std::vector<float> values(codes.size());
    std::vector<uint16_t> bf16(codes.size());
    for (size_t i = 0; i < codes.size(); ++i) {
      codes[i] = static_cast<uint8_t>(random());
      const int value = 2 * codes[i] - 255;
      values[i] = static_cast<float>(value);
      bf16[i] = Bf16OfInteger(value);
    }
    codes_ = std::make_unique<OnDevice<uint8_t>>(context_, codes);
    images_ = std::make_unique<OnDevice<float>>(context_, values);
    images_bf16_ = std::make_unique<OnDevice<uint16_t>>(context_, bf16);
  }

  ExecContext& context() { return context_; }
  std::vector<float> Logits() const { return logits_.ToHost(); }

  void Packed() {
    const Kernels& kernels = KernelsFor(Device::kCuda);
    ConstPlanesView weights = {.encoding = kBinaryCodes};
    weights.planes[0] = layers_[0]->bits();
    kernels.int8_gemm(context_, {kPixelCodes, {codes_->get(), batch_, kPixels}}, weights,
                      {.bits = Bits(0), .threshold = layers_[0]->threshold->get(), .flip = layers_[0]->flip->get()});
    for (int l = 1; l + 1 < kLayers; ++l) {
      kernels.packed_gemm(
          context_, Bits(l - 1), layers_[l]->bits(),
          {.bits = Bits(l), .threshold = layers_[l]->threshold->get(), .flip = layers_[l]->flip->get()});
    }
    kernels.packed_gemm(context_, Bits(kLayers - 2), layers_.back()->bits(),
                        {.floats = {logits_.get(), batch_, kClasses}});
  }

  void Naive() {
    const float* input = images_->get();
    for (int l = 0; l < kLayers; ++l) {
      const Layer& layer = *layers_[l];
      float* const output = l + 1 < kLayers ? floats_[l % 2].get() : logits_.get();
      cuda::NaiveGemmF32(context_, false, true, 1, {input, batch_, layer.in},
                         {layer.weights->get(), layer.out, layer.in}, 0, {output, batch_, layer.out});
      if (l + 1 < kLayers) SignsOfSums(context_, output, layer.threshold->get(), batch_, layer.out, output);
      input = output;
    }
  }

  void Bf16() {
    const uint16_t* input = images_bf16_->get();
    for (int l = 0; l < kLayers; ++l) {
      const Layer& layer = *layers_[l];
      float* const output = l + 1 < kLayers ? floats_[0].get() : logits_.get();
      const cuda::MatrixProduct product = {.transpose_b = true,
                                           .m = batch_,
                                           .n = layer.out,
                                           .k = layer.in,
                                           .a = input,
                                           .b = layer.weights_bf16->get(),
                                           .c = output,
                                           .stride_a = layer.in,
                                           .stride_b = layer.in,
                                           .stride_c = layer.out,
                                           .type_ab = CUDA_R_16BF};
      const absl::Status error =
          cuda::Multiply(product, workspace_.get(), static_cast<cudaStream_t>(context_.stream()->handle()));
      if (!error.ok()) return context_.ReportError(error);
      if (l + 1 < kLayers) SignsOfSums(context_, output, layer.threshold->get(), batch_, layer.out, halves_.get());
      input = halves_.get();
    }
  }

 private:
  BitMatrixView Bits(int l) const { return {bits_[l % 2].get(), batch_, kWidth, BitMatrix::WordsPerRow(kWidth)}; }

  ExecContext context_{{.device = Device::kCuda}};
  int64_t batch_;
  std::vector<std::unique_ptr<Layer>> layers_;
  std::unique_ptr<OnDevice<uint8_t>> codes_;
  std::unique_ptr<OnDevice<float>> images_;
  std::unique_ptr<OnDevice<uint16_t>> images_bf16_;
  OnDevice<float> logits_;
  OnDevice<float> floats_[2];
  OnDevice<uint16_t> halves_;
  OnDevice<uint64_t> bits_[2];
  OnDevice<char> workspace_;
};

using Net = void (Nets::*)();

void Run(benchmark::State& state, int64_t batch, Net net) {
  Nets nets(batch);
  nets.Packed();
  const std::vector<float> expected = nets.Logits();
  (nets.*net)();
  if (nets.Logits() != expected || !nets.context().status().ok()) {
    const absl::Status& status = nets.context().status();
    return state.SkipWithError(status.ok() ? "the nets disagree" : std::string(status.message()).c_str());
  }
  const double seconds = SecondsPerCall(state, nets.context(), [&](int64_t) { (nets.*net)(); });
  if (seconds > 0) state.counters["images/s"] = static_cast<double>(batch) / seconds;
}

absl::Status Register() {
  BITGRAD_RETURN_IF_ERROR(DeviceStatus(Device::kCuda));
  for (const int64_t batch : {1, 100, 1000, 10000}) {
    const auto add = [&](const char* name, Net net) {
      benchmark::RegisterBenchmark(absl::StrCat(name, "/batch:", batch).c_str(),
                                   [=](benchmark::State& state) { Run(state, batch, net); })
          ->UseManualTime()
          ->Unit(benchmark::kMicrosecond);
    };
    add("Packed", &Nets::Packed);
    add("Naive", &Nets::Naive);
    add("Bf16", &Nets::Bf16);
  }
  return absl::OkStatus();
}

}  // namespace
}  // namespace bitgrad

int main(int argc, char** argv) { return bitgrad::BenchMain(argc, argv, bitgrad::Register); }
