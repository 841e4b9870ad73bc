// A node of an ONNX graph, as the importer reads it: attributes with defaults, and errors that name the node.

#ifndef BITGRAD_EXPORT_IMPORT_NODE_H_
#define BITGRAD_EXPORT_IMPORT_NODE_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

class ImportNode {
 public:
  // `index` is the node's place in the graph, by which a node without a name is called. REQUIRES: `proto` outlives
  // this.
  ImportNode(const onnx::NodeProto& proto, int index);

  const onnx::NodeProto& proto() const { return proto_; }
  const std::string& op() const { return proto_.op_type(); }
  // What people call it: "fc1/MatMul", or "MatMul_3" for a node without a name. It becomes the name of the layer.
  const std::string& name() const { return name_; }

  // Whether operand k is there: an optional one may be missing, or empty.
  bool has_input(int k) const { return k < proto_.input_size() && !proto_.input(k).empty(); }

  // ---- Attributes; `otherwise` where the node has none of that name.

  bool has(absl::string_view attribute) const { return Find(attribute) != nullptr; }
  int64_t Int(absl::string_view attribute, int64_t otherwise) const;
  float Float(absl::string_view attribute, float otherwise) const;
  std::string String(absl::string_view attribute, absl::string_view otherwise) const;
  std::vector<int64_t> Ints(absl::string_view attribute) const;
  const onnx::TensorProto* Tensor(absl::string_view attribute) const;

  // "node 'fc1' (MatMul): ...".
  template <typename... Args>
  absl::Status Error(const Args&... args) const {
    return absl::InvalidArgumentError(absl::StrCat("node '", name_, "' (", op(), "): ", args...));
  }
  template <typename... Args>
  absl::Status Unsupported(const Args&... args) const {
    return absl::UnimplementedError(absl::StrCat("node '", name_, "' (", op(), "): ", args...));
  }

 private:
  const onnx::AttributeProto* Find(absl::string_view attribute) const;

  const onnx::NodeProto& proto_;
  std::string name_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_IMPORT_NODE_H_
