// Evaluate() of import_testing.h.

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>

#include "bitgrad/tests/export/import_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using Values = std::vector<TestValue>;

int64_t Count(const Dims& dims) {
  int64_t count = 1;
  for (const int64_t d : dims) count *= d;
  return count;
}

Dims Ints(const onnx::NodeProto& node, const char* name, Dims otherwise) {
  for (const auto& a : node.attribute()) {
    if (a.name() == name) return {a.ints().begin(), a.ints().end()};
  }
  return otherwise;
}

double Get(const onnx::NodeProto& node, const char* name, double otherwise) {
  for (const auto& a : node.attribute()) {
    if (a.name() == name) return a.type() == onnx::AttributeProto::FLOAT ? a.f() : static_cast<double>(a.i());
  }
  return otherwise;
}

TestValue Read(const onnx::TensorProto& tensor) {
  TestValue value = {.dims = {tensor.dims().begin(), tensor.dims().end()}, .data = {}};
  for (int64_t i = 0; i < Count(value.dims); ++i) {
    if (tensor.data_type() == onnx::TensorProto::FLOAT) {
      float f;
      std::memcpy(&f, tensor.raw_data().data() + i * sizeof(float), sizeof(float));
      value.data.push_back(f);
    } else if (tensor.data_type() == onnx::TensorProto::INT64) {
      value.data.push_back(static_cast<double>(tensor.int64_data(static_cast<int>(i))));
    } else {
      value.data.push_back(tensor.int32_data(static_cast<int>(i)));
    }
  }
  return value;
}

// The element of `v`, broadcast to `dims`, at the place i of it.
double At(const TestValue& v, const Dims& dims, int64_t i) {
  int64_t index = 0, stride = 1, rest = i;
  for (int d = static_cast<int>(dims.size()) - 1; d >= 0; --d) {
    const int64_t place = rest % dims[d];
    rest /= dims[d];
    const int own = d - static_cast<int>(dims.size() - v.dims.size());
    if (own < 0) continue;
    if (v.dims[own] != 1) index += place * stride;
    stride *= v.dims[own];
  }
  return v.data[index];
}

TestValue Map(const Values& in, const std::function<double(const std::vector<double>&)>& f) {
  const Dims& dims = in[0].data.size() >= in.back().data.size() ? in[0].dims : in.back().dims;
  TestValue y = {.dims = dims, .data = {}};
  for (int64_t i = 0; i < Count(dims); ++i) {
    std::vector<double> operands;
    for (const TestValue& v : in) operands.push_back(At(v, dims, i));
    y.data.push_back(f(operands));
  }
  return y;
}

TestValue Conv(const onnx::NodeProto& node, const Values& in) {
  const Dims strides = Ints(node, "strides", {1, 1}), pads = Ints(node, "pads", {0, 0, 0, 0});
  const Dims dilations = Ints(node, "dilations", {1, 1});
  const int64_t groups = static_cast<int64_t>(Get(node, "group", 1));
  const Dims &x = in[0].dims, &w = in[1].dims;
  const int64_t rows = (x[2] + 2 * pads[0] - dilations[0] * (w[2] - 1) - 1) / strides[0] + 1;
  const int64_t cols = (x[3] + 2 * pads[1] - dilations[1] * (w[3] - 1) - 1) / strides[1] + 1;
  TestValue y = {.dims = {x[0], w[0], rows, cols}, .data = {}};
  for (int64_t n = 0; n < x[0]; ++n) {
    for (int64_t o = 0; o < w[0]; ++o) {
      for (int64_t p = 0; p < rows; ++p) {
        for (int64_t q = 0; q < cols; ++q) {
          double sum = in.size() > 2 ? in[2].data[o] : 0;
          for (int64_t c = 0; c < w[1]; ++c) {
            for (int64_t r = 0; r < w[2]; ++r) {
              for (int64_t s = 0; s < w[3]; ++s) {
                const int64_t i = p * strides[0] - pads[0] + r * dilations[0];
                const int64_t j = q * strides[1] - pads[1] + s * dilations[1];
                if (i < 0 || j < 0 || i >= x[2] || j >= x[3]) continue;
                const int64_t channel = o / (w[0] / groups) * w[1] + c;
                sum += in[0].data[((n * x[1] + channel) * x[2] + i) * x[3] + j] *
                       in[1].data[((o * w[1] + c) * w[2] + r) * w[3] + s];
              }
            }
          }
          y.data.push_back(sum);
        }
      }
    }
  }
  return y;
}

