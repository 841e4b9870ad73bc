// The program that tests exported C code with golden vectors.

#ifndef BITGRAD_EXPORT_C_CODE_C_TEST_H_
#define BITGRAD_EXPORT_C_CODE_C_TEST_H_

#include <string>

#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/golden_vectors.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// Its text, with names that begin with net_ (c_text.h).
std::string TestText(const PackedModel& model, CResult result, const GoldenVectors& golden);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_C_TEST_H_
