// The device of tests that run on each: the CPU's, unless the environment says BITGRAD_TEST_DEVICE=cuda, as the
// variants NAME_cuda and NAME_emulated of a test do (device_test.bzl).
//
//   class OpGradientsTest : public OnTestDevice<testing::TestWithParam<Case>> {};

#ifndef BITGRAD_TESTS_TESTING_TEST_DEVICE_H_
#define BITGRAD_TESTS_TESTING_TEST_DEVICE_H_

#include <cstdlib>
#include <string>

#include "bitgrad/core/device.h"
#include "bitgrad/ops/dispatch.h"
#include "gtest/gtest.h"

namespace bitgrad {

inline Device TestDevice() {
  const char* const name = std::getenv("BITGRAD_TEST_DEVICE");
  return name == nullptr ? Device::kCpu : ParseDevice(name).value();
}

// Skips, with the reason, where the device cannot be used.
template <typename Test>
class OnTestDevice : public Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = DeviceStatus(TestDevice()); !status.ok()) GTEST_SKIP() << status.message();
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_TEST_DEVICE_H_
