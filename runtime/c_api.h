// Packed models from C, and from everything that calls C: load, ask, run. In libbitgrad_runtime.so these functions are
// all that is to be seen.
//
//   bitgrad_model* model = NULL;
//   bitgrad_session* session = NULL;
//   if (bitgrad_model_load("net.bgm", &model) != BITGRAD_OK ||
//       bitgrad_session_create(model, /*threads=*/1, &session) != BITGRAD_OK ||
//       bitgrad_session_run_pixels(session, image, 1, 784, logits, 10) != BITGRAD_OK) {
//     fprintf(stderr, "%s\n", bitgrad_last_error());
//   }
//   bitgrad_session_free(session);
//   bitgrad_model_free(model);
//
// A model is what is in the file: it never changes, and any number of threads may use it at a time. A session is one
// caller's place to work: buffers, threads and, of a model of tokens, the states. One thread uses it at a time; threads
// that run a model side by side have a session each.
//
// Errors. A function that can fail returns a code, and BITGRAD_OK is 0. After another code bitgrad_last_error() has the
// text: one sentence, or two, that say what is wrong, where, and what to do. Nothing is printed, nothing is thrown, and
// wrong arguments (null, sizes that do not fit, a token out of range) are codes, too. What cannot be checked is the
// caller's: pointers must be to as many elements as is said, and what was freed must not be used.
//
// Memory. Where it is refused the code is BITGRAD_OUT_OF_MEMORY, unless the process has a std::new_handler, which then
// decides; where oneDNN is refused it, the code is BITGRAD_INTERNAL. Two places are outside of that: a thread that
// cannot be started while a session runs (creating the session has tried as many), and small lists that are allocated
// on several threads at a time; there the process ends.
//
// Processes. Loading the library starts no thread, sets no environment variable and no signal handler, and reads no
// flags. After fork() the child may use models and sessions that were made before it, sessions of one thread without
// limits; sessions of several threads only where no such session ran before the fork, because OpenMP's threads do not
// survive it (else: BITGRAD_FAILED_PRECONDITION). A signal handler that may run on a thread of a session needs a stack
// of its own (sigaltstack, SA_ONSTACK): oneDNN's kernels use the stack pointer as one more register.
//
// This header is C99 and C++.

#ifndef BITGRAD_RUNTIME_C_API_H_
#define BITGRAD_RUNTIME_C_API_H_

#include <stddef.h>
#include <stdint.h>

// What is declared below is seen from outside of the library, everything else is hidden.
#ifndef BITGRAD_API
#define BITGRAD_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

// Grows when a function or a constant changes its meaning or goes; functions and codes that are added do not change it.
// It is the number in the library's SONAME, libbitgrad_runtime.so.1.
#define BITGRAD_ABI_VERSION 1

// The BITGRAD_ABI_VERSION and the version (core/version.h, "0.2.0") of the library that runs. Any thread; no errors.
BITGRAD_API int32_t bitgrad_abi_version(void);
BITGRAD_API const char* bitgrad_version(void);

// ---- Errors

typedef enum bitgrad_code {
  BITGRAD_OK = 0,
  // A null pointer, a size or a token that is not the model's; bytes that are no packed model, or break a rule of its
  // format.
  BITGRAD_INVALID_ARGUMENT = 1,
  BITGRAD_NOT_FOUND = 2,            // there is no such file
  BITGRAD_PERMISSION_DENIED = 3,    // the file may not be read
  BITGRAD_DATA_LOSS = 4,            // the file is cut off or damaged: a checksum does not fit
  BITGRAD_UNIMPLEMENTED = 5,        // the file is of a format that this library does not know
  BITGRAD_FAILED_PRECONDITION = 6,  // another call was due; a checkpoint where a packed model was due
  BITGRAD_RESOURCE_EXHAUSTED = 7,   // threads that cannot be started; files or addresses that the system refuses
  BITGRAD_OUT_OF_MEMORY = 8,
  BITGRAD_INTERNAL = 9  // none of the above, as an error of the disk, or of a library below this one
} bitgrad_code;

