#include "bitgrad/ops/tap_attention.h"

#include <algorithm>
#include <any>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "bitgrad/core/parallel_for.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/op_recorder.h"
#include "bitgrad/ops/tap_probabilities.h"

namespace bitgrad {
namespace {

// Filters and channels of a kernel, and its taps.
struct Extents {
  int64_t filters, taps, channels;
  int64_t filter_size() const { return taps * channels; }
};

bool IsOnCpu(OpRecorder& op, absl::string_view name) {
  if (op.context().device() == Device::kCpu) return true;
  op.tape().ReportError(absl::UnimplementedError(absl::StrCat(name, ": there is no kernel for a GPU; use the CPU")));
  return false;
}

// P of the attention of `rows` rows, [rows, taps, channels].
Tensor Probabilities(ExecContext& context, const Extents& extents, int64_t rows, const float* a, float temperature) {
  Tensor p({rows, extents.taps, extents.channels}, DType::kFloat32, context.allocator());
  float* const out = p.mutable_data<float>();
  ParallelFor(context.threads(), rows, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      const int64_t offset = o * extents.filter_size();
      TapProbabilities(extents.taps, extents.channels, a + offset, temperature, out + offset);
    }
  });
  return p;
}

// The kept tap of each kernel of `rows` rows, [rows, channels]; the number of taps where there is none.
std::vector<uint8_t> Kept(const Extents& extents, int64_t rows, const float* p) {
  std::vector<uint8_t> kept(static_cast<size_t>(rows * extents.channels));
  for (int64_t o = 0; o < rows; ++o) {
    KeptTaps(extents.taps, extents.channels, p + o * extents.filter_size(), &kept[o * extents.channels]);
  }
  return kept;
}

// An encoding that has the codes of `encoding` and 0; none where 8 bits are too few.
absl::optional<Encoding> WithZero(const Encoding& encoding) {
  switch (encoding.kind) {
    case EncodingKind::kBinary: return Encoding{EncodingKind::kTernary, 2};
    case EncodingKind::kSymmetric:
      if (encoding.bits >= 8) return absl::nullopt;
      return Encoding{EncodingKind::kTwosComplement, encoding.bits + 1};
    case EncodingKind::kTernary:
    case EncodingKind::kUnsigned:
    case EncodingKind::kTwosComplement:
    case EncodingKind::kLog: return encoding;
    default: return absl::nullopt;
  }
}

int64_t CodeAt(const CodedTensor& coded, int64_t row, int64_t col) {
  if (coded.is_binary()) return coded.bits->view().bit(row, col) ? 1 : -1;
  return coded.encoding.code(coded.codes.matrix<uint8_t>().row(row)[col]);
}

// Where element `col` of a filter of the result comes from: an element of the filter of w, or -1: it is 0.
template <typename Source>
std::shared_ptr<const CodedTensor> SelectCodes(ExecContext& context, const CodedTensor& w, const Extents& extents,
                                               const Source& source) {
  const absl::optional<Encoding> encoding = WithZero(w.encoding);
  if (!encoding.has_value()) return nullptr;
  auto result = std::make_shared<CodedTensor>();
  result->encoding = *encoding;
  result->matrix = Shape({extents.filters, extents.filter_size()});
  result->factor = w.factor;
  if (!w.scale.is_null()) result->scale = w.scale.Alias();
  result->codes = Tensor(result->matrix, DType::kUint8, context.allocator());
  const MatrixView<uint8_t> codes = result->codes.mutable_matrix<uint8_t>();
  const uint8_t zero = static_cast<uint8_t>(encoding->stored(0));
  for (int64_t o = 0; o < extents.filters; ++o) {
    for (int64_t col = 0; col < codes.cols; ++col) {
      const int64_t from = source(o, col);
      codes.row(o)[col] = from < 0 ? zero : static_cast<uint8_t>(encoding->stored(CodeAt(w, o, from)));
    }
  }
  return result;
}

}  // namespace

