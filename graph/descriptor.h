// OpDescriptor: which op made a node of the tape, and with which attributes. Together with the node's operands this is
// enough to print summaries, to count arithmetic and to freeze, so that any model can be exported from a tape.
//
// An attribute is an integer, a real number, or a value of a type that only the op and its readers know (a Quantizer).

#ifndef BITGRAD_GRAPH_DESCRIPTOR_H_
#define BITGRAD_GRAPH_DESCRIPTOR_H_

#include <any>
#include <cstdint>
#include <type_traits>
#include <variant>

#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

struct Attribute {
  const char* name;
  std::variant<int64_t, double, std::any> value;
};

struct OpDescriptor {
  absl::string_view op;  // "linear"; a string literal
  absl::InlinedVector<Attribute, 1> attributes;

  // The attribute's value, or `fallback` where the op has none of that name and type.
  template <typename T>
  T Get(absl::string_view name, T fallback) const {
    for (const Attribute& attribute : attributes) {
      if (name == attribute.name) {
        if constexpr (std::is_same_v<T, int64_t> || std::is_same_v<T, double>) {
          if (const T* value = std::get_if<T>(&attribute.value)) return *value;
        } else if (const std::any* any = std::get_if<std::any>(&attribute.value)) {
          if (const T* value = std::any_cast<T>(any)) return *value;
        }
      }
    }
    return fallback;
  }
};

}  // namespace bitgrad

#endif  // BITGRAD_GRAPH_DESCRIPTOR_H_
