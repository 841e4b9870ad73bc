// Packed convolution against oneDNN's float and int8 convolutions, one layer after the other in one run.
//
//   ./bazelw run //bench:packed_conv2d -- --benchmark_filter=resnet18 --benchmark_repetitions=5
//
// Shapes: bench/shapes/conv/*.txt (bench/shapes.h), with one image and with eight, on one thread and on two; a border
// of zeros. Names of benchmarks: WORKLOAD/FAMILY/NAME/batch:N/threads:T. Workloads:
//   Float            the baseline: oneDNN's direct f32 convolution, with operands in the layouts that it prefers
//   Int8             oneDNN's u8 x s8 -> s32, likewise
//   PackAndConvolve  float activations packed, then convolved into floats, as in a layer's forward pass in training
//   PackedToBits     packed images to threshold bits, as in an inner layer of a frozen net
//   W2A2, W4A4       images of codes of 2 (4) bits and weights of as many to such codes, by 3 (15) thresholds
// oneDNN's preparations are not timed; the packing of bitgrad's filters into panels is.
//
// Operands are random signs; for Int8 the input's elements are 0 and 1. Before anything of a shape is timed, every
// result is compared with the float convolution of the same numbers, which is exact; none may differ.
//
// Counter: GMAC/s. A MAC is a multiplication and an addition of one element, however many bits it has; those of the
// border count.
//
// Flags: --hwy_target (bench/bench_main.h).

#include <omp.h>

#include <cmath>
#include <cstdint>
#include <memory>
#include <string>
#include <unordered_map>
#include <vector>

#include "absl/strings/str_cat.h"
#include "benchmark/benchmark.h"
#include "bitgrad/bench/bench_main.h"
#include "bitgrad/bench/last.h"
#include "bitgrad/bench/shapes.h"
#include "bitgrad/core/bit_matrix.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/rng.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/dispatch.h"
#include "oneapi/dnnl/dnnl.hpp"

namespace bitgrad {
namespace {

using dnnl::memory;

ConvGeometry GeometryOf(const ConvShape& shape, int64_t batch) {
  return {.batch = batch,
          .height = shape.height,
          .width = shape.width,
          .channels = shape.channels,
          .filters = shape.filters,
          .kernel_height = shape.kernel,
          .kernel_width = shape.kernel,
          .stride_height = shape.stride,
          .stride_width = shape.stride,
          .pad_height = shape.kernel / 2,
          .pad_width = shape.kernel / 2};
}

// oneDNN's convolution, ready to run. It is made for the number of threads that is set at that time.
class OneDnnConvolution {
 public:
  OneDnnConvolution(const ConvGeometry& g, const std::vector<float>& x, const std::vector<float>& w,
                    memory::data_type x_type, memory::data_type w_type, memory::data_type y_type)
      : y_dims_({g.batch, g.filters, g.out_height(), g.out_width()}) {
    using Tag = memory::format_tag;
    const memory::dims x_dims = {g.batch, g.channels, g.height, g.width};
    const memory::dims w_dims = {g.filters, g.channels, g.kernel_height, g.kernel_width};
    const memory::dims pads = {g.pad_height, g.pad_width};
    const dnnl::convolution_forward::primitive_desc primitive({dnnl::prop_kind::forward_inference,
                                                               dnnl::algorithm::convolution_direct,
                                                               {x_dims, x_type, Tag::any},
                                                               {w_dims, w_type, Tag::any},
                                                               {y_dims_, y_type, Tag::any},
                                                               {g.stride_height, g.stride_width},
                                                               pads,
                                                               pads},
                                                              engine_);
    x_ = Prepare(x, x_dims, Tag::nhwc, primitive.src_desc());
    w_ = Prepare(w, w_dims, Tag::ohwi, primitive.weights_desc());
    y_ = memory(primitive.dst_desc(), engine_);
    convolution_ = dnnl::convolution_forward(primitive);
    arguments_ = {{DNNL_ARG_SRC, x_}, {DNNL_ARG_WEIGHTS, w_}, {DNNL_ARG_DST, y_}};
  }

  void Run() {
    convolution_.execute(stream_, arguments_);
    stream_.wait();
  }

