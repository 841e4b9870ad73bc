#include "bitgrad/tests/report/xml_testing.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad {
namespace {

class Parser {
 public:
  explicit Parser(absl::string_view document) : document_(document), left_(document) {}

  absl::StatusOr<XmlElement> Document() {
    BITGRAD_RETURN_IF_ERROR(CheckCharacters());
    if (absl::ConsumePrefix(&left_, "<!DOCTYPE html>")) SkipSpace();
    BITGRAD_ASSIGN_OR_RETURN(XmlElement root, Element());
    SkipSpace();
    if (!left_.empty()) return Error("something follows the root element");
    return root;
  }

 private:
  absl::Status Error(absl::string_view what) const {
    const size_t at = document_.size() - left_.size();
    return absl::InvalidArgumentError(absl::StrCat("byte ", at, ": ", what, ": '", left_.substr(0, 60), "' after '",
                                                   document_.substr(at < 60 ? 0 : at - 60, at < 60 ? at : 60), "'"));
  }

  absl::Status CheckCharacters() {
    for (absl::string_view rest = document_; !rest.empty();) {
      const int length = Utf8Length(rest);
      const absl::string_view character = rest.substr(0, static_cast<size_t>(length));
      const auto first = static_cast<unsigned char>(rest[0]);
      if (length == 0 || (first < 0x20 && first != '\t' && first != '\n' && first != '\r') ||
          character == "\xEF\xBF\xBE" || character == "\xEF\xBF\xBF") {
        left_ = rest;
        return Error("no character of XML");
      }
      rest.remove_prefix(static_cast<size_t>(length));
    }
    return absl::OkStatus();
  }

  void SkipSpace() {
    while (!left_.empty() && absl::ascii_isspace(static_cast<unsigned char>(left_[0]))) left_.remove_prefix(1);
  }

  absl::StatusOr<std::string> Name() {
    size_t size = 0;
    while (size < left_.size() && (absl::ascii_isalnum(static_cast<unsigned char>(left_[size])) || left_[size] == '-' ||
                                   left_[size] == '_' || left_[size] == ':')) {
      ++size;
    }
    if (size == 0 || absl::ascii_isdigit(static_cast<unsigned char>(left_[0])) || left_[0] == '-') {
      return Error("a name is missing");
    }
    const std::string name(left_.substr(0, size));
    left_.remove_prefix(size);
    return name;
  }

  // Text up to the character `end`.
  absl::StatusOr<std::string> Text(char end) {
    constexpr std::pair<absl::string_view, char> kEntities[] = {{"&amp;", '&'},  {"&lt;", '<'},    {"&gt;", '>'},
                                                                {"&quot;", '"'}, {"&apos;", '\''}, {"&#39;", '\''}};
    std::string text;
    while (!left_.empty() && left_[0] != end) {
      if (left_[0] == '<') return Error("'<' within text");
      if (left_[0] != '&') {
        text.push_back(left_[0]);
        left_.remove_prefix(1);
        continue;
      }
      bool known = false;
      for (const auto& [entity, character] : kEntities) {
        if (!absl::ConsumePrefix(&left_, entity)) continue;
        text.push_back(character);
        known = true;
        break;
      }
      if (!known) return Error("no entity of XML");
    }
    return text;
  }

  absl::Status Attribute(XmlElement& element) {
    BITGRAD_ASSIGN_OR_RETURN(const std::string name, Name());
    if (!absl::ConsumePrefix(&left_, "=")) return Error("an attribute without a value");
    const char quote = left_.empty() ? '\0' : left_[0];
    if (quote != '"' && quote != '\'') return Error("an attribute without quotes");
    left_.remove_prefix(1);
    BITGRAD_ASSIGN_OR_RETURN(std::string value, Text(quote));
    if (left_.empty()) return Error("a quote does not end");
    left_.remove_prefix(1);
    if (!element.attributes.emplace(name, std::move(value)).second) return Error("an attribute stands there twice");
    return absl::OkStatus();
  }

  absl::StatusOr<XmlElement> Element() {
    if (!absl::ConsumePrefix(&left_, "<")) return Error("an element is missing");
    XmlElement element;
    BITGRAD_ASSIGN_OR_RETURN(element.name, Name());
    while (true) {
      const size_t before = left_.size();
      SkipSpace();
      if (absl::ConsumePrefix(&left_, "/>")) return element;
      if (absl::ConsumePrefix(&left_, ">")) break;
      if (left_.size() == before) return Error("a tag does not end");
      BITGRAD_RETURN_IF_ERROR(Attribute(element));
    }
    while (!absl::StartsWith(left_, "</")) {
      BITGRAD_ASSIGN_OR_RETURN(const std::string text, Text('<'));
      absl::StrAppend(&element.text, text);
      if (left_.empty()) return Error(absl::StrCat("<", element.name, "> does not end"));
      if (absl::StartsWith(left_, "</")) break;
      BITGRAD_ASSIGN_OR_RETURN(XmlElement child, Element());
      absl::StrAppend(&element.text, child.text);
      element.children.push_back(std::move(child));
    }
    left_.remove_prefix(2);
    BITGRAD_ASSIGN_OR_RETURN(const std::string end, Name());
    if (end != element.name) return Error(absl::StrCat("</", end, "> ends <", element.name, ">"));
    SkipSpace();
    if (!absl::ConsumePrefix(&left_, ">")) return Error("a tag does not end");
    return element;
  }

  const absl::string_view document_;
  absl::string_view left_;
};

void Collect(const XmlElement& element, absl::string_view name, std::vector<const XmlElement*>& found) {
  if (element.name == name) found.push_back(&element);
  for (const XmlElement& child : element.children) Collect(child, name, found);
}

}  // namespace

std::string XmlElement::operator[](const std::string& attribute) const {
  const auto found = attributes.find(attribute);
  return found == attributes.end() ? "" : found->second;
}

std::vector<const XmlElement*> XmlElement::All(absl::string_view element) const {
  std::vector<const XmlElement*> found;
  Collect(*this, element, found);
  return found;
}

const XmlElement* XmlElement::Find(absl::string_view id) const {
  if ((*this)["id"] == id) return this;
  for (const XmlElement& child : children) {
    if (const XmlElement* found = child.Find(id); found != nullptr) return found;
  }
  return nullptr;
}

absl::StatusOr<XmlElement> ParseXml(absl::string_view document) { return Parser(document).Document(); }

}  // namespace bitgrad
