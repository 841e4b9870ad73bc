// The text form of quantizers, and what it accepts: "name(number, beta=learned, scale=mean, per_output)".

#include <cmath>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/ascii.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_split.h"
#include "absl/strings/string_view.h"
#include "absl/strings/strip.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {
namespace {

constexpr absl::string_view kPerOutput = "per_output";

QuantizerArgs ArgsOf(const QuantizerInfo& info, float argument) {
  switch (info.argument) {
    case QuantizerArgument::kNone: return {};
    case QuantizerArgument::kBits: return {.bits = static_cast<int>(argument)};
    case QuantizerArgument::kParameter: return {.parameter = argument};
  }
  return {};
}

// The name of the number in parentheses where the form can learn it, else "".
absl::string_view LearnableArgument(const QuantizerInfo& info) {
  QuantizerArgs args = ArgsOf(info, info.default_argument);
  if (info.variable(args).name != nullptr) return "";
  args.learns_parameter = true;
  const char* name = info.variable(args).name;
  return name == nullptr ? "" : name;
}

// Whether there is a number that an output can have for itself. Some forms are per row anyway.
bool CanBePerOutput(const Quantizer& q) {
  return q.info().granularity == Granularity::kTensor &&
         (q.statistic() != Statistic::kNone || q.has_variable() || q.has_learned_scale());
}

std::string NumberAndRange(const QuantizerInfo& info, QuantizerRole role) {
  const bool weight = role != QuantizerRole::kActivation && info.min_weight_argument > info.min_argument;
  return absl::StrCat(info.argument == QuantizerArgument::kBits ? "a whole number of bits" : "a number", " from ",
                      weight ? info.min_weight_argument : info.min_argument, " to ", info.max_argument);
}

// "'sign' takes scale=learned, scale=mean, scale=NUMBER, per_output (with a learned or measured number)"
std::string WhatItTakes(const QuantizerInfo& info) {
  std::vector<std::string> items;
  if (info.argument != QuantizerArgument::kNone) items.push_back(NumberAndRange(info, QuantizerRole::kActivation));
  const absl::string_view learnable = LearnableArgument(info);
  if (!learnable.empty()) items.push_back(absl::StrCat(learnable, "=learned"));
  if (info.scalable) items.insert(items.end(), {"scale=learned", "scale=mean", "scale=glorot", "scale=NUMBER"});
  if (info.has_exponent_window) items.insert(items.end(), {"least=EXPONENT", "most=EXPONENT", "as_authors"});
  if (info.zero_is_optional) items.push_back("zero=false");
  if (CanBePerOutput(Quantizer(&info, ArgsOf(info, info.default_argument)))) {
    items.push_back(std::string(kPerOutput));
  } else if (info.scalable || !learnable.empty()) {
    items.push_back(absl::StrCat(kPerOutput, " (with a learned or measured number)"));
  }
  if (items.empty()) return absl::StrCat("'", info.name, "' takes nothing in parentheses");
  return absl::StrCat("'", info.name, "' takes ", absl::StrJoin(items, ", "));
}

template <typename... Words>
absl::Status Error(absl::string_view text, const Words&... words) {
  return absl::InvalidArgumentError(absl::StrCat("quantizer '", text, "': ", words...));
}

absl::Status CheckNumber(const QuantizerInfo& info, QuantizerRole role, float value, absl::string_view text) {
  const bool whole = info.argument == QuantizerArgument::kBits;
  const float least = role == QuantizerRole::kActivation ? info.min_argument : info.min_weight_argument;
  if (value >= least && value <= info.max_argument && (!whole || value == std::floor(value))) return absl::OkStatus();
  return Error(text, "the argument of '", info.name, "' is ",
               value >= info.min_argument && value < least ? "for weights " : "", NumberAndRange(info, role));
}

// What both a factory's quantizer and a parsed one have to fulfil. `text` is the quantizer as the user wrote it.
absl::Status Check(const Quantizer& q, absl::string_view text) {
  const QuantizerInfo& info = q.info();
  const QuantizerArgs& args = q.args();
  if (info.argument != QuantizerArgument::kNone) {
    const float value = info.argument == QuantizerArgument::kBits ? static_cast<float>(args.bits) : args.parameter;
    if (absl::Status status = CheckNumber(info, args.role, value, text); !status.ok()) return status;
  }
  if (args.learns_parameter && LearnableArgument(info).empty()) {
    return Error(text, "'", info.name, "' has no number to learn; ", WhatItTakes(info));
  }
  if (!info.scalable && (args.scale != ScaleOperand::kOne || args.fixed_scale != 1.0f || args.glorot_scale)) {
    return Error(text, "'", info.name, "' takes no scale; ", WhatItTakes(info));
  }
  if (!info.has_exponent_window && args.exponents != ExponentWindow()) {
    return Error(text, "'", info.name, "' takes no exponents; ", WhatItTakes(info));
  }
  if (!info.zero_is_optional && !args.zero) {
    return Error(text, "'", info.name, "' has no choice about 0; ", WhatItTakes(info));
  }
  constexpr ExponentWindow kWidest;
  if (args.exponents.least < kWidest.least || args.exponents.most > kWidest.most ||
      args.exponents.least > args.exponents.most) {
    return Error(text, "exponents are from ", kWidest.least, " to ", kWidest.most,
                 ", and 'least' is not above 'most', not ", args.exponents.least, " and ", args.exponents.most);
  }
  if (!(args.fixed_scale > 0.0f && std::isfinite(args.fixed_scale))) {
    return Error(text, "a fixed scale is a positive, finite number");
  }
  if (args.granularity == Granularity::kRow && !CanBePerOutput(q)) {
    return Error(text, "there is no number for ", kPerOutput, " to apply to; ", WhatItTakes(info));
  }
  return absl::OkStatus();
}

// The parts of a quantizer's parentheses; each may be given once.
struct Given {
  bool number = false, learned = false, scale = false, per_output = false;
  bool least = false, most = false, as_authors = false, zero = false;
};

absl::Status GiveOnce(bool* given, absl::string_view what, absl::string_view text) {
  if (*given) return Error(text, what, " is given twice");
  *given = true;
  return absl::OkStatus();
}

absl::Status ParseScale(absl::string_view value, absl::string_view text, Quantizer* q) {
  float number;
  if (value == "learned") {
    *q = q->WithLearnedScale();
  } else if (value == "mean") {
    *q = q->WithMeanScale();
  } else if (value == "glorot") {
    *q = q->WithGlorotScale();
  } else if (absl::SimpleAtof(value, &number)) {
    *q = q->WithFixedScale(number);
  } else {
    return Error(text, "a scale is 'learned', 'mean', 'glorot' or a number, not '", value, "'");
  }
  return absl::OkStatus();
}

// "least=-4", "most=3", "as_authors". Returns whether the item is one of them.
absl::StatusOr<bool> ParseExponents(absl::string_view item, absl::string_view text, Given* given, Quantizer* q) {
  QuantizerArgs args = q->args();
  absl::string_view value = item;
  bool* is_given = nullptr;
  if (item == "as_authors") {
    args.exponents.as_authors = true;
    is_given = &given->as_authors;
  } else {
    const bool least = absl::ConsumePrefix(&value, "least=");
    if (!least && !absl::ConsumePrefix(&value, "most=")) return false;
    if (!absl::SimpleAtoi(value, least ? &args.exponents.least : &args.exponents.most)) {
      return Error(text, "an exponent is a whole number, not '", value, "'");
    }
    is_given = least ? &given->least : &given->most;
  }
  *q = Quantizer(&q->info(), args);
  if (absl::Status status = GiveOnce(is_given, item.substr(0, item.find('=')), text); !status.ok()) return status;
  return true;
}

absl::Status ParseItem(absl::string_view item, absl::string_view text, Given* given, Quantizer* q) {
  const QuantizerInfo& info = q->info();
  const absl::string_view learnable = LearnableArgument(info);
  QuantizerArgs args = q->args();
  float number;
  if (item == kPerOutput && info.granularity == Granularity::kTensor) {
    *q = q->PerRow();
    return GiveOnce(&given->per_output, kPerOutput, text);
  }
  if (absl::ConsumePrefix(&item, "scale=")) {
    if (!info.scalable) return Error(text, "'", info.name, "' takes no scale; ", WhatItTakes(info));
    if (absl::Status status = ParseScale(item, text, q); !status.ok()) return status;
    return GiveOnce(&given->scale, "scale", text);
  }
  if (!learnable.empty() && item == absl::StrCat(learnable, "=learned")) {
    args.learns_parameter = true;
    *q = Quantizer(&info, args);
    return GiveOnce(&given->learned, item, text);
  }
  if (info.has_exponent_window) {
    const absl::StatusOr<bool> parsed = ParseExponents(item, text, given, q);
    if (!parsed.ok() || *parsed) return parsed.status();
  }
  if (info.zero_is_optional && absl::ConsumePrefix(&item, "zero=")) {
    if (item != "true" && item != "false") return Error(text, "zero is 'true' or 'false', not '", item, "'");
    args.zero = item == "true";
    *q = Quantizer(&info, args);
    return GiveOnce(&given->zero, "zero", text);
  }
  if (info.argument != QuantizerArgument::kNone && absl::SimpleAtof(item, &number)) {
    if (absl::Status status = CheckNumber(info, args.role, number, text); !status.ok()) return status;
    const QuantizerArgs numbered = ArgsOf(info, number);
    args.bits = numbered.bits;
    args.parameter = numbered.parameter;
    *q = Quantizer(&info, args);
    return GiveOnce(&given->number, "the number", text);
  }
  return Error(text, WhatItTakes(info), ", not '", item, "'");
}

}  // namespace

