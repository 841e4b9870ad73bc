// k-bit uniform quantization on [-1, 1].
//
//   q_k(x) = 2 round((2^k - 1) sigma(x)) / (2^k - 1) - 1,   sigma(x) = clip((x + 1) / 2, 0, 1), ties up
//   Surrogate(x) = 1{|x| <= 1}            as a weight quantizer: 1
//
// 2^k levels, step 2 / (2^k - 1), no zero level; q_1 is sign. Codes are the odd integers
// 2c - (2^k - 1), scale 1 / (2^k - 1): q_8 keeps 8-bit pixels scaled to [-1, 1] as they are.
// Source: Hubara et al., "Quantized neural networks", arXiv 1609.07061 (linear quantization).

#ifndef BITGRAD_OPS_QUANTIZERS_K_BIT_H_
#define BITGRAD_OPS_QUANTIZERS_K_BIT_H_

#include "bitgrad/ops/quantizers/scalar.h"

namespace bitgrad {

struct KBitQuantizer : QuantizerBase {
  static constexpr char kName[] = "k_bit";
  static constexpr char kHelp[] =
      "2 round((2^k-1) clip((x+1)/2, 0, 1)) / (2^k-1) - 1, k = 1..8 bits; surrogate 1{|x| <= 1} "
      "(QNN, arXiv 1609.07061)";
  static constexpr QuantizerArgument kArgument = QuantizerArgument::kBits;
  static constexpr float kDefaultArgument = 2, kMinArgument = 1, kMaxArgument = 8;
  static constexpr bool kSurrogateIsWindow = true;
  static constexpr bool kWeightPassThrough = true;
  static constexpr bool kScalable = true;
  static Encoding EncodingOf(const QuantizerArgs& args) {
    return args.bits == 1 ? Encoding{EncodingKind::kBinary, 1} : Encoding{EncodingKind::kSymmetric, args.bits};
  }
  static constexpr float ScaleDivisor(const QuantizerArgs& args) { return LargestCode(args.bits); }
  static constexpr float Code(float x, const QuantizerArgs& args, const QuantizerNumbers&, float /*uniform*/) {
    // One bit apart: x + 1 rounds to 1 for tiny negative x, and q_1 has to be sign exactly.
    return args.bits == 1 ? SignOf(x) : SymmetricCode(HardSigmoid(x), args.bits);
  }
  static constexpr float Surrogate(float x, const QuantizerArgs&, const QuantizerNumbers&) { return HardtanhWindow(x); }
};

// bits is in [1, 8]; otherwise status() of the quantizer says so, and every op refuses it.
Quantizer KBit(int bits);

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_K_BIT_H_