// What the last call that failed on this thread says; "" where none has. At most 2047 bytes, in UTF-8 where paths and
// names are. Never null. It is the library's and is overwritten by the next call that fails on this thread.
BITGRAD_API const char* bitgrad_last_error(void);
// "INVALID_ARGUMENT"; "unknown code" for a number that is none. Never null, valid for ever.
BITGRAD_API const char* bitgrad_code_name(int32_t code);

// ---- Models

typedef struct bitgrad_model bitgrad_model;

// Loads a packed model file, and checks every byte of it. It stays mapped until the model is gone: replace it by
// renaming another file, and do not change it in place. A relative path is meant from the process's working directory.
//
// *model is the caller's, who frees it with bitgrad_model_free(); where the code is not BITGRAD_OK it is null. Any
// thread. Every code above may come.
BITGRAD_API bitgrad_code bitgrad_model_load(const char* path, bitgrad_model** model);
// The same for the bytes of such a file, which are copied, so that they may be freed after the call. Errors say `name`
// where they would name the path.
BITGRAD_API bitgrad_code bitgrad_model_load_memory(const char* name, const void* bytes, size_t size,
                                                   bitgrad_model** model);
// Gives the model back; null is allowed. Its sessions go on: its memory is freed with the last of them. Any thread, as
// long as no other one passes the same pointer to a function meanwhile.
BITGRAD_API void bitgrad_model_free(bitgrad_model* model);

// What follows may be called on any thread, at any time, and costs nothing. Texts are the model's and valid until it is
// freed. Given null, and where an index is out of range, numbers are 0 and texts are "".

typedef enum bitgrad_input {
  BITGRAD_INPUT_NONE = 0,    // there is no model
  BITGRAD_INPUT_FLOATS = 1,  // bitgrad_session_run_floats()
  BITGRAD_INPUT_PIXELS = 2,  // that, and bitgrad_session_run_pixels()
  BITGRAD_INPUT_TOKENS = 3   // bitgrad_session_run_tokens()
} bitgrad_input;

typedef enum bitgrad_text {
  BITGRAD_TEXT_NONE = 0,       // it is no model of text
  BITGRAD_TEXT_WORDS = 1,      // a token is a word; "<eos>" ends a line, "<unk>" stands for words that it does not know
  BITGRAD_TEXT_CHARACTERS = 2  // a token is a character
} bitgrad_text;

// What it takes.
BITGRAD_API bitgrad_input bitgrad_model_input(const bitgrad_model* model);
// The shape of one example without the batch, "[28, 28, 1]" say: number of dimensions, each of them, and their product.
// Images are height x width x channels, row by row, but [time steps, values of each] where the model reads them step by
// step. Of a model of tokens it is [1].
BITGRAD_API int32_t bitgrad_model_input_rank(const bitgrad_model* model);
BITGRAD_API int64_t bitgrad_model_input_dim(const bitgrad_model* model, int32_t i);
BITGRAD_API int64_t bitgrad_model_input_size(const bitgrad_model* model);
// The same for the result of one example, or of one token: of a classifier a logit for each class.
BITGRAD_API int32_t bitgrad_model_output_rank(const bitgrad_model* model);
BITGRAD_API int64_t bitgrad_model_output_dim(const bitgrad_model* model, int32_t i);
BITGRAD_API int64_t bitgrad_model_output_size(const bitgrad_model* model);
// How many tokens there are; 0: it takes no tokens.
BITGRAD_API int32_t bitgrad_model_token_count(const bitgrad_model* model);
BITGRAD_API bitgrad_text bitgrad_model_text(const bitgrad_model* model);
// Of the model, and of the data set that it was trained on ("" where it names none).
BITGRAD_API const char* bitgrad_model_name(const bitgrad_model* model);
BITGRAD_API const char* bitgrad_model_data_set(const bitgrad_model* model);
// 0: it is no classifier. Of a model of text: the size of its vocabulary.
BITGRAD_API int32_t bitgrad_model_class_count(const bitgrad_model* model);
// The name of class i; of a model of text, the text of token i. "" where the file has no names.
BITGRAD_API const char* bitgrad_model_class_name(const bitgrad_model* model, int32_t i);
// Of the file.
BITGRAD_API int64_t bitgrad_model_byte_size(const bitgrad_model* model);

