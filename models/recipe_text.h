// What text-format files of protobufs, recipes for one, may contain, whatever their fields mean: text in UTF-8, and
// values of enums that this build knows.

#ifndef BITGRAD_MODELS_RECIPE_TEXT_H_
#define BITGRAD_MODELS_RECIPE_TEXT_H_

#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "google/protobuf/descriptor.h"
#include "google/protobuf/message.h"

namespace bitgrad {

// The names of the message's fields, of the enum's values.
std::vector<std::string> FieldNames(const google::protobuf::Descriptor& descriptor);
std::vector<std::string> ValueNames(const google::protobuf::EnumDescriptor& descriptor);

// Whether `text` is UTF-8. Protobuf writes other text into a file without an error, and then refuses to read the file.
bool IsUtf8(absl::string_view text);

// InvalidArgument "FIELD: what is wrong" for the first field of the message, those of its groups included, whose text
// is not UTF-8 or whose enum has a number without a name.
absl::Status CheckFields(const google::protobuf::Message& message);

// Reads a message that is written in protobuf's text format. A byte-order mark (UTF-8) at the beginning is skipped.
// InvalidArgument "WHERE, line 3, column 7: what is wrong" for a syntax error, an unknown field or value of an enum
// (the nearest name is suggested), and what CheckFields() finds. `where` is what the text is, "recipe 'net.textproto'".
absl::Status ParseText(absl::string_view where, absl::string_view text, google::protobuf::Message& message);

}  // namespace bitgrad

#endif  // BITGRAD_MODELS_RECIPE_TEXT_H_
