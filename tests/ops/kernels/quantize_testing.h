// The quantizers that tests of kernels run over, with the numbers that they read.

#ifndef BITGRAD_TESTS_OPS_KERNELS_QUANTIZE_TESTING_H_
#define BITGRAD_TESTS_OPS_KERNELS_QUANTIZE_TESTING_H_

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <iterator>
#include <utility>
#include <vector>

#include "bitgrad/ops/kernels/quantize.h"
#include "bitgrad/ops/quantizers/list.h"
#include "bitgrad/tests/ops/kernels/kernel_test.h"

namespace bitgrad {

inline constexpr RngStream kRng = {
    .seed = 0x123456789abcdef, .purpose = RngPurpose::kQuantizer, .step = 5, .stream = 9};

// Every quantizer of the list with its default and extreme arguments, and with some between them.
inline std::vector<Quantizer> PlainQuantizers() {
  std::vector<Quantizer> quantizers;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const auto add = [&](float argument) {
      if (argument < info.min_argument || argument > info.max_argument) return;
      const Quantizer q(&info, info.argument == QuantizerArgument::kBits
                                   ? QuantizerArgs{.bits = static_cast<int>(argument)}
                                   : QuantizerArgs{.parameter = argument});
      if (std::find(quantizers.begin(), quantizers.end(), q) == quantizers.end()) quantizers.push_back(q);
    };
    switch (info.argument) {
      case QuantizerArgument::kNone: quantizers.push_back(Quantizer(&info, {})); break;
      case QuantizerArgument::kBits:
        for (const float bits : {info.default_argument, info.min_argument, info.max_argument, 1.0f, 2.0f, 3.0f, 8.0f}) {
          add(bits);
        }
        break;
      case QuantizerArgument::kParameter:
        for (const float value : {info.default_argument, info.min_argument, 0.3f * info.default_argument}) add(value);
        break;
    }
  }
  return quantizers;
}

// Those that are of interest for their scale, granularity, role or variable.
inline std::vector<Quantizer> OtherQuantizers() {
  const auto weight = [](const Quantizer& q) { return q.In(QuantizerRole::kWeight); };
  return {Sign().WithLearnedScale(),
          Sign().WithLearnedScale().PerRow(),
          Sign().WithMeanScale(),
          Sign().WithFixedScale(0.3f),
          Identity().WithLearnedScale().PerRow(),
          LogQuant(4).WithLearnedScale(),
          KBit(2).WithLearnedScale().PerRow(),
          KBit(3).WithMeanScale(),
          StochasticTernary().WithLearnedScale(),
          StochasticSign().WithMeanScale().PerRow(),
          SwishSignWithLearnedBeta(),
          SwishSignWithLearnedBeta().WithLearnedScale().PerRow(),
          DorefaWeight(1).PerRow(),
          DorefaWeight(3).PerRow(),
          weight(LogQuant(4)).WithLearnedScale(),
          weight(LogQuant(6)).PerRow().WithLearnedScale(),
          weight(Lsq(3)),
          weight(Lsq(2)).PerRow(),
          Pact(2).PerRow(),
          weight(MaxAbs(1)),
          weight(MaxAbs(4)).PerRow(),
          weight(BitPruning()),
          weight(BitPruning()).PerRow(),
          BitPruning().PerRow()};
}

inline std::vector<Quantizer> Quantizers() {
  std::vector<Quantizer> all = PlainQuantizers();
  for (const Quantizer& q : OtherQuantizers()) all.push_back(q);
  return all;
}

// The number of each number that a matrix of `rows` rows has.
inline int64_t NumberCount(const Quantizer& q, int64_t rows) { return q.granularity() == Granularity::kRow ? rows : 1; }

// The quantizer's numbers for a matrix, on each context. Those that it has not are there all the same, as NaN: nobody
// reads them.
class NumbersOf {
 public:
  NumbersOf(const KernelTest& test, Random& random, const Quantizer& q, int64_t rows)
      : q_(q),
        statistic_(test, Some(random, q, rows, q.statistic() != Statistic::kNone, 0.2f, 1.5f, 0.0f)),
        variable_(test, Variables(random, q, rows)),
        scale_(test, Some(random, q, rows, q.has_learned_scale(), 0.2f, 1.5f, 1.0f)) {}

  QuantizerOperands on(const ExecContext& c) const { return {statistic_.on(c), variable_.on(c), scale_.on(c)}; }
  QuantizerNumbers of(int64_t i) const { return {Of(statistic_, i), Of(variable_, i)}; }
  // The operand of the scale of row i, and the scale.
  float operand(int64_t i) const {
    switch (q_.scale_operand()) {
      case ScaleOperand::kOne: break;
      case ScaleOperand::kStatistic: return Of(statistic_, i);
      case ScaleOperand::kVariable: return Of(variable_, i);
      case ScaleOperand::kScale: return Of(scale_, i);
    }
    return 1.0f;
  }
  float scale(int64_t i) const { return q_.scale(operand(i)); }
  float gradient_scale(int64_t i) const { return q_.scales_gradient() ? q_.args().fixed_scale * operand(i) : 1.0f; }

