#include "bitgrad/export/quantize_net.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/transfer.h"
#include "bitgrad/export/fold_constants.h"
#include "bitgrad/export/packed_header.h"
#include "bitgrad/export/program.h"
#include "bitgrad/export/record.h"
#include "bitgrad/graph/tape.h"
#include "bitgrad/ops/kernels/shift_product.h"

namespace bitgrad {
namespace {

using Kind = UnifiedModule::Kind;

// The modules as instructions.
class ShiftEmitter {
 public:
  ShiftEmitter(const std::vector<UnifiedModule>& modules, const std::vector<ModuleFormat>& formats, int bits,
               PackedModelWriter& writer)
      : modules_(modules), formats_(formats), bits_(bits), writer_(writer), ids_(modules.size()) {}

  void Run() {
    for (size_t m = 0; m < modules_.size(); ++m) ids_[m] = Emit(m);
  }

 private:
  int input(size_t m, size_t k) const { return ids_[modules_[m].inputs[k]]; }
  int input_bits(size_t m, size_t k) const { return formats_[modules_[m].inputs[k]].bits.output; }
  std::string Name(size_t m, const char* blob) const { return absl::StrCat(modules_[m].layer, "/", blob); }

  // The value of a module whose sums have n fractional bits.
  RequantizeSpec Output(size_t m, int n) const {
    return {.shift = n - formats_[m].bits.output,
            .encoding = formats_[m].encoding,
            .fraction_bits = formats_[m].bits.output};
  }

  int Emit(size_t m) {
    const UnifiedModule& module = modules_[m];
    switch (module.kind) {
      case Kind::kInput: return EmitInput(m);
      case Kind::kProduct: return EmitProduct(m);
      case Kind::kAdd: {
        const int n = std::max(input_bits(m, 0), input_bits(m, 1));
        return writer_.AddShiftAdd(module.layer, input(m, 0), n - input_bits(m, 0), input(m, 1), n - input_bits(m, 1),
                                   Output(m, n));
      }
      case Kind::kMaxPool: {
        const int flips = module.flips.empty() ? -1 : writer_.AddFlags(Name(m, "flips"), module.flips);
        return writer_.AddMaxPool(module.layer, input(m, 0), module.pool, flips);
      }
      case Kind::kAveragePool: {
        int log2_window = 0;
        while ((int64_t{1} << log2_window) < module.pool.kernel_height * module.pool.kernel_width) ++log2_window;
        return writer_.AddShiftAveragePool(module.layer, input(m, 0), module.pool,
                                           Output(m, input_bits(m, 0) + log2_window));
      }
      case Kind::kReshape: return writer_.AddReshape(module.layer, input(m, 0), module.example);
      case Kind::kConcat: return EmitConcat(m);
    }
    return -1;
  }

  int EmitInput(size_t m) {
    const UnifiedModule& module = modules_[m];
    const auto floats = [&](const char* name, const std::vector<float>& values) {
      if (values.empty()) return -1;
      return writer_.AddFloats(Name(m, name), {static_cast<int64_t>(values.size())}, values);
    };
    const int mean = floats("mean", module.mean), inv_std = floats("inv_std", module.inv_std);
    return writer_.AddFixedPoint(module.layer, kInputValue, formats_[m].encoding, formats_[m].bits.output, mean,
                                 inv_std);
  }

  int EmitProduct(size_t m) {
    const UnifiedModule& module = modules_[m];
    const ModuleFormat& format = formats_[m];
    const Encoding encoding = {EncodingKind::kTwosComplement, bits_};
    std::vector<uint8_t> stored;
    stored.reserve(module.weight.size());
    for (const float w : module.weight) {
      stored.push_back(static_cast<uint8_t>(encoding.stored(format.WeightCode(w, bits_))));
    }
    const int weight =
        writer_.AddStoredCodes(Name(m, "weight"), encoding, {stored.data(), module.outputs, module.terms});
    const int n = input_bits(m, 0) + format.bits.weight;
    RequantizeSpec spec = Output(m, n);
    if (!module.bias.empty()) {
      std::vector<int32_t> codes;
      for (const float b : module.bias) codes.push_back(format.BiasCode(b));
      spec.bias = writer_.AddInts(Name(m, "bias"), 1, codes);
      spec.bias_shift = n - format.bits.bias;
    }
    if (module.has_shortcut()) {
      spec.shortcut = input(m, 1);
      spec.shortcut_shift = n - input_bits(m, 1);
    }
    if (!module.flips.empty()) spec.flips = writer_.AddFlags(Name(m, "flips"), module.flips);
    if (module.is_conv) return writer_.AddShiftConv2d(module.layer, input(m, 0), weight, module.geometry, spec);
    return writer_.AddShiftLinear(module.layer, input(m, 0), weight, spec);
  }

