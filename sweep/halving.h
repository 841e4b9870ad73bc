// Successive halving (Jamieson and Talwalkar, arXiv 1502.07943): which configurations go on, and for how long.

#ifndef BITGRAD_SWEEP_HALVING_H_
#define BITGRAD_SWEEP_HALVING_H_

#include <cstddef>
#include <vector>

#include "absl/types/span.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/recipe.pb.h"
#include "bitgrad/proto/sweep.pb.h"

namespace bitgrad {

// How many epochs configurations have after each round: min_epochs, min_epochs * factor, ..., and last `epochs`.
// REQUIRES: 1 <= min_epochs <= epochs, factor >= 2.
std::vector<int> RoundEpochs(int min_epochs, int factor, int epochs);

// The rounds of a sweep's trials: those of its halving or, without, a single one, of all the recipe's epochs. REQUIRES:
// PlanTrials() takes the sweep.
std::vector<int> RoundsOf(const sweep::Sweep& sweep, const recipe::Recipe& recipe);
// Halving.factor, or its default, 3.
int FactorOf(const sweep::Halving& halving);

// The places of the ceil(n / factor) least scores, in ascending order; of equal ones the first. Scores that are not
// finite do not go on, so it may be fewer.
std::vector<size_t> Survivors(absl::Span<const double> scores, int factor);

// What a configuration is judged by after `epochs` epochs: the least validation error of a run's epochs up to there,
// mean over its runs (one for each seed). Later epochs, which a resumed sweep may find, do not count. Infinite where a
// run has fewer epochs, or where one has no validation error at all.
double ScoreOf(absl::Span<const checkpoint::Header> runs, int epochs);

}  // namespace bitgrad

#endif  // BITGRAD_SWEEP_HALVING_H_
