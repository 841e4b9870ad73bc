// NumberGroup: numbers that are rounded to one format and share one range, such as the outputs of a layer or the
// gradients that arrive at them (arXiv 1412.7024, section 5).

#ifndef BITGRAD_GRAPH_NUMBER_GROUP_H_
#define BITGRAD_GRAPH_NUMBER_GROUP_H_

#include "bitgrad/core/number_format.h"

namespace bitgrad {

struct Parameter;

struct NumberGroup {
  NumberFormat format;
  // Of a dynamic format: its range [], a whole number, and what is counted for it [3] (Rounding::overflows). Both are
  // parameters that are not trainable, so that checkpoints keep them; they outlive every use of the group.
  Parameter* range = nullptr;
  Parameter* overflows = nullptr;

  bool rounds() const { return !format.is_float(); }
  // What kernels take. Overflows are counted only with `counts`: in training, and not in evaluation.
  Rounding rounding(bool counts) const;
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_NUMBER_GROUP_H_
