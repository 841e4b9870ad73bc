// Recurrent cells in double precision, one stream and one unit after the other.

#ifndef BITGRAD_TESTS_REFERENCE_RECURRENT_H_
#define BITGRAD_TESTS_REFERENCE_RECURRENT_H_

#include <cmath>
#include <cstdint>
#include <functional>
#include <vector>

namespace bitgrad::reference {

enum class Cell { kLstm, kGru, kRnnTanh, kRnnRelu };

// Matrices row-major, as in models/layers/recurrent.h. Weights and x are taken as they are; h and gates pass the
// functions.
struct RecurrentLayer {
  Cell cell;
  int64_t in, hidden;
  std::vector<double> input_weight, hidden_weight, bias, hidden_bias;
  std::function<double(double)> quantize_state = [](double h) { return h; };
  std::function<double(double)> quantize_gate = [](double g) { return g; };
};

// Of one stream.
struct RecurrentState {
  std::vector<double> h, c;
};

// sum_j w[row, j] v[j]
inline double Product(const std::vector<double>& w, int64_t row, const std::vector<double>& v) {
  double sum = 0;
  for (size_t j = 0; j < v.size(); ++j) sum += w[row * v.size() + j] * v[j];
  return sum;
}

inline double Sigmoid(double x) { return 1 / (1 + std::exp(-x)); }

inline RecurrentState RecurrentStep(const RecurrentLayer& layer, const std::vector<double>& x,
                                    const RecurrentState& before) {
  const int64_t n = layer.hidden;
  const auto q = layer.quantize_gate;
  std::vector<double> read;
  for (const double h : before.h) read.push_back(layer.quantize_state(h));
  const auto input = [&](int64_t row) { return Product(layer.input_weight, row, x) + layer.bias[row]; };
  const auto recurrent = [&](int64_t row) { return Product(layer.hidden_weight, row, read); };
  RecurrentState after = before;
  for (int64_t u = 0; u < n; ++u) {
    const auto sum = [&](int64_t gate) { return input(gate * n + u) + recurrent(gate * n + u); };
    switch (layer.cell) {
      case Cell::kLstm:
        after.c[u] = q(Sigmoid(sum(1))) * before.c[u] + q(Sigmoid(sum(0))) * q(std::tanh(sum(2)));
        after.h[u] = q(Sigmoid(sum(3))) * std::tanh(after.c[u]);
        break;
      case Cell::kGru: {
        const double reset = q(Sigmoid(sum(0) + layer.hidden_bias[u]));
        const double update = q(Sigmoid(sum(1) + layer.hidden_bias[n + u]));
        const double fresh =
            q(std::tanh(input(2 * n + u) + reset * (recurrent(2 * n + u) + layer.hidden_bias[2 * n + u])));
        after.h[u] = (1 - update) * fresh + update * before.h[u];
        break;
      }
      case Cell::kRnnTanh: after.h[u] = std::tanh(sum(0)); break;
      case Cell::kRnnRelu: after.h[u] = std::fmax(sum(0), 0); break;
    }
  }
  return after;
}

// x [steps, streams, in] -> h [steps, streams, hidden]. `states` has each stream's state, and gets the last one.
inline std::vector<double> RunRecurrent(const RecurrentLayer& layer, const std::vector<double>& x, int64_t steps,
                                        std::vector<RecurrentState>& states) {
  std::vector<double> outputs;
  for (int64_t t = 0; t < steps; ++t) {
    for (size_t s = 0; s < states.size(); ++s) {
      const double* begin = x.data() + (t * states.size() + s) * layer.in;
      states[s] = RecurrentStep(layer, {begin, begin + layer.in}, states[s]);
      outputs.insert(outputs.end(), states[s].h.begin(), states[s].h.end());
    }
  }
  return outputs;
}

}  // namespace bitgrad::reference

#endif  // BITGRAD_TESTS_REFERENCE_RECURRENT_H_
