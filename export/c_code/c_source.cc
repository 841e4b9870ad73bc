#include "bitgrad/export/c_code/c_source.h"

#include <algorithm>
#include <cmath>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/export/c_code/c_emitter.h"
#include "bitgrad/export/c_code/c_kernels.h"
#include "bitgrad/export/c_code/c_test.h"
#include "bitgrad/export/c_code/c_text.h"
#include "bitgrad/export/c_code/golden_vectors.h"
#include "bitgrad/runtime/requantize.h"

namespace bitgrad {
namespace {

// Sums of floats have to be computed as they are written.
constexpr char kFloatRules[] = R"c(
/* Each operation on floats has to be rounded to binary32, in the order in which it is written. */
#if defined(__FAST_MATH__)
#error "-ffast-math would change results; compile this file without it"
#endif
#if defined(__FLT_EVAL_METHOD__) && __FLT_EVAL_METHOD__ != 0 && __FLT_EVAL_METHOD__ != 16
#error "floats would be computed with more digits; on x86 compile with -msse2 -mfpmath=sse"
#endif
#if defined(__clang__)
#pragma STDC FP_CONTRACT OFF
#elif defined(__GNUC__) && !defined(__STRICT_ANSI__)
#pragma GCC optimize("fp-contract=off") /* -std=c99 implies it. */
#endif
)c";

const char* ResultType(CResult result) { return result == CResult::kFloats ? "float" : "int32_t"; }

// What the elements of the result are.
std::string ResultText(const PackedModel& model, CResult result) {
  const int last = model.header().instructions_size();
  switch (result) {
    case CResult::kFloats: return "the result, as floats";
    case CResult::kCodes:
      return absl::StrCat("the result's codes; its values are codes times ", FloatLiteral(model.value(last).scale));
    case CResult::kSums: return "the result's integer sums; its values are sums times 2^-NET_FRACTION_BITS";
  }
  return "";
}

// The fractional bits of a result of sums.
int FractionBits(const PackedModel& model) {
  int id = model.header().instructions_size();
  while (model.header().instructions(id - 1).has_reshape()) id = model.header().instructions(id - 1).operands(0);
  return RequantizeOf(model.header().instructions(id - 1))->fraction_bits();
}

// The type of the working memory, with the members that the variables need.
std::string ScratchText(const std::string& variables, int64_t bytes) {
  std::string text = absl::StrCat(
      "\n/* Working memory of one call. What it holds before and after does not matter, so that calls which do not run "
      "at "
      "the\n   same time may share it. */\n",
      "typedef union {\n  int64_t as_int64[", std::max<int64_t>(1, bytes / 8), "];\n");
  const struct {
    const char *type, *name;
    int size;
  } members[] = {{"int32_t", "as_int32", 4},
                 {"uint32_t", "as_uint32", 4},
                 {"float", "as_float", 4},
                 {"int16_t", "as_int16", 2},
                 {"uint8_t", "as_uint8", 1}};
  for (const auto& [type, name, size] : members) {
    if (absl::StrContains(variables, absl::StrCat("scratch->", name, " "))) {
      absl::StrAppend(&text, "  ", type, " ", name, "[", bytes / size, "];\n");
    }
  }
  return text + "} net_scratch;\n";
}

// A function of the header: its comment, and its parameters but for the scratch.
struct Function {
  std::string comment, result, name;
  std::vector<std::string> parameters, arguments;

