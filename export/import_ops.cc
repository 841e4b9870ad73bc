#include "bitgrad/export/import_ops.h"

#include <algorithm>
#include <cmath>
#include <map>
#include <utility>

#include "bitgrad/export/import_constants.h"

namespace bitgrad {

std::vector<const ImportTensor*> ImportCall::constants() const {
  std::vector<const ImportTensor*> result;
  for (size_t k = 0; k < inputs.size(); ++k) result.push_back(constant(k));
  return result;
}

ImportOpInfo FindImportOp(const std::string& op) {
  static const auto& ops = *new std::map<std::string, ImportOpInfo>({
      {"Add", {ImportArithmetic, true}},
      {"AveragePool", {ImportAveragePool}},
      {"BatchNormalization", {ImportBatchNorm}},
      {"BipolarQuant", {ImportQuant, true}},
      {"Cast", {ImportIdentity, true}},
      {"Ceil", {ImportRounding, true}},
      {"Clip", {ImportClip, true}},
      {"Concat", {ImportConcat}},
      {"Conv", {ImportConv}},
      {"DequantizeLinear", {ImportDequantizeLinear, true}},
      {"Div", {ImportArithmetic, true}},
      {"Dropout", {ImportIdentity, true}},
      {"Flatten", {ImportFlatten}},
      {"Floor", {ImportRounding, true}},
      {"Gemm", {ImportGemm}},
      {"GlobalAveragePool", {ImportGlobalAveragePool}},
      {"Greater", {ImportComparison, true}},
      {"GreaterOrEqual", {ImportComparison, true}},
      {"HardTanh", {ImportActivation, true}},
      {"Identity", {ImportIdentity, true}},
      {"LeakyRelu", {ImportActivation, true}},
      {"Less", {ImportComparison, true}},
      {"LessOrEqual", {ImportComparison, true}},
      {"MatMul", {ImportMatMul}},
      {"MaxPool", {ImportMaxPool}},
      {"Mul", {ImportArithmetic, true}},
      {"Neg", {ImportActivation, true}},
      {"PRelu", {ImportPRelu}},
      {"Quant", {ImportQuant, true}},
      {"QuantizeLinear", {ImportQuantizeLinear, true}},
      {"ReduceMean", {ImportReduceMean}},
      {"Relu", {ImportActivation, true}},
      {"Reshape", {ImportReshape}},
      {"Round", {ImportRounding, true}},
      {"Shape", {ImportShape}},
      {"Sigmoid", {ImportActivation}},
      {"Squeeze", {ImportSqueeze}},
      {"Sub", {ImportArithmetic, true}},
      {"Sum", {ImportArithmetic, true}},
      {"Tanh", {ImportActivation}},
      {"Transpose", {ImportTranspose, true}},
      {"Trunc", {ImportTrunc}},
      {"Unsqueeze", {ImportUnsqueeze}},
      {"Where", {ImportWhere, true}},
  });
  const auto found = ops.find(op);
  return found == ops.end() ? ImportOpInfo() : found->second;
}

Pointwise PointwiseOf(const ImportedRow& row, std::function<float(float x, float number)> f) {
  const std::vector<float>& numbers = row.values;
  if (std::all_of(numbers.begin(), numbers.end(), [&](float n) { return n == numbers[0]; })) {
    return {[f = std::move(f), number = numbers[0]](float x, int64_t) { return f(x, number); }};
  }
  const int64_t columns = static_cast<int64_t>(numbers.size());
  return {[f = std::move(f), numbers](float x, int64_t j) { return f(x, numbers[static_cast<size_t>(j)]); }, columns};
}

float WholeNumber(const std::string& op, float x) {
  if (op == "Floor") return std::floor(x);
  return op == "Ceil" ? std::ceil(x) : std::nearbyint(x);
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