  // The output [N*P*Q, O].
  std::vector<float> Output() {
    memory y({y_dims_, memory::data_type::f32, memory::format_tag::nhwc}, engine_);
    dnnl::reorder(y_, y).execute(stream_, y_, y);
    stream_.wait();
    const float* values = static_cast<const float*>(y.get_data_handle());
    return {values, values + y.get_desc().get_size() / sizeof(float)};
  }

 private:
  memory Prepare(const std::vector<float>& values, const memory::dims& dims, memory::format_tag tag,
                 const memory::desc& wanted) {
    memory given({dims, memory::data_type::f32, tag}, engine_, const_cast<float*>(values.data()));
    memory prepared(wanted, engine_);
    dnnl::reorder(given, prepared).execute(stream_, given, prepared);
    stream_.wait();
    return prepared;
  }

  dnnl::engine engine_{dnnl::engine::kind::cpu, 0};
  dnnl::stream stream_{engine_};
  const memory::dims y_dims_;
  memory x_, w_, y_;
  dnnl::convolution_forward convolution_;
  std::unordered_map<int, memory> arguments_;
};

std::vector<float> RandomSigns(uint32_t stream, int64_t count) {
  const RngStream rng{.seed = 7, .stream = stream};
  std::vector<float> signs(static_cast<size_t>(count));
  for (int64_t i = 0; i < count; ++i) signs[i] = RandomWord(rng, i) & 1 ? 1.0f : -1.0f;
  return signs;
}

std::vector<float> ZerosAndOnes(const std::vector<float>& signs) {
  std::vector<float> values(signs.size());
  for (size_t i = 0; i < signs.size(); ++i) values[i] = signs[i] > 0 ? 1.0f : 0.0f;
  return values;
}

// Images and filters of k-bit codes: unsigned activations, weights in two's complement.
class CodedLayer {
 public:
  CodedLayer(ExecContext& context, const ConvGeometry& g, int bits)
      : g_(g),
        levels_((1 << bits) - 1),
        x_encoding_{EncodingKind::kUnsigned, bits},
        w_encoding_{EncodingKind::kTwosComplement, bits},
        x_(static_cast<size_t>(g.batch * g.height * g.width * g.channels)),
        w_(static_cast<size_t>(g.filters * g.patch_size())),
        threshold_(static_cast<size_t>(levels_ * g.filters)),
        flip_(static_cast<size_t>(g.filters)),
        y_(static_cast<size_t>(g.pixels() * g.filters)) {
    const RngStream rng{.seed = 7, .stream = static_cast<uint32_t>(10 + bits)};
    uint64_t next = 0;
    for (uint8_t& c : x_) c = static_cast<uint8_t>(RandomWord(rng, next++) & levels_);
    for (uint8_t& c : w_) c = static_cast<uint8_t>(RandomWord(rng, next++) & levels_);
    // Around the mean of the sums, as far apart as spreads them over all codes.
    const double count = static_cast<double>(g.patch_size()), codes = levels_ + 1.0;
    const double mean = -0.5 * 0.5 * levels_ * count, deviation = codes * codes / 6 * std::sqrt(count);
    for (int l = 0; l < levels_; ++l) {
      const double threshold = mean + deviation * 3 * ((l + 1) / codes - 0.5);
      for (int64_t o = 0; o < g.filters; ++o) threshold_[l * g.filters + o] = static_cast<int32_t>(threshold) + o % 7;
    }
    for (int64_t o = 0; o < g.filters; ++o) flip_[o] = RandomWord(rng, next++) & 1;
    planes_.encoding = w_encoding_;
    BitMatrixView planes[kMaxCodeBits];
    for (int q = 0; q < bits; ++q) {
      plane_bits_.emplace_back(g.filters, g.patch_size());
      planes[q] = plane_bits_[q].mutable_view();
      planes_.planes[q] = planes[q];
    }
    KernelsFor(Device::kCpu).pack_planes(context, {w_.data(), g.filters, g.patch_size()}, bits, planes);
  }

  void Run(ExecContext& context) {
    KernelsFor(Device::kCpu)
        .coded_conv2d(context, g_, {x_encoding_, {x_.data(), g_.batch, g_.height * g_.width * g_.channels}}, planes_, 0,
                      {.codes = {y_.data(), g_.pixels(), g_.filters},
                       .levels = levels_,
                       .threshold = threshold_.data(),
                       .flip = flip_.data()});
  }

