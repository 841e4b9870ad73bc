// Pictures of a run as PNG files, by libpng.

#ifndef BITGRAD_REPORT_PNG_H_
#define BITGRAD_REPORT_PNG_H_

#include <string>

#include "bitgrad/proto/diagnostics.pb.h"

namespace bitgrad {

// The bytes of a PNG file with these pixels, grey or RGB. REQUIRES: height and width are positive, there are 1 or 3
// channels, and as many pixels as that makes.
std::string EncodePng(const diagnostics::Picture& picture);

}  // namespace bitgrad

#endif  // BITGRAD_REPORT_PNG_H_
