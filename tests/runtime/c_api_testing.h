// Models and sessions of the C API that free themselves, for tests.

#ifndef BITGRAD_TESTS_RUNTIME_C_API_TESTING_H_
#define BITGRAD_TESTS_RUNTIME_C_API_TESTING_H_

#include <algorithm>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "bitgrad/runtime/c_api.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gtest/gtest.h"

namespace bitgrad {

struct CModelDeleter {
  void operator()(bitgrad_model* model) const { bitgrad_model_free(model); }
};
struct CSessionDeleter {
  void operator()(bitgrad_session* session) const { bitgrad_session_free(session); }
};
using CModel = std::unique_ptr<bitgrad_model, CModelDeleter>;
using CSession = std::unique_ptr<bitgrad_session, CSessionDeleter>;

inline CModel LoadBytes(const std::string& bytes) {
  bitgrad_model* model = nullptr;
  EXPECT_EQ(bitgrad_model_load_memory("net.bgm", bytes.data(), bytes.size(), &model), BITGRAD_OK)
      << bitgrad_last_error();
  return CModel(model);
}

inline CModel Load(const SampleModel& sample) { return LoadBytes(*sample.writer.Serialize()); }

inline CSession NewSession(const CModel& model, int32_t threads = 1) {
  bitgrad_session* session = nullptr;
  EXPECT_EQ(bitgrad_session_create(model.get(), threads, &session), BITGRAD_OK) << bitgrad_last_error();
  return CSession(session);
}

// All kinds of models that take numbers.
inline std::vector<SampleModel> AllNumberModels() {
  std::vector<SampleModel> models = AllSampleModels();
  for (SampleModel& model : std::vector<SampleModel>{ImageModel(), ResidualModel(), CodedConvModel(), CodeToCodeModel(),
                                                     AveragesModel(), TapModel()}) {
    models.push_back(std::move(model));
  }
  for (SampleModel& model : AllTimeStepModels()) models.push_back(std::move(model));
  return models;
}

// The results of the rows of x, which begin one element behind an aligned address, as a caller's may.
inline std::vector<float> RunFloats(const CSession& session, const CModel& model, const Tensor& x) {
  const int64_t rows = x.shape().dim(0), out = bitgrad_model_output_size(model.get());
  std::vector<float> shifted(static_cast<size_t>(x.num_elements()) + 1), results(static_cast<size_t>(rows * out) + 1);
  std::copy_n(x.data<float>(), x.num_elements(), shifted.begin() + 1);
  EXPECT_EQ(bitgrad_session_run_floats(session.get(), shifted.data() + 1, rows, bitgrad_model_input_size(model.get()),
                                       results.data() + 1, rows * out),
            BITGRAD_OK)
      << bitgrad_last_error();
  results.erase(results.begin());
  return results;
}

inline std::vector<float> RunPixels(const CSession& session, const CModel& model, const Tensor& x) {
  const int64_t rows = x.shape().dim(0), out = bitgrad_model_output_size(model.get());
  std::vector<uint8_t> shifted(static_cast<size_t>(x.num_elements()) + 1);
  std::vector<float> results(static_cast<size_t>(rows * out));
  std::copy_n(x.data<uint8_t>(), x.num_elements(), shifted.begin() + 1);
  EXPECT_EQ(bitgrad_session_run_pixels(session.get(), shifted.data() + 1, rows, bitgrad_model_input_size(model.get()),
                                       results.data(), rows * out),
            BITGRAD_OK)
      << bitgrad_last_error();
  return results;
}

// tokens [steps, streams].
inline std::vector<float> RunTokens(const CSession& session, const CModel& model, const Tensor& tokens) {
  std::vector<float> results(static_cast<size_t>(tokens.num_elements() * bitgrad_model_output_size(model.get())));
  EXPECT_EQ(bitgrad_session_run_tokens(session.get(), tokens.data<int32_t>(), tokens.shape().dim(0),
                                       tokens.shape().dim(1), results.data(), static_cast<int64_t>(results.size())),
            BITGRAD_OK)
      << bitgrad_last_error();
  return results;
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_RUNTIME_C_API_TESTING_H_
