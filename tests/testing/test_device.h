// The device for tests that run on every device: the CPU, unless the environment has BITGRAD_TEST_DEVICE=cuda. The
// variants NAME_cuda and NAME_emulated of a test set that (device_test.bzl).
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

// Skips the test, with the reason, where the device cannot be used.
template <typename Test>
class OnTestDevice : public Test {
 protected:
  void SetUp() override {
    if (const absl::Status status = DeviceStatus(TestDevice()); !status.ok()) GTEST_SKIP() << status.message();
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_TESTING_TEST_DEVICE_H_