Var TapAttention(const Var& w, const Var& attention, const Var& temperature, bool hard) {
  OpRecorder op("tap_attention", {w, attention, temperature});
  if (!op.ok()) return op.Failed();
  const Shape shape = w.shape(), a_shape = attention.shape(), t_shape = temperature.shape();
  if (shape.rank() != 4 || shape.num_elements() == 0) {
    return op.Fail("weight ", shape.ToString(), " has to be [filters, height, width, channels], not empty");
  }
  const Extents extents = {shape.dim(0), shape.dim(1) * shape.dim(2), shape.dim(3)};
  if (extents.taps < 2 || extents.taps > kMaxTaps) {
    return op.Fail("weight ", shape.ToString(), " has ", extents.taps, " taps; it has to have 2 to ", kMaxTaps);
  }
  const Shape shared({1, shape.dim(1), shape.dim(2), shape.dim(3)});
  if (a_shape != shape && a_shape != shared) {
    return op.Fail("attention ", a_shape.ToString(), " of weight ", shape.ToString(), " has to be as the weight, or ",
                   shared.ToString());
  }
  if (t_shape.num_elements() != 1) {
    return op.Fail("temperature ", t_shape.ToString(), " has to be one number");
  }
  if (!IsOnCpu(op, "tap_attention")) return op.Failed();
  ExecContext& context = op.context();
  const int64_t rows = a_shape.dim(0), size = extents.filter_size();
  const int64_t stride = rows == 1 ? 0 : size;  // of A and P from filter to filter
  const float t = op.value(2).data<float>()[0];
  const Tensor p = Probabilities(context, extents, rows, op.value(1).data<float>(), t);
  Tensor factors = p.Alias();  // of w
  std::shared_ptr<const CodedTensor> coded;
  if (hard) {
    const std::vector<uint8_t> kept = Kept(extents, rows, p.data<float>());
    factors = Tensor(p.shape(), DType::kFloat32, context.allocator());
    float* const out = factors.mutable_data<float>();
    for (int64_t o = 0; o < rows; ++o) {
      for (int64_t j = 0; j < size; ++j) {
        out[o * size + j] = kept[o * extents.channels + j % extents.channels] == j / extents.channels ? 1.0f : 0.0f;
      }
    }
    if (op.coded(0) != nullptr) {
      coded = SelectCodes(context, *op.coded(0), extents,
                          [&](int64_t o, int64_t col) { return out[o * stride + col] != 0 ? col : -1; });
    }
  }
  Tensor y = op.NewTensor(shape);
  const float* const from = op.value(0).data<float>();
  const float* const factor = factors.data<float>();
  float* const to = y.mutable_data<float>();
  ParallelFor(context.threads(), extents.filters, 1, [&](int64_t begin, int64_t end) {
    for (int64_t o = begin; o < end; ++o) {
      for (int64_t j = 0; j < size; ++j) {
        // A tap that is left out is 0, not -0, whatever the sign of its weight.
        const float f = factor[o * stride + j];
        to[o * size + j] = f == 0.0f ? 0.0f : f * from[o * size + j];
      }
    }
  });
  const int64_t count = shape.num_elements(), attended = rows * size;
  op.tape().Count({.float_multiplications = count + 3 * attended, .float_additions = 3 * attended});
  Tensor saved_w, saved_a;
  if (op.wants(1) && !hard) {
    saved_w = op.value(0).Alias();
    saved_a = op.value(1).Alias();
  }
  Tape::NodeValue value;
  value.value = std::move(y);
  value.coded = std::move(coded);
  return op.Record(
      shape, std::move(value), {{"hard", std::any(hard)}},
      [=, w = std::move(saved_w), a = std::move(saved_a), factors = std::move(factors)](Tape::GradientSink& sink) {
        const Tensor dy_tensor = sink.output_gradient().Alias();
        const float* const dy = dy_tensor.data<float>();
        const float* const p = factors.data<float>();
        if (sink.wants(0)) {
          Tensor dw = NewTensor(sink, shape);
          float* const out = dw.mutable_data<float>();
          ParallelFor(sink.context().threads(), extents.filters, 1, [&](int64_t begin, int64_t end) {
            for (int64_t o = begin; o < end; ++o) {
              for (int64_t j = 0; j < size; ++j) out[o * size + j] = dy[o * size + j] * p[o * stride + j];
            }
          });
          sink.Count({.float_multiplications = count});
          sink.Add(0, std::move(dw));
        }
        if (!sink.wants(1) || hard) return;
        Tensor da = NewTensor(sink, a_shape);
        float* const out = da.mutable_data<float>();
        const float* const weights = w.data<float>();
        if (stride != 0) {
          ParallelFor(sink.context().threads(), rows, 1, [&](int64_t begin, int64_t end) {
            std::vector<double> dp(static_cast<size_t>(size));
            for (int64_t o = begin; o < end; ++o) {
              const int64_t at = o * size;
              for (int64_t j = 0; j < size; ++j) dp[j] = double{dy[at + j]} * double{weights[at + j]};
              TapProbabilitiesBackward(extents.taps, extents.channels, a.data<float>() + at, t, p + at, dp.data(),
                                       out + at);
            }
          });
        } else {
          // All filters have the same P: their gradients add up, in the filters' order.
          std::vector<double> dp(static_cast<size_t>(size), 0.0);
          for (int64_t o = 0; o < extents.filters; ++o) {
            for (int64_t j = 0; j < size; ++j) dp[j] += double{dy[o * size + j]} * double{weights[o * size + j]};
          }
          TapProbabilitiesBackward(extents.taps, extents.channels, a.data<float>(), t, p, dp.data(), out);
        }
        sink.Count({.float_multiplications = count + 5 * attended, .float_additions = count + 4 * attended});
        sink.Add(1, std::move(da));
      });
}

