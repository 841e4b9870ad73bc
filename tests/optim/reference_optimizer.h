// The optimizers' formulas for one scalar, in double precision, written directly from the papers.

#ifndef BITGRAD_TESTS_OPTIM_REFERENCE_OPTIMIZER_H_
#define BITGRAD_TESTS_OPTIM_REFERENCE_OPTIMIZER_H_

#include <algorithm>
#include <cmath>
#include <string>

#include "bitgrad/optim/hyperparameters.h"
#include "bitgrad/tests/reference/ap2.h"

namespace bitgrad {

class ReferenceOptimizer {
 public:
  ReferenceOptimizer(const std::string& name, const Hyperparameters& hyperparameters)
      : name_(name), hyperparameters_(hyperparameters) {}

  bool known() const {
    return name_ == "sgd" || name_ == "adam" || name_ == "adamax" || name_ == "shift_adamax" ||
           name_ == "shift_adamax_torch";
  }

  // The change of the weight for gradient g at the given rate. Each call is one step.
  double Step(double g, double rate) {
    ++t_;
    if (name_ == "sgd") {
      const double momentum = Get("momentum", 0);
      m_ = momentum * m_ - rate * g;
      return Get("nesterov", 0) == 1 ? momentum * m_ - rate * g : m_;
    }
    const bool is_paper = name_ == "shift_adamax";
    const double beta1 = Get("beta1", is_paper ? 1 - std::exp2(-3) : 0.9);
    const double beta2 = Get("beta2", is_paper ? 1 - std::exp2(-10) : 0.999);
    m_ = beta1 * m_ + (1 - beta1) * g;
    const double m_hat = m_ / (1 - std::pow(beta1, t_));
    if (name_ == "adam") {
      v_ = beta2 * v_ + (1 - beta2) * g * g;
      const double root = std::sqrt(1 - std::pow(beta2, t_));
      return -rate * m_hat * root / (std::sqrt(v_) + Get("epsilon", 1e-8));
    }
    v_ = std::max(beta2 * v_, std::abs(g));
    if (name_ == "adamax") return -rate * m_hat / (v_ + Get("epsilon", 0x1p-27));
    const double divisor = reference::Ap2(v_) + Get("epsilon", 0x1p-27);
    if (!is_paper) v_ = divisor;
    return -reference::Ap2(rate / (1 - std::pow(beta1, t_))) * m_ / divisor;
  }

 private:
  // The value as the kernels get it: rounded to float.
  double Get(const std::string& key, double standard) const {
    const auto found = hyperparameters_.find(key);
    return static_cast<float>(found == hyperparameters_.end() ? standard : found->second);
  }

  std::string name_;
  Hyperparameters hyperparameters_;
  int t_ = 0;
  double m_ = 0;
  double v_ = 0;
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_OPTIM_REFERENCE_OPTIMIZER_H_
