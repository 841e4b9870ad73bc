#include "bitgrad/export/import_node.h"

#include "absl/strings/strip.h"

namespace bitgrad {

ImportNode::ImportNode(const onnx::NodeProto& proto, int index)
    // PyTorch's names begin with a slash: "/features/0/Conv".
    : proto_(proto), name_(absl::StripPrefix(proto.name(), "/")) {
  if (name_.empty()) name_ = absl::StrCat(proto.op_type(), "_", index);
}

const onnx::AttributeProto* ImportNode::Find(absl::string_view attribute) const {
  for (const onnx::AttributeProto& candidate : proto_.attribute()) {
    if (candidate.name() == attribute) return &candidate;
  }
  return nullptr;
}

int64_t ImportNode::Int(absl::string_view attribute, int64_t otherwise) const {
  const onnx::AttributeProto* const found = Find(attribute);
  return found == nullptr ? otherwise : found->i();
}

float ImportNode::Float(absl::string_view attribute, float otherwise) const {
  const onnx::AttributeProto* const found = Find(attribute);
  return found == nullptr ? otherwise : found->f();
}

std::string ImportNode::String(absl::string_view attribute, absl::string_view otherwise) const {
  const onnx::AttributeProto* const found = Find(attribute);
  return found == nullptr ? std::string(otherwise) : found->s();
}

std::vector<int64_t> ImportNode::Ints(absl::string_view attribute) const {
  const onnx::AttributeProto* const found = Find(attribute);
  if (found == nullptr) return {};
  return {found->ints().begin(), found->ints().end()};
}

const onnx::TensorProto* ImportNode::Tensor(absl::string_view attribute) const {
  const onnx::AttributeProto* const found = Find(attribute);
  return found == nullptr || !found->has_t() ? nullptr : &found->t();
}

}  // namespace bitgrad
