#include "bitgrad/tests/export/freeze_testing.h"

#include <algorithm>
#include <cmath>
#include <cstring>
#include <iterator>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/runtime/cost.h"
#include "bitgrad/tests/testing/test_device.h"
#include "gtest/gtest.h"

namespace bitgrad {

int FrozenModel::thresholds() const {
  int count = 0;
  for (const packed::Instruction& instruction : packed->header().instructions()) {
    count += instruction.has_linear() && instruction.linear().has_threshold();
  }
  return count;
}

absl::StatusOr<std::unique_ptr<FrozenModel>> FreezeToMemory(ExecContext& context, Model& model, const Shape& example,
                                                            const FreezeOptions& options) {
  return FreezeToMemory(context, model, Tensor::Zeros(example), options);
}

absl::StatusOr<std::unique_ptr<FrozenModel>> FreezeToMemory(ExecContext& context, Model& model, const Tensor& example,
                                                            const FreezeOptions& options) {
  auto frozen = std::make_unique<FrozenModel>();
  BITGRAD_ASSIGN_OR_RETURN(const PackedModelWriter writer, Freeze(context, model, example, options));
  BITGRAD_ASSIGN_OR_RETURN(frozen->bytes, writer.Serialize());
  BITGRAD_ASSIGN_OR_RETURN(frozen->packed, PackedModel::FromBytes("frozen", frozen->bytes));
  if (TestDevice() != context.device()) {
    frozen->device = std::make_unique<ExecContext>(ExecContext::Options{.device = TestDevice()});
  }
  BITGRAD_ASSIGN_OR_RETURN(frozen->interpreter,
                           Interpreter::Create(*frozen->packed, frozen->device == nullptr ? context : *frozen->device));
  return frozen;
}

namespace {

// The forms of a quantizer: what can stand in the parentheses of its text form, and for weights each of them once more
// with numbers for each output. Some are no quantizers: scales of forms that take none.
std::vector<Quantizer> FormsOf(const QuantizerInfo& info) {
  const Quantizer plain = *ParseQuantizer(info.name);
  std::vector<Quantizer> forms = {plain};
  const auto add = [&](const QuantizerArgs& args) { forms.emplace_back(&info, args); };
  QuantizerArgs args = plain.args();
  args.learns_parameter = true;
  add(args);
  if (info.argument == QuantizerArgument::kParameter) {
    args = plain.args();
    args.parameter = (info.min_argument + info.default_argument) / 2;
    add(args);
  }
  if (info.argument == QuantizerArgument::kBits) {
    for (args = plain.args(), args.bits = 1; static_cast<float>(args.bits) <= info.max_argument; ++args.bits) {
      args.zero = true;
      add(args);
      args.zero = !info.zero_is_optional;
      add(args);
    }
  }
  // Scales for the form as it is by default, and for one whose divisor is another: with each number of bits they would
  // be many, and nothing that depends on the scale depends on the bits.
  args = plain.args();
  args.bits = 3;
  for (const Quantizer& form : {plain, Quantizer(&info, args)}) {
    forms.insert(forms.end(),
                 {form.WithLearnedScale(), form.WithMeanScale(), form.WithFixedScale(0.3f), form.WithGlorotScale()});
  }
  if (info.hardened != nullptr) {
    for (const float number : {1.0f, 1.7f, 3.0f}) forms.push_back(plain.Hardened(number));
  }
  const size_t count = forms.size();
  for (size_t i = 0; i < count; ++i) forms.push_back(forms[i].PerRow());
  return forms;
}

}  // namespace

std::vector<Quantizer> IntegerQuantizers(QuantizerRole role) {
  std::vector<Quantizer> result;
  for (const QuantizerInfo& info : AllQuantizers()) {
    for (const Quantizer& form : FormsOf(info)) {
      const Quantizer quantizer = form.In(role);
      const Encoding encoding = quantizer.AtEvaluation().encoding();
      if (!quantizer.CheckRole().ok() || !encoding.is_integer()) continue;
      if (encoding.is_log() && encoding.bits > kMostLogBits) continue;
      // As the text form says it, which has no number where the form reads none.
      const auto is_same = [&](const Quantizer& other) { return other.ToString() == quantizer.ToString(); };
      if (std::none_of(result.begin(), result.end(), is_same)) result.push_back(quantizer);
    }
  }
  return result;
}

BatchNormOptions NormOf(uint32_t number) {
  constexpr struct {
    RunningStatistic statistic;
    bool unbiased;
  } kStatistics[] = {{RunningStatistic::kVariance, false},
                     {RunningStatistic::kVariance, true},
                     {RunningStatistic::kStd, false},
                     {RunningStatistic::kInverseStd, false}};
  const auto& [statistic, unbiased] = kStatistics[number / 2 % std::size(kStatistics)];
  static_assert(2 * std::size(kStatistics) == kNormVariants);
  return {.epsilon = number % 5 == 0 ? 0.3f : 1e-4f,
          .placement = number % 2 == 0 ? EpsilonPlacement::kInsideRoot : EpsilonPlacement::kOutsideRoot,
          .statistic = statistic,
          .unbiased = unbiased};
}

int64_t ImagesOnDevice(int64_t on_cpu, int64_t on_device) { return TestDevice() == Device::kCpu ? on_cpu : on_device; }

void RandomizeBatchNorms(ParameterStore& store, std::mt19937& random, float unit) {
  std::uniform_real_distribution<float> uniform(-1, 1);
  for (Parameter* parameter : store.parameters()) {
    const absl::string_view name = parameter->name;
    for (float& value : parameter->value.mutable_span<float>()) {
      const int kind = static_cast<int>(random() % 5);
      // First, because the beta of a quantizer is none of a batch norm.
      if (parameter->kind == ParameterKind::kQuantizerVariable || absl::EndsWith(name, "/quantizer/range")) {
        // Powers of two, with which a product is exact, and others.
        value = kind == 0 ? 0.25f : 0.02f + std::abs(uniform(random));
        parameter->is_set = true;
      } else if (absl::EndsWith(name, "/gamma")) {
        value = kind == 0 ? 0.0f : kind == 1 ? -0.0f : 2 * uniform(random);
      } else if (absl::EndsWith(name, "/beta") || absl::EndsWith(name, "/bias")) {
        value = kind < 3 ? 0.0f : uniform(random);
      } else if (absl::EndsWith(name, "/running_mean")) {
        // Whole counts: with beta = 0 the sum that equals the mean is an exact tie.
        value = kind < 3 ? static_cast<float>(static_cast<int>(random() % 9) - 4) * unit : 4 * unit * uniform(random);
      } else if (absl::EndsWith(name, "/running_statistic")) {
        value = kind == 0 ? 1.0f : 0.05f + 10 * std::abs(uniform(random));
      }
    }
  }
}

Tensor RandomInputs(const Shape& shape, std::mt19937& random) {
  std::uniform_real_distribution<float> uniform(-1.25f, 1.25f);
  Tensor x(shape, DType::kFloat32);
  for (float& value : x.mutable_span<float>()) {
    const float p = static_cast<float>(random() % 256);
    switch (random() % 8) {
      case 0: value = 0.0f; break;
      case 1: value = -0.0f; break;
      case 2: value = random() % 2 == 0 ? 1.0f : -1.0f; break;
      case 3: value = (2 * p - 254) / 255; break;  // between two codes of k_bit(8)
      case 4: value = static_cast<float>(static_cast<int>(random() % 7) - 3) / 6; break;
      case 5: value = uniform(random); break;
      default: value = (2 * p - 255) / 255; break;
    }
  }
  return x;
}

Tensor GraphLogits(ExecContext& context, Model& model, const Tensor& x) {
  absl::StatusOr<Tensor> logits = Logits(context, model, x);
  EXPECT_TRUE(logits.ok()) << logits.status();
  return logits.ok() ? *std::move(logits) : Tensor::Zeros({0, 0});
}

std::unique_ptr<FrozenModel> ExpectBitEqual(ExecContext& context, Model& model, const Shape& example, int64_t batch,
                                            std::mt19937& random, bool one_by_one) {
  auto frozen = FreezeToMemory(context, model, example);
  EXPECT_TRUE(frozen.ok()) << frozen.status();
  if (!frozen.ok()) return nullptr;
  EXPECT_EQ(CostOf(*(*frozen)->packed).predicted_bytes, static_cast<int64_t>((*frozen)->bytes.size()));

  std::vector<int64_t> dims(example.dims().begin(), example.dims().end());
  dims[0] = batch;
  const Tensor x = RandomInputs(Shape(absl::MakeConstSpan(dims)), random);
  const Tensor graph = GraphLogits(context, model, x);
  const int64_t features = x.num_elements() / batch, classes = graph.num_elements() / batch;
  const auto packed = (*frozen)->interpreter->Run({x.data<float>(), batch, features});
  EXPECT_TRUE(packed.ok()) << packed.status();
  if (!packed.ok() || packed->num_elements() != graph.num_elements()) {
    ADD_FAILURE() << "the packed model gives another shape than " << graph.shape().ToString();
    return nullptr;
  }
  int64_t different = 0;
  for (int64_t i = 0; i < batch; ++i) {
    const float* expected = graph.data<float>() + i * classes;
    const size_t bytes = static_cast<size_t>(classes) * sizeof(float);
    different += std::memcmp(expected, packed->data<float>() + i * classes, bytes) != 0;
    if (!one_by_one || i >= 20) continue;
    const auto alone = (*frozen)->interpreter->Run({x.data<float>() + i * features, 1, features});
    EXPECT_TRUE(alone.ok()) << alone.status();
    if (alone.ok()) different += std::memcmp(expected, alone->raw_data(), bytes) != 0;
  }
  EXPECT_EQ(different, 0) << "examples of " << batch << " whose logits differ";
  return *std::move(frozen);
}

}  // namespace bitgrad