 private:
  static std::vector<float> Some(Random& random, const Quantizer& q, int64_t rows, bool has, float low, float high,
                                 float second) {
    std::vector<float> values = RandomVector(random, NumberCount(q, rows), low, high);
    if (values.size() > 1) values[1] = second;
    if (!has) std::fill(values.begin(), values.end(), NAN);
    return values;
  }
  static std::vector<float> Variables(Random& random, const Quantizer& q, int64_t rows) {
    const absl::string_view name = q.info().name;
    if (name == "bit_pruning") return Some(random, q, rows, true, 1, 8, 3);
    if (name == "swish_sign") return Some(random, q, rows, q.has_variable(), 1, 6, 5);
    return Some(random, q, rows, q.has_variable(), 0.2f, 1.5f, 0.5f);
  }
  float Of(const Array<float>& array, int64_t i) const {
    return array.initial(q_.granularity() == Granularity::kRow ? i : 0);
  }

  const Quantizer q_;
  Array<float> statistic_, variable_, scale_;
};

// The expected results for x [m, n]: the scalar functions are the specification (tests/ops/quantizers checks them).
struct Expected {
  std::vector<float> codes, surrogates, variable_surrogates;
};

inline Expected ExpectedFor(const Quantizer& q, const std::vector<float>& x, int64_t m, int64_t n, int64_t stride,
                            const NumbersOf& numbers) {
  Expected expected;
  DispatchQuantizer(q.info(), [&]<typename Q>() {
    for (int64_t i = 0; i < m; ++i) {
      const QuantizerNumbers of_row = numbers.of(i);
      for (int64_t j = 0; j < n; ++j) {
        const float u = Q::kStochastic ? Uniform(kRng, i * n + j) : 0.0f;
        expected.codes.push_back(Q::Code(x[i * stride + j], q.args(), of_row, u));
        expected.surrogates.push_back(Q::Surrogate(x[i * stride + j], q.args(), of_row));
        expected.variable_surrogates.push_back(Q::VariableSurrogate(x[i * stride + j], q.args(), of_row));
      }
    }
  });
  return expected;
}

// Uniform in [-1.5, 1.5], with values among them at which the results of quantizers change.
inline std::vector<float> ValuesWithEdges(Random& random, int64_t count, bool with_nan) {
  const float edges[] = {0.0f, -0.0f, 1.0f, -1.0f, 0.5f, -0.5f, 1.0000001f, -1.0000001f, 1e-40f, -1e-40f, 1.5f, NAN};
  std::vector<float> values(count);
  for (float& value : values) {
    const uint32_t edge = random.Below(60);
    value = edge < std::size(edges) - (with_nan ? 0 : 1) ? edges[edge] : random.Uniform(-1.5f, 1.5f);
  }
  return values;
}

// tanh and exp of two mathematics libraries are within 2 units in the last place each, and a unit is up to twice the
// error of a rounding.
inline constexpr double kTranscendental = 8 * kRoundingError;

// Whether a GPU, whose tanh and exp are its own, may differ from the scalar functions of the host.
inline bool UsesTanhOrExp(const Quantizer& q) {
  return q.statistic() == Statistic::kMaxAbsTanh || q.info().name == "swish_sign";
}

class QuantizeKernelTest : public KernelTest {
 protected:
  bool on_cpu() const { return GetParam().device == Device::kCpu; }

  // Around vectors, words, lines and blocks of random numbers. Without gaps between rows, a matrix is treated as one
  // long row, unless the quantizer has numbers per row. A second thread needs some 32,000 elements: that many only for
  // the quantizers' default arguments.
  std::vector<std::pair<int64_t, int64_t>> ShapesFor(const Quantizer& q) const {
    std::vector<std::pair<int64_t, int64_t>> shapes = FewShapesFor(q);
    shapes.insert(shapes.end(), {{0, 5},
                                 {3, 65},
                                 {27, 63},
                                 {64, 64},
                                 {1, 33},
                                 {3, 1},
                                 {5, 31},
                                 {7, 64},
                                 {33, 65},
                                 {2, 1000},
                                 {3, 511},
                                 {3, 512},
                                 {3, 516}});
    return shapes;
  }
  // For what does not go through the matrix in another way for each of them.
  std::vector<std::pair<int64_t, int64_t>> FewShapesFor(const Quantizer& q) const {
    std::vector<std::pair<int64_t, int64_t>> shapes = {{0, 3},    {3, 0},    {1, 1},   {2, 3},    {31, 33},  {9, 129},
                                                       {2, 1025}, {64, 127}, {257, 3}, {3, 1537}, {130, 129}};
    if (!GetParam().slow && (*ParseQuantizer(q.info().name) == q || q.info().argument == QuantizerArgument::kNone)) {
      shapes.push_back({1, 33001});
      shapes.push_back({5, 9001});
    }
    return shapes;
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPS_KERNELS_QUANTIZE_TESTING_H_
