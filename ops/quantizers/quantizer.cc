#include "bitgrad/ops/quantizers/quantizer.h"

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/strip.h"
#include "bitgrad/ops/quantizers/list.h"

namespace bitgrad {
namespace {

template <typename Q>
QuantizerInfo InfoOf() {
  return {.index = QuantizerIndex<Q>(),
          .name = Q::kName,
          .help = Q::kHelp,
          .argument = Q::kArgument,
          .default_argument = Q::kDefaultArgument,
          .min_argument = Q::kMinArgument,
          .max_argument = Q::kMaxArgument,
          .stochastic = Q::kStochastic,
          .surrogate_is_window = Q::kSurrogateIsWindow,
          .weight_pass_through = Q::kWeightPassThrough,
          .statistic = Q::StatisticOf,
          .encoding = Q::EncodingOf,
          .scale = Q::Scale,
          .at_evaluation = Q::kAtEvaluation};
}

template <size_t... i>
const QuantizerInfo* Table(std::index_sequence<i...>) {
  // Not constexpr: with -fsanitize=undefined, g++ 12 takes the check of an address for null as not constant.
  static const QuantizerInfo kTable[] = {InfoOf<std::tuple_element_t<i, QuantizerList>>()...};
  return kTable;
}

QuantizerArgs ArgsOf(const QuantizerInfo& info, float argument) {
  switch (info.argument) {
    case QuantizerArgument::kNone: return {};
    case QuantizerArgument::kBits: return {.bits = static_cast<int>(argument)};
    case QuantizerArgument::kParameter: return {.parameter = argument};
  }
  return {};
}

absl::Status CheckArgument(const QuantizerInfo& info, float value, absl::string_view text) {
  const bool real = info.argument != QuantizerArgument::kBits;
  if (value >= info.min_argument && value <= info.max_argument && (real || value == std::floor(value))) {
    return absl::OkStatus();
  }
  return absl::InvalidArgumentError(absl::StrCat("quantizer '", text, "': the argument of '", info.name, "' is ",
                                                 real ? "a number" : "a whole number of bits", " from ",
                                                 info.min_argument, " to ", info.max_argument));
}

}  // namespace

absl::Span<const QuantizerInfo> AllQuantizers() {
  return {Table(std::make_index_sequence<kQuantizerCount>()), kQuantizerCount};
}

const QuantizerInfo& QuantizerNamed(absl::string_view name) {
  for (const QuantizerInfo& info : AllQuantizers()) {
    if (info.name == name) return info;
  }
  std::fprintf(stderr, "bitgrad: quantizer '%s' is not in ops/quantizers/list.h\n", std::string(name).c_str());
  std::abort();
}

std::string Quantizer::ToString() const {
  switch (info_->argument) {
    case QuantizerArgument::kBits: return absl::StrCat(info_->name, "(", args_.bits, ")");
    // %.9g is enough digits to read the same float back.
    case QuantizerArgument::kParameter: return absl::StrFormat("%s(%.9g)", info_->name, args_.parameter);
    case QuantizerArgument::kNone: break;
  }
  return std::string(info_->name);
}

absl::Status Quantizer::status() const {
  switch (info_->argument) {
    case QuantizerArgument::kNone: break;
    case QuantizerArgument::kBits: return CheckArgument(*info_, static_cast<float>(args_.bits), ToString());
    case QuantizerArgument::kParameter: return CheckArgument(*info_, args_.parameter, ToString());
  }
  return absl::OkStatus();
}

absl::StatusOr<Quantizer> ParseQuantizer(absl::string_view text) {
  absl::string_view name = absl::StripAsciiWhitespace(text);
  absl::string_view argument;
  bool has_argument = false;
  if (const size_t open = name.find('('); open != absl::string_view::npos) {
    argument = name.substr(open + 1);
    if (!absl::ConsumeSuffix(&argument, ")")) {
      return absl::InvalidArgumentError(
          absl::StrCat("quantizer '", text, "': missing ')'; write name or name(number)"));
    }
    name = name.substr(0, open);
    has_argument = true;
  }
  for (const QuantizerInfo& info : AllQuantizers()) {
    if (info.name != name) continue;
    float value = info.default_argument;
    if (has_argument) {
      if (info.argument == QuantizerArgument::kNone) {
        return absl::InvalidArgumentError(absl::StrCat("quantizer '", text, "': '", name, "' takes no argument"));
      }
      if (!absl::SimpleAtof(argument, &value)) value = std::numeric_limits<float>::quiet_NaN();
      if (absl::Status status = CheckArgument(info, value, text); !status.ok()) return status;
    }
    return Quantizer(&info, ArgsOf(info, value));
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown quantizer '", text,
                   "'; known: ", absl::StrJoin(AllQuantizers(), ", ", [](std::string* out, const QuantizerInfo& info) {
                     absl::StrAppend(out, info.name);
                   })));
}

std::string QuantizersHelp() {
  std::string help;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const Quantizer example(&info, ArgsOf(info, info.default_argument));
    absl::StrAppendFormat(&help, "  %-22s %s\n", example.ToString(), info.help);
  }
  return help;
}

}  // namespace bitgrad
