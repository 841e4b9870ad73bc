#include "bitgrad/export/import_ops.h"

#include <map>

#include "bitgrad/export/import_constants.h"

namespace bitgrad {

std::vector<const ImportTensor*> ImportCall::constants() const {
  std::vector<const ImportTensor*> result;
  for (size_t k = 0; k < inputs.size(); ++k) result.push_back(constant(k));
  return result;
}

ImportOp* FindImportOp(const std::string& op) {
  static const auto& ops = *new std::map<std::string, ImportOp*>({
      {"Add", ImportArithmetic},
      {"AveragePool", ImportAveragePool},
      {"BatchNormalization", ImportBatchNorm},
      {"BipolarQuant", ImportQuant},
      {"Cast", ImportIdentity},
      {"Clip", ImportClip},
      {"Concat", ImportConcat},
      {"Conv", ImportConv},
      {"DequantizeLinear", ImportDequantizeLinear},
      {"Div", ImportArithmetic},
      {"Dropout", ImportIdentity},
      {"Flatten", ImportFlatten},
      {"Gemm", ImportGemm},
      {"GlobalAveragePool", ImportGlobalAveragePool},
      {"GreaterOrEqual", ImportGreaterOrEqual},
      {"HardTanh", ImportActivation},
      {"Identity", ImportIdentity},
      {"LeakyRelu", ImportActivation},
      {"MatMul", ImportMatMul},
      {"MaxPool", ImportMaxPool},
      {"Mul", ImportArithmetic},
      {"Neg", ImportActivation},
      {"PRelu", ImportPRelu},
      {"Quant", ImportQuant},
      {"QuantizeLinear", ImportQuantizeLinear},
      {"ReduceMean", ImportReduceMean},
      {"Relu", ImportActivation},
      {"Reshape", ImportReshape},
      {"Shape", ImportShape},
      {"Sigmoid", ImportActivation},
      {"Squeeze", ImportSqueeze},
      {"Sub", ImportArithmetic},
      {"Sum", ImportArithmetic},
      {"Tanh", ImportActivation},
      {"Transpose", ImportTranspose},
      {"Trunc", ImportTrunc},
      {"Unsqueeze", ImportUnsqueeze},
  });
  const auto found = ops.find(op);
  return found == ops.end() ? nullptr : found->second;
}

absl::StatusOr<ImportedRow> RowOf(const ImportNode& node, const ImportTensor& constant, const Imported& x) {
  const int rank = x.shape.rank(), missing = rank - constant.shape.rank();
  const absl::Status mismatch =
      node.Unsupported("its constant of shape ", constant.shape.ToString(), " does not go with a value of shape ",
                       x.shape.ToString(), ": it has to be broadcast to examples of it, the same for all");
  // The constant's extent and stride for each dimension of x.
  const std::vector<int64_t> own = StridesOf(constant.shape);
  std::vector<int64_t> strides(static_cast<size_t>(rank), 0);
  for (int d = 0; d < constant.shape.rank(); ++d) {
    const int64_t extent = constant.shape.dim(d);
    if (extent == 1) continue;
    const int in_x = d + missing;
    if (in_x < 1 || extent != x.shape.dim(in_x)) return mismatch;
    strides[in_x] = own[d];
  }
  // Whether it depends on the program's last dimension alone.
  const int last = x.is_image ? 1 : rank - 1;
  bool by_column = rank > 1;
  for (int d = 1; d < rank; ++d) by_column &= d == last || strides[d] == 0;

  const std::vector<int64_t> order = x.Order(), of_x = StridesOf(x.shape);
  const int64_t count = by_column ? x.shape.dim(last) : x.size();
  ImportedRow row;
  for (int64_t e = 0; e < count; ++e) {
    int64_t source = 0;
    for (int d = 1; d < rank; ++d) source += order[e] / of_x[d] % x.shape.dim(d) * strides[d];
    row.values.push_back(static_cast<float>(constant.at(source)));
  }
  if (by_column) {
    row.shape = Shape({count});
  } else if (x.is_image) {
    row.shape = Shape({x.height(), x.width(), x.channels()});
  } else {
    row.shape = Shape(x.shape.dims().subspan(1));
  }
  return row;
}

}  // namespace bitgrad
