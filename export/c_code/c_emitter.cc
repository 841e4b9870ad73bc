#include "bitgrad/export/c_code/c_emitter.h"

#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_join.h"
#include "bitgrad/core/check.h"
#include "bitgrad/runtime/blob_layout.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

int64_t Words(int64_t bits) { return (bits + 31) / 32; }

int64_t BytesOf(absl::string_view type) {
  return type == "uint8_t" ? 1 : type == "int16_t" ? 2 : type == "int64_t" ? 8 : 4;
}

// The member of the arena with elements of this type.
std::string Member(absl::string_view type) { return absl::StrCat("as_", type.substr(0, type.find("_t"))); }

const char* Suffix(Form form) {
  switch (form) {
    case Form::kFloats: return "";
    case Form::kTerms: return "_terms";
    case Form::kCodes: return "_codes";
    case Form::kBits: return "_bits";
  }
  return "";
}

}  // namespace

std::string ShapeText(const PackedValue& value) {
  return absl::StrCat("[", absl::StrJoin(value.example.dims(), ", "), "]");
}

std::string EncodingText(const Encoding& encoding) {
  if (!encoding.is_integer()) return "floats";
  if (encoding.kind == EncodingKind::kBinary) return "bits";
  return absl::StrCat(encoding.bits, "-bit ", Name(encoding.kind), " codes");
}

std::string InstructionText(const PackedModel& model, int i) {
  return absl::StrCat("instruction ", i, " ('", model.header().instructions(i).layer(), "')");
}

CEmitter::CEmitter(const PackedModel& model, ExecContext& context)
    : model_(model), context_(context), alias_(static_cast<size_t>(model.header().instructions_size()) + 1, -1) {
  const packed::Input& input = model.header().input();
  if (input.tokens() == 0 && !input.has_pixels()) SetFloats(0, "x");
  FindResult();
}

void CEmitter::FindResult() {
  const packed::Header& header = model_.header();
  const int last = header.instructions_size();
  // The aliases of the last values, before they are emitted.
  int id = last;
  while (id > 0 && header.instructions(id - 1).has_reshape()) id = header.instructions(id - 1).operands(0);
  result_root_ = id;
  if (model_.value(last).is_coded()) {
    result_ = CResult::kCodes;
    return;
  }
  if (id == 0) return;
  const packed::Requantize* const requantize = RequantizeOf(header.instructions(id - 1));
  if (requantize == nullptr || requantize->encoding() != packed::Blob::UNSPECIFIED) return;
  // Whoever else reads the value needs its floats.
  int readers = 0;
  for (const packed::Instruction& instruction : header.instructions()) {
    if (!instruction.has_reshape()) readers += static_cast<int>(absl::c_count(instruction.operands(), id));
  }
  for (const packed::StateSlot& slot : header.states()) readers += slot.next() == id;
  if (readers == 0) result_ = CResult::kSums;
}

int CEmitter::root(int id) const {
  while (alias_[id] >= 0) id = alias_[id];
  return id;
}

void CEmitter::Begin(int i, absl::string_view comment) {
  step_ = i;
  const std::string& layer = model_.header().instructions(i).layer();
  layer_ = AsIdentifier(layer.empty() ? absl::StrCat("step", i) : layer);
  std::string text = absl::StrCat(i + 1, ". ", CommentText(layer), layer.empty() ? "" : ": ", CommentText(comment));
  // What is made stands on a line of its own where there would not be room for it.
  const size_t arrow = text.find(" ->");
  if (arrow != std::string::npos && text.size() > 110) text.replace(arrow, 1, "\n     ");
  absl::StrAppend(&statements_, "\n  /* ", text, " */\n");
}

void CEmitter::Line(absl::string_view statement) {
  absl::StrAppend(&statements_, in_loop_ ? "      " : "  ", statement, "\n");
}

void CEmitter::Call(absl::string_view kernel, absl::string_view arguments) {
  Kernel(kernel);
  Line(absl::StrCat("net_", kernel, "(", arguments, ");"));
}

void CEmitter::BeginPixels(int64_t height, int64_t width) {
  if (height * width == 1) return;
  Line(absl::StrCat("for (p = 0; p < ", height, "; ++p) {"));
  absl::StrAppend(&statements_, "    for (q = 0; q < ", width, "; ++q) {\n");
  in_loop_ = true;
  loop_width_ = width;
}

void CEmitter::EndPixels() {
  if (!in_loop_) return;
  in_loop_ = false;
  absl::StrAppend(&statements_, "    }\n  }\n");
}

std::string CEmitter::Times(int64_t n) const {
  if (!in_loop_) return "";
  return n == 1 ? absl::StrCat("p * ", loop_width_, " + q") : absl::StrCat("(p * ", loop_width_, " + q) * ", n);
}

