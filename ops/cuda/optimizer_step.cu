// One pass over a parameter: 12 (SGD) to 28 (Adam) bytes per element, which memory limits, and an eighth of a byte of
// signs.
//
// A warp takes 128 neighbours of a row, a lane every 32nd of them: four loads of each array are in flight per thread,
// and four ballots are the 16 bytes of their signs, at any number of columns. Without signs the parameter is one row.

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <limits>

#include "core/check.h"
#include "ops/cuda/block_sum.h"
#include "ops/cuda/device.h"
#include "ops/cuda/functions.h"
#include "ops/cuda/launch.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

constexpr int kWords = 4;  // of 32 elements
constexpr int64_t kPiece = 32 * kWords;

// The optimizers' own parts. Each loads what it keeps of an element, and turns the gradient into a step.
struct PlainSgd {
  float lr;
  struct State {};
  __device__ State Load(int64_t) const { return {}; }
  __device__ float Step(int64_t, float g, State) const { return -lr * g; }
};

struct MomentumSgd {
  float lr, momentum;
  bool nesterov;
  float* velocity;
  struct State {
    float v;
  };
  __device__ State Load(int64_t i) const { return {velocity[i]}; }
  __device__ float Step(int64_t i, float g, State old) const {
    const float v = momentum * old.v - lr * g;
    velocity[i] = v;
    return nesterov ? momentum * v - lr * g : v;
  }
};

struct Adam {
  float beta1, beta2, epsilon, rate;
  float* m;
  float* v;
  struct State {
    float m, v;
  };
  __device__ State Load(int64_t i) const { return {m[i], v[i]}; }
  __device__ float Step(int64_t i, float g, State old) const {
    const float m_new = beta1 * old.m + (1.0f - beta1) * g;
    const float v_new = beta2 * old.v + (1.0f - beta2) * (g * g);
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (sqrtf(v_new) + epsilon);
  }
};

struct AdaMax {
  float beta1, beta2, epsilon, rate;
  float* m;
  float* v;
  struct State {
    float m, v;
  };
  __device__ State Load(int64_t i) const { return {m[i], v[i]}; }
  __device__ float Step(int64_t i, float g, State old) const {
    const float m_new = beta1 * old.m + (1.0f - beta1) * g;
    const float decayed = beta2 * old.v;
    const float size = fabsf(g);
    const float v_new = size <= decayed ? decayed : size;  // NaN in g stays visible.
    m[i] = m_new;
    v[i] = v_new;
    return -rate * m_new / (v_new + epsilon);
  }
};

template <typename Optimizer>
__global__ void StepKernel(StepArgs args, Optimizer optimizer, const float* gradient, float* weight, int64_t rows,
                           int64_t cols, int64_t pieces_per_row, unsigned long long* counts) {
  const int lane = static_cast<int>(threadIdx.x % 32);
  const bool clips = args.clip != std::numeric_limits<float>::infinity();
  int64_t flips = 0;
  int64_t at_clip = 0;
  const int64_t warps = static_cast<int64_t>(gridDim.x) * kWarpsPerBlock;
  const int64_t first_unit = static_cast<int64_t>(blockIdx.x) * kWarpsPerBlock + threadIdx.x / 32;
  for (int64_t unit = first_unit; unit < rows * pieces_per_row; unit += warps) {
    const int64_t row = unit / pieces_per_row;
    const int64_t first = (unit - row * pieces_per_row) * kPiece + lane;
    float w[kWords], g[kWords];
    typename Optimizer::State state[kWords];
#pragma unroll
    for (int k = 0; k < kWords; ++k) {
      const int64_t i = row * cols + first + 32 * k;
      if (first + 32 * k < cols) {
        w[k] = weight[i];
        g[k] = gradient[i];
        state[k] = optimizer.Load(i);
      }
    }
    unsigned signs[kWords];
#pragma unroll
    for (int k = 0; k < kWords; ++k) {
      const int64_t i = row * cols + first + 32 * k;
      bool positive = false;
      if (first + 32 * k < cols) {
        const float scaled = args.gradient_scale * g[k] + args.weight_decay * w[k];
        const float moved = w[k] + args.weight_scale * optimizer.Step(i, scaled, state[k]);
        const float clipped = moved < -args.clip ? -args.clip : moved > args.clip ? args.clip : moved;
        weight[i] = clipped;
        positive = clipped >= 0.0f;
        flips += positive != (w[k] >= 0.0f);
        at_clip += clips && fabsf(clipped) >= args.clip;
      }
      signs[k] = __ballot_sync(0xffffffffu, positive);
    }
    if (args.signs.words != nullptr && lane == 0) {
      reinterpret_cast<uint4*>(args.signs.row(row))[first / kPiece] =
          make_uint4(signs[0], signs[1], signs[2], signs[3]);
    }
  }
  flips = BlockSum(flips);
  at_clip = BlockSum(at_clip);
  if (threadIdx.x == 0) {
    atomicAdd(&counts[0], static_cast<unsigned long long>(flips));
    atomicAdd(&counts[1], static_cast<unsigned long long>(at_clip));
  }
}

