// Quantizing after training (arXiv 1901.02064): a float net becomes a packed model whose layers are integers and shifts
// only, without fine-tuning.
//
//   BITGRAD_ASSIGN_OR_RETURN(QuantizedNet net, QuantizeNet(context, model, images, {.bits = 8, .name = "tiny"}));
//   BITGRAD_ASSIGN_OR_RETURN(int64_t bytes, net.writer.Write("tiny.bgm"));
//
// The tape becomes a program (export/program.h), which becomes unified modules (export/unify_modules.h), whose
// fractional bits are searched on the calibration images (export/joint_search.h). Where the last module is a linear or
// conv2d without ReLU, its sums are the logits: integers times a power of two.

#ifndef BITGRAD_EXPORT_QUANTIZE_NET_H_
#define BITGRAD_EXPORT_QUANTIZE_NET_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/export/joint_search.h"
#include "bitgrad/export/module_format.h"
#include "bitgrad/export/unify_modules.h"
#include "bitgrad/models/model.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

struct QuantizeNetOptions {
  int bits = 8;  // of weights and activations
  std::string name;
  std::string data_set;
  bool pixels = true;  // inputs are pixels scaled to [-1, 1]
};

struct QuantizedNet {
  PackedModelWriter writer;
  // What the net was split into, and how each module was quantized.
  std::vector<UnifiedModule> modules;
  std::vector<ModuleFormat> formats;

  // Modules that quantize: those that are not the input and do not only pass codes on.
  int64_t quantizing_modules() const;
};

// OK where `bits` is a width that nets can be quantized to.
absl::Status CheckQuantizedBits(int bits);

// calibration: [images, features], as the model's Forward() takes them, on the host. The model is on the context's
// device, which is the CPU. Errors are those of UnifyModules() and SearchFormats(), and InvalidArgument for bits that
// are not from 4 to 8 and for no images.
absl::StatusOr<QuantizedNet> QuantizeNet(ExecContext& context, Model& model, const Tensor& calibration,
                                         const QuantizeNetOptions& options);

// How many of a packed model's instructions scale by anything but a power of two, or compute on floats: 0 for what
// QuantizeNet() makes. Pixels that a table turns into codes are not counted.
int64_t CountScalings(const packed::Header& header);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_QUANTIZE_NET_H_
