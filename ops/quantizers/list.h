// The list of all quantizers: one line each. Kernels of every device instantiate themselves over it, --help prints it
// and the property suite runs over it.
//
// Whoever includes this file is compiled again when a quantizer is added: the kernels that quantize, quantizer.cc and
// tests that run over all quantizers (tests/arrows holds that). Everybody else includes quantizer.h, which knows
// quantizers as values, or the header of the quantizer that it names, such as sign.h.

#ifndef BITGRAD_OPS_QUANTIZERS_LIST_H_
#define BITGRAD_OPS_QUANTIZERS_LIST_H_

#include <tuple>
#include <type_traits>

#include "bitgrad/ops/quantizers/approx_sign.h"
#include "bitgrad/ops/quantizers/bit_pruning.h"
#include "bitgrad/ops/quantizers/dorefa_activation.h"
#include "bitgrad/ops/quantizers/dorefa_gradient.h"
#include "bitgrad/ops/quantizers/dorefa_weight.h"
#include "bitgrad/ops/quantizers/exponential_round.h"
#include "bitgrad/ops/quantizers/heaviside.h"
#include "bitgrad/ops/quantizers/identity.h"
#include "bitgrad/ops/quantizers/k_bit.h"
#include "bitgrad/ops/quantizers/log_gradient.h"
#include "bitgrad/ops/quantizers/log_quant.h"
#include "bitgrad/ops/quantizers/lsq.h"
#include "bitgrad/ops/quantizers/max_abs.h"
#include "bitgrad/ops/quantizers/pact.h"
#include "bitgrad/ops/quantizers/sign.h"
#include "bitgrad/ops/quantizers/stochastic_round.h"
#include "bitgrad/ops/quantizers/stochastic_sign.h"
#include "bitgrad/ops/quantizers/stochastic_ternary.h"
#include "bitgrad/ops/quantizers/swish_sign.h"
#include "bitgrad/ops/quantizers/ternary.h"
#include "bitgrad/ops/quantizers/xnor.h"

namespace bitgrad {

using QuantizerList = std::tuple<  //
    IdentityQuantizer,             //
    SignQuantizer,                 //
    StochasticSignQuantizer,       //
    ApproxSignQuantizer,           //
    SwishSignQuantizer,            //
    XnorQuantizer,                 //
    HeavisideQuantizer,            //
    TernaryQuantizer,              //
    StochasticTernaryQuantizer,    //
    KBitQuantizer,                 //
    LsqQuantizer,                  //
    PactQuantizer,                 //
    MaxAbsQuantizer,               //
    BitPruningQuantizer,           //
    DorefaActivationQuantizer,     //
    DorefaWeightQuantizer,         //
    DorefaGradientQuantizer,       //
    StochasticRoundQuantizer,      //
    LogQuantizer,                  //
    LogGradientQuantizer,          //
    ExponentialRoundQuantizer      //
    >;

inline constexpr int kQuantizerCount = std::tuple_size_v<QuantizerList>;

template <typename Q, int i = 0>
constexpr int QuantizerIndex() {
  if constexpr (std::is_same_v<Q, std::tuple_element_t<i, QuantizerList>>) {
    return i;
  } else {
    return QuantizerIndex<Q, i + 1>();
  }
}

// Calls f.template operator()<Q>() for the struct Q behind `info`: the one place where a value turns into a type.
template <typename F, int i = 0>
void DispatchQuantizer(const QuantizerInfo& info, const F& f) {
  if constexpr (i < kQuantizerCount) {
    if (info.index == i) {
      f.template operator()<std::tuple_element_t<i, QuantizerList>>();
    } else {
      DispatchQuantizer<F, i + 1>(info, f);
    }
  }
}

}  // namespace bitgrad

#endif  // BITGRAD_OPS_QUANTIZERS_LIST_H_
