// A user's program in C that runs a packed model.
//
//   run_my_net_in_c FILE      prints the model's name, and its answer to an image of zeros

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>

#include "bitgrad/runtime/c_api.h"

// One example; returns whether all went well.
static int Run(const bitgrad_model* model, bitgrad_session* session) {
  const int64_t in = bitgrad_model_input_size(model), out = bitgrad_model_output_size(model);
  uint8_t* image = calloc((size_t)in, sizeof *image);
  float* logits = malloc((size_t)out * sizeof *logits);
  int done =
      image != NULL && logits != NULL && bitgrad_session_run_pixels(session, image, 1, in, logits, out) == BITGRAD_OK;
  if (done) {
    printf("%s:", bitgrad_model_name(model));
    for (int64_t i = 0; i < out; ++i) printf(" %g", logits[i]);
    printf("\n");
  }
  free(image);
  free(logits);
  return done;
}

int main(int argc, char** argv) {
  bitgrad_model* model = NULL;
  bitgrad_session* session = NULL;
  const int done = bitgrad_model_load(argc > 1 ? argv[1] : "my_net.bgm", &model) == BITGRAD_OK &&
                   bitgrad_session_create(model, /*threads=*/1, &session) == BITGRAD_OK && Run(model, session);
  if (!done) fprintf(stderr, "%s\n", bitgrad_last_error());
  bitgrad_session_free(session);
  bitgrad_model_free(model);
  return done ? 0 : 1;
}
