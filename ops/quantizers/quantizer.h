// Quantizer: a plain value, passed to a layer for its weights, its input activations or the gradients that
// enter it, that says how reals become few-bit values in the forward pass and what stands in for the
// derivative (zero almost everywhere) in the backward pass.
//
//   q(x) = Code(x) * scale           codes: integers, see core/encoding.h
//   dx   = dq * Surrogate(x)         the declared surrogate gradient (straight-through estimator, STE)
//
// A quantizer is one .h/.cc pair in this folder (a struct of scalar functions, see sign.h) plus one line in
// list.h. Nothing here knows tapes or devices: ops/kernels/quantize.h applies the scalar functions.
//
//   Dense({.in = 784, .out = 1024, .input = KBit(8), .weight = Sign()});
//   ParseQuantizer("k_bit(2)")       the form of recipes, files and --help
//
// Latent weights: for quantizers with `weight_pass_through` the gradient at the quantized weight goes
// to the latent weight unchanged (BinaryConnect, arXiv 1511.00363); the clip of the latent weight after
// the step takes the place of the STE window.

#ifndef BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_
#define BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_

#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"

namespace bitgrad {

// What a layer quantizes with it.
enum class QuantizerRole { kActivation, kWeight, kGradient };

// A reduction over the tensor that the scalar functions need beforehand.
enum class Statistic {
  kNone,
  kMeanAbs,     // mean |x| over the tensor
  kMaxAbsTanh,  // max |tanh x| over the tensor
  kRowMaxAbs,   // max |x| of each row (an example; an output, where a transposed gradient is quantized)
};

// Numbers that a quantizer is made with. Each quantizer reads those that it documents.
struct QuantizerArgs {
  int bits = 1;
  float parameter = 0;  // swish_sign: beta; ternary: threshold
  friend bool operator==(const QuantizerArgs&, const QuantizerArgs&) = default;
};

// What the argument in parentheses, "name(argument)", means.
enum class QuantizerArgument { kNone, kBits, kParameter };

class Quantizer;

// The constants of one quantizer, filled from its struct by list.h. Lives for the process.
struct QuantizerInfo {
  int index;  // position in the list: how kernels dispatch
  absl::string_view name;
  absl::string_view help;  // one line: formula, surrogate, source
  QuantizerArgument argument;
  float default_argument;
  float min_argument;
  float max_argument;
  bool stochastic;           // Code reads a random number
  bool surrogate_is_window;  // Surrogate is 1{|x| <= 1}: a mask of bits is all that backward needs
  bool weight_pass_through;  // as a weight quantizer the surrogate is 1 everywhere
  Statistic (*statistic)(const QuantizerArgs&);
  Encoding (*encoding)(const QuantizerArgs&);
  float (*scale)(const QuantizerArgs&, float statistic);
  // What evaluation uses instead of a stochastic quantizer (BinaryConnect section 2.3: stochastic weights are
  // evaluated with the real ones; BNN: stochastic activations with the deterministic sign). Null: itself.
  Quantizer (*at_evaluation)(QuantizerRole);
};

class Quantizer {
 public:
  Quantizer();  // identity
  Quantizer(const QuantizerInfo* info, QuantizerArgs args) : info_(info), args_(args) {}

  // InvalidArgument, naming quantizer and range, where the argument is out of the quantizer's range: KBit(9). A factory
  // returns a value and cannot fail, so it gives such a quantizer back as it was asked for; every op that is given one
  // reports this error (OpRecorder::CheckQuantizer), and ParseQuantizer makes none. REQUIRES of all functions below but
  // is_identity() and ToString(): status().ok().
  absl::Status status() const;

  const QuantizerInfo& info() const { return *info_; }
  const QuantizerArgs& args() const { return args_; }
  bool is_identity() const;

  Statistic statistic() const { return info_->statistic(args_); }
  Encoding encoding() const { return info_->encoding(args_); }
  float scale(float statistic) const { return info_->scale(args_, statistic); }
  // Whether the scale is the same for every statistic; whether it is the statistic.
  bool scale_is_fixed() const { return scale(1.0f) == scale(2.0f); }
  bool scale_is_statistic() const { return scale(1.0f) == 1.0f && scale(3.0f) == 3.0f; }
  Quantizer AtEvaluation(QuantizerRole role) const {
    return info_->at_evaluation == nullptr ? *this : info_->at_evaluation(role);
  }

  // "sign", "k_bit(2)": what ParseQuantizer reads.
  std::string ToString() const;

  friend bool operator==(const Quantizer&, const Quantizer&) = default;

 private:
  const QuantizerInfo* info_;
  QuantizerArgs args_;
};

// All quantizers, in the order of list.h.
absl::Span<const QuantizerInfo> AllQuantizers();

// The one of that name. REQUIRES: it is in list.h.
const QuantizerInfo& QuantizerNamed(absl::string_view name);

// Reads "name" or "name(number)". Errors name the quantizer and list the known ones or the range.
absl::StatusOr<Quantizer> ParseQuantizer(absl::string_view text);

// A line per quantizer, for --help.
std::string QuantizersHelp();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_
