// Small packed models that between them use every instruction, blob kind and kernel.

#ifndef BITGRAD_TESTS_RUNTIME_SAMPLE_MODELS_H_
#define BITGRAD_TESTS_RUNTIME_SAMPLE_MODELS_H_

#include <cstdint>
#include <string>
#include <vector>

#include "bitgrad/core/encoding.h"
#include "bitgrad/core/tensor.h"
#include "bitgrad/runtime/packed_model_writer.h"

namespace bitgrad {

// Random codes of an encoding (kFloat: uniform in [-1, 1)), [rows, cols].
Tensor RandomCodes(const Encoding& encoding, int64_t rows, int64_t cols, uint64_t seed);

// Floats in [-1.25, 1.25), some of them exactly 0, -0.0, 1 and -1.
Tensor RandomInput(int64_t rows, int64_t cols, uint64_t seed);
Tensor RandomPixels(int64_t rows, int64_t cols, uint64_t seed);

struct SampleModel {
  std::string name;
  PackedModelWriter writer;
};

// Input [in] with the pixel mapping of data/normalize.h, one linear with these encodings, with or
// without a threshold.
SampleModel LinearModel(const std::string& input_quantizer, const Encoding& weights, int64_t in, int64_t out,
                        bool threshold);

// 70 -> 8-bit pixels x binary, thresholds -> binary x binary, thresholds -> binary x binary,
// affine.
SampleModel BnnModel();

// Input [2, 35], reshaped before a linear on 8-bit pixels.
SampleModel ReshapedInputModel();

// Input [2, 12]; all other instructions: quantize, concat, reshape, unary, batch norm, binary;
// linear on the last of two dimensions.
SampleModel EveryInstructionModel();

// Input [6, 5, 3]: 8-bit pixels x binary convolution, thresholds -> max pooling of bits with flips -> binary x binary
// convolution -> average pooling -> reshape -> linear.
SampleModel ImageModel();

// Input [8, 8, 3], a residual net: float stem -> batch norm -> relu -> max pooling -> x + batch norm(binary
// convolution) -> the same with stride 2, whose shortcut is average pooling and a convolution of codes with float
// weights -> average pooling -> linear of codes with float weights. Pixels are whole numbers and float weights
// sixteenths, so that all sums are exact.
SampleModel ResidualModel();

// Input [6, 5, 4]: convolutions of codes of several encodings, with each border, stride, dilation and groups; the last
// one ends in bits.
SampleModel CodedConvModel();

// Input [6, 5, 3]: convolutions and linears from code to code, with thresholds for 1 to 7 levels, max pooling of codes
// with flips, weights in two's complement, a scale for each output; codes that are read as floats. Sums are exact.
SampleModel CodeToCodeModel();

// Input [6, 5, 8]: averages of codes, with thresholds for 3 levels and for 1, with a border, and of the whole image.
SampleModel AveragesModel();

// Input [7, 6, 5]: convolutions of one tap per kernel, of codes by codes, with a scale for each output, and of floats
// by floats, with strides and kernels that are zero.
SampleModel TapModel();

// But for those with images.
std::vector<SampleModel> AllSampleModels();

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_SAMPLE_MODELS_H_
