#include "bitgrad/sweep/halving.h"

#include <algorithm>
#include <cmath>
#include <numeric>

namespace bitgrad {

std::vector<int> RoundEpochs(int min_epochs, int factor, int epochs) {
  std::vector<int> rounds;
  for (int64_t round = min_epochs; round < epochs; round *= factor) rounds.push_back(static_cast<int>(round));
  rounds.push_back(epochs);
  return rounds;
}

int FactorOf(const sweep::Halving& halving) { return halving.factor() == 0 ? 3 : halving.factor(); }

std::vector<int> RoundsOf(const sweep::Sweep& sweep, const recipe::Recipe& recipe) {
  if (!sweep.has_halving()) return {recipe.epochs()};
  return RoundEpochs(sweep.halving().min_epochs(), FactorOf(sweep.halving()), recipe.epochs());
}

std::vector<size_t> Survivors(absl::Span<const double> scores, int factor) {
  std::vector<size_t> places(scores.size());
  std::iota(places.begin(), places.end(), size_t{0});
  places.erase(std::remove_if(places.begin(), places.end(), [&](size_t i) { return !std::isfinite(scores[i]); }),
               places.end());
  std::stable_sort(places.begin(), places.end(), [&](size_t a, size_t b) { return scores[a] < scores[b]; });
  const auto divisor = static_cast<size_t>(factor);
  places.resize(std::min(places.size(), (scores.size() + divisor - 1) / divisor));
  std::sort(places.begin(), places.end());
  return places;
}

double ScoreOf(absl::Span<const checkpoint::Header> runs, int epochs) {
  double sum = 0;
  for (const checkpoint::Header& run : runs) {
    if (run.epochs_size() < epochs) return HUGE_VAL;
    double least = HUGE_VAL;
    for (int i = 0; i < epochs; ++i) {
      // A NaN is not less.
      if (run.epochs(i).valid_error() < least) least = run.epochs(i).valid_error();
    }
    sum += least;
  }
  return sum / static_cast<double>(runs.size());
}

}  // namespace bitgrad
