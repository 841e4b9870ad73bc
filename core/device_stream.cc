#include "bitgrad/core/device_stream.h"

#include <string>

namespace bitgrad {
namespace {

DeviceStreamFactory& FactoryOf(Device device) {
  static DeviceStreamFactory factories[2] = {};
  return factories[static_cast<int>(device)];
}

}  // namespace

void SetDeviceStreamFactory(Device device, DeviceStreamFactory factory) { FactoryOf(device) = factory; }

absl::StatusOr<std::unique_ptr<DeviceStream>> NewDeviceStream(Device device) {
  const DeviceStreamFactory factory = FactoryOf(device);
  if (factory == nullptr) {
    return absl::UnimplementedError(std::string("device '") + Name(device) + "' is not part of this program");
  }
  return factory();
}

}  // namespace bitgrad