std::string Quantizer::ToString() const {
  // %.9g is enough digits to read the same float back.
  std::vector<std::string> items;
  if (info_->argument == QuantizerArgument::kBits) items.push_back(absl::StrCat(args_.bits));
  if (info_->argument == QuantizerArgument::kParameter) items.push_back(absl::StrFormat("%.9g", args_.parameter));
  if (args_.learns_parameter) {
    const char* name = variable().name;
    items.push_back(absl::StrCat(name == nullptr ? "number" : name, "=learned"));
  }
  if (args_.scale == ScaleOperand::kScale) items.push_back("scale=learned");
  if (args_.scale == ScaleOperand::kStatistic) items.push_back("scale=mean");
  if (args_.glorot_scale) items.push_back("scale=glorot");
  if (args_.scale == ScaleOperand::kOne && args_.fixed_scale != 1.0f) {
    items.push_back(absl::StrFormat("scale=%.9g", args_.fixed_scale));
  }
  constexpr ExponentWindow kWidest;
  if (args_.exponents.least != kWidest.least) items.push_back(absl::StrCat("least=", args_.exponents.least));
  if (args_.exponents.most != kWidest.most) items.push_back(absl::StrCat("most=", args_.exponents.most));
  if (args_.exponents.as_authors) items.push_back("as_authors");
  if (!args_.zero) items.push_back("zero=false");
  if (args_.granularity == Granularity::kRow) items.push_back(std::string(kPerOutput));
  return items.empty() ? std::string(info_->name) : absl::StrCat(info_->name, "(", absl::StrJoin(items, ", "), ")");
}

