// Last: keeps the object that was made last, for benchmarks that share something that takes long to set up.
//
// Google Benchmark calls a benchmark's function again for each estimate and each repetition. As long as the key stays
// the same, these calls get the same object. A call with another key destroys the object before it makes the next, so
// that there are never two in memory.

#ifndef BITGRAD_BENCH_LAST_H_
#define BITGRAD_BENCH_LAST_H_

#include <memory>
#include <string>
#include <utility>

namespace bitgrad {

template <typename T>
class Last {
 public:
  // The object for `key`: the last one if it has this key, else a new one from make(), which returns a
  // std::unique_ptr<T>.
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
