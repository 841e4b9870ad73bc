// The steps of all update rules, in one pass over all parameters. Limited by memory: 12 (SGD) to 28 (Adam) bytes per
// element, and an eighth of a byte for the signs.
//
// One launch serves all parameters: the kernel's argument is a table of them, in which a block finds its parameter. A
// block processes kUnitsPerBlock pieces, each of 128 elements of a row; each of its warps takes one piece after
// another, and each lane every 32nd element of a piece. So a thread has four loads of each array in flight, and four
// ballots are the 16 bytes of a piece's signs, at any number of columns. A parameter without signs is a single row.

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <limits>

#include "bitgrad/core/check.h"
#include "bitgrad/ops/cuda/block_sum.h"
#include "bitgrad/ops/cuda/device.h"
#include "bitgrad/ops/cuda/functions.h"
#include "bitgrad/ops/cuda/launch.h"
#include "bitgrad/ops/cuda/rounded_sgd.h"
#include "bitgrad/ops/quantizers/power_of_two.h"

namespace bitgrad::BITGRAD_CUDA_NAMESPACE {
namespace {

constexpr int kWords = 4;  // 32-bit words of signs in a piece
constexpr int64_t kPiece = 32 * kWords;
constexpr int64_t kUnitsPerBlock = 8 * kWarpsPerBlock;

// A parameter in the form that the kernels take.
struct Entry {
  const float* gradient;
  float* weight;
  float* slots[2];
  int64_t rows, cols, pieces_per_row;
  BitMatrixView signs;
  float weight_decay, weight_scale, least, most;
  int32_t first_block;
};

// The number of entries that fit into the 4 KiB of a kernel's arguments. A model with more parameters takes more
// launches.
constexpr int kMostEntries = 32;
struct Table {
  Entry entries[kMostEntries];
  int32_t count = 0;
  int32_t blocks = 0;
};
static_assert(sizeof(Table) <= 4096 - 64);

// The part of each update rule that is its own: Load() loads its state for an element, NewWeight() turns the gradient
// and the weight into the new weight and stores the new state.

// The new weight of the rules that move weights by a step.
__device__ float Moved(const Entry& entry, float w, float step) {
  const float moved = w + entry.weight_scale * step;
  return moved < entry.least ? entry.least : moved > entry.most ? entry.most : moved;
}

struct PlainSgd {
  struct State {};
  __device__ State Load(const Entry&, int64_t) const { return {}; }
  __device__ float NewWeight(const Entry& entry, int64_t, const RuleNumbers& numbers, float g, float w, State) const {
    return Moved(entry, w, -numbers.rate * g);
  }
};

struct MomentumSgd {
  bool nesterov;
  struct State {
    float v;
  };
  __device__ State Load(const Entry& entry, int64_t i) const { return {entry.slots[0][i]}; }
  __device__ float NewWeight(const Entry& entry, int64_t i, const RuleNumbers& numbers, float g, float w,
                             State old) const {
    const float v = numbers.momentum * old.v - numbers.rate * g;
    entry.slots[0][i] = v;
    return Moved(entry, w, nesterov ? numbers.momentum * v - numbers.rate * g : v);
  }
};

struct TwoSlots {
  struct State {
    float m, v;
  };
  __device__ State Load(const Entry& entry, int64_t i) const { return {entry.slots[0][i], entry.slots[1][i]}; }
  __device__ static void Keep(const Entry& entry, int64_t i, float m, float v) {
    entry.slots[0][i] = m;
    entry.slots[1][i] = v;
  }
};

struct Adam : TwoSlots {
  AdamArgs args;
  explicit Adam(const AdamArgs& args) : args(args) {}
  __device__ float NewWeight(const Entry& entry, int64_t i, const RuleNumbers& numbers, float g, float w,
                             State old) const {
    const float m = args.beta1 * old.m + (1.0f - args.beta1) * g;
    const float v = args.beta2 * old.v + (1.0f - args.beta2) * (g * g);
    Keep(entry, i, m, v);
    return Moved(entry, w, -numbers.rate * m / (sqrtf(v) + args.epsilon));
  }
};

struct AdaMax : TwoSlots {
  AdamArgs args;
  explicit AdaMax(const AdamArgs& args) : args(args) {}
  __device__ float NewWeight(const Entry& entry, int64_t i, const RuleNumbers& numbers, float g, float w,
                             State old) const {
    const float m = args.beta1 * old.m + (1.0f - args.beta1) * g;
    const float decayed = args.beta2 * old.v;
    const float size = fabsf(g);
    const float v = size <= decayed ? decayed : size;  // NaN where g is NaN
    Keep(entry, i, m, v);
    return Moved(entry, w, -numbers.rate * m / (v + args.epsilon));
  }
};

struct ShiftAdaMax : TwoSlots {
  AdamArgs args;
  bool keeps_divisor;
  ShiftAdaMax(const AdamArgs& args, bool keeps_divisor) : args(args), keeps_divisor(keeps_divisor) {}
  __device__ float NewWeight(const Entry& entry, int64_t i, const RuleNumbers& numbers, float g, float w,
                             State old) const {
    const float m = args.beta1 * old.m + (1.0f - args.beta1) * g;
    const float decayed = args.beta2 * old.v;
    const float size = fabsf(g);
    const float u = size <= decayed ? decayed : size;  // NaN where g is NaN
    const float divisor = NearestPower(u) + args.epsilon;
    Keep(entry, i, m, keeps_divisor ? divisor : u);
    return Moved(entry, w, -numbers.rate * m / divisor);
  }
};

struct Bop {
  float threshold;
  struct State {
    float m;
  };
  __device__ State Load(const Entry& entry, int64_t i) const { return {entry.slots[0][i]}; }
  __device__ float NewWeight(const Entry& entry, int64_t i, const RuleNumbers& numbers, float g, float w,
                             State old) const {
    const float m = (1.0f - numbers.rate) * old.m + numbers.rate * g;
    entry.slots[0][i] = m;
    const float sign = w >= 0.0f ? 1.0f : -1.0f;
    return m * sign > threshold ? -sign : sign;
  }
};

template <typename Rule>
__global__ void StepKernel(const __grid_constant__ Table table, Rule rule, const RuleNumbers* numbers_of_step,
                           const StepScalars* scalars, unsigned long long* counts) {
  const StepScalars shared = *scalars;
  if (shared.failed != 0) return;
  const RuleNumbers numbers = *numbers_of_step;
  int index = 0;
  while (index + 1 < table.count && static_cast<int32_t>(blockIdx.x) >= table.entries[index + 1].first_block) ++index;
  const Entry& entry = table.entries[index];
  const int lane = static_cast<int>(threadIdx.x % 32);
  // Comparisons with NaN are false, so that a bound that there is not is never reached.
  constexpr float kNan = std::numeric_limits<float>::quiet_NaN();
  constexpr float kInfinity = std::numeric_limits<float>::infinity();
  const float least = entry.least == -kInfinity ? kNan : entry.least;
  const float most = entry.most == kInfinity ? kNan : entry.most;
  const int64_t pieces = entry.pieces_per_row, units = entry.rows * pieces;
  const int64_t first_unit = (static_cast<int64_t>(blockIdx.x) - entry.first_block) * kUnitsPerBlock;
  int64_t flips = 0;
  int64_t at_clip = 0;
  for (int64_t unit = first_unit + threadIdx.x / 32; unit < min(first_unit + kUnitsPerBlock, units);
       unit += kWarpsPerBlock) {
    const int64_t row = unit / pieces;
    const int64_t first = (unit - row * pieces) * kPiece + lane;
    float w[kWords], g[kWords];
    typename Rule::State state[kWords];
#pragma unroll
    for (int k = 0; k < kWords; ++k) {
      const int64_t i = row * entry.cols + first + 32 * k;
      if (first + 32 * k < entry.cols) {
        w[k] = entry.weight[i];
        g[k] = entry.gradient[i];
        state[k] = rule.Load(entry, i);
      }
    }
    unsigned signs[kWords];
#pragma unroll
    for (int k = 0; k < kWords; ++k) {
      const int64_t i = row * entry.cols + first + 32 * k;
      bool positive = false;
      if (first + 32 * k < entry.cols) {
        const float scaled = shared.gradient_scale * g[k] + entry.weight_decay * w[k];
        const float updated = rule.NewWeight(entry, i, numbers, scaled, w[k], state[k]);
        entry.weight[i] = updated;
        positive = updated >= 0.0f;
        flips += positive != (w[k] >= 0.0f);
        at_clip += updated <= least || updated >= most;
      }
      signs[k] = __ballot_sync(0xffffffffu, positive);
    }
    if (entry.signs.words != nullptr && lane == 0) {
      reinterpret_cast<uint4*>(entry.signs.row(row))[first / kPiece] =
          make_uint4(signs[0], signs[1], signs[2], signs[3]);
      if (entry.signs.ones != nullptr) {
        atomicAdd(&entry.signs.ones[row], __popc(signs[0]) + __popc(signs[1]) + __popc(signs[2]) + __popc(signs[3]));
      }
    }
  }
  flips = BlockSum(flips);
  at_clip = BlockSum(at_clip);
  if (threadIdx.x == 0) {
    atomicAdd(&counts[2 * index], static_cast<unsigned long long>(flips));
    atomicAdd(&counts[2 * index + 1], static_cast<unsigned long long>(at_clip));
  }
}

Entry EntryOf(const StepTensor& tensor) {
  const bool with_signs = tensor.signs.words != nullptr;
  BITGRAD_DCHECK(!with_signs || tensor.signs.rows * tensor.signs.cols == tensor.count);
  const int64_t cols = with_signs ? tensor.signs.cols : tensor.count;
  return {.gradient = tensor.gradient,
          .weight = tensor.weight,
          .slots = {tensor.slots[0], tensor.slots[1]},
          .rows = with_signs ? tensor.signs.rows : 1,
          .cols = cols,
          .pieces_per_row = with_signs ? BitMatrix::WordsPerRow(cols) * 64 / kPiece : (cols + kPiece - 1) / kPiece,
          .signs = tensor.signs,
          .weight_decay = tensor.weight_decay,
          .weight_scale = tensor.weight_scale,
          .least = tensor.least,
          .most = tensor.most,
          .first_block = 0};
}

// Calls launch(table, number of its first tensor) for tables of up to kMostEntries tensors.
template <typename F>
void ForEachTable(absl::Span<const StepTensor> tensors, const F& launch) {
  for (size_t first = 0; first < tensors.size(); first += kMostEntries) {
    Table table;
    for (const StepTensor& tensor : tensors.subspan(first, kMostEntries)) {
      Entry& entry = table.entries[table.count++] = EntryOf(tensor);
      entry.first_block = table.blocks;
      const int64_t units = entry.rows * entry.pieces_per_row;
      // Even an empty parameter gets a block, because a block looks for the last entry that begins at or before it.
      table.blocks += static_cast<int32_t>(std::max<int64_t>(1, (units + kUnitsPerBlock - 1) / kUnitsPerBlock));
    }
    launch(table, static_cast<int64_t>(first));
  }
}

template <typename Rule>
void LaunchStep(ExecContext& context, const char* name, const Rule& rule, const RuleNumbers* numbers,
                const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts) {
  static_assert(sizeof(StepCounts) == 2 * sizeof(unsigned long long));
  ForEachTable(tensors, [&](const Table& table, int64_t first) {
    Launch(context, name, StepKernel<Rule>, {dim3(static_cast<unsigned>(table.blocks)), dim3(kThreads)}, table, rule,
           numbers, scalars, reinterpret_cast<unsigned long long*>(counts + first));
  });
}

// Runs as one block, because there is little to do.
__global__ void PrepareKernel(const double* squares, int64_t count, const float* loss, double max_norm,
                              StepScalars* scalars, StepCounts* counts) {
  for (int64_t i = threadIdx.x; i < count; i += kThreads) counts[i] = {0, 0};
  if (threadIdx.x != 0) return;
  double sum = 0;
  bool finite = loss == nullptr || fabsf(*loss) <= std::numeric_limits<float>::max();
  for (int64_t i = 0; i < count; ++i) {
    sum += squares[i];
    finite &= fabs(squares[i]) <= std::numeric_limits<double>::max();
  }
  const double norm = sqrt(sum);
  scalars->gradient_scale = max_norm > 0 && norm > max_norm ? static_cast<float>(max_norm / norm) : 1.0f;
  if (!finite) scalars->failed = 1;
}

// A block takes the rows of a gradient by rows one after another. The expressions are those of StepKernel for PlainSgd.
__global__ void SgdRowsKernel(const RuleNumbers* numbers_of_step, const StepScalars* scalars, const int32_t* rows,
                              ConstMatrixView<float> gradient, float weight_scale, MatrixView<float> w,
                              unsigned long long* sign_flips) {
  const StepScalars shared = *scalars;
  if (shared.failed != 0) return;
  const float rate = numbers_of_step->rate;
  int64_t flips = 0;
  for (int64_t i = blockIdx.x; i < gradient.rows; i += gridDim.x) {
    if (rows[i] < 0) continue;
    float* const weights = w.row(rows[i]);
    for (int64_t j = threadIdx.x; j < w.cols; j += kThreads) {
      const float old = weights[j];
      const float g = shared.gradient_scale * gradient.at(i, j) + 0.0f * old;
      const float updated = old + weight_scale * (-rate * g);
      weights[j] = updated;
      flips += (updated >= 0.0f) != (old >= 0.0f);
    }
  }
  flips = BlockSum(flips);
  if (threadIdx.x == 0 && flips > 0) atomicAdd(sign_flips, static_cast<unsigned long long>(flips));
}

// One block per parameter. A step that fails leaves the signs as they are, and therefore their counts of ones, too.
__global__ void ZeroOnesKernel(const __grid_constant__ Table table, const StepScalars* scalars) {
  const BitMatrixView& signs = table.entries[blockIdx.x].signs;
  if (signs.ones == nullptr || scalars->failed != 0) return;
  for (int64_t i = threadIdx.x; i < signs.rows; i += kThreads) signs.ones[i] = 0;
}

}  // namespace

void PrepareStep(ExecContext& context, const double* squares, const float* loss, double max_norm,
                 absl::Span<const StepTensor> tensors, StepScalars* scalars, StepCounts* counts) {
  Launch(context, "prepare_step", PrepareKernel, {dim3(1), dim3(kThreads)}, squares,
         static_cast<int64_t>(tensors.size()), loss, max_norm, scalars, counts);
  ForEachTable(tensors, [&](const Table& table, int64_t) {
    const bool any = std::any_of(table.entries, table.entries + table.count,
                                 [](const Entry& entry) { return entry.signs.ones != nullptr; });
    if (!any) return;
    Launch(context, "prepare_step", ZeroOnesKernel, {dim3(static_cast<unsigned>(table.count)), dim3(kThreads)}, table,
           static_cast<const StepScalars*>(scalars));
  });
}

void SgdStep(ExecContext& context, bool nesterov, const RuleNumbers* numbers, const StepScalars* scalars,
             absl::Span<const StepTensor> tensors, StepCounts* counts) {
  // Tensors that round are rare, and then all do: they are launched one by one.
  for (size_t first = 0; first < tensors.size();) {
    if (tensors[first].rounds()) {
      RoundedSgd(context, numbers, scalars, tensors[first], counts + first);
      ++first;
      continue;
    }
    size_t end = first + 1;
    while (end < tensors.size() && !tensors[end].rounds()) ++end;
    const absl::Span<const StepTensor> plain = tensors.subspan(first, end - first);
    // All tensors of a rule have a velocity, or none has.
    if (plain[0].slots[0] == nullptr) {
      LaunchStep(context, "sgd_step", PlainSgd(), numbers, scalars, plain, counts + first);
    } else {
      LaunchStep(context, "sgd_step", MomentumSgd{nesterov}, numbers, scalars, plain, counts + first);
    }
    first = end;
  }
}

void SgdRowsStep(ExecContext& context, const RuleNumbers* numbers, const StepScalars* scalars, const int32_t* rows,
                 ConstMatrixView<float> gradient, float weight_scale, MatrixView<float> w, StepCounts* counts) {
  BITGRAD_DCHECK(gradient.cols == w.cols);
  static_assert(offsetof(StepCounts, sign_flips) == 0);
  if (gradient.size() == 0) return;
  constexpr int64_t kMostBlocks = 132 * 8;
  Launch(context, "sgd_rows_step", SgdRowsKernel,
         {dim3(static_cast<unsigned>(std::min(gradient.rows, kMostBlocks))), dim3(kThreads)}, numbers, scalars, rows,
         gradient, weight_scale, w, reinterpret_cast<unsigned long long*>(counts));
}

void AdamStep(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers, const StepScalars* scalars,
              absl::Span<const StepTensor> tensors, StepCounts* counts) {
  LaunchStep(context, "adam_step", Adam(adam), numbers, scalars, tensors, counts);
}

void AdaMaxStep(ExecContext& context, const AdamArgs& adam, const RuleNumbers* numbers, const StepScalars* scalars,
                absl::Span<const StepTensor> tensors, StepCounts* counts) {
  LaunchStep(context, "adamax_step", AdaMax(adam), numbers, scalars, tensors, counts);
}

void ShiftAdaMaxStep(ExecContext& context, const AdamArgs& adam, bool keeps_divisor, const RuleNumbers* numbers,
                     const StepScalars* scalars, absl::Span<const StepTensor> tensors, StepCounts* counts) {
  LaunchStep(context, "shift_adamax_step", ShiftAdaMax(adam, keeps_divisor), numbers, scalars, tensors, counts);
}

void BopStep(ExecContext& context, float threshold, const RuleNumbers* numbers, const StepScalars* scalars,
             absl::Span<const StepTensor> tensors, StepCounts* counts) {
  LaunchStep(context, "bop_step", Bop{threshold}, numbers, scalars, tensors, counts);
}

}  // namespace bitgrad::BITGRAD_CUDA_NAMESPACE
