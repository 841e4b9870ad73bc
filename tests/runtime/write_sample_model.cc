// write_sample_model FILE [DATA_SET]: a packed model of random weights for 28x28 images in 10 classes; for data set
// "words" one of text, with a vocabulary of 37 words.

#include <cstdio>
#include <cstring>

#include "bitgrad/runtime/packed_model_writer.h"
#include "bitgrad/tests/runtime/sample_models.h"
#include "bitgrad/tests/runtime/token_models.h"

int main(int argc, char** argv) {
  if (argc < 2) return 2;
  const bool is_text = argc > 2 && std::strcmp(argv[2], "words") == 0;
  bitgrad::SampleModel model =
      is_text ? bitgrad::LstmModel(4, 37, 20, 30)
              : bitgrad::LinearModel("k_bit(8)", {bitgrad::EncodingKind::kBinary, 1}, 784, 10, false);
  bitgrad::packed::Header& header = model.writer.header();
  header.set_data_set(argc > 2 ? argv[2] : "digits");
  if (!is_text) header.set_class_count(10);
  header.set_parameter_count(7850);
  header.set_float_parameter_bytes(31400);
  const auto bytes = model.writer.Write(argv[1]);
  if (!bytes.ok()) std::fprintf(stderr, "%s\n", bytes.status().ToString().c_str());
  return bytes.ok() ? 0 : 1;
}