  int EmitConcat(size_t m) {
    std::vector<int> values, shifts;
    for (size_t k = 0; k < modules_[m].inputs.size(); ++k) {
      values.push_back(input(m, k));
      shifts.push_back(std::min(input_bits(m, k) - formats_[m].bits.output, kMaxShift));
    }
    return writer_.AddShiftConcat(modules_[m].layer, values, shifts, Output(m, formats_[m].bits.output));
  }

  const std::vector<UnifiedModule>& modules_;
  const std::vector<ModuleFormat>& formats_;
  const int bits_;
  PackedModelWriter& writer_;
  std::vector<int> ids_;  // the packed value of each module
};

}  // namespace

int64_t QuantizedNet::quantizing_modules() const {
  return std::count_if(modules.begin(), modules.end(), [](const UnifiedModule& module) { return module.quantizes(); });
}

absl::Status CheckQuantizedBits(int bits) {
  if (bits >= kLeastQuantizedBits && bits <= kMostQuantizedBits) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat("bits=", bits, " is not in ", kLeastQuantizedBits, " .. ",
                                                 kMostQuantizedBits,
                                                 "; for fewer bits train a net with quantizers and freeze it"));
}

absl::StatusOr<QuantizedNet> QuantizeNet(ExecContext& context, Model& model, const Tensor& calibration,
                                         const QuantizeNetOptions& options) {
  BITGRAD_RETURN_IF_ERROR(CheckQuantizedBits(options.bits));
  if (context.device() != Device::kCpu) {
    return absl::InvalidArgumentError("the context is not on the CPU, where calibration runs");
  }
  if (calibration.is_null() || calibration.dtype() != DType::kFloat32 || calibration.shape().rank() != 2 ||
      calibration.shape().dim(0) < 1) {
    return absl::InvalidArgumentError("there are no calibration images [images, features]");
  }
  Tape tape(context, Mode::kEval);
  const Var input = tape.Input(Tensor::Zeros({1, calibration.shape().dim(1)}));
  Recorder recorder(tape, input);
  const Var output = model.Forward(input);
  BITGRAD_RETURN_IF_ERROR(tape.status());
  BITGRAD_ASSIGN_OR_RETURN(program::Program program, recorder.Finish(output));
  const FloatSize size = FloatSizeOf(program);
  FoldConstants(program);
  QuantizedNet net;
  BITGRAD_ASSIGN_OR_RETURN(net.modules, UnifyModules(program));
  BITGRAD_ASSIGN_OR_RETURN(net.formats, SearchFormats(context, net.modules, calibration.matrix<float>(), options.bits));
  ShiftEmitter(net.modules, net.formats, options.bits, net.writer).Run();
  SetHeader({.name = options.name, .data_set = options.data_set, .pixels = options.pixels}, size,
            {1, calibration.shape().dim(1)}, output.shape().cols(), net.writer.header());
  return net;
}

int64_t CountScalings(const packed::Header& header) {
  return std::count_if(header.instructions().begin(), header.instructions().end(),
                       [&](const packed::Instruction& instruction) {
                         switch (instruction.kind_case()) {
                           case packed::Instruction::kLinear: return !instruction.linear().has_requantize();
                           case packed::Instruction::kConv2D: return !instruction.conv2d().has_requantize();
                           case packed::Instruction::kAveragePool: return !instruction.average_pool().has_requantize();
                           case packed::Instruction::kFixedPoint:
                             return instruction.fixed_point().has_inv_std() && !header.input().has_pixels();
                           case packed::Instruction::kMaxPool:
                           case packed::Instruction::kReshape:
                           case packed::Instruction::kShiftAdd:
                           case packed::Instruction::kShiftConcat: return false;
                           default: return true;
                         }
                       });
}

}  // namespace bitgrad