std::string CEmitter::Row(absl::string_view array, int64_t n) const {
  const std::string offset = Times(n);
  return offset.empty() ? std::string(array) : absl::StrCat(array, " + ", offset);
}

std::string CEmitter::NewBuffer(absl::string_view type, const std::string& name, int64_t count, int* buffer) {
  *buffer = static_cast<int>(buffers_.size());
  buffers_.push_back({.bytes = count * BytesOf(type), .first = step_, .last = step_});
  variables_.push_back({std::string(type), name});
  return name;
}

std::string CEmitter::Make(int id, Form form) {
  Place place;
  const int64_t count = model_.value(id).features();
  if (form == Form::kFloats && id == result_root_ && result_ == CResult::kFloats) {
    place.expression = "result";
  } else {
    const std::string name = absl::StrCat("v", id, Suffix(form));
    const char* const type = form == Form::kCodes ? "uint8_t" : form == Form::kBits ? "uint32_t" : "float";
    place.expression = NewBuffer(type, name, form == Form::kBits ? Words(count) : count, &place.buffer);
  }
  forms_[{id, form}] = place;
  if (form == Form::kBits) Call("clear", absl::StrCat(place.expression, ", ", Words(count)));
  return place.expression;
}

std::string CEmitter::MakeOver(int id, const std::vector<std::string>& operands) {
  const std::string to = Make(id, Form::kFloats);
  const int buffer = forms_.at({id, Form::kFloats}).buffer;
  if (buffer < 0) return to;
  for (int other = 0; other < buffer; ++other) {
    if (absl::c_linear_search(operands, variables_[other].name)) over_[buffer].push_back(other);
  }
  return to;
}

std::string CEmitter::Temporary(absl::string_view type, absl::string_view name, int64_t count) {
  int buffer;
  return NewBuffer(type, absl::StrCat(name, step_ + 1), count, &buffer);
}

std::string CEmitter::Use(int id, Form form) {
  const PackedValue& value = model_.value(id);
  const int from = root(id);
  if (form == Form::kTerms && !value.is_coded()) form = Form::kFloats;
  // Codes of scale 1 are their own values.
  if (form == Form::kFloats && model_.value(from).is_coded() && model_.value(from).scale == 1.0f) form = Form::kTerms;
  if (!Has(from, form)) Convert(from, form, Make(from, form));
  const Place& place = forms_.at({from, form});
  if (place.buffer >= 0) buffers_[place.buffer].last = step_;
  return place.expression;
}

void CEmitter::Convert(int id, Form form, const std::string& to) {
  const PackedValue& value = model_.value(id);
  const Encoding& encoding = value.encoding;
  const int64_t n = value.features();
  if (!value.is_coded()) {  // the input, as pixels
    const packed::PixelMapping& mapping = model_.header().input().pixels();
    Call("pixels_to_floats",
         absl::StrCat(n, ", ", FloatLiteral(mapping.multiplier()), ", ", FloatLiteral(mapping.offset()), ", ",
                      FloatLiteral(mapping.divisor()), ", pixels, ", to));
    return;
  }
  // Memory for the new form is there already.
  const bool has_bits = form != Form::kBits && Has(id, Form::kBits);
  const std::string from = Use(id, has_bits ? Form::kBits : Form::kCodes);
  if (form == Form::kCodes) return Call("bits_to_codes", absl::StrCat(n, ", ", from, ", ", to));
  if (form == Form::kBits) return Call("codes_to_bits", absl::StrCat(n, ", ", from, ", ", to));
  const float scale = form == Form::kTerms ? 1.0f : value.scale;
  if (has_bits) {
    return Call("bits_to_floats", absl::StrCat(n, ", ", FloatLiteral(scale), ", ", from, ", ", to));
  }
  if (encoding.is_affine()) {
    return Call("codes_to_floats", absl::StrCat(n, ", ", encoding.least_code(), ", ", encoding.code_step(), ", ",
                                                FloatLiteral(scale), ", ", from, ", ", to));
  }
  std::vector<float> values;
  for (int64_t stored = 0; stored <= encoding.largest_stored(); ++stored) {
    values.push_back(static_cast<float>(encoding.code(stored)) * scale);
  }
  const std::string table = arrays_.Add(absl::StrCat(layer_, "_values"), "values of logarithmic codes", values);
  Call("log_to_floats", absl::StrCat(n, ", ", table, ", ", from, ", ", to));
}

std::string CEmitter::Floats(int blob, absl::string_view what) {
  return Once(absl::StrCat("blob", blob), [&] {
    return arrays_.Add(absl::StrCat(layer_, "_", what), absl::StrCat(layer_, ": ", what), model_.floats(blob));
  });
}