// ---- Sessions

typedef struct bitgrad_session bitgrad_session;

// Makes a session of the model, which computes on up to `threads` threads, the caller's among them; 0: one per core.
// Small work stays on the caller's thread. With 1 no thread is ever started. More threads are OpenMP's: they are
// started for each thread that calls, and stay as long as it lives.
//
// *session is the caller's, who frees it with bitgrad_session_free(); where the code is not BITGRAD_OK it is null. The
// model may be freed before the session. Any thread. INVALID_ARGUMENT for null or threads not in 0 .. 1024;
// RESOURCE_EXHAUSTED where as many threads cannot be started; OUT_OF_MEMORY.
BITGRAD_API bitgrad_code bitgrad_session_create(const bitgrad_model* model, int32_t threads, bitgrad_session** session);
// Frees the session; null is allowed. REQUIRES: it does not run on another thread.
BITGRAD_API void bitgrad_session_free(bitgrad_session* session);
// How many threads it computes on; 0 for null.
BITGRAD_API int32_t bitgrad_session_threads(const bitgrad_session* session);

// Runs the model on x, [examples, features] floats, row after row without gaps, and writes the results, [examples,
// output size] floats, likewise. An example's results depend neither on the batch that it is in nor on the number of
// threads wherever sums are integers; of float products they agree within rounding. Buffers are kept: once as large a
// batch has gone before, a call allocates next to nothing. Large batches are computed piece by piece.
//
// x and results are the caller's and must not overlap. `features` is the model's input size, and result_count is
// `examples` times its output size. With 0 examples nothing is read or written, and both pointers may be null.
// One thread at a time; where another one runs the session, the call does nothing and returns FAILED_PRECONDITION.
//
// INVALID_ARGUMENT where a pointer is null or not aligned for its type, or a size does not fit; FAILED_PRECONDITION
// where the model takes something else; OUT_OF_MEMORY. The session can be used further after any of these; after
// INTERNAL it is of no use any more. The results are undefined where the code is not BITGRAD_OK.
BITGRAD_API bitgrad_code bitgrad_session_run_floats(bitgrad_session* session, const float* x, int64_t examples,
                                                    int64_t features, float* results, int64_t result_count);
// The same for images of 8-bit pixels, as they are: the model knows how they become numbers.
BITGRAD_API bitgrad_code bitgrad_session_run_pixels(bitgrad_session* session, const uint8_t* pixels, int64_t examples,
                                                    int64_t features, float* results, int64_t result_count);

// The same for a model of tokens: tokens [steps, streams], the streams of the first time step first, to results [steps,
// streams, output size]. A stream is a text of its own. The states of the streams go on from the run before; they are
// zeros at first and after bitgrad_session_reset(). With fewer streams than before the first ones go on.
//
// INVALID_ARGUMENT where a token is not in 0 .. bitgrad_model_token_count() - 1, besides what is said above;
// FAILED_PRECONDITION where there are more streams than in the run before. These two leave the states as they were;
// after OUT_OF_MEMORY they are zeros.
BITGRAD_API bitgrad_code bitgrad_session_run_tokens(bitgrad_session* session, const int32_t* tokens, int64_t steps,
                                                    int64_t streams, float* results, int64_t result_count);
// Makes the states zeros; then any number of streams may begin. Without effect where a model has no states.
// INVALID_ARGUMENT for null; FAILED_PRECONDITION where another thread runs the session.
BITGRAD_API bitgrad_code bitgrad_session_reset(bitgrad_session* session);

#ifdef __cplusplus
}  // extern "C"
#endif

#endif  // BITGRAD_RUNTIME_C_API_H_
