// The packed models that the ONNX export is tested with, and the interpreter's answers to fixed inputs.

#ifndef BITGRAD_TESTS_EXPORT_ONNX_SAMPLES_H_
#define BITGRAD_TESTS_EXPORT_ONNX_SAMPLES_H_

#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/runtime/sample_models.h"

namespace bitgrad {

// A model and the name of its files.
struct OnnxSample {
  std::string name;
  std::unique_ptr<PackedModel> model;
};

// Models of features, images, tokens and fixed-point codes that between them have every instruction, and those of the
// zoo.
absl::StatusOr<std::vector<OnnxSample>> OnnxSamples();

// Small models of single instructions whose arithmetic ONNX has to spell out: every quantizer of activations, a spline,
// roundings.
std::vector<SampleModel> OnnxElementwiseSamples();
// Products and sums of fixed-point codes with shifts of both signs, bias, shortcut, flips, averages.
SampleModel FixedPointModel();

struct Answers {
  Tensor input;   // float32 [3, features], or int32 [4 steps, 3 streams]
  Tensor output;  // float32, what the interpreter makes of it
};
absl::StatusOr<Answers> AnswersOf(const PackedModel& model, ExecContext& context);

// The elements of a tensor of numbers of 4 bytes as they lie in memory.
std::string RawBytes(const Tensor& tensor);
// The name without characters that a file name should not have.
std::string FileNameOf(const std::string& name);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_ONNX_SAMPLES_H_
