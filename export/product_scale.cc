#include "bitgrad/export/product_scale.h"

namespace bitgrad {

PackedScale ScaleOfProduct(const program::Program& program, int i) {
  const program::Value &x = program.operand(i, 0), &w = program.operand(i, 1);
  PackedScale result = {.scale = x.scale, .scales = {}};
  if (w.coded == nullptr) return result;
  const ScaleView rows = w.coded->scale_view();
  if (rows.is_uniform()) {
    result.scale = x.scale * rows.at(0);
  } else {
    for (int64_t o = 0; o < w.coded->matrix.rows(); ++o) result.scales.push_back(rows.at(o));
  }
  return result;
}

}  // namespace bitgrad