  std::string Declaration() const { return absl::StrCat(result, " ", name, "(", absl::StrJoin(parameters, ", "), ")"); }
  // The same with working memory of the caller's.
  std::string DeclarationWithScratch() const {
    return absl::StrCat(result, " ", name, "_with_scratch(net_scratch *scratch, ", absl::StrJoin(parameters, ", "),
                        ")");
  }
  // Its definition by that, with memory of the file's own.
  std::string Definition() const {
    return absl::StrCat("\n", Declaration(), " {\n  ", result == "void" ? "" : "return ", name,
                        "_with_scratch(&net_arena, ", absl::StrJoin(arguments, ", "), ");\n}\n");
  }
};

std::vector<Function> FunctionsOf(const PackedModel& model, CResult result) {
  const packed::Header& header = model.header();
  const std::string out = absl::StrCat(ResultType(result), " result[NET_OUTPUTS]");
  if (header.input().tokens() > 0) {
    return {
        {.comment = absl::StrCat("Takes the next token, 0 .. NET_TOKENS - 1, and gives ", ResultText(model, result)),
         .result = "void",
         .name = "net_step",
         .parameters = {"int32_t token", "net_state *state", out},
         .arguments = {"token", "state", "result"}}};
  }
  const bool has_pixels = header.input().has_pixels();
  const std::string in = has_pixels ? "const uint8_t pixels[NET_INPUTS]" : "const float x[NET_INPUTS]";
  const std::string x = has_pixels ? "pixels" : "x";
  std::vector<Function> functions = {
      {.comment = absl::StrCat("Of ", has_pixels ? "8-bit pixels" : "floats", " of shape ", ShapeText(model.value(0)),
                               ": ", ResultText(model, result)),
       .result = "void",
       .name = "net_predict",
       .parameters = {in, out},
       .arguments = {x, "result"}}};
  if (header.class_count() > 0) {
    functions.push_back({.comment = "The class with the largest result, the first of equal ones",
                         .result = "int32_t",
                         .name = "net_predict_class",
                         .parameters = {in},
                         .arguments = {x}});
  }
  return functions;
}

std::string HeaderText(const PackedModel& model, const CEmitter& emitter, const std::string& variables,
                       int64_t arena_bytes, int64_t flash_bytes) {
  const packed::Header& header = model.header();
  const bool has_tokens = header.input().tokens() > 0;
  const CResult result = emitter.result();
  const int64_t outputs = model.result().features();
  std::string text = absl::StrCat(
      "/* '", CommentText(header.name()), "', a net of ", header.instructions_size(),
      " steps, written by bitgrad.\n\n   Needs no library, no allocation and no file. Constant arrays take "
      "NET_FLASH_BYTES, code comes on top of that;\n   working memory is one static array of NET_SCRATCH_BYTES, so the "
      "functions are not reentrant. */\n\n",
      "#ifndef NET_H_\n#define NET_H_\n\n#include <stdint.h>\n\n#ifdef __cplusplus\nextern \"C\" {\n#endif\n\n");
  absl::StrAppend(&text, "#define NET_OUTPUTS ", outputs, "\n#define NET_FLASH_BYTES ", flash_bytes,
                  "\n#define NET_SCRATCH_BYTES ", arena_bytes, "\n");
  if (result == CResult::kSums) absl::StrAppend(&text, "#define NET_FRACTION_BITS ", FractionBits(model), "\n");
  if (has_tokens) {
    absl::StrAppend(&text, "#define NET_TOKENS ", header.input().tokens(),
                    "\n\n/* What a text carries from one token to the next. */\ntypedef struct {\n");
    for (int slot = 0; slot < header.states_size(); ++slot) {
      absl::StrAppend(&text, "  float s", slot, "[", header.states(slot).width(), "]; /* ",
                      CommentText(header.states(slot).name()), " */\n");
    }
    if (header.states_size() == 0) absl::StrAppend(&text, "  int32_t none;\n");
    absl::StrAppend(&text,
                    "} net_state;\n\n/* Before the first token of a text. */\nvoid net_reset(net_state *state);\n");
  } else {
    absl::StrAppend(&text, "#define NET_INPUTS ", model.value(0).features(), "\n\n");
  }
  const std::vector<Function> functions = FunctionsOf(model, result);
  for (const Function& function : functions) {
    absl::StrAppend(&text, "/* ", function.comment, ". */\n", function.Declaration(), ";\n");
  }
  absl::StrAppend(&text, ScratchText(variables, arena_bytes));
  for (const Function& function : functions) absl::StrAppend(&text, function.DeclarationWithScratch(), ";\n");
  absl::StrAppend(&text, "\n#ifdef __cplusplus\n}\n#endif\n\n#endif /* NET_H_ */\n");
  return text;
}

std::string SourceText(const PackedModel& model, CEmitter& emitter, const std::string& variables) {
  const packed::Header& header = model.header();
  const bool has_tokens = header.input().tokens() > 0;
  const std::vector<Function> functions = FunctionsOf(model, emitter.result());
  std::string program = functions[0].DeclarationWithScratch() + " {\n";
  absl::StrAppend(&program, variables);
  if (absl::StrContains(emitter.statements(), "for (p = 0")) absl::StrAppend(&program, "  int32_t p, q;\n");
  if (absl::StrContains(emitter.statements(), "count = ")) absl::StrAppend(&program, "  int32_t count;\n");
  absl::StrAppend(&program, emitter.statements(), variables.empty() ? "  (void)scratch;\n" : "",
                  has_tokens && header.states_size() == 0 ? "  (void)state;\n" : "", "}\n");
  if (has_tokens) {
    absl::StrAppend(&program, "\nvoid net_reset(net_state *state) {\n");
    if (header.states_size() > 0) absl::StrAppend(&program, "  int32_t i;\n");
    for (int slot = 0; slot < header.states_size(); ++slot) {
      absl::StrAppend(&program, "  for (i = 0; i < ", header.states(slot).width(), "; ++i) state->s", slot,
                      "[i] = 0.0f;\n");
    }
    if (header.states_size() == 0) absl::StrAppend(&program, "  state->none = 0;\n");
    absl::StrAppend(&program, "}\n");
  } else if (header.class_count() > 0) {
    absl::StrAppend(&program, "\n", functions[1].DeclarationWithScratch(), " {\n  ", ResultType(emitter.result()),
                    " result[NET_OUTPUTS];\n  int32_t i, best = 0;\n  net_predict_with_scratch(scratch, ",
                    functions[1].arguments[0], ", result);\n  for (i = 1; i < NET_OUTPUTS; ++i) {\n",
                    "    if (result[i] > result[best]) best = i;\n  }\n  return best;\n}\n");
  }
  absl::StrAppend(&program, "\n/* The working memory of calls that bring none. */\nstatic net_scratch net_arena;\n");
  for (const Function& function : functions) absl::StrAppend(&program, function.Definition());
  const std::string kernels = TextOfKernels(emitter.kernels());
  const std::string body = absl::StrCat(kernels, "\n/* ---- Constant arrays, in the order in which they are read. */\n",
                                        emitter.arrays().text(), "\n", program);
  const bool has_floats = absl::StrContains(body, "float ");
  return absl::StrCat("/* '", CommentText(header.name()),
                      "', written by bitgrad. Plain C99; bits and codes are exactly those of the packed model. ",
                      has_floats ? "*/\n\n" : "No\n   number in it has a fraction. */\n\n", "#include \"@NAME@.h\"\n",
                      has_floats ? kFloatRules : "", body);
}

}  // namespace

