// Quantizer: a plain value, passed to a layer for its weights, its input activations or the gradients that
// enter it, that says how reals become few-bit values in the forward pass and what stands in for the
// derivative (zero almost everywhere) in the backward pass.
//
//   q(x) = Code(x) * scale           codes: integers, see core/encoding.h
//   dx   = dq * Surrogate(x)         the declared surrogate gradient (straight-through estimator, STE)
//   dv   = sum dq * VariableSurrogate(x)       that of the form's variable, where it has one
//
// A quantizer is one .h/.cc pair in this folder (a struct of scalar functions, see sign.h) plus one line in
// list.h. Nothing here knows tapes or devices: ops/kernels/quantize.h applies the scalar functions.
//
//   Dense({.in = 784, .out = 1024, .input = KBit(8), .weight = Sign()});
//   ParseQuantizer("k_bit(2)")       the form of recipes, files and --help
//
// Numbers. Beside x, the scalar functions of a form may read two numbers that belong to the tensor or, with
// Granularity::kRow, to each of its rows (an output of a weight, an example of a gradient):
//
//   a statistic    measured on the tensor whenever it is quantized (mean |x|, max |x|)
//   a variable     a Parameter of the layer that training changes: LSQ's step, PACT's clip, BitPruning's bit length
//
// The scale is a quotient, operand / divisor. The divisor is a constant of the form; the operand is 1, the statistic,
// the variable, or a scale of its own that the text form asks for and that is fixed, measured or learned:
//
//   "sign(scale=learned)"                  alpha * sign(x), alpha a variable of the layer
//   "sign(scale=learned, per_output)"      the same with one alpha for each output
//   "sign(scale=mean, per_output)"         mean |w| of each output, which "xnor" is a name for
//   "k_bit(2, scale=0.5)"                  one half of k_bit(2)
//   "sign(scale=glorot)"                   of a layer's weight: W0 = sqrt(1.5 / (fan in + fan out))
//
// In the backward pass such a scale s is a factor like any other: q = s Q gives dx = dq * s * Surrogate(x) and, where
// it is learned, ds = sum dq * Q(x). The mean is a function of w, which dw includes (differentiates_statistic).
//
// Latent weights: for quantizers with `weight_pass_through` the gradient at the quantized weight goes
// to the latent weight unchanged but for the scale (BinaryConnect, arXiv 1511.00363); the clip of the latent weight
// after the step takes the place of the STE window.

#ifndef BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_
#define BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/core/encoding.h"

namespace bitgrad {

// What a layer quantizes with it.
enum class QuantizerRole { kActivation, kWeight, kGradient };

// Whether statistic, variable and scale are one number for the tensor, or one for each row of the matrix that is
// quantized.
enum class Granularity { kTensor, kRow };

// A reduction over the tensor, or over each row, that the scalar functions need beforehand.
enum class Statistic {
  kNone,
  kMeanAbs,     // mean |x|
  kMaxAbs,      // max |x|
  kMaxAbsTanh,  // max |tanh x|
};

// What the scale's operand is (see above).
enum class ScaleOperand {
  kOne,
  kStatistic,
  kVariable,
  kScale,  // a second variable, which the layer learns: "scale=learned"
};

// Which exponents e a form with values of sizes 2^e may use, where they can be chosen (exponential_round.h): the least
// and the largest before rounding up, and whether it does what the authors' code did.
struct ExponentWindow {
  int least = -126;
  int most = 126;
  bool as_authors = false;
  friend bool operator==(const ExponentWindow&, const ExponentWindow&) = default;
};

// Numbers that a quantizer is made with. Each quantizer reads those that it documents.
struct QuantizerArgs {
  int bits = 1;
  float parameter = 0;  // swish_sign: beta; ternary: threshold
  // The role in which a layer uses the quantizer. Forms that are signed for weights and unsigned for activations (lsq)
  // read it. Layers set it: Quantizer::In().
  QuantizerRole role = QuantizerRole::kActivation;
  Granularity granularity = Granularity::kTensor;
  // Where the scale is neither the form's own nor fixed.
  ScaleOperand scale = ScaleOperand::kOne;
  float fixed_scale = 1.0f;       // "scale=0.5"
  bool glorot_scale = false;      // "scale=glorot": the layer puts the fixed scale in its place
  bool learns_parameter = false;  // "beta=learned": `parameter` is the initial value of the variable
  ExponentWindow exponents;       // "least=-4", "most=3", "as_authors"
  bool zero = true;               // "zero=false": 0 is none of the values
  friend bool operator==(const QuantizerArgs&, const QuantizerArgs&) = default;
};

// The numbers beside x that scalar functions read, of the tensor or of the row of x.
struct QuantizerNumbers {
  float statistic = 0;
  float variable = 0;
};

// What the argument in parentheses, "name(argument)", means.
enum class QuantizerArgument { kNone, kBits, kParameter };

// A form's variable. The functions of one that has a name are not null.
struct QuantizerVariable {
  const char* name = nullptr;  // the last part of the parameter's path: "step"; null: the form has no variable
  // How it begins. mean_abs and max_abs are those of the first tensor that is quantized: the weight, or the first
  // batch.
  float (*initial)(const QuantizerArgs&, float mean_abs, float max_abs) = nullptr;
  // The gradient that arrives is multiplied with this (LSQ's 1 / sqrt(n Q_p)); count: the elements that share the
  // variable, at least 1.
  float (*gradient_factor)(const QuantizerArgs&, int64_t count) = nullptr;
  // After each step the variable is clipped to [least, most].
  float least = 0, most = 0;
  bool decays = false;  // whether weight decay applies (PACT's clip)
};

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
  float min_weight_argument;  // of a weight's quantizer: 2 for lsq(k), one bit of which is the sign
  bool stochastic;            // Code reads a random number
  bool surrogate_is_window;   // Surrogate is 1{|x| <= 1}: a mask of bits is all that backward needs
  bool weight_pass_through;   // as a weight quantizer the surrogate is 1 everywhere
  bool scalable;              // takes "scale=..."
  // Code never falls as x grows, in floats, so that codes are thresholds of x. dorefa_weight's tanh is monotone but for
  // its last bits.
  bool monotone;
  bool clips_latent;  // latent weights live in [-clip, clip]; otherwise they are not clipped (lsq)
  // Whether the statistic, where it is the scale, counts in the backward pass, as XNOR-Net's mean and every
  // "scale=mean" do: dw += dscale * d mean|w| / dw = dscale * sign(w) / n. Otherwise it is a constant there.
  bool differentiates_statistic;
  Granularity granularity;   // the least that it has
  bool for_gradients;        // has no other role
  bool has_exponent_window;  // takes "least=E", "most=E" and "as_authors"
  bool zero_is_optional;     // takes "zero=false"
  Statistic (*statistic)(const QuantizerArgs&);
  Encoding (*encoding)(const QuantizerArgs&);
  ScaleOperand (*scale_operand)(const QuantizerArgs&);
  float (*scale_divisor)(const QuantizerArgs&);
  QuantizerVariable (*variable)(const QuantizerArgs&);
  // What evaluation uses instead of a stochastic quantizer (BinaryConnect section 2.3: stochastic weights are
  // evaluated with the real ones; BNN: stochastic activations with the deterministic sign). Null: itself.
  Quantizer (*at_evaluation)(QuantizerRole);
  // What the layer uses once the variable is no longer learned: bit_pruning's bit length, rounded up, gives a
  // quantizer of that many bits. Null: itself. Through Quantizer::Hardened().
  Quantizer (*hardened)(const QuantizerArgs&, float variable);
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

