// Sessions of the C API: an interpreter, and what it computes in.

#include <sys/types.h>
#include <unistd.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <new>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/core/shape.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/core/threads.h"
#include "bitgrad/runtime/c_api.h"
#include "bitgrad/runtime/c_api_error.h"
#include "bitgrad/runtime/c_api_model.h"
#include "bitgrad/runtime/interpreter.h"

struct bitgrad_session {
  bitgrad_session(std::shared_ptr<const bitgrad::PackedModel> model_, int threads)
      : model(std::move(model_)), context({.threads = threads}) {}

  const std::shared_ptr<const bitgrad::PackedModel> model;
  bitgrad::ExecContext context;
  std::unique_ptr<bitgrad::Interpreter> interpreter;
  std::atomic<bool> is_running = false;
};

namespace bitgrad {
namespace {

// The process in which a session of several threads ran first; 0: none has.
std::atomic<pid_t> process_with_threads = 0;

// GNU's OpenMP would wait for ever for threads that were lost in a fork.
absl::Status CheckNotForked(int threads) {
  if (threads == 1) return absl::OkStatus();
  const pid_t process = getpid();
  pid_t first = 0;
  if (process_with_threads.compare_exchange_strong(first, process) || first == process) return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the process was forked after a session of several threads had run, and its threads are not in the ",
                   "child; make sessions of one thread there, or fork before the first run"));
}

absl::Status Create(const bitgrad_model* model, int32_t threads, bitgrad_session** session) {
  if (session == nullptr) return NullError("session");
  *session = nullptr;
  if (model == nullptr) return NullError("model");
  auto made = std::make_unique<bitgrad_session>(model->packed, threads);
  BITGRAD_RETURN_IF_ERROR(made->context.status());
  // OpenMP ends the process where it cannot start a thread.
  if (made->context.threads() > 1) BITGRAD_RETURN_IF_ERROR(CheckThreads(made->context.threads() - 1));
  BITGRAD_ASSIGN_OR_RETURN(made->interpreter, Interpreter::Create(*made->model, made->context));
  *session = made.release();
  return absl::OkStatus();
}

// A matrix that a caller has given, and what the C API calls it.
template <typename T>
struct Argument {
  const char* name;
  const char* rows_name;
  const char* cols_name;
  ConstMatrixView<T> x;
};

template <typename T>
absl::Status CheckPointer(const char* name, const T* pointer) {
  if (pointer == nullptr) return NullError(name);
  if (reinterpret_cast<uintptr_t>(pointer) % alignof(T) == 0) return absl::OkStatus();
  return absl::InvalidArgumentError(
      absl::StrCat("`", name, "` is not aligned to ", alignof(T), " bytes, as its type is; copy it to where it is"));
}

// That sizes are neither below zero nor beyond all memory, so that their product does not overflow.
template <typename T>
absl::Status CheckSizes(const Argument<T>& argument) {
  const ConstMatrixView<T>& x = argument.x;
  if (Shape({x.rows, x.cols}).Validate().ok()) return absl::OkStatus();
  return absl::InvalidArgumentError(absl::StrCat(
      argument.rows_name, " = ", x.rows, " and ", argument.cols_name, " = ", x.cols,
      x.rows < 0 || x.cols < 0 ? ": sizes are not negative" : ": more than any memory holds; check the numbers"));
}

// That all of the matrix can be read, and `count` results of the model be written.
template <typename T>
absl::Status CheckArguments(const bitgrad_session& session, const Argument<T>& argument, int64_t count,
                            const float* results, int64_t result_count) {
  const ConstMatrixView<T>& x = argument.x;
  const int64_t out = session.model->result().features();
  if (!Shape({count, out}).Validate().ok() || result_count != count * out) {
    return absl::InvalidArgumentError(absl::StrCat("result_count is ", result_count, ", but ", argument.rows_name,
                                                   " = ", x.rows, " and ", argument.cols_name, " = ", x.cols, " have ",
                                                   count, " results of ", out, " floats"));
  }
  if (x.size() == 0) return absl::OkStatus();
  BITGRAD_RETURN_IF_ERROR(CheckPointer(argument.name, x.data));
  return CheckPointer("results", results);
}

// Calls run(), which nobody else does for the same session meanwhile.
absl::Status Run(bitgrad_session* session, absl::FunctionRef<absl::Status()> run) {
  if (session == nullptr) return NullError("session");
  if (session->is_running.exchange(true, std::memory_order_acquire)) {
    return absl::FailedPreconditionError(
        "the session runs on another thread; make a session for each thread (they share the model)");
  }
  struct Done {
    ~Done() { is_running.store(false, std::memory_order_release); }
    std::atomic<bool>& is_running;
  } done{session->is_running};
  BITGRAD_RETURN_IF_ERROR(CheckNotForked(session->context.threads()));
  return run();
}

}  // namespace
}  // namespace bitgrad

using bitgrad::CallForC;

extern "C" {

bitgrad_code bitgrad_session_create(const bitgrad_model* model, int32_t threads, bitgrad_session** session) {
  return CallForC(__func__, [&] { return bitgrad::Create(model, threads, session); });
}

void bitgrad_session_free(bitgrad_session* session) { delete session; }

int32_t bitgrad_session_threads(const bitgrad_session* session) {
  return session == nullptr ? 0 : session->context.threads();
}

bitgrad_code bitgrad_session_run_floats(bitgrad_session* session, const float* x, int64_t examples, int64_t features,
                                        float* results, int64_t result_count) {
  return CallForC(__func__, [&] {
    return bitgrad::Run(session, [&]() -> absl::Status {
      const bitgrad::Argument<float> argument = {"x", "examples", "features", {x, examples, features}};
      BITGRAD_RETURN_IF_ERROR(CheckSizes(argument));
      BITGRAD_RETURN_IF_ERROR(CheckArguments(*session, argument, examples, results, result_count));
      return session->interpreter->Run(argument.x, results);
    });
  });
}

bitgrad_code bitgrad_session_run_pixels(bitgrad_session* session, const uint8_t* pixels, int64_t examples,
                                        int64_t features, float* results, int64_t result_count) {
  return CallForC(__func__, [&] {
    return bitgrad::Run(session, [&]() -> absl::Status {
      const bitgrad::Argument<uint8_t> argument = {"pixels", "examples", "features", {pixels, examples, features}};
      BITGRAD_RETURN_IF_ERROR(CheckSizes(argument));
      BITGRAD_RETURN_IF_ERROR(CheckArguments(*session, argument, examples, results, result_count));
      return session->interpreter->RunPixels(argument.x, results);
    });
  });
}

bitgrad_code bitgrad_session_run_tokens(bitgrad_session* session, const int32_t* tokens, int64_t steps, int64_t streams,
                                        float* results, int64_t result_count) {
  return CallForC(__func__, [&] {
    return bitgrad::Run(session, [&]() -> absl::Status {
      const bitgrad::Argument<int32_t> argument = {"tokens", "steps", "streams", {tokens, steps, streams}};
      BITGRAD_RETURN_IF_ERROR(CheckSizes(argument));
      BITGRAD_RETURN_IF_ERROR(CheckArguments(*session, argument, steps * streams, results, result_count));
      try {
        return session->interpreter->RunTokens(argument.x, results);
      } catch (...) {
        // Some states may have gone on, and others not.
        session->interpreter->Reset();
        throw;
      }
    });
  });
}

bitgrad_code bitgrad_session_reset(bitgrad_session* session) {
  return CallForC(__func__, [&] {
    return bitgrad::Run(session, [&] {
      session->interpreter->Reset();
      return absl::OkStatus();
    });
  });
}

}  // extern "C"