TestValue Pool(const onnx::NodeProto& node, const TestValue& x, bool is_max, bool global) {
  const Dims kernel = global ? Dims{x.dims[2], x.dims[3]} : Ints(node, "kernel_shape", {});
  const Dims strides = Ints(node, "strides", {1, 1}), pads = Ints(node, "pads", {0, 0, 0, 0});
  const int64_t up = Get(node, "ceil_mode", 0) != 0 ? 1 : 0;
  const int64_t rows = (x.dims[2] + 2 * pads[0] - kernel[0] + up * (strides[0] - 1)) / strides[0] + 1;
  const int64_t cols = (x.dims[3] + 2 * pads[1] - kernel[1] + up * (strides[1] - 1)) / strides[1] + 1;
  TestValue y = {.dims = {x.dims[0], x.dims[1], rows, cols}, .data = {}};
  for (int64_t plane = 0; plane < x.dims[0] * x.dims[1]; ++plane) {
    for (int64_t p = 0; p < rows; ++p) {
      for (int64_t q = 0; q < cols; ++q) {
        double most = -std::numeric_limits<double>::infinity(), sum = 0, count = 0;
        for (int64_t i = p * strides[0] - pads[0]; i < p * strides[0] - pads[0] + kernel[0]; ++i) {
          for (int64_t j = q * strides[1] - pads[1]; j < q * strides[1] - pads[1] + kernel[1]; ++j) {
            if (i < 0 || j < 0 || i >= x.dims[2] || j >= x.dims[3]) continue;
            const double v = x.data[(plane * x.dims[2] + i) * x.dims[3] + j];
            most = std::max(most, v);
            sum += v;
            ++count;
          }
        }
        y.data.push_back(is_max ? most : sum / count);
      }
    }
  }
  return y;
}

TestValue Product(const onnx::NodeProto& node, const Values& in) {
  const bool transposed = Get(node, "transB", 0) != 0;
  const int64_t rows = in[0].dims[0], depth = in[0].dims[1], cols = in[1].dims[transposed ? 0 : 1];
  TestValue y = {.dims = {rows, cols}, .data = {}};
  for (int64_t i = 0; i < rows; ++i) {
    for (int64_t o = 0; o < cols; ++o) {
      double sum = 0;
      for (int64_t k = 0; k < depth; ++k) {
        sum += in[0].data[i * depth + k] * in[1].data[transposed ? o * depth + k : k * cols + o];
      }
      const double bias = in.size() > 2 ? At(in[2], y.dims, i * cols + o) : 0;
      y.data.push_back(Get(node, "alpha", 1) * sum + Get(node, "beta", 1) * bias);
    }
  }
  return y;
}

TestValue BatchNorm(const onnx::NodeProto& node, const Values& in) {
  TestValue y = in[0];
  int64_t area = 1;
  for (size_t d = 2; d < y.dims.size(); ++d) area *= y.dims[d];
  for (size_t i = 0; i < y.data.size(); ++i) {
    const int64_t c = static_cast<int64_t>(i) / area % y.dims[1];
    y.data[i] = (y.data[i] - in[3].data[c]) / std::sqrt(in[4].data[c] + Get(node, "epsilon", 1e-5)) * in[1].data[c] +
                in[2].data[c];
  }
  return y;
}

TestValue Concat(const Values& in) {
  TestValue y = {.dims = in[0].dims, .data = {}};
  y.dims[1] = 0;
  for (const TestValue& v : in) y.dims[1] += v.dims[1];
  for (int64_t n = 0; n < y.dims[0]; ++n) {
    for (const TestValue& v : in) {
      const int64_t size = static_cast<int64_t>(v.data.size()) / y.dims[0];
      y.data.insert(y.data.end(), v.data.begin() + n * size, v.data.begin() + (n + 1) * size);
    }
  }
  return y;
}

