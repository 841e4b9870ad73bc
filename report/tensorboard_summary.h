// What TensorBoard shows of a run: scalars, histograms, pictures and texts, as the summaries of events.
//
// Tags are QUANTITY/OF_WHAT, so that TensorBoard, which groups them by what is before the first slash, shows a quantity
// of all layers side by side; best/... comes first (tensorboard_hparams.h). docs/tensorboard.md has the list. A summary
// has what was measured alone: a number that is NaN, the error of a validation without examples for instance, is left
// out.

#ifndef BITGRAD_REPORT_TENSORBOARD_SUMMARY_H_
#define BITGRAD_REPORT_TENSORBOARD_SUMMARY_H_

#include "bitgrad/models/diagnostics/run_record.h"
#include "bitgrad/proto/checkpoint.pb.h"
#include "bitgrad/proto/diagnostics.pb.h"
#include "bitgrad/proto/tensorboard.pb.h"

namespace bitgrad {

// The tag of the training loss, which every epoch has.
inline constexpr char kLossTag[] = "train/loss";

// The scalars of an epoch: its metrics, and the errors of the best epoch up to it. `best` is that epoch's metrics, or
// null where it is not known.
void AddMetrics(const checkpoint::EpochMetrics& metrics, const checkpoint::EpochMetrics* best, MetricDisplay display,
                tensorboard::Summary& summary);

// The scalars and histograms of an epoch's diagnostics.
void AddDiagnostics(const diagnostics::Epoch& epoch, tensorboard::Summary& summary);

// The pictures and texts of the last epoch: mistakes, filters, samples, the machine. Classes have the names of the
// run's header.
void AddLatest(const RunRecord& run, tensorboard::Summary& summary);

// The recipe as a text.
void AddRecipe(const recipe::Recipe& recipe, tensorboard::Summary& summary);

// A histogram as TensorBoard's, without the empty bins outside. REQUIRES: a number was counted.
tensorboard::HistogramProto ToHistogramProto(const diagnostics::Histogram& histogram);

// The pictures in rows, as many rows as columns or fewer, with a pixel of middle grey between them; in colour where one
// of them is. REQUIRES: there are pictures, of 1 or 3 channels.
diagnostics::Picture ContactSheet(const google::protobuf::RepeatedPtrField<diagnostics::Picture>& pictures);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_TENSORBOARD_SUMMARY_H_