std::string CEmitter::Ints(int blob, absl::string_view what) {
  return Once(absl::StrCat("blob", blob), [&] {
    const std::string shape = absl::StrJoin(model_.blob(blob).shape(), ", ");
    return arrays_.Add(absl::StrCat(layer_, "_", what), absl::StrCat(layer_, ": ", what, " [", shape, "]"),
                       model_.ints(blob));
  });
}

std::string CEmitter::Flags(int blob, absl::string_view what) {
  return Once(absl::StrCat("blob", blob), [&] {
    const ConstBitMatrixView bits = model_.plane(blob, 0);
    std::vector<uint32_t> words(static_cast<size_t>(Words(bits.cols)));
    for (int64_t j = 0; j < bits.cols; ++j) words[j / 32] |= static_cast<uint32_t>(bits.bit(0, j)) << (j % 32);
    return arrays_.Add(absl::StrCat(layer_, "_", what), absl::StrCat(layer_, ": ", what, ", a bit for each output"),
                       absl::MakeConstSpan(words));
  });
}

void CEmitter::Finish() {
  const int last = model_.header().instructions_size();
  absl::StrAppend(&statements_, "\n  /* The result. */\n");
  const PackedValue& value = model_.value(last);
  const int64_t n = value.features();
  if (result_ == CResult::kFloats) {
    const std::string from = Use(last, Form::kFloats);
    if (from != "result") Call("copy_columns", absl::StrCat("1, ", n, ", ", n, ", ", from, ", ", n, ", result"));
  } else if (result_ == CResult::kCodes) {
    if (Has(last, Form::kBits)) {
      Call("bits_to_result", absl::StrCat(n, ", ", Use(last, Form::kBits), ", result"));
    } else {
      std::vector<int32_t> codes;
      for (int64_t stored = 0; stored <= value.encoding.largest_stored(); ++stored) {
        codes.push_back(static_cast<int32_t>(value.encoding.code(stored)));
      }
      const std::string table = arrays_.Add("result_codes", "codes of the result", absl::MakeConstSpan(codes));
      Call("codes_to_result", absl::StrCat(n, ", ", table, ", ", Use(last, Form::kCodes), ", result"));
    }
  }
  for (int slot = 0; slot < model_.header().states_size(); ++slot) {
    const packed::StateSlot& state = model_.header().states(slot);
    Call("copy_columns", absl::StrCat("1, ", state.width(), ", ", state.width(), ", ", Use(state.next(), Form::kFloats),
                                      ", ", state.width(), ", state->s", slot));
  }
}

std::vector<int> CEmitter::Owners() const {
  std::vector<int> owners;
  for (int i = 0; i < static_cast<int>(buffers_.size()); ++i) {
    owners.push_back(i);
    const auto over = over_.find(i);
    if (over == over_.end()) continue;
    for (const int other : over->second) {
      // The other one is read by this step and by none behind it.
      if (buffers_[other].last != buffers_[i].first || buffers_[other].bytes < buffers_[i].bytes) continue;
      owners[i] = owners[other];
      break;
    }
  }
  return owners;
}

std::string CEmitter::PlanBuffers(int64_t* arena_bytes) {
  const std::vector<int> owners = Owners();
  // An owner lives as long as the buffers that follow it in its memory.
  std::vector<ArenaBuffer> owned;
  std::vector<size_t> place(buffers_.size());
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const auto owner = static_cast<size_t>(owners[i]);
    if (owner == i) {
      place[i] = owned.size();
      owned.push_back(buffers_[i]);
    } else {
      place[i] = place[owner];
      owned[place[i]].last = std::max(owned[place[i]].last, buffers_[i].last);
    }
  }
  *arena_bytes = PlanArena(owned);
  std::string text;
  for (size_t i = 0; i < buffers_.size(); ++i) {
    const auto& [type, name] = variables_[i];
    absl::StrAppend(&text, "  ", type, " *const ", name, " = scratch->", Member(type), " + ",
                    owned[place[i]].offset / BytesOf(type), "; /* steps ", buffers_[i].first + 1, " to ",
                    buffers_[i].last + 1, ", ", buffers_[i].bytes, " bytes */\n");
  }
  return text;
}

absl::Status EmitInstruction(CEmitter& c, int i) {
  switch (c.model().header().instructions(i).kind_case()) {
    case packed::Instruction::kLinear:
    case packed::Instruction::kConv2D: return EmitProduct(c, i);
    case packed::Instruction::kTapConv2D: return EmitTapConv(c, i);
    case packed::Instruction::kMaxPool:
    case packed::Instruction::kAveragePool: return EmitPool(c, i);
    case packed::Instruction::kQuantize:
    case packed::Instruction::kFixedPoint: return EmitQuantize(c, i);
    case packed::Instruction::kShiftAdd:
    case packed::Instruction::kShiftConcat: return EmitShift(c, i);
    default: return EmitElementwise(c, i);
  }
}

}  // namespace bitgrad
