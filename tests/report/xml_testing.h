// A strict reader of XML, for tests of pages: what it accepts is well formed.

#ifndef BITGRAD_TESTS_REPORT_XML_TESTING_H_
#define BITGRAD_TESTS_REPORT_XML_TESTING_H_

#include <map>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace bitgrad {

struct XmlElement {
  std::string name;
  std::map<std::string, std::string> attributes;  // entities are replaced
  std::vector<XmlElement> children;
  std::string text;  // of the element and all below it, entities replaced

  std::string operator[](const std::string& attribute) const;  // "" where there is none
  // All elements below this one, and this one, of that name, in the order of the file.
  std::vector<const XmlElement*> All(absl::string_view element) const;
  // The one with this id; null where there is none.
  const XmlElement* Find(absl::string_view id) const;
};

// The root element of a document of elements, attributes, text, the five entities of XML, character references, and a
// doctype. InvalidArgument, with the place, for all else: tags that do not match, '<' or '&' that is no markup, an
// attribute twice or without quotes, characters that XML does not have, bytes that are no UTF-8.
absl::StatusOr<XmlElement> ParseXml(absl::string_view document);

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_REPORT_XML_TESTING_H_
