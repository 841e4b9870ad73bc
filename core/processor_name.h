// The machine's processor, for people.

#ifndef BITGRAD_CORE_PROCESSOR_NAME_H_
#define BITGRAD_CORE_PROCESSOR_NAME_H_

#include <string>

namespace bitgrad {

// What the kernel calls it, "Intel(R) Xeon(R) Processor"; "unknown" where it says nothing.
std::string ProcessorName();

}  // namespace bitgrad

#endif  // BITGRAD_CORE_PROCESSOR_NAME_H_
