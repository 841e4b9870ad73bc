#include "bitgrad/export/safetensors_header.h"

#include <limits>
#include <set>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/escaping.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/json_quoted.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/data/vocabulary.h"

namespace bitgrad {
namespace {

constexpr absl::string_view kMetadata = "__metadata__";

// The code point as UTF-8. REQUIRES: it is below 0x110000 and no surrogate.
void AppendUtf8(uint32_t point, std::string& text) {
  if (point < 0x80) {
    text.push_back(static_cast<char>(point));
    return;
  }
  const int following = point < 0x800 ? 1 : point < 0x10000 ? 2 : 3;
  // As many ones as there are bytes, a zero, and the highest bits of the code point.
  const uint32_t ones = 0xFF00u >> (following + 1) & 0xFFu;
  text.push_back(static_cast<char>(ones | point >> (6 * following)));
  for (int i = following - 1; i >= 0; --i) text.push_back(static_cast<char>(0x80 | (point >> (6 * i) & 0x3F)));
}

class Parser {
 public:
  explicit Parser(absl::string_view json) : json_(json) {}

  absl::StatusOr<std::vector<SafetensorsHeaderEntry>> Parse() {
    std::vector<SafetensorsHeaderEntry> entries;
    std::set<std::string> names;
    if (json_.empty() || json_[0] != '{') return Error("a safetensors header begins with '{'");
    BITGRAD_RETURN_IF_ERROR(ParseObject([&](std::string name) -> absl::Status {
      if (!names.insert(name).second) return Error("the name '", absl::CHexEscape(name), "' is there twice");
      if (name == kMetadata) return ParseMetadata();
      SafetensorsHeaderEntry entry;
      entry.name = std::move(name);
      BITGRAD_RETURN_IF_ERROR(ParseTensor(entry));
      entries.push_back(std::move(entry));
      return absl::OkStatus();
    }));
    while (at_ < json_.size() && json_[at_] == ' ') ++at_;
    if (at_ < json_.size()) return Error("there is something behind the last brace");
    return entries;
  }

 private:
  template <typename... What>
  absl::Status Error(const What&... what) const {
    return absl::InvalidArgumentError(absl::StrCat("at byte ", at_, " of the header: ", what...));
  }

  void SkipSpace() {
    constexpr absl::string_view kSpace = " \t\n\r";
    while (at_ < json_.size() && kSpace.find(json_[at_]) != absl::string_view::npos) ++at_;
  }
  // Whether the next token is this one, which is then behind us.
  bool Skip(char token) {
    SkipSpace();
    if (at_ == json_.size() || json_[at_] != token) return false;
    ++at_;
    return true;
  }
  absl::Status Expect(char token) {
    return Skip(token) ? absl::OkStatus() : Error("'", absl::string_view(&token, 1), "' is missing");
  }

  // Calls `value` with each key, when the value is next.
  template <typename Value>
  absl::Status ParseObject(const Value& value) {
    BITGRAD_RETURN_IF_ERROR(Expect('{'));
    if (Skip('}')) return absl::OkStatus();
    do {
      BITGRAD_ASSIGN_OR_RETURN(std::string key, ParseText());
      BITGRAD_RETURN_IF_ERROR(Expect(':'));
      BITGRAD_RETURN_IF_ERROR(value(std::move(key)));
    } while (Skip(','));
    return Expect('}');
  }

  absl::Status ParseMetadata() {
    std::set<std::string> keys;
    return ParseObject([&](std::string key) -> absl::Status {
      if (!keys.insert(key).second) return Error("the key '", absl::CHexEscape(key), "' is there twice");
      return ParseText().status();
    });
  }

  absl::Status ParseTensor(SafetensorsHeaderEntry& entry) {
    std::set<std::string> keys;
    BITGRAD_RETURN_IF_ERROR(ParseObject([&](std::string key) -> absl::Status {
      if (!keys.insert(key).second) return Error("'", absl::CHexEscape(key), "' is there twice");
      if (key == "dtype") {
        BITGRAD_ASSIGN_OR_RETURN(entry.dtype, ParseText());
        return absl::OkStatus();
      }
      if (key == "shape") {
        BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> dims, ParseNumbers());
        entry.shape = Shape(dims);
        return absl::OkStatus();
      }
      if (key == "data_offsets") {
        BITGRAD_ASSIGN_OR_RETURN(const std::vector<int64_t> offsets, ParseNumbers());
        if (offsets.size() != 2) return Error("data_offsets are ", offsets.size(), " numbers, not two");
        entry.begin = offsets[0];
        entry.end = offsets[1];
        return absl::OkStatus();
      }
      return Error("'", absl::CHexEscape(key), "' is none of dtype, shape, data_offsets");
    }));
    if (keys.size() == 3) return absl::OkStatus();
    return Error("tensor '", absl::CHexEscape(entry.name), "' has no ",
                 keys.count("dtype") == 0   ? "dtype"
                 : keys.count("shape") == 0 ? "shape"
                                            : "data_offsets");
  }

