// OnnxValues: the values of a packed program while it becomes an ONNX graph, and which tensors hold them.
//
// A value of the program has up to four tensors, which are made when somebody asks for them:
//
//   codes, or floats = codes * scale     codes are floats that are integers; a value of floats has no codes
//   channels last, or channels first     of images alone: [N, H, W, C], as the packed model has them, or [N, C, H, W],
//                                        as ONNX's convolutions and pools take them. Whatever else is [N, ...]
//
// What works on single elements keeps the layout of its operand, so that a chain of convolutions needs no
// transpositions.

#ifndef BITGRAD_EXPORT_ONNX_VALUES_H_
#define BITGRAD_EXPORT_ONNX_VALUES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "bitgrad/export/onnx.h"
#include "bitgrad/export/onnx_graph.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

// Where QONNX's nodes are.
inline constexpr char kQonnxDomain[] = "qonnx.custom_op.general";

enum class ImageLayout { kChannelsLast = 0, kChannelsFirst = 1 };

class OnnxValues {
 public:
  // REQUIRES: model and graph outlive this.
  OnnxValues(const PackedModel& model, OnnxDialect dialect, OnnxGraph& graph);

  const PackedModel& model() const { return model_; }
  OnnxDialect dialect() const { return dialect_; }
  OnnxGraph& graph() { return graph_; }
  const packed::Instruction& instruction(int i) const { return model_.header().instructions(i); }

  // ---- Reading. REQUIRES: the value has been set.

  // A layout in which the value is there without a transposition.
  ImageLayout LayoutOf(int id) const;
  // The value's floats.
  std::string Floats(int id, ImageLayout layout);
  // Its codes; of a value of floats, the floats.
  std::string Terms(int id, ImageLayout layout);

  // ---- Writing: each instruction sets its value in one form.

  void SetFloats(int id, ImageLayout layout, std::string tensor) { Set(id, kFloats, layout, std::move(tensor)); }
  void SetCodes(int id, ImageLayout layout, std::string tensor) { Set(id, kCodes, layout, std::move(tensor)); }

  // ---- Names and constants

  // The name of what instruction i makes on its way: "fc1/sum", or "linear/sum" where the layer has no name.
  std::string Hint(int i, absl::string_view what) const;
  // A constant of numbers along the last dimension of a value: of the shape that broadcasts in this layout.
  std::string PerChannel(const std::string& hint, absl::Span<const float> values, int id, ImageLayout layout);
  std::string PerChannelDoubles(const std::string& hint, absl::Span<const double> values, int id, ImageLayout layout);
  // The extents that PerChannel() gives to `count` numbers.
  std::vector<int64_t> ChannelShape(int64_t count, int id, ImageLayout layout) const;

  // The error of what the dialect cannot say: "layer 'fc1', linear: `what`; use --dialect=..." `advice` follows the
  // semicolon.
  absl::Status Refuse(int i, absl::string_view what, absl::string_view advice) const;

 private:
  enum Form { kCodes = 0, kFloats = 1 };
  void Set(int id, Form form, ImageLayout layout, std::string tensor) {
    tensors_[id].names[form][static_cast<int>(layout)] = std::move(tensor);
  }
  std::string Get(int id, Form form, ImageLayout layout);
  bool IsImage(int id) const { return model_.value(id).example.rank() == 3; }

  struct Tensors {
    std::string names[2][2];  // by form and layout; empty: not made yet
  };

  const PackedModel& model_;
  const OnnxDialect dialect_;
  OnnxGraph& graph_;
  std::vector<Tensors> tensors_;
};

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_VALUES_H_