  // Whether Run() has made the codes of the float convolution's sums.
  bool IsRight() const {
    OneDnnConvolution floats(g_, Codes(x_encoding_, x_), Codes(w_encoding_, w_), memory::data_type::f32,
                             memory::data_type::f32, memory::data_type::f32);
    floats.Run();
    const std::vector<float> sums = floats.Output();
    for (int64_t i = 0; i < g_.pixels() * g_.filters; ++i) {
      const int64_t o = i % g_.filters;
      int code = 0;
      for (int l = 0; l < levels_; ++l) code += static_cast<int32_t>(sums[i]) >= threshold_[l * g_.filters + o] ? 1 : 0;
      if (y_[i] != (flip_[o] != 0 ? levels_ - code : code)) return false;
    }
    return true;
  }

 private:
  static std::vector<float> Codes(const Encoding& encoding, const std::vector<uint8_t>& stored) {
    std::vector<float> codes;
    for (const uint8_t c : stored) {
      codes.push_back(static_cast<float>(encoding.least_code() + encoding.code_step() * c));
    }
    return codes;
  }

  const ConvGeometry g_;
  const int levels_;
  const Encoding x_encoding_, w_encoding_;
  std::vector<uint8_t> x_, w_;
  std::vector<int32_t> threshold_;
  std::vector<uint8_t> flip_, y_;
  std::vector<BitMatrix> plane_bits_;
  ConstPlanesView planes_;
};

// A layer's operands in every form, its results, and every way to compute them.
class Problem {
 public:
  Problem(const ConvGeometry& geometry, int threads)
      : context_({.threads = SetOneDnnThreads(threads)}),
        g_(geometry),
        x_(RandomSigns(1, g_.batch * g_.height * g_.width * g_.channels)),
        w_(RandomSigns(2, g_.filters * g_.patch_size())),
        float_(g_, x_, w_, memory::data_type::f32, memory::data_type::f32, memory::data_type::f32),
        int8_(g_, ZerosAndOnes(x_), w_, memory::data_type::u8, memory::data_type::s8, memory::data_type::s32),
        x_bits_(g_.batch, g_.height * g_.width * g_.channels),
        w_bits_(g_.filters, g_.patch_size()),
        y_(static_cast<size_t>(g_.pixels() * g_.filters)),
        threshold_(static_cast<size_t>(g_.filters)),
        flip_(static_cast<size_t>(g_.filters)),
        y_bits_(g_.batch, g_.out_height() * g_.out_width() * g_.filters),
        w2a2_(context_, g_, 2),
        w4a4_(context_, g_, 4) {
    const RngStream rng{.seed = 7, .stream = 3};
    for (int64_t o = 0; o < g_.filters; ++o) {
      // Within two standard deviations of a sum, so that both bits are frequent.
      threshold_[o] =
          static_cast<int32_t>((4 * Uniform(rng, 2 * o) - 2) * std::sqrt(static_cast<double>(g_.patch_size())));
      flip_[o] = RandomWord(rng, 2 * o + 1) & 1;
    }
    kernels_.pack_signs(context_, {w_.data(), g_.filters, g_.patch_size()}, w_bits_.mutable_view(), {});
    Check();
  }

  double macs() const { return static_cast<double>(g_.macs()); }
  // The workload whose result differed from the float convolution; empty if none did.
  const std::string& wrong() const { return wrong_; }

  const ExecContext& context() const { return context_; }

  void Float() { float_.Run(); }
  void Int8() { int8_.Run(); }
  void PackAndConvolve() {
    kernels_.pack_signs(context_, {x_.data(), x_bits_.rows(), x_bits_.cols()}, x_bits_.mutable_view(), {});
    kernels_.packed_conv2d(context_, g_, x_bits_.view(), w_bits_.view(),
                           {.floats = {y_.data(), g_.pixels(), g_.filters}});
  }
  void PackedToBits() {
    kernels_.packed_conv2d(context_, g_, x_bits_.view(), w_bits_.view(),
                           {.bits = y_bits_.mutable_view(), .threshold = threshold_.data(), .flip = flip_.data()});
  }
  void W2A2() { w2a2_.Run(context_); }
  void W4A4() { w4a4_.Run(context_); }