  // The same, and whether it can have its role: InvalidArgument for a quantizer of gradients in another role, and for
  // numbers of each row of activations, which a product could not factor out.
  absl::Status CheckRole() const;

  const QuantizerInfo& info() const { return *info_; }
  const QuantizerArgs& args() const { return args_; }
  bool is_identity() const;

  // The same quantizer in a role, for each row, with a scale of its own that is learned, measured (mean |x|) or fixed.
  Quantizer In(QuantizerRole role) const;
  Quantizer PerRow() const;
  Quantizer WithLearnedScale() const;
  Quantizer WithMeanScale() const;
  Quantizer WithFixedScale(float scale) const;
  // The scale of BinaryConnect's first version, whose weights were +-W0 (arXiv 1511.00363): a layer's weight has
  // W0 = sqrt(1.5 / (fan in + fan out)), through ForFans(), which gives every other quantizer back as it is. Latent
  // weights stay in [-1, 1], in units of W0: with the optimizer's glorot_scale an SGD step is that of the paper.
  Quantizer WithGlorotScale() const;
  Quantizer ForFans(int64_t fan_in, int64_t fan_out) const;

  Statistic statistic() const;
  Granularity granularity() const;
  Encoding encoding() const { return info_->encoding(args_); }
  // The scale is operand / divisor, for the operand kOne fixed_scale / divisor.
  ScaleOperand scale_operand() const;
  float scale_divisor() const { return info_->scale_divisor(args_); }
  // The scale for a value of its operand. REQUIRES: `operand` is 1 for kOne.
  float scale(float operand) const { return args_.fixed_scale * operand / scale_divisor(); }
  // Whether the backward pass multiplies with the scale, without its divisor, of which Surrogate is the derivative: a
  // fixed, a learned, or a differentiated scale. Surrogate of forms with a scale of their own (lsq, pact,
  // dorefa_weight(1)) is the derivative of the value.
  bool scales_gradient() const;
  bool scale_is_constant() const { return scale_operand() == ScaleOperand::kOne; }
  // The form's variable; `name` is null where it has none. Whether there is a learned scale beside it.
  QuantizerVariable variable() const { return info_->variable(args_); }
  bool has_variable() const { return variable().name != nullptr; }
  bool has_learned_scale() const { return scale_operand() == ScaleOperand::kScale; }
  // Whether value and backward pass depend on x, the arguments and constants alone: no statistic, variable or random
  // number, no scale but a constant one.
  bool is_fixed() const;
  // What evaluation quantizes with in this role, with this quantizer's scale.
  Quantizer AtEvaluation() const;
  // What quantizes once the variable, here with its last value, is no longer learned.
  Quantizer Hardened(float variable) const;

  // "sign", "k_bit(2)", "sign(scale=learned, per_output)": what ParseQuantizer reads. The role is not part of it.
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

// Reads "name" or "name(item, item, ...)". An item is the form's number, "per_output", "scale=learned", "scale=mean",
// "scale=glorot", "scale=NUMBER", for a form that can learn its number "beta=learned" with that number's name, for one
// that has a window of exponents "least=E", "most=E" and "as_authors", or, for one whose values may do without 0,
// "zero=false" or "zero=true". They come in any order, each at most once. "per_output" is for quantizers with a
// statistic, a variable, or a learned or measured scale. Errors name the quantizer and list the known ones, the items
// that it takes, or the range.
absl::StatusOr<Quantizer> ParseQuantizer(absl::string_view text);

// A line per quantizer, for --help.
std::string QuantizersHelp();

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_QUANTIZER_H_
