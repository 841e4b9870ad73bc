// The version of bitgrad, MAJOR.MINOR.PATCH as semver.org defines it: a new MAJOR may break users' code (before 1.0 a
// new MINOR may), a new MINOR adds, a new PATCH mends. The programs print it for --version, files that bitgrad writes
// hold it, and the installed CMake and pkg-config packages declare it; all of them read it here.

#ifndef BITGRAD_CORE_VERSION_H_
#define BITGRAD_CORE_VERSION_H_

namespace bitgrad {

inline constexpr char kVersion[] = "0.2.0";

}  // namespace bitgrad

#endif  // BITGRAD_CORE_VERSION_H_
