// Learning-rate schedules: pure functions of the epoch and, one of them, of the results of the epochs before, so a
// resumed run goes on as it would have.
//
//   BITGRAD_ASSIGN_OR_RETURN(Schedule schedule,
//                            MakeSchedule({.name = "exponential", .learning_rate = 3e-3,
//                                          .final_learning_rate = 3e-6}, /*epochs=*/20));
//   optimizer->set_learning_rate(schedule.At(epoch, step / double(steps_per_epoch)));
//
// With epoch e = 0 .. E-1, f in [0, 1) the part of it that is done, rates lr0 and lr1 (final):
//
//   constant      lr0
//   exponential   lr0 (lr1 / lr0)^(e / E)                          per epoch, as BinaryConnect's
//   step          lr0 step_factor^floor(e / step_epochs)           per epoch
//   linear        lr0 + (lr1 - lr0) min(1, e / (u E))              per epoch; u: until
//   plateau       lr0 step_factor^n                                per epoch; n: see below
//   cosine        lr1 + (lr0 - lr1) (1 + cos(pi (e + f) / E)) / 2  per step
//
// lr1 is where epoch E would begin: the last epoch, E-1, of an exponential schedule is one factor
// short of it.
//
// n is the number of epochs before e whose result, the validation metric after the epoch, is not less than the least
// one of the epochs before it. Results are given by SetResults(); an epoch without one counts as one that was better.
//
// A warm-up of W epochs goes in front of any of them, per step: while e < W,
//   lr0 (start + (1 - start) (e + f) / W),                     start = warmup_start_factor
// and the schedule then sees epoch e - W of E - W. Results of the warm-up count among those that n compares with, not
// in n.

#ifndef BITGRAD_OPTIM_SCHEDULE_H_
#define BITGRAD_OPTIM_SCHEDULE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/optional.h"
#include "absl/types/span.h"

namespace bitgrad {

struct ScheduleOptions {
  std::string name = "constant";
  double learning_rate = 1e-3;         // lr0 > 0
  double final_learning_rate = 0;      // lr1; exponential, linear: > 0; cosine: >= 0; others do not use it
  absl::optional<double> step_factor;  // in (0, 1]; default: step 0.1, plateau 0.5
  int64_t step_epochs = 0;             // step: > 0
  double until = 1;                    // linear: in (0, 1]
  int64_t warmup_epochs = 0;           // W: >= 0, less than the epochs; 0: none
  double warmup_start_factor = 0.01;   // start: in (0, 1]
};

// The time as a schedule's function sees it: counted from the end of the warm-up.
struct ScheduleTime {
  int64_t epoch;
  int64_t epochs;
  double fraction;
  int64_t worse;  // how many of the epochs before had no better result than any before them
};

struct ScheduleInfo {
  const char* name;
  double (*rate)(const ScheduleOptions& options, const ScheduleTime& time);
  absl::Status (*check)(const ScheduleOptions& options);  // of what only this schedule uses
  const char* help;
};

absl::Span<const ScheduleInfo> AllSchedules();

class Schedule {
 public:
  // The rate at epoch 0 .. epochs - 1, `fraction` of which is done: step / steps per epoch, in [0, 1].
  // Before the first epoch it is the rate at the beginning of that; beyond the last the formulas go on with
  // e = epochs. A fraction outside of [0, 1] counts as the nearer end, NaN as 0.
  double At(int64_t epoch, double fraction = 0) const;

  // The results of epochs 0, 1, ...: less is better. They replace those that were given before.
  void SetResults(absl::Span<const double> results) { results_.assign(results.begin(), results.end()); }

  const ScheduleOptions& options() const { return options_; }
  int64_t epochs() const { return epochs_; }

 private:
  friend absl::StatusOr<Schedule> MakeSchedule(const ScheduleOptions&, int64_t);
  Schedule(const ScheduleOptions& options, int64_t epochs, const ScheduleInfo* info)
      : options_(options), epochs_(epochs), info_(info) {}

  ScheduleOptions options_;
  int64_t epochs_;
  const ScheduleInfo* info_;
  std::vector<double> results_;
};

// NotFound for an unknown name, with the names there are; InvalidArgument, naming the option, for
// one out of its range.
absl::StatusOr<Schedule> MakeSchedule(const ScheduleOptions& options, int64_t epochs);

}  // namespace bitgrad

#endif  // BITGRAD_OPTIM_SCHEDULE_H_
