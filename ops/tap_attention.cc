#include "bitgrad/ops/tap_attention.h"

#include <any>
#include <memory>
#include <utility>
#include <vector>

#include "absl/types/optional.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/ops/kernels/tap_probabilities.h"
#include "bitgrad/ops/op_recorder.h"

namespace bitgrad {
namespace {

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

// How stored codes become those of an encoding that has a zero beside them.
CodesWithZero MapOf(const Encoding& from, const Encoding& to) {
  CodesWithZero map = {.zero = static_cast<uint8_t>(to.stored(0))};
  if (from == to) return map;
  map.offset = static_cast<int32_t>(to.stored(from.code(0)));
  map.factor = static_cast<int32_t>(to.stored(from.code(1))) - map.offset;
  return map;
}

// The kept kernels of codes; null where they have no encoding with a zero.
std::shared_ptr<const CodedTensor> KeptCodes(OpRecorder& op, const CodedTensor& w, const TapSelection& selection) {
  const absl::optional<Encoding> encoding = WithZero(w.encoding);
  if (!encoding.has_value()) return nullptr;
  auto result = std::make_shared<CodedTensor>();
  result->encoding = *encoding;
  result->matrix = Shape({selection.extents.filters, selection.extents.filter_size()});
  result->factor = w.factor;
  if (!w.scale.is_null()) result->scale = w.scale.Alias();
  result->codes = op.NewTensor(result->matrix, DType::kUint8);
  op.kernels().keep_tap_codes(op.context(), selection, MapOf(w.encoding, *encoding),
                              w.is_binary() ? ConstMatrixView<uint8_t>() : w.codes.matrix<uint8_t>(),
                              w.is_binary() ? w.bits->view() : ConstBitMatrixView(),
                              result->codes.mutable_data<uint8_t>());
  return result;
}

// The kernels of operand 0 of one tap or none; `kept` has what selection.kept points to.
Var KeepSelected(OpRecorder& op, const Shape& shape, const TapSelection& selection, Tensor kept,
                 absl::InlinedVector<Attribute, 1> attributes) {
  Tape::NodeValue value;
  value.value = op.NewTensor(shape);
  op.kernels().keep_taps(op.context(), selection, op.value(0).data<float>(), value.value.mutable_data<float>());
  if (op.coded(0) != nullptr) value.coded = KeptCodes(op, *op.coded(0), selection);
  return op.Record(shape, std::move(value), std::move(attributes),
                   [selection, from = op.value(0).shape(), kept = std::move(kept)](Tape::GradientSink& sink) {
                     if (!sink.wants(0)) return;
                     Tensor dw = NewTensor(sink, from);
                     KernelsOf(sink).keep_taps_backward(sink.context(), selection, sink.output_gradient().data<float>(),
                                                        dw.mutable_data<float>());
                     sink.Add(0, std::move(dw));
                   });
}

}  // namespace

Var TapAttention(const Var& w, const Var& attention, const Var& temperature, bool hard) {
  OpRecorder op("tap_attention", {w, attention, temperature});
  if (!op.ok()) return op.Failed();
  const Shape shape = w.shape(), a_shape = attention.shape(), t_shape = temperature.shape();
  if (shape.rank() != 4 || shape.num_elements() == 0) {
    return op.Fail("weight ", shape.ToString(), " has to be [filters, height, width, channels], not empty");
  }
  const TapExtents extents = {shape.dim(0), shape.dim(1) * shape.dim(2), shape.dim(3)};
  if (extents.taps < 2 || extents.taps > kMaxTaps) {
    return op.Fail("weight ", shape.ToString(), " has ", extents.taps, " taps; it has to have 2 to ", kMaxTaps);
  }
  const Shape one({1, shape.dim(1), shape.dim(2), shape.dim(3)});
  if (a_shape != shape && a_shape != one) {
    return op.Fail("attention ", a_shape.ToString(), " of weight ", shape.ToString(), " has to be as the weight, or ",
                   one.ToString());
  }
  if (t_shape.num_elements() != 1) {
    return op.Fail("temperature ", t_shape.ToString(), " has to be one number");
  }
  const bool shared = a_shape.dim(0) == 1;
  const TapExtents chosen = {a_shape.dim(0), extents.taps, extents.channels};
  Tensor p = op.NewTensor(a_shape);
  op.kernels().tap_probabilities(op.context(), chosen, op.value(1).data<float>(), op.value(2).data<float>(),
                                 p.mutable_data<float>());
  const int64_t count = shape.num_elements(), attended = chosen.size();
  op.tape().Count({.float_multiplications = count + 3 * attended, .float_additions = 3 * attended});
  if (hard) {
    Tensor kept = op.NewTensor({chosen.filters, chosen.channels}, DType::kUint8);
    op.kernels().kept_taps(op.context(), chosen, p.data<float>(), kept.mutable_data<uint8_t>());
    const TapSelection selection = {.extents = extents, .kept = kept.data<uint8_t>(), .shared = shared};
    return KeepSelected(op, shape, selection, std::move(kept), {{"hard", std::any(true)}});
  }
  const int64_t filters = extents.filters, size = extents.filter_size();
  const auto per_filter = [=](const Tensor& probabilities) {
    return ConstMatrixView<float>(probabilities.data<float>(), filters, size, shared ? 0 : size);
  };
  Tensor y = op.NewTensor(shape);
  op.kernels().binary_forward(op.context(), Binary::kMul, {op.value(0).data<float>(), filters, size}, per_filter(p),
                              {y.mutable_data<float>(), filters, size});
  Tensor saved_w, saved_a, saved_t;
  if (op.wants(1)) {
    saved_w = op.value(0).Alias();
    saved_a = op.value(1).Alias();
    saved_t = op.value(2).Alias();
  }
  return op.Record(
      std::move(y), {{"hard", std::any(false)}},
      [=, w = std::move(saved_w), a = std::move(saved_a), t = std::move(saved_t),
       p = std::move(p)](Tape::GradientSink& sink) {
        const float* const dy = sink.output_gradient().data<float>();
        if (sink.wants(0)) {
          Tensor dw = NewTensor(sink, shape);
          KernelsOf(sink).binary_forward(sink.context(), Binary::kMul, {dy, filters, size}, per_filter(p),
                                         {dw.mutable_data<float>(), filters, size});
          sink.Count({.float_multiplications = count});
          sink.Add(0, std::move(dw));
        }
        if (!sink.wants(1)) return;
        Tensor da = NewTensor(sink, a_shape);
        KernelsOf(sink).tap_attention_backward(sink.context(), extents, shared, w.data<float>(), dy, a.data<float>(),
                                               t.data<float>(), p.data<float>(), da.mutable_data<float>());
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
  const TapExtents extents = {from.dim(0), kernel * kernel, from.dim(3)};
  if (static_cast<int64_t>(taps.size()) != extents.channels) {
    return op.Fail(taps.size(), " taps for ", extents.channels, " channels");
  }
  for (const uint8_t tap : taps) {
    if (tap >= extents.taps) return op.Fail("tap ", int{tap}, " of a kernel that has ", extents.taps);
  }
  const Shape shape({extents.filters, kernel, kernel, extents.channels});
  if (!op.CheckResult(shape)) return op.Failed();
  Tensor kept = op.NewTensor({extents.channels}, DType::kUint8);
  op.kernels().write_bytes(op.context(), taps, kept.mutable_data<uint8_t>());
  const TapSelection selection = {.extents = extents, .kept = kept.data<uint8_t>(), .shared = true, .spreads = true};
  return KeepSelected(op, shape, selection, std::move(kept), {});
}

int64_t CountZeroKernels(ExecContext& context, const Tensor& attention, const Tensor& temperature, int64_t filters) {
  const Tensor a = ToDevice(context, attention), t = ToDevice(context, temperature);
  const Shape& shape = a.shape();
  const TapExtents extents = {shape.dim(0), shape.dim(1) * shape.dim(2), shape.dim(3)};
  const Kernels& kernels = KernelsFor(context.device());
  Tensor p(shape, DType::kFloat32, context.allocator());
  Tensor kept({extents.filters, extents.channels}, DType::kUint8, context.allocator());
  kernels.tap_probabilities(context, extents, a.data<float>(), t.data<float>(), p.mutable_data<float>());
  kernels.kept_taps(context, extents, p.data<float>(), kept.mutable_data<uint8_t>());
  const Tensor on_host = ToHost(context, kept);
  int64_t zero = 0;
  for (const uint8_t tap : on_host.span<uint8_t>()) zero += tap == extents.taps;
  return extents.filters == 1 ? zero * filters : zero;
}

}  // namespace bitgrad