Var SpreadOverTaps(const Var& w, absl::Span<const uint8_t> taps, int64_t kernel) {
  OpRecorder op("spread_over_taps", {w});
  if (!op.ok()) return op.Failed();
  const Shape from = w.shape();
  if (from.rank() != 4 || from.dim(1) != 1 || from.dim(2) != 1 || from.num_elements() == 0) {
    return op.Fail("weight ", from.ToString(), " has to be [filters, 1, 1, channels], not empty");
  }
  if (kernel < 1 || kernel > 3) return op.Fail("kernel ", kernel, " has to be 1 to 3");
  const Extents extents = {from.dim(0), kernel * kernel, from.dim(3)};
  if (static_cast<int64_t>(taps.size()) != extents.channels) {
    return op.Fail(taps.size(), " taps for ", extents.channels, " channels");
  }
  for (const uint8_t tap : taps) {
    if (tap >= extents.taps) return op.Fail("tap ", int{tap}, " of a kernel that has ", extents.taps);
  }
  const Shape shape({extents.filters, kernel, kernel, extents.channels});
  if (!op.CheckResult(shape) || !IsOnCpu(op, "spread_over_taps")) return op.Failed();
  const int64_t channels = extents.channels, size = extents.filter_size();
  Tensor y = op.NewTensor(shape);
  const float* const weights = op.value(0).data<float>();
  float* const to = y.mutable_data<float>();
  std::fill(to, to + shape.num_elements(), 0.0f);
  for (int64_t o = 0; o < extents.filters; ++o) {
    for (int64_t i = 0; i < channels; ++i) to[o * size + taps[i] * channels + i] = weights[o * channels + i];
  }
  Tape::NodeValue value;
  value.value = std::move(y);
  if (op.coded(0) != nullptr) {
    value.coded = SelectCodes(op.context(), *op.coded(0), extents, [&](int64_t, int64_t col) {
      const int64_t i = col % channels;
      return taps[i] == col / channels ? i : -1;
    });
  }
  return op.Record(shape, std::move(value), {},
                   [=, taps = std::vector<uint8_t>(taps.begin(), taps.end())](Tape::GradientSink& sink) {
                     Tensor dw = NewTensor(sink, from);
                     float* const out = dw.mutable_data<float>();
                     const float* const dy = sink.output_gradient().data<float>();
                     for (int64_t o = 0; o < extents.filters; ++o) {
                       for (int64_t i = 0; i < channels; ++i) {
                         out[o * channels + i] = dy[o * size + taps[i] * channels + i];
                       }
                     }
                     sink.Add(0, std::move(dw));
                   });
}

int64_t CountZeroKernels(ExecContext& context, const Tensor& attention, const Tensor& temperature, int64_t filters) {
  const Tensor a = ToHost(context, attention), t = ToHost(context, temperature);
  const Shape& shape = a.shape();
  const int64_t rows = shape.dim(0), taps = shape.dim(1) * shape.dim(2), channels = shape.dim(3);
  std::vector<float> p(static_cast<size_t>(taps * channels));
  std::vector<uint8_t> kept(static_cast<size_t>(channels));
  int64_t zero = 0;
  for (int64_t o = 0; o < rows; ++o) {
    TapProbabilities(taps, channels, a.data<float>() + o * taps * channels, t.data<float>()[0], p.data());
    KeptTaps(taps, channels, p.data(), kept.data());
    for (const uint8_t tap : kept) zero += tap == taps;
  }
  return rows == 1 ? zero * filters : zero;
}

}  // namespace bitgrad