  absl::StatusOr<std::vector<int64_t>> ParseNumbers() {
    std::vector<int64_t> numbers;
    BITGRAD_RETURN_IF_ERROR(Expect('['));
    if (Skip(']')) return numbers;
    do {
      BITGRAD_ASSIGN_OR_RETURN(const int64_t number, ParseNumber());
      numbers.push_back(number);
    } while (Skip(','));
    BITGRAD_RETURN_IF_ERROR(Expect(']'));
    return numbers;
  }

  absl::StatusOr<int64_t> ParseNumber() {
    SkipSpace();
    const size_t begin = at_;
    int64_t number = 0;
    for (; at_ < json_.size() && absl::ascii_isdigit(static_cast<unsigned char>(json_[at_])); ++at_) {
      const int64_t digit = json_[at_] - '0';
      if (number > (std::numeric_limits<int64_t>::max() - digit) / 10) return Error("a number is too large");
      number = 10 * number + digit;
    }
    if (at_ == begin) return Error("an integer that is not negative is missing");
    if (json_[begin] == '0' && at_ > begin + 1) return Error("a number begins with a zero");
    return number;
  }

  absl::StatusOr<std::string> ParseText() {
    BITGRAD_RETURN_IF_ERROR(Expect('"'));
    std::string text;
    while (at_ < json_.size() && json_[at_] != '"') {
      if (json_[at_] == '\\') {
        BITGRAD_RETURN_IF_ERROR(ParseEscape(text));
        continue;
      }
      if (static_cast<unsigned char>(json_[at_]) < 0x20) return Error("a text has a control character");
      const int length = Utf8Length(json_.substr(at_, 4));
      if (length == 0) return Error("a text is no UTF-8");
      text.append(json_.data() + at_, static_cast<size_t>(length));
      at_ += static_cast<size_t>(length);
    }
    if (at_ == json_.size()) return Error("a text does not end");
    ++at_;
    return text;
  }

  absl::Status ParseEscape(std::string& text) {
    constexpr absl::string_view kLetters = "\"\\/bfnrt", kMeanings = "\"\\/\b\f\n\r\t";
    if (at_ + 1 == json_.size()) return Error("a text does not end");
    const char letter = json_[at_ + 1];
    if (const size_t i = kLetters.find(letter); i != absl::string_view::npos) {
      at_ += 2;
      text.push_back(kMeanings[i]);
      return absl::OkStatus();
    }
    BITGRAD_ASSIGN_OR_RETURN(uint32_t point, ParseCodeUnit());
    // A code point beyond 16 bits is a high surrogate and a low one.
    if (point >= 0xD800 && point < 0xDC00) {
      BITGRAD_ASSIGN_OR_RETURN(const uint32_t low, ParseCodeUnit());
      if (low < 0xDC00 || low > 0xDFFF) return Error("a surrogate of a text has no second half");
      point = 0x10000 + ((point - 0xD800) << 10) + (low - 0xDC00);
    } else if (point >= 0xDC00 && point < 0xE000) {
      return Error("a surrogate of a text has no first half");
    }
    AppendUtf8(point, text);
    return absl::OkStatus();
  }

  // "\u" and four hexadecimal digits.
  absl::StatusOr<uint32_t> ParseCodeUnit() {
    const absl::string_view escape = json_.substr(at_, 6);
    if (escape.size() < 6 || escape[0] != '\\' || escape[1] != 'u') return Error("a text has an unknown escape");
    uint32_t unit = 0;
    for (const char digit : escape.substr(2)) {
      if (!absl::ascii_isxdigit(static_cast<unsigned char>(digit))) return Error("a text has an unknown escape");
      const char lower = absl::ascii_tolower(static_cast<unsigned char>(digit));
      unit = 16 * unit + static_cast<uint32_t>(lower <= '9' ? lower - '0' : lower - 'a' + 10);
    }
    at_ += 6;
    return unit;
  }

  const absl::string_view json_;
  size_t at_ = 0;
};

}  // namespace

absl::StatusOr<std::vector<SafetensorsHeaderEntry>> ParseSafetensorsHeader(absl::string_view json) {
  return Parser(json).Parse();
}

std::string WriteSafetensorsHeader(absl::Span<const SafetensorsHeaderEntry> entries, absl::string_view producer) {
  std::string json = absl::StrCat("{", JsonQuoted(kMetadata), ":{\"producer\":", JsonQuoted(producer), "}");
  for (const SafetensorsHeaderEntry& entry : entries) {
    absl::StrAppend(&json, ",", JsonQuoted(entry.name), ":{\"dtype\":", JsonQuoted(entry.dtype), ",\"shape\":[",
                    absl::StrJoin(entry.shape.dims(), ","), "],\"data_offsets\":[", entry.begin, ",", entry.end, "]}");
  }
  json += "}";
  json.resize((json.size() + 7) / 8 * 8, ' ');
  return json;
}

}  // namespace bitgrad