absl::Status Quantizer::status() const { return Check(*this, ToString()); }

absl::Status Quantizer::CheckRole() const {
  if (absl::Status invalid = status(); !invalid.ok()) return invalid;
  if (args_.role != QuantizerRole::kGradient && info_->for_gradients) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantizer '", ToString(), "' is out of place; it is for gradients"));
  }
  if (args_.role == QuantizerRole::kActivation && granularity() == Granularity::kRow) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantizer '", ToString(), "' has numbers for each output; it is for weights"));
  }
  if (args_.role == QuantizerRole::kGradient && (has_variable() || has_learned_scale())) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantizer '", ToString(), "' learns a number; nothing is learned in the backward pass"));
  }
  if (args_.role != QuantizerRole::kWeight && args_.glorot_scale) {
    return absl::InvalidArgumentError(
        absl::StrCat("quantizer '", ToString(), "': scale=glorot is for the weights of layers"));
  }
  return absl::OkStatus();
}

absl::StatusOr<Quantizer> ParseQuantizer(absl::string_view text) {
  absl::string_view name = absl::StripAsciiWhitespace(text);
  std::vector<absl::string_view> items;
  if (const size_t open = name.find('('); open != absl::string_view::npos) {
    absl::string_view list = name.substr(open + 1);
    if (!absl::ConsumeSuffix(&list, ")")) return Error(text, "missing ')'; write name or name(item, item)");
    items = absl::StrSplit(list, ',');
    name = absl::StripTrailingAsciiWhitespace(name.substr(0, open));
  }
  for (const QuantizerInfo& info : AllQuantizers()) {
    if (info.name != name) continue;
    Quantizer quantizer(&info, ArgsOf(info, info.default_argument));
    Given given;
    for (const absl::string_view item : items) {
      absl::Status status = ParseItem(absl::StripAsciiWhitespace(item), text, &given, &quantizer);
      if (!status.ok()) return status;
    }
    if (absl::Status status = Check(quantizer, text); !status.ok()) return status;
    return quantizer;
  }
  return absl::InvalidArgumentError(
      absl::StrCat("unknown quantizer '", text,
                   "'; known: ", absl::StrJoin(AllQuantizers(), ", ", [](std::string* out, const QuantizerInfo& info) {
                     absl::StrAppend(out, info.name);
                   })));
}

std::string QuantizersHelp() {
  std::string help;
  std::vector<std::string> scalable, learnable;
  for (const QuantizerInfo& info : AllQuantizers()) {
    const Quantizer example(&info, ArgsOf(info, info.default_argument));
    absl::StrAppendFormat(&help, "  %-22s %s\n", example.ToString(), info.help);
    if (info.scalable) scalable.push_back(std::string(info.name));
    const absl::string_view number = LearnableArgument(info);
    if (!number.empty()) learnable.push_back(absl::StrCat(number, "=learned (", info.name, ")"));
  }
  absl::StrAppend(&help,
                  "  In the parentheses, separated by commas: scale=learned, scale=mean, scale=glorot (of weights: "
                  "sqrt(1.5 / (fan in + fan out))) or scale=NUMBER (",
                  absl::StrJoin(scalable, ", "), "); ", absl::StrJoin(learnable, ", "),
                  "; per_output, for one scale, statistic or variable per output instead of one for the tensor.\n");
  return help;
}

}  // namespace bitgrad
