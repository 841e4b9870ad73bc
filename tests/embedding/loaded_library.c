// loaded_library LIBRARY FILE: loads libbitgrad_runtime.so as a program does that was built without it, and runs the
// packed model that takes pixels on a few images; each result is a line. Fails where loading the library does more than
// to load it: threads, the environment, signal handlers.
//
// Compiled with -DLINKED it is linked with the same functions, and prints what they give.

#include <dirent.h>
#include <dlfcn.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "bitgrad/runtime/c_api.h"

extern char** environ;

static void Fail(const char* what, const char* why) {
  fprintf(stderr, "loaded_library: %s: %s\n", what, why);
  exit(1);
}

#ifdef LINKED
#define GET(library, name) __typeof__(&name) name##_ptr = name
#else
static int CountThreads(void) {
  DIR* directory = opendir("/proc/self/task");
  int count = 0;
  if (directory == NULL) Fail("/proc/self/task", "cannot be read");
  for (struct dirent* entry = readdir(directory); entry != NULL; entry = readdir(directory)) {
    count += entry->d_name[0] != '.';
  }
  closedir(directory);
  return count;
}

// A number that changes when the environment, or what happens on a signal, does.
static uint64_t State(void) {
  uint64_t hash = 14695981039346656037u;
  for (char** variable = environ; *variable != NULL; ++variable) {
    for (const char* c = *variable; *c != '\0'; ++c) hash = (hash ^ (unsigned char)*c) * 1099511628211u;
  }
  for (int number = 1; number < 65; ++number) {
    struct sigaction action;
    if (sigaction(number, NULL, &action) == 0) hash = (hash ^ (uintptr_t)action.sa_handler) * 1099511628211u;
  }
  return hash;
}

// Functions of the library by their types in the header.
#define GET(library, name)                      \
  __typeof__(&name) name##_ptr;                 \
  *(void**)&name##_ptr = dlsym(library, #name); \
  if (name##_ptr == NULL) Fail(#name, "is not in the library")
#endif

static void Run(void* library, const char* file) {
  (void)library;
  GET(library, bitgrad_abi_version);
  GET(library, bitgrad_last_error);
  GET(library, bitgrad_model_load);
  GET(library, bitgrad_model_free);
  GET(library, bitgrad_model_input_size);
  GET(library, bitgrad_model_output_size);
  GET(library, bitgrad_session_create);
  GET(library, bitgrad_session_free);
  GET(library, bitgrad_session_run_pixels);
  if (bitgrad_abi_version_ptr() != BITGRAD_ABI_VERSION) Fail("abi_version", "is not that of the header");
  bitgrad_model* model = NULL;
  bitgrad_session* session = NULL;
  if (bitgrad_model_load_ptr("/nowhere", &model) != BITGRAD_NOT_FOUND) Fail("/nowhere", "was loaded");
  if (bitgrad_model_load_ptr(file, &model) != BITGRAD_OK) Fail("load", bitgrad_last_error_ptr());
  if (bitgrad_session_create_ptr(model, 1, &session) != BITGRAD_OK) Fail("create", bitgrad_last_error_ptr());
  const int64_t in = bitgrad_model_input_size_ptr(model), out = bitgrad_model_output_size_ptr(model), examples = 5;
  uint8_t* pixels = malloc((size_t)(examples * in));
  float* results = malloc((size_t)(examples * out) * sizeof *results);
  if (pixels == NULL || results == NULL) Fail("memory", "none");
  for (int64_t i = 0; i < examples * in; ++i) pixels[i] = (uint8_t)(i * i / 7);
  if (bitgrad_session_run_pixels_ptr(session, pixels, examples, in, results, examples * out) != BITGRAD_OK) {
    Fail("run", bitgrad_last_error_ptr());
  }
  for (int64_t i = 0; i < examples * out; ++i) printf("%a\n", results[i]);
  free(pixels);
  free(results);
  bitgrad_session_free_ptr(session);
  bitgrad_model_free_ptr(model);
}

int main(int argc, char** argv) {
  if (argc != 3) return 2;
#ifdef LINKED
  Run(NULL, argv[2]);
#else
  const uint64_t before = State();
  void* library = NULL;
  // It may be closed and loaded again.
  for (int round = 0; round < 2; ++round) {
    library = dlopen(argv[1], RTLD_NOW | RTLD_LOCAL);
    if (library == NULL) Fail("dlopen", dlerror());
    if (CountThreads() != 1) Fail("dlopen", "there are threads");
    if (State() != before) Fail("dlopen", "the environment or a signal handler has changed");
    if (dlsym(library, "_ZN7bitgrad11PackedModel4OpenERKNSt7__cxx1112basic_stringIcSt11char_traitsIcESaIcEEE") !=
        NULL) {
      Fail("dlsym", "C++ is to be seen");
    }
    Run(library, argv[2]);
    if (CountThreads() != 1) Fail("run", "a session of one thread has started others");
    if (State() != before) Fail("run", "the environment or a signal handler has changed");
    if (dlclose(library) != 0) Fail("dlclose", dlerror());
  }
#endif
  return 0;
}
