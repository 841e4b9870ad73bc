// The ONNX export of packed models. No ONNX runtime is at hand here: tests/interop/ runs the same files in real ones,
// and records which graphs gave which answers (onnx_answers.txt). What is tested is that these are still the graphs
// that are written, and the answers that the interpreter gives.

#include "bitgrad/export/onnx.h"

#include <zlib.h>

#include <cstdio>
#include <fstream>
#include <map>
#include <memory>
#include <string>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/ops/quantizers/quantizer.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/export/onnx_samples.h"
#include "bitgrad/tests/runtime/token_models.h"
#include "gmock/gmock.h"
#include "gtest/gtest.h"
#include "onnx/shape_inference/implementation.h"

namespace bitgrad {
namespace {

using testing::HasSubstr;
using testing::StartsWith;

constexpr OnnxDialect kDialects[] = {OnnxDialect::kPlain, OnnxDialect::kQonnx, OnnxDialect::kQcdq};

std::unique_ptr<PackedModel> Pack(const SampleModel& sample) {
  absl::StatusOr<std::string> bytes = sample.writer.Serialize();
  EXPECT_TRUE(bytes.ok()) << sample.name << ": " << bytes.status();
  if (!bytes.ok()) return nullptr;
  auto model = PackedModel::FromBytes(sample.name, *bytes);
  EXPECT_TRUE(model.ok()) << model.status();
  return model.ok() ? *std::move(model) : nullptr;
}

std::string Checksum(const std::string& bytes) {
  char text[16];
  std::snprintf(text, sizeof(text), "%08lx",
                crc32(0, reinterpret_cast<const Bytef*>(bytes.data()), static_cast<uInt>(bytes.size())));
  return text;
}

struct Recorded {
  std::string graph, answers;  // checksums; answers "-" where they depend on the order of float sums
};

// By "NAME DIALECT".
std::map<std::string, Recorded> RecordedAnswers() {
  std::map<std::string, Recorded> recorded;
  std::ifstream file("tests/export/onnx_answers.txt");
  std::string name, dialect;
  Recorded line;
  while (file >> name >> dialect >> line.graph >> line.answers) recorded[name + " " + dialect] = line;
  return recorded;
}

TEST(OnnxTest, GraphsAreThoseThatOnnxRuntimeHasRunWithTheInterpretersAnswers) {
  const std::map<std::string, Recorded> recorded = RecordedAnswers();
  ExecContext context({.threads = 1});
  size_t found = 0;
  const absl::StatusOr<std::vector<OnnxSample>> samples = OnnxSamples();
  ASSERT_TRUE(samples.ok()) << samples.status();
  for (const OnnxSample& sample : *samples) {
    const PackedModel* const model = sample.model.get();
    const absl::StatusOr<Answers> answers = AnswersOf(*model, context);
    ASSERT_TRUE(answers.ok()) << answers.status();
    for (const OnnxDialect dialect : kDialects) {
      const std::string name = sample.name + " " + std::string(Name(dialect));
      const absl::StatusOr<onnx::ModelProto> proto = ToOnnx(*model, {.dialect = dialect});
      if (!proto.ok()) {
        EXPECT_NE(dialect, OnnxDialect::kPlain) << proto.status();
        EXPECT_EQ(proto.status().code(), absl::StatusCode::kUnimplemented) << proto.status();
        EXPECT_EQ(recorded.count(name), 0u) << name;
        continue;
      }
      const auto line = recorded.find(name);
      ASSERT_NE(line, recorded.end()) << name << ": run tools/interop.sh --record";
      ++found;
      EXPECT_EQ(Checksum(proto->graph().SerializeAsString()), line->second.graph)
          << name << ": the graph has changed; run tools/interop.sh --record";
      if (line->second.answers != "-") {
        EXPECT_EQ(Checksum(RawBytes(answers->output)), line->second.answers) << name;
      }
    }
  }
  EXPECT_EQ(found, recorded.size());
}

TEST(OnnxTest, TypesAndShapesFitEachOther) {
  const absl::StatusOr<std::vector<OnnxSample>> samples = OnnxSamples();
  ASSERT_TRUE(samples.ok()) << samples.status();
  for (const OnnxSample& sample : *samples) {
    for (const OnnxDialect dialect : {OnnxDialect::kPlain, OnnxDialect::kQcdq}) {
      absl::StatusOr<onnx::ModelProto> proto = ToOnnx(*sample.model, {.dialect = dialect});
      if (!proto.ok()) continue;
      // It throws where a type or shape does not fit.
      EXPECT_NO_THROW(onnx::shape_inference::InferShapes(*proto, onnx::OpSchemaRegistry::Instance(),
                                                         onnx::ShapeInferenceOptions(true, 1, false)))
          << sample.name;
      EXPECT_EQ(proto->graph().input(0).name(), "input");
      EXPECT_EQ(proto->graph().output(0).name(), "logits");
    }
  }
}

TEST(OnnxTest, SaysWhatTheModelIs) {
  const auto model = Pack(BnnModel());
  const absl::StatusOr<onnx::ModelProto> proto = ToOnnx(*model, {.dialect = OnnxDialect::kQonnx});
  ASSERT_TRUE(proto.ok()) << proto.status();
  EXPECT_EQ(proto->producer_name(), "bitgrad");
  std::map<std::string, std::string> metadata;
  for (const onnx::StringStringEntryProto& entry : proto->metadata_props()) metadata[entry.key()] = entry.value();
  EXPECT_EQ(metadata["bitgrad.name"], "bnn");
  EXPECT_EQ(metadata["bitgrad.dialect"], "qonnx");
  EXPECT_EQ(metadata["bitgrad.input_shape"], "70");
  EXPECT_EQ(metadata["bitgrad.pixel_multiplier"], "2");
  EXPECT_EQ(metadata["bitgrad.pixel_offset"], "-255");
  int weights = 0;
  for (const onnx::NodeProto& node : proto->graph().node()) {
    if (node.op_type() == "BipolarQuant") weights += node.domain() == "qonnx.custom_op.general";
  }
  EXPECT_EQ(weights, 5);  // three weights, two thresholds
}

TEST(OnnxTest, RefusalsNameLayerInstructionAndDialect) {
  const auto logarithmic = Pack(LinearModel("sign", {EncodingKind::kLog, 4}, 65, 9, false));
  EXPECT_EQ(ToOnnx(*logarithmic, {.dialect = OnnxDialect::kQonnx}).status().message(),
            "layer 'fc', linear: weights are powers of two up to 2^6, which --dialect=qonnx cannot say; use "
            "--dialect=plain");
  SampleModel rounded{.name = "rounded"};
  rounded.writer.header().mutable_input()->add_shape(3);
  rounded.writer.AddRound("round1", kInputValue, {.kind = NumberFormatKind::kBfloat16});
  const absl::Status status = ToOnnx(*Pack(rounded), {}).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
  EXPECT_THAT(std::string(status.message()), StartsWith("layer 'round1', round: rounding to 'bfloat16', which "));
}

// One step of them would be an answer to another question.
TEST(OnnxTest, ModelsOfTimeStepsAreRefused) {
  for (const OnnxDialect dialect : {OnnxDialect::kPlain, OnnxDialect::kQonnx, OnnxDialect::kQcdq}) {
    const absl::Status status = ToOnnx(*Pack(TimeStepModel(5)), {.dialect = dialect}).status();
    EXPECT_EQ(status.code(), absl::StatusCode::kUnimplemented);
    EXPECT_THAT(std::string(status.message()), HasSubstr("reads an example in 5 time steps"));
  }
}

TEST(OnnxTest, UnknownDialects) {
  EXPECT_EQ(*ParseOnnxDialect("qcdq"), OnnxDialect::kQcdq);
  EXPECT_THAT(std::string(ParseOnnxDialect("qonx").status().message()),
              HasSubstr("unknown dialect 'qonx' (did you mean 'qonnx'?); there are plain, qonnx, qcdq"));
}

}  // namespace
}  // namespace bitgrad
