// Last: the object made last, for benchmarks that share what takes long to set up.
//
// Google Benchmark calls a benchmark's function anew for each estimate and each repetition. What follows each other and
// has the same key gets the same object; another key ends it before the next is made, so two never take memory at once.

#ifndef BITGRAD_BENCH_LAST_H_
#define BITGRAD_BENCH_LAST_H_

#include <memory>
#include <string>
#include <utility>

namespace bitgrad {

template <typename T>
class Last {
 public:
  // The object of `key`: the last one, or a new one from make() -> std::unique_ptr<T>.
  template <typename Make>
  T& Get(std::string key, const Make& make) {
    if (object_ == nullptr || key != key_) {
      object_.reset();
      object_ = make();
      key_ = std::move(key);
    }
    return *object_;
  }

 private:
  std::string key_;
  std::unique_ptr<T> object_;
};

}  // namespace bitgrad

#endif  // BITGRAD_BENCH_LAST_H_
