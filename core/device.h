// Where a tensor's bytes live and where its kernels run.

#ifndef BITGRAD_CORE_DEVICE_H_
#define BITGRAD_CORE_DEVICE_H_

namespace bitgrad {

enum class Device { kCpu, kCuda };

constexpr const char* Name(Device device) { return device == Device::kCpu ? "cpu" : "cuda"; }

}  // namespace bitgrad

#endif  // BITGRAD_CORE_DEVICE_H_