 private:
  static int SetOneDnnThreads(int threads) {
    omp_set_num_threads(threads);
    return threads;
  }

  void Check() {
    const auto check = [&](const char* workload, bool same) {
      if (!(same && context_.status().ok()) && wrong_.empty()) wrong_ = workload;
    };
    Float();
    const std::vector<float> expected = float_.Output();
    PackAndConvolve();
    check("PackAndConvolve", y_ == expected);
    PackedToBits();
    bool same = true;
    for (int64_t i = 0; i < g_.pixels() * g_.filters; ++i) {
      const int64_t o = i % g_.filters;
      const bool bit = (static_cast<int32_t>(expected[i]) >= threshold_[o]) != (flip_[o] != 0);
      same &= y_bits_.view().bit(i / y_bits_.cols(), i % y_bits_.cols()) == bit;
    }
    check("PackedToBits", same);
    W2A2();
    check("W2A2", w2a2_.IsRight());
    W4A4();
    check("W4A4", w4a4_.IsRight());
    Int8();
    OneDnnConvolution same_numbers(g_, ZerosAndOnes(x_), w_, memory::data_type::f32, memory::data_type::f32,
                                   memory::data_type::f32);
    same_numbers.Run();
    check("Int8", int8_.Output() == same_numbers.Output());
  }

  const Kernels& kernels_ = KernelsFor(Device::kCpu);
  ExecContext context_;  // declared first, because oneDNN's convolutions are made for its number of threads
  const ConvGeometry g_;
  const std::vector<float> x_, w_;
  OneDnnConvolution float_, int8_;
  BitMatrix x_bits_, w_bits_;
  std::vector<float> y_;
  std::vector<int32_t> threshold_;
  std::vector<uint8_t> flip_;
  BitMatrix y_bits_;
  CodedLayer w2a2_, w4a4_;
  std::string wrong_;
};

struct Workload {
  const char* name;
  void (Problem::*run)();
};
constexpr Workload kWorkloads[] = {{"Float", &Problem::Float},
                                   {"Int8", &Problem::Int8},
                                   {"PackAndConvolve", &Problem::PackAndConvolve},
                                   {"PackedToBits", &Problem::PackedToBits},
                                   {"W2A2", &Problem::W2A2},
                                   {"W4A4", &Problem::W4A4}};

void Run(benchmark::State& state, const std::string& layer, const ConvGeometry& geometry, const Workload& workload,
         int threads) {
  static Last<Problem> last;
  Problem& problem =
      last.Get(absl::StrCat(layer, "/", threads), [&] { return std::make_unique<Problem>(geometry, threads); });
  if (!problem.wrong().empty()) {
    state.SkipWithError((problem.wrong() + " differs from the float convolution").c_str());
    return;
  }
  const double seconds = SecondsPerIteration(state, [&] { (problem.*workload.run)(); });
  if (!problem.context().status().ok()) {
    state.SkipWithError(std::string(problem.context().status().message()).c_str());
  }
  state.counters["GMAC/s"] = problem.macs() * 1e-9 / seconds;
}

absl::Status Register() {
  BITGRAD_ASSIGN_OR_RETURN(const std::string directory, FindShapesDirectory());
  BITGRAD_ASSIGN_OR_RETURN(const std::vector<ConvShapeFamily> families, ReadConvShapeFamilies(directory + "/conv"));
  for (const ConvShapeFamily& family : families) {
    for (const ConvShape& shape : family.shapes) {
      for (const int64_t batch : {1, 8}) {
        const std::string layer = absl::StrCat(family.name, "/", shape.name, "/batch:", batch);
        const ConvGeometry geometry = GeometryOf(shape, batch);
        for (const int threads : {1, 2}) {
          for (const Workload& workload : kWorkloads) {
            // Wall time, because with several threads the main thread's own time says little.
            benchmark::RegisterBenchmark(absl::StrCat(workload.name, "/", layer, "/threads:", threads).c_str(),
                                         [layer, geometry, &workload, threads](benchmark::State& state) {
                                           Run(state, layer, geometry, workload, threads);
                                         })
                ->UseRealTime()
                ->Unit(benchmark::kMicrosecond);
          }
        }
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
