// CEmitter: what the emitters of instructions write to: the statements of the program, its constant arrays, the kernels
// that it calls, and its buffers.
//
// A value of the program has one or more forms, as in runtime/frame.h: floats, its codes as floats, its stored codes as
// bytes, or its bits, which lie one behind the other without gaps. The instruction that makes the value makes one of
// them; the others are made at the first instruction that reads them.

#ifndef BITGRAD_EXPORT_C_CODE_C_EMITTER_H_
#define BITGRAD_EXPORT_C_CODE_C_EMITTER_H_

#include <cstdint>
#include <map>
#include <set>
#include <string>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/str_cat.h"
#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/c_code/arena_plan.h"
#include "bitgrad/export/c_code/c_text.h"
#include "bitgrad/runtime/packed_model.h"

namespace bitgrad {

enum class Form { kFloats, kTerms, kCodes, kBits };

// What the program returns: floats, the codes of a last value that is codes, or the integer sums of a last product of
// fixed-point codes.
enum class CResult { kFloats, kCodes, kSums };

class CEmitter {
 public:
  // REQUIRES: model and context outlive this.
  CEmitter(const PackedModel& model, ExecContext& context);

  const PackedModel& model() const { return model_; }
  ExecContext& context() { return context_; }
  CArrays& arrays() { return arrays_; }
  CResult result() const { return result_; }

  // ---- Instructions

  // Begins instruction i, with a comment that says what it is.
  void Begin(int i, absl::string_view comment);
  // Adds a statement; "call(...)" statements of kernels name the kernel without net_, which makes it part of the file.
  void Line(absl::string_view statement);
  void Call(absl::string_view kernel, absl::string_view arguments);
  void Kernel(absl::string_view name) { kernels_.insert(std::string(name)); }
  // The same for each output pixel of an image [height, width]: statements that are added between the two calls stand
  // in a loop over p and q, in which `at` is p * width + q. Where there is one pixel there is no loop; Pixel() gives
  // the arguments "p, q" or "0, 0", and Times() the text of at * n, empty where it is 0.
  void BeginPixels(int64_t height, int64_t width);
  void EndPixels();
  const char* Pixel() const { return in_loop_ ? "p, q" : "0, 0"; }
  std::string Times(int64_t n) const;
  // "array + at * n".
  std::string Row(absl::string_view array, int64_t n) const;

  // ---- Values and buffers: each returns a C expression.

  // A form of an operand. It is made first where that has not happened yet; not between BeginPixels() and EndPixels().
  std::string Use(int id, Form form);
  // Whether this form is at hand.
  bool Has(int id, Form form) const { return forms_.contains({root(id), form}); }
  // Memory for the value of the instruction. Bits are all 0.
  std::string Make(int id, Form form);
  // Floats that may lie where the floats of `operands` do, which are what Use() has returned: the kernel reads element
  // i of an operand before it writes element i, and nothing behind it. They do where nobody reads the operand later.
  std::string MakeOver(int id, const std::vector<std::string>& operands);
  // The value's floats are elsewhere.
  void SetFloats(int id, absl::string_view expression) { forms_[{id, Form::kFloats}] = {std::string(expression), -1}; }
  void SetCodes(int id, absl::string_view expression) { forms_[{id, Form::kCodes}] = {std::string(expression), -1}; }
  // Memory for this instruction alone, of `count` elements of a type.
  std::string Temporary(absl::string_view type, absl::string_view name, int64_t count);
  // The value is the elements of another one.
  void Alias(int id, int of) { alias_[id] = of; }
  int root(int id) const;
  // Whether the value is the input, which is pixels.
  bool IsPixels(int id) const { return root(id) == 0 && model_.header().input().has_pixels(); }
  // Whether the sums of instruction i become the result as they are.
  bool MakesResult(int i) const { return result_ == CResult::kSums && i == result_root_ - 1; }

  // ---- Arrays of the model, each written once

  // The name of the array that `make` adds, once for each key.
  template <typename Make>
  std::string Once(const std::string& key, const Make& make) {
    std::string& name = once_[key];
    if (name.empty()) name = make();
    return name;
  }
  std::string Floats(int blob, absl::string_view what);
  std::string Ints(int blob, absl::string_view what);
  std::string Flags(int blob, absl::string_view what);
  // "conv1": the layer's name as that of arrays.
  std::string layer() const { return layer_; }

  // ---- The result

  // Writes the result; the states of a model of tokens go on. After the last instruction.
  void Finish();
  const std::set<std::string>& kernels() const { return kernels_; }
  const std::string& statements() const { return statements_; }
  // The definitions of the buffers' variables; sets the arena's size.
  std::string PlanBuffers(int64_t* arena_bytes);

 private:
  struct Place {
    std::string expression;
    int buffer = -1;  // in the arena; -1: elsewhere
  };
  struct Variable {
    std::string type, name;
  };

  std::string NewBuffer(absl::string_view type, const std::string& name, int64_t count, int* buffer);
  void FindResult();
  // Which buffer's memory each buffer has: its own, or that of the one that it lies over.
  std::vector<int> Owners() const;
  // A form made of another one that is at hand.
  void Convert(int id, Form form, const std::string& to);

  const PackedModel& model_;
  ExecContext& context_;
  CArrays arrays_;
  std::set<std::string> kernels_;
  std::string statements_;
  int step_ = 0;
  bool in_loop_ = false;
  int64_t loop_width_ = 1;
  std::string layer_;
  std::vector<int> alias_;
  std::map<std::pair<int, Form>, Place> forms_;
  std::map<std::string, std::string> once_;
  std::vector<ArenaBuffer> buffers_;
  std::vector<Variable> variables_;  // of each buffer
  // Of buffers: those in whose place they may lie, if these are not needed any more.
  std::map<int, std::vector<int>> over_;
  CResult result_ = CResult::kFloats;
  int result_root_ = -1;  // the value that the result is an alias of
};

// The parts of the shape of a value as text: "[32, 32, 3]".
std::string ShapeText(const PackedValue& value);
// "8-bit symmetric codes", "bits", "floats".
std::string EncodingText(const Encoding& encoding);
// The layer of an instruction for a message: "instruction 3 ('conv1')".
std::string InstructionText(const PackedModel& model, int i);

// Instructions by kind. Each writes instruction i, or says why it cannot.
absl::Status EmitProduct(CEmitter& c, int i);      // linear, conv2d
absl::Status EmitTapConv(CEmitter& c, int i);      // tap_conv2d
absl::Status EmitPool(CEmitter& c, int i);         // max_pool, average_pool
absl::Status EmitQuantize(CEmitter& c, int i);     // quantize, fixed_point
absl::Status EmitShift(CEmitter& c, int i);        // shift_add, shift_concat
absl::Status EmitElementwise(CEmitter& c, int i);  // all others
// One of the above.
absl::Status EmitInstruction(CEmitter& c, int i);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_C_CODE_C_EMITTER_H_
