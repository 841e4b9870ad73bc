#include "bitgrad/export/c_code/c_test.h"

#include <bit>
#include <cstdint>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "bitgrad/export/c_code/c_text.h"

namespace bitgrad {
namespace {

// The float that an element of the result stands for.
std::string ValueText(const PackedModel& model, CResult result) {
  switch (result) {
    case CResult::kFloats: return "result[i]";
    case CResult::kCodes: return absl::StrCat("(float)result[i] * ", FloatLiteral(model.result().scale));
    case CResult::kSums: return "(float)result[i] * power()";
  }
  return "";
}

constexpr char kCheckBits[] = R"c(
static uint32_t bits_of(float x) {
  uint32_t bits;
  memcpy(&bits, &x, sizeof(bits));
  return bits;
}

/* Whether the result of vector g is the expected one, to the last bit. */
static int is_expected(int32_t g) {
  int32_t i, is_equal = 1;
  for (i = 0; i < NET_OUTPUTS; ++i) {
    const float value = @VALUE@;
    if (bits_of(value) == net_expected[g * NET_OUTPUTS + i]) continue;
    printf("vector %ld, output %ld: 0x%08lx instead of 0x%08lx\n", (long)g, (long)i, (unsigned long)bits_of(value),
           (unsigned long)net_expected[g * NET_OUTPUTS + i]);
    is_equal = 0;
  }
  return is_equal;
}
)c";

constexpr char kCheckTolerance[] = R"c(
static float float_of(uint32_t bits) {
  float x;
  memcpy(&x, &bits, sizeof(x));
  return x;
}

/* Whether the result of vector g is the expected one, within NET_WIDEST. Counts those that are within NET_TOLERANCE. */
static int is_expected(int32_t g) {
  double largest = 0;
  int32_t i;
  for (i = 0; i < NET_OUTPUTS; ++i) {
    const double value = @VALUE@, expected = float_of(net_expected[g * NET_OUTPUTS + i]);
    const double difference = value < expected ? expected - value : value - expected;
    /* Not so for a NaN. */
    if (!(difference <= NET_WIDEST)) {
      printf("vector %ld, output %ld: %.9g instead of %.9g\n", (long)g, (long)i, value, expected);
      return 0;
    }
    if (difference > largest) largest = difference;
  }
  if (largest <= NET_TOLERANCE) ++near_count;
  if (largest > largest_difference) largest_difference = largest;
  return 1;
}
)c";

constexpr char kCheckClass[] = R"c(
/* Whether no output of vector g is larger than that of the class. */
static int is_largest(int32_t g, int32_t class_) {
  int32_t i, is_right = 1;
  for (i = 0; i < NET_OUTPUTS; ++i) {
    float a, b;
    memcpy(&a, &net_expected[g * NET_OUTPUTS + i], sizeof(a));
    memcpy(&b, &net_expected[g * NET_OUTPUTS + class_], sizeof(b));
    if (a > b) is_right = 0;
  }
  return is_right;
}
)c";

}  // namespace