double Quantized(const onnx::NodeProto& node, const std::vector<double>& v) {
  const bool is_signed = Get(node, "signed", 1) != 0, narrow = Get(node, "narrow", 0) != 0;
  const double most = std::exp2(v[3] - (is_signed ? 1 : 0)) - 1 - (!is_signed && narrow ? 1 : 0);
  const double least = is_signed ? -std::exp2(v[3] - 1) + (narrow ? 1 : 0) : 0;
  bool down = false;
  for (const auto& a : node.attribute()) down |= a.name() == "rounding_mode" && a.s() == "FLOOR";
  const double t = v[0] / v[1];
  return std::clamp(down ? std::floor(t) : std::nearbyint(t), least, most) * v[1];
}

}  // namespace

TestValue Evaluate(const onnx::GraphProto& graph, const TestValue& x) {
  std::map<std::string, TestValue> values = {{"x", x}};
  for (const auto& tensor : graph.initializer()) values[tensor.name()] = Read(tensor);
  using V = std::vector<double>;
  for (const auto& node : graph.node()) {
    Values in;
    for (const std::string& name : node.input()) in.push_back(values.at(name));
    TestValue y;
    const std::string& op = node.op_type();
    if (op == "Conv") y = Conv(node, in);
    if (op == "Gemm" || op == "MatMul") y = Product(node, in);
    if (op == "BatchNormalization") y = BatchNorm(node, in);
    if (op == "MaxPool") y = Pool(node, in[0], true, false);
    if (op == "AveragePool") y = Pool(node, in[0], false, false);
    if (op == "GlobalAveragePool") y = Pool(node, in[0], false, true);
    if (op == "Concat") y = Concat(in);
    if (op == "Add") y = Map(in, [](const V& v) { return v[0] + v[1]; });
    if (op == "Sum") y = Map(in, [](const V& v) { return v[0] + v[1] + v[2]; });
    if (op == "Sub") y = Map(in, [](const V& v) { return v[0] - v[1]; });
    if (op == "Mul") y = Map(in, [](const V& v) { return v[0] * v[1]; });
    if (op == "Div") y = Map(in, [](const V& v) { return v[0] / v[1]; });
    if (op == "Neg") y = Map(in, [](const V& v) { return -v[0]; });
    if (op == "Relu") y = Map(in, [](const V& v) { return std::max(v[0], 0.0); });
    if (op == "LeakyRelu") y = Map(in, [&](const V& v) { return v[0] > 0 ? v[0] : Get(node, "alpha", 0.01) * v[0]; });
    if (op == "PRelu") y = Map(in, [](const V& v) { return v[0] > 0 ? v[0] : v[1] * v[0]; });
    if (op == "Sigmoid") y = Map(in, [](const V& v) { return 1 / (1 + std::exp(-v[0])); });
    if (op == "Tanh") y = Map(in, [](const V& v) { return std::tanh(v[0]); });
    if (op == "Clip") y = Map(in, [](const V& v) { return std::clamp(v[0], v[1], v[2]); });
    if (op == "Quant") y = Map(in, [&](const V& v) { return Quantized(node, v); });
    if (op == "GreaterOrEqual") y = Map(in, [](const V& v) { return v[0] >= v[1] ? 1.0 : 0.0; });
    if (op == "Cast") y = in[0];
    if (op == "BipolarQuant") y = Map(in, [](const V& v) { return v[0] >= 0 ? v[1] : -v[1]; });
    if (op == "Trunc") {
      y = Map(in, [](const V& v) { return std::floor(std::nearbyint(v[0] / v[1]) / std::exp2(v[3] - v[4])) * v[1]; });
    }
    if (op == "QuantizeLinear") {
      y = Map(in, [](const V& v) { return std::clamp(std::nearbyint(v[0] / v[1]), -128.0, 127.0); });
    }
    if (op == "DequantizeLinear") y = Map(in, [](const V& v) { return v[0] * v[1]; });
    if (op == "Identity" || op == "Dropout") y = in[0];
    if (op == "Flatten" || op == "Reshape") {
      y = in[0];
      y.dims = {y.dims[0], Count(y.dims) / y.dims[0]};
    }
    EXPECT_FALSE(y.dims.empty()) << op << " is not evaluated";
    values[node.output(0)] = std::move(y);
  }
  return values.at(graph.output(0).name());
}

}  // namespace bitgrad
