#include "bitgrad/runtime/version_1.h"

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "bitgrad/core/status_macros.h"
#include "bitgrad/ops/quantizers/quantizer.h"

namespace bitgrad {
namespace {

using packed::Blob;
using packed::Header;
using packed::Instruction;

absl::Status NotInVersion1(const std::string& what) {
  return absl::InvalidArgumentError(absl::StrCat("the file is of format version 1, which has no ", what));
}

absl::Status CheckProduct(bool has_scales, const packed::Threshold& threshold) {
  if (has_scales) return NotInVersion1("scale for each output");
  if (threshold.encoding() != Blob::UNSPECIFIED || threshold.bits() != 0 || threshold.scale() != 0) {
    return NotInVersion1("thresholds of codes");
  }
  return absl::OkStatus();
}

absl::Status CheckQuantize(const packed::Quantize& quantize) {
  if (quantize.role() == packed::Quantize::ACTIVATION && !quantize.has_variable() && !quantize.has_scale() &&
      !quantize.has_statistic()) {
    return absl::OkStatus();
  }
  return NotInVersion1("numbers of quantizers");
}

class Upgrade {
 public:
  explicit Upgrade(const Header& old) : old_(old), header_(old) { header_.clear_instructions(); }

  absl::StatusOr<Header> Run() {
    if (old_.states_size() > 0 || old_.input().tokens() != 0 || old_.input().time_steps() != 0 ||
        old_.text() != Header::NO_TEXT) {
      return NotInVersion1("tokens, time steps or states");
    }
    for (Blob& blob : *header_.mutable_blobs()) {
      if (blob.kind() == Blob::TWOS_COMPLEMENT) return NotInVersion1("blobs in two's complement");
      if (blob.kind() == Blob::LOG || blob.kind() == Blob::LOG_NONZERO) {
        return NotInVersion1("blobs of logarithmic codes");
      }
      // Thresholds have one level.
      if (blob.kind() == Blob::INT32 && blob.shape_size() == 1) {
        const int64_t count = blob.shape(0);
        blob.set_shape(0, 1);
        blob.add_shape(count);
      }
    }
    for (const Instruction& instruction : old_.instructions()) BITGRAD_RETURN_IF_ERROR(Add(instruction));
    return std::move(header_);
  }

 private:
  enum class Type {
    kFloats,
    kBits,       // of a threshold
    kQuantized,  // floats that are codes in version 2
  };
  // A value of the old program.
  struct Value {
    int id;  // in the new program
    Type type;
  };

  // An operand that does not exist stays one that does not exist.
  Value operand(int id) const {
    return id >= 0 && id < static_cast<int>(values_.size()) ? values_[id] : Value{-1, Type::kFloats};
  }
  int last() const { return header_.instructions_size(); }

  absl::Status Add(const Instruction& old) {
    Instruction instruction = old;
    const Value x = operand(old.operands_size() > 0 ? old.operands(0) : -1);
    Type type = Type::kFloats;
    for (int i = 0; i < old.operands_size(); ++i) instruction.set_operands(i, operand(old.operands(i)).id);
    if (old.has_linear()) {
      BITGRAD_RETURN_IF_ERROR(CheckProduct(old.linear().has_scales(), old.linear().threshold()));
      type = AddProduct(x, instruction, *instruction.mutable_linear());
    } else if (old.has_conv2d()) {
      BITGRAD_RETURN_IF_ERROR(CheckProduct(old.conv2d().has_scales(), old.conv2d().threshold()));
      type = AddProduct(x, instruction, *instruction.mutable_conv2d());
    } else if (old.has_quantize()) {
      BITGRAD_RETURN_IF_ERROR(CheckQuantize(old.quantize()));
      type = Type::kQuantized;
    } else if (old.has_average_pool()) {
      if (old.average_pool().has_threshold()) return NotInVersion1("threshold of an average_pool");
      // It added up floats.
      if (x.type != Type::kFloats) instruction.set_operands(0, AddQuantize(instruction.layer(), x.id, "identity"));
    } else if (old.has_max_pool() || old.has_reshape()) {
      type = x.type;
    }
    *header_.add_instructions() = std::move(instruction);
    values_.push_back({last(), type});
    return absl::OkStatus();
  }

  // Returns the quantized value.
  int AddQuantize(const std::string& layer, int x, const std::string& quantizer) {
    Instruction& quantize = *header_.add_instructions();
    quantize.set_layer(layer);
    quantize.add_operands(x);
    quantize.mutable_quantize()->set_quantizer(quantizer);
    return last();
  }

  // Puts the quantizer of the operand in front of a linear or conv2d. Bits are what each binary quantizer makes of
  // them.
  template <typename Product>
  Type AddProduct(const Value& x, Instruction& instruction, Product& product) {
    const std::string quantizer = product.version_1_input_quantizer();
    product.clear_version_1_input_quantizer();
    const absl::StatusOr<Quantizer> parsed = ParseQuantizer(quantizer);
    const bool reads_floats = parsed.ok() && parsed->is_identity() && x.type == Type::kFloats;
    if (x.type != Type::kBits && !reads_floats && instruction.operands_size() > 0) {
      instruction.set_operands(0, AddQuantize(instruction.layer(), x.id, quantizer));
    }
    if (!product.has_threshold()) return Type::kFloats;
    product.mutable_threshold()->set_encoding(Blob::BINARY);
    product.mutable_threshold()->set_scale(1);
    return Type::kBits;
  }

  const Header& old_;
  Header header_;
  std::vector<Value> values_ = {{0, Type::kFloats}};
};

}  // namespace

absl::StatusOr<Header> UpgradeFromVersion1(const Header& header) { return Upgrade(header).Run(); }

}  // namespace bitgrad