absl::StatusOr<CSource> ToCSource(const PackedModel& model, ExecContext& context, const CSourceOptions& options) {
  if (!IsIdentifier(options.name)) {
    return absl::InvalidArgumentError(absl::StrCat("name '", options.name,
                                                   "' is no C identifier of letters, digits and _ that begins with a ",
                                                   "letter; choose another one"));
  }
  // A header of this name would hide one that the files include.
  for (const char* standard : {"stdint", "stdio", "string", "arm_neon"}) {
    if (options.name != standard) continue;
    return absl::InvalidArgumentError(
        absl::StrCat("name '", options.name, "' is that of a standard header; choose another one"));
  }
  if (model.time_steps() > 0) {
    return absl::UnimplementedError(
        absl::StrCat("packed model '", model.name(), "' reads an example in ", model.time_steps(),
                     " time steps, for which C source has no form; run it through runtime/c_api.h"));
  }
  CEmitter emitter(model, context);
  for (int i = 0; i < model.header().instructions_size(); ++i) BITGRAD_RETURN_IF_ERROR(EmitInstruction(emitter, i));
  emitter.Finish();
  if (emitter.arrays().has_infinite()) {
    return absl::UnimplementedError(
        "the model has floats that are infinite or no number, for which C99 has no literals; train it again");
  }
  CSource source;
  const std::string variables = emitter.PlanBuffers(&source.scratch_bytes);
  source.flash_bytes = emitter.arrays().bytes();
  BITGRAD_ASSIGN_OR_RETURN(const GoldenVectors golden, MakeGoldenVectors(model, context, options.seed));
  source.golden_vectors = golden.count;
  const auto named = [&](const std::string& text) {
    return absl::StrReplaceAll(WithName(text, options.name), {{"@NAME@", options.name}});
  };
  source.header = named(HeaderText(model, emitter, variables, source.scratch_bytes, source.flash_bytes));
  source.source = named(SourceText(model, emitter, variables));
  source.test = named(TestText(model, emitter.result(), golden));
  return source;
}

}  // namespace bitgrad
