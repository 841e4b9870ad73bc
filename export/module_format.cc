#include "bitgrad/export/module_format.h"

#include <algorithm>
#include <cmath>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"

namespace bitgrad {

int32_t FixedPointCode(float r, int fraction_bits, int32_t least, int32_t most) {
  const double code = std::nearbyint(std::ldexp(static_cast<double>(r), fraction_bits));
  // The comparisons come first: a huge number or a NaN cannot be converted.
  return code >= most ? most : code > least ? static_cast<int32_t>(code) : least;
}

int32_t ModuleFormat::WeightCode(float w, int width) const {
  const int32_t most = int32_t{1} << (width - 1);
  return FixedPointCode(w, bits.weight, -most, most - 1);
}

int32_t ModuleFormat::BiasCode(float b) const {
  const int32_t most = int32_t{1} << (kBiasBits - 1);
  return FixedPointCode(b, bits.bias, -most, most - 1);
}

int HeuristicFractionBits(double most, int magnitude_bits) {
  if (!(most > 0)) return 0;
  const int n = magnitude_bits - static_cast<int>(std::ceil(std::log2(most)));
  return std::clamp(n, -kMostFractionBits, kMostFractionBits);
}

std::string SearchReport(const std::vector<UnifiedModule>& modules, absl::Span<const ModuleFormat> formats) {
  std::string report = absl::StrFormat("%-20s %-32s %-18s %4s %4s %4s %12s %12s %9s\n", "layer", "module", "output",
                                       "N_w", "N_b", "N_o", "||O-O^||", "max-abs", "of ||O||");
  for (size_t m = 0; m < modules.size(); ++m) {
    const UnifiedModule& module = modules[m];
    const ModuleFormat& format = formats[m];
    const bool is_product = module.kind == UnifiedModule::Kind::kProduct;
    if (!module.quantizes() && module.kind != UnifiedModule::Kind::kInput) continue;
    const std::string encoding =
        module.keeps_sums ? "int32 sums" : absl::StrCat(Name(format.encoding.kind), "(", format.encoding.bits, ")");
    const auto number = [](bool is_there, int n) { return is_there ? absl::StrCat(n) : std::string("-"); };
    absl::StrAppendFormat(&report, "%-20s %-32s %-18s %4s %4s %4d %12.4g %12.4g %8.2f%%\n", module.layer, module.ops,
                          encoding, number(is_product, format.bits.weight),
                          number(is_product && !module.bias.empty(), format.bits.bias), format.bits.output,
                          format.error, format.heuristic_error,
                          format.norm > 0 ? 100 * format.error / format.norm : 0.0);
  }
  return report;
}

}  // namespace bitgrad