template <typename Optimizer>
void LaunchStep(ExecContext& context, const char* name, const StepArgs& args, const Optimizer& optimizer,
                const float* gradient, float* weight, int64_t count, StepCounts* counts) {
  static_assert(sizeof(StepCounts) == 2 * sizeof(unsigned long long));
  const bool with_signs = args.signs.words != nullptr;
  BITGRAD_DCHECK(!with_signs || args.signs.rows * args.signs.cols == count);
  context.allocator().Zero(counts, sizeof(*counts));
  const int64_t rows = with_signs ? args.signs.rows : 1;
  const int64_t cols = with_signs ? args.signs.cols : count;
  const int64_t pieces = with_signs ? BitMatrix::WordsPerRow(cols) * 64 / kPiece : (cols + kPiece - 1) / kPiece;
  if (rows * pieces == 0) return;
  Launch(context, name, StepKernel<Optimizer>, OverElements(rows * pieces * 32), args, optimizer, gradient, weight,
         rows, cols, pieces, reinterpret_cast<unsigned long long*>(counts));
}

}  // namespace

void SgdStep(ExecContext& context, const StepArgs& args, float momentum, bool nesterov, const float* gradient,
             float* velocity, float* weight, int64_t count, StepCounts* counts) {
  BITGRAD_DCHECK(velocity != nullptr || momentum == 0.0f || count == 0);
  if (velocity == nullptr) {
    LaunchStep(context, "sgd_step", args, PlainSgd{args.learning_rate}, gradient, weight, count, counts);
  } else {
    LaunchStep(context, "sgd_step", args, MomentumSgd{args.learning_rate, momentum, nesterov, velocity}, gradient,
               weight, count, counts);
  }
}

void AdamStep(ExecContext& context, const StepArgs& args, const AdamArgs& adam, const float* gradient, float* m,
              float* v, float* weight, int64_t count, StepCounts* counts) {
  BITGRAD_DCHECK(adam.t >= 1);
  const double correction1 = 1.0 - std::pow(static_cast<double>(adam.beta1), adam.t);
  const double correction2 = 1.0 - std::pow(static_cast<double>(adam.beta2), adam.t);
  const float rate = static_cast<float>(args.learning_rate * std::sqrt(correction2) / correction1);
  LaunchStep(context, "adam_step", args, Adam{adam.beta1, adam.beta2, adam.epsilon, rate, m, v}, gradient, weight,
             count, counts);
}

void AdaMaxStep(ExecContext& context, const StepArgs& args, const AdamArgs& adam, const float* gradient, float* m,
                float* v, float* weight, int64_t count, StepCounts* counts) {
  BITGRAD_DCHECK(adam.t >= 1);
  const double correction1 = 1.0 - std::pow(static_cast<double>(adam.beta1), adam.t);
  const float rate = static_cast<float>(args.learning_rate / correction1);
  LaunchStep(context, "adamax_step", args, AdaMax{adam.beta1, adam.beta2, adam.epsilon, rate, m, v}, gradient, weight,
             count, counts);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