std::string TestText(const PackedModel& model, CResult result, const GoldenVectors& golden) {
  const packed::Input& input = model.header().input();
  const bool is_exact = golden.is_exact();
  std::string text = absl::StrCat(
      "/* Replays golden vectors that bitgrad's interpreter has computed when the net was written. Returns 0 where "
      "all\n",
      "   results are ",
      is_exact
          ? std::string("the same to the last bit. */\n")
          : std::string(
                "near to them. The net multiplies floats, and the interpreter adds these products in another order. "
                "NET_TOLERANCE\n   is what rounding can make of that at most, layer by layer: (k + 2) 2^-23 times "
                "the sum of the sizes of k products,\n   carried on to the result by the largest factors of the "
                "layers behind, as long as no code of a quantizer changes. A\n   sum next to a limit may change "
                "one, which seldom happens: half of the vectors have to be within NET_TOLERANCE, all\n   within "
                "NET_WIDEST, the bound for results of which any code may have changed. */\n"),
      "\n#include <stdint.h>\n#include <stdio.h>\n#include <string.h>\n\n#include \"@NAME@.h\"\n\n#define NET_VECTORS ",
      golden.count, "\n");
  if (!is_exact) {
    absl::StrAppendFormat(
        &text,
        "#define NET_TOLERANCE %.4g\n#define NET_WIDEST %.4g\n\nstatic double largest_difference = 0;\n"
        "static int32_t near_count = 0; /* vectors within NET_TOLERANCE */\n",
        golden.tolerance * 1.001, golden.widest * 1.001);
  }
  CArrays arrays;
  const std::string shape = absl::StrCat("[", golden.count, ", ", model.value(0).features(), "]");
  if (input.tokens() > 0) {
    arrays.Add("inputs", "one text", golden.tokens.span<int32_t>());
  } else if (input.has_pixels()) {
    arrays.Add("inputs", shape, golden.pixels.span<uint8_t>());
  } else {
    arrays.Add("inputs", shape, golden.floats.span<float>());
  }
  std::vector<uint32_t> bits;
  for (const float value : golden.results.span<float>()) bits.push_back(std::bit_cast<uint32_t>(value));
  arrays.Add("expected", absl::StrCat("floats as bits, [", golden.count, ", ", model.result().features(), "]"),
             absl::MakeConstSpan(bits));
  absl::StrAppend(&text, arrays.text(), "\nstatic ", result == CResult::kFloats ? "float" : "int32_t",
                  " result[NET_OUTPUTS];\n");
  if (result == CResult::kSums) {
    absl::StrAppend(&text,
                    "\n/* 2^-NET_FRACTION_BITS. */\nstatic float power(void) {\n  float value = 1.0f;\n  int i;\n"
                    "  for (i = 0; i < NET_FRACTION_BITS; ++i) value *= 0.5f;\n"
                    "  for (i = 0; i > NET_FRACTION_BITS; --i) value *= 2.0f;\n  return value;\n}\n");
  }
  absl::StrAppend(
      &text, absl::StrReplaceAll(is_exact ? kCheckBits : kCheckTolerance, {{"@VALUE@", ValueText(model, result)}}));
  const bool has_class = input.tokens() == 0 && model.header().class_count() > 0 && is_exact;
  if (has_class) absl::StrAppend(&text, kCheckClass);
  absl::StrAppend(&text, "\nint main(void) {\n  int32_t g, equal = 0;\n");
  if (input.tokens() > 0) {
    absl::StrAppend(&text,
                    "  int32_t run;\n  static net_state state;\n  /* Twice, because a reset makes the second run the "
                    "same as the first. */\n  for (run = 0; run < 2; ++run) {\n    equal = 0;\n",
                    is_exact ? "" : "    near_count = 0;\n",
                    "    "
                    "net_reset(&state);\n    for (g = 0; g < NET_VECTORS; ++g) {\n      net_step(net_inputs[g], "
                    "&state, result);\n      equal += is_expected(g);\n    }\n    if (equal < NET_VECTORS) break;\n  "
                    "}\n");
  } else {
    absl::StrAppend(&text,
                    "  for (g = 0; g < NET_VECTORS; ++g) {\n    const int32_t at = g * NET_INPUTS;\n    "
                    "net_predict(net_inputs + at, result);\n",
                    has_class ? "    equal += is_expected(g) && is_largest(g, net_predict_class(net_inputs + at));\n"
                              : "    equal += is_expected(g);\n",
                    "  }\n");
  }
  if (is_exact) {
    absl::StrAppend(&text, "  printf(\"net_test: golden_vectors=%d equal=%ld\\n\", NET_VECTORS, (long)equal);\n");
  } else {
    absl::StrAppend(&text,
                    "  printf(\"net_test: golden_vectors=%d within_bounds=%ld near=%ld largest_difference=%g\\n\", "
                    "NET_VECTORS,\n         (long)equal, (long)near_count, largest_difference);\n");
  }
  absl::StrAppend(&text, "  return equal == NET_VECTORS", is_exact ? "" : " && 2 * near_count >= NET_VECTORS",
                  " ? 0 : 1;\n}\n");
  return text;
}

}  // namespace bitgrad
