// Checkpoints and packed models that bitgrad 0.1 has written, in the middle of runs on MakeTinyMnist(60, 20): they
// load, give the logits that they gave, freeze to the same program, and resume. NAME.logits are those of
// GoldenPixels().
//
// From these files come thousands of damaged ones, a field of the header changed and all checksums right: none may
// crash a program, take memory that is not there, or be accepted where the field has no such value.

#include <sys/resource.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <functional>
#include <limits>
#include <set>
#include <sstream>
#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/data/normalize.h"
#include "bitgrad/export/freeze_checkpoint.h"
#include "bitgrad/models/training/evaluate.h"
#include "bitgrad/models/training/model_bundle.h"
#include "bitgrad/optim/optimizers.h"
#include "bitgrad/runtime/interpreter.h"
#include "bitgrad/runtime/packed_model.h"
#include "bitgrad/tests/cli/cli_testing.h"
#include "bitgrad/tests/golden/golden_nets.h"
#include "bitgrad/tests/models/models_testing.h"
#include "bitgrad/tests/models/trainer_testing.h"
#include "gmock/gmock.h"
#include "google/protobuf/message.h"
#include "gtest/gtest.h"

namespace bitgrad {
namespace {

using google::protobuf::FieldDescriptor;
using google::protobuf::Message;
using google::protobuf::Reflection;
using testing::HasSubstr;

std::string Golden(const std::string& file) { return "tests/golden/" + file; }

struct Net {
  const char* name;
  // The first and the last layer of the residual net are float products, which oneDNN may round differently on another
  // processor: sums of some ten terms of order 1. All other sums are of integers.
  double tolerance;
};
void PrintTo(const Net& net, std::ostream* out) { *out << net.name; }

// Calls f for each field of a message, and of those in it, that holds the id of a blob.
void ForEachBlobId(Message& message, const std::function<void(Message&, const FieldDescriptor*)>& f) {
  static const std::set<std::string>* const kIds = new std::set<std::string>{
      "weight", "scales", "thresholds", "flips", "mean", "inv_std", "gamma", "beta", "constant"};
  const Reflection* reflection = message.GetReflection();
  std::vector<const FieldDescriptor*> fields;
  reflection->ListFields(message, &fields);
  // An id of 0 is listed only where presence is tracked.
  for (int i = 0; i < message.GetDescriptor()->field_count(); ++i) {
    const FieldDescriptor* field = message.GetDescriptor()->field(i);
    const bool is_id = field->cpp_type() == FieldDescriptor::CPPTYPE_INT32 && kIds->count(field->name()) > 0;
    if (is_id && (!field->has_presence() || reflection->HasField(message, field))) f(message, field);
  }
  for (const FieldDescriptor* field : fields) {
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE || field->is_repeated()) continue;
    ForEachBlobId(*reflection->MutableMessage(&message, field), f);
  }
}

// What a packed model computes, whatever the order and the names of its blobs, whose checksums are part of the text.
std::string ProgramText(packed::Header header) {
  header.clear_producer();               // may name a version
  header.clear_float_parameter_bytes();  // of the float model
  std::vector<int> order;                // the old ids in the order in which the program uses them
  for (packed::Instruction& instruction : *header.mutable_instructions()) {
    ForEachBlobId(instruction, [&](Message& message, const FieldDescriptor* field) {
      const int id = message.GetReflection()->GetInt32(message, field);
      const auto known = std::find(order.begin(), order.end(), id);
      message.GetReflection()->SetInt32(&message, field, static_cast<int>(known - order.begin()));
      if (known == order.end()) order.push_back(id);
    });
  }
  const packed::Header old = header;
  header.clear_blobs();
  for (const int id : order) {
    *header.add_blobs() = old.blobs(id);
    header.mutable_blobs(header.blobs_size() - 1)->clear_name();
  }
  EXPECT_EQ(header.blobs_size(), old.blobs_size());
  return header.DebugString();
}

class GoldenTest : public testing::TestWithParam<Net> {
 protected:
  const std::string name = GetParam().name;
  ExecContext context{{.threads = 1}};

  void ExpectGoldenLogits(const absl::StatusOr<Tensor>& logits) {
    ASSERT_TRUE(logits.ok()) << logits.status();
    std::istringstream expected(ReadFile(Golden(name + ".logits")));
    for (int64_t i = 0; i < logits->num_elements(); ++i) {
      std::string number;
      ASSERT_TRUE(expected >> number) << "there are more logits than expected";
      // Not `expected >> float`: C++ streams do not read hexadecimal floats.
      const double want = std::strtod(number.c_str(), nullptr), have = logits->data<float>()[i];
      if (GetParam().tolerance == 0) {
        ASSERT_EQ(have, want) << "logit " << i;
      } else {
        ASSERT_NEAR(have, want, GetParam().tolerance) << "logit " << i;
      }
    }
    std::string more;
    EXPECT_FALSE(expected >> more) << "there are fewer logits than expected";
  }
};

TEST_P(GoldenTest, TheCheckpointGivesTheSameLogits) {
  const auto checkpoint = Checkpoint::Open(Golden(name + ".bgc"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto bundle = LoadModel(*checkpoint);
  const auto preprocessing = LoadPreprocessing(*checkpoint);
  ASSERT_TRUE(bundle.ok() && preprocessing.ok()) << bundle.status() << preprocessing.status();
  const Tensor pixels = GoldenPixels();
  Tensor images(pixels.shape(), DType::kFloat32);
  for (int64_t i = 0; i < images.num_elements(); ++i) {
    images.mutable_data<float>()[i] = NormalizePixel(pixels.data<uint8_t>()[i]);
  }
  (*preprocessing)->Apply({images.mutable_data<float>(), images.shape().rows(), images.shape().cols()});
  ExpectGoldenLogits(Logits(context, *bundle->model, images));
}

TEST_P(GoldenTest, ThePackedModelGivesTheSameLogits) {
  const auto model = PackedModel::Open(Golden(name + ".bgm"));
  ASSERT_TRUE(model.ok()) << model.status();
  const auto interpreter = Interpreter::Create(**model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  const Tensor pixels = GoldenPixels();
  ExpectGoldenLogits((*interpreter)->RunPixels({pixels.data<uint8_t>(), pixels.shape().rows(), pixels.shape().cols()}));
}

TEST_P(GoldenTest, TheCheckpointFreezesToTheSameProgram) {
  const auto checkpoint = Checkpoint::Open(Golden(name + ".bgc"));
  const auto golden = PackedModel::Open(Golden(name + ".bgm"));
  ASSERT_TRUE(checkpoint.ok() && golden.ok());
  // Version 1 had no thresholds of several levels.
  const auto writer = FreezeCheckpoint(context, *checkpoint, {.max_levels = 1});
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto bytes = writer->Serialize();
  ASSERT_TRUE(bytes.ok()) << bytes.status();
  const auto frozen = PackedModel::FromBytes("frozen", *bytes);
  ASSERT_TRUE(frozen.ok()) << frozen.status();
  EXPECT_EQ(ProgramText((*frozen)->header()), ProgramText((*golden)->header()));
}

TEST_P(GoldenTest, TheFrozenCheckpointGivesTheSameLogits) {
  const auto checkpoint = Checkpoint::Open(Golden(name + ".bgc"));
  ASSERT_TRUE(checkpoint.ok()) << checkpoint.status();
  const auto writer = FreezeCheckpoint(context, *checkpoint);
  ASSERT_TRUE(writer.ok()) << writer.status();
  const auto model = PackedModel::FromBytes("frozen", *writer->Serialize());
  ASSERT_TRUE(model.ok()) << model.status();
  const auto interpreter = Interpreter::Create(**model, context);
  ASSERT_TRUE(interpreter.ok()) << interpreter.status();
  const Tensor pixels = GoldenPixels();
  ExpectGoldenLogits((*interpreter)->RunPixels({pixels.data<uint8_t>(), pixels.shape().rows(), pixels.shape().cols()}));
}

// The files do not know their data's fingerprint; what they know, shapes and counts, is compared.
TEST_P(GoldenTest, TheCheckpointResumes) {
  const std::string directory = NewDirectory();
  WriteFile(directory + "/checkpoint.bgc", ReadFile(Golden(name + ".bgc")));
  const auto golden = Checkpoint::Open(Golden(name + ".bgc"));
  ASSERT_TRUE(golden.ok()) << golden.status();
  const auto result =
      Train(golden->header().recipe(), {.data_dir = MakeTinyMnist(60, 20), .out_dir = directory, .resume = true});
  ASSERT_TRUE(result.ok()) << result.status();
  EXPECT_EQ(result->epochs, 3);
  const auto finished = Checkpoint::Open(directory + "/checkpoint.bgc");
  ASSERT_TRUE(finished.ok()) << finished.status();
  EXPECT_EQ(finished->header().epochs_size(), 3);
  EXPECT_EQ(finished->header().optimizer_steps(), 15);
  EXPECT_EQ(finished->header().training_data().images(), 60) << "what an old file does not know, the next one does";
}

INSTANTIATE_TEST_SUITE_P(Nets, GoldenTest,
                         testing::Values(Net{"mlp", 0}, Net{"conv_net", 0}, Net{"bireal_net", 20 * 0x1p-23}),
                         [](const auto& info) { return std::string(info.param.name); });

// ---- Headers of which a field was changed ------------------------------------------------------------------------

// A field of a message within the header, and its path: "progress.best_epoch".
struct Place {
  std::string path;
  const FieldDescriptor* field;
  int index;  // in a repeated field; -1: not repeated
  std::function<Message&(checkpoint::Header&)> message;
};

// All numbers, texts and flags that are set or could be, of repeated groups those of the first.
void FindPlaces(const Message& message, const std::string& prefix,
                const std::function<Message&(checkpoint::Header&)>& find, std::vector<Place>& places) {
  for (int f = 0; f < message.GetDescriptor()->field_count(); ++f) {
    const FieldDescriptor* field = message.GetDescriptor()->field(f);
    const Reflection* reflection = message.GetReflection();
    const bool repeated = field->is_repeated();
    if (repeated && reflection->FieldSize(message, field) == 0) continue;
    const std::string path = prefix + field->name();
    if (field->cpp_type() != FieldDescriptor::CPPTYPE_MESSAGE) {
      places.push_back({path, field, repeated ? 0 : -1, find});
    } else if (repeated) {
      FindPlaces(
          reflection->GetRepeatedMessage(message, field, 0), path + ".",
          [=](checkpoint::Header& header) -> Message& {
            Message& parent = find(header);
            return *parent.GetReflection()->MutableRepeatedMessage(&parent, field, 0);
          },
          places);
    } else if (reflection->HasField(message, field)) {
      FindPlaces(
          reflection->GetMessage(message, field), path + ".",
          [=](checkpoint::Header& header) -> Message& {
            Message& parent = find(header);
            return *parent.GetReflection()->MutableMessage(&parent, field);
          },
          places);
    }
  }
}

// Sets the place to `value`, as far as its type has it; a text to its digits.
void Set(const Place& place, double value, const std::string& text, checkpoint::Header& header) {
  Message& m = place.message(header);
  const Reflection* r = m.GetReflection();
  const FieldDescriptor* f = place.field;
  const bool repeated = place.index >= 0;
  const auto clamped = [&](auto least, auto most) {
    if (!(value > static_cast<double>(least))) return least;  // NaN too
    return value >= static_cast<double>(most) ? most : static_cast<decltype(least)>(value);
  };
  const auto i32 = clamped(std::numeric_limits<int32_t>::min(), std::numeric_limits<int32_t>::max());
  const auto i64 = clamped(std::numeric_limits<int64_t>::min(), std::numeric_limits<int64_t>::max());
  const auto u32 = clamped(uint32_t{0}, std::numeric_limits<uint32_t>::max());
  const auto u64 = clamped(uint64_t{0}, std::numeric_limits<uint64_t>::max());
  switch (f->cpp_type()) {
    case FieldDescriptor::CPPTYPE_INT32: return repeated ? r->SetRepeatedInt32(&m, f, 0, i32) : r->SetInt32(&m, f, i32);
    case FieldDescriptor::CPPTYPE_INT64: return repeated ? r->SetRepeatedInt64(&m, f, 0, i64) : r->SetInt64(&m, f, i64);
    case FieldDescriptor::CPPTYPE_UINT32: return r->SetUInt32(&m, f, u32);
    case FieldDescriptor::CPPTYPE_UINT64: return r->SetUInt64(&m, f, u64);
    case FieldDescriptor::CPPTYPE_DOUBLE: return r->SetDouble(&m, f, value);
    case FieldDescriptor::CPPTYPE_FLOAT: return r->SetFloat(&m, f, static_cast<float>(value));
    case FieldDescriptor::CPPTYPE_BOOL: return r->SetBool(&m, f, !r->GetBool(m, f));
    case FieldDescriptor::CPPTYPE_ENUM: return r->SetEnumValue(&m, f, i32 == 0 ? 77 : i32);
    case FieldDescriptor::CPPTYPE_STRING:
      return repeated ? r->SetRepeatedString(&m, f, 0, text) : r->SetString(&m, f, text);
    case FieldDescriptor::CPPTYPE_MESSAGE: break;
  }
}

// The fields of a checkpoint that may have other values than they had: whatever is in them, the run can go on. Recipes
// are not among them: other rules look at those, and many other values make another recipe that is as good.
bool MayHaveOtherValues(const std::string& path) {
  static const std::set<std::string>* const kFree = new std::set<std::string>{"producer",
                                                                              "random_step",
                                                                              "progress.best_valid_error",
                                                                              "progress.partial.loss_sum",
                                                                              "progress.partial.penalty_sum",
                                                                              "progress.partial.errors",
                                                                              "progress.partial.seconds"};
  return kFree->count(path) > 0 || path.rfind("recipe.", 0) == 0 || path.rfind("epochs.", 0) == 0 ||
         path.rfind("progress.partial.layers.", 0) == 0;
}

TEST(ChangedHeadersTest, AreRefusedOrTrain) {
  const std::string data = MakeTinyMnist(60, 20), directory = NewDirectory(), path = directory + "/checkpoint.bgc";
  int refused = 0, trained = 0;
  for (const char* name : {"mlp", "conv_net", "bireal_net"}) {
    const std::string bytes = ReadFile(Golden(std::string(name) + ".bgc"));
    const auto golden = Checkpoint::Open(Golden(std::string(name) + ".bgc"));
    ASSERT_TRUE(golden.ok()) << golden.status();
    std::vector<Place> places;
    FindPlaces(
        golden->header(), "", [](checkpoint::Header& header) -> Message& { return header; }, places);
    EXPECT_GT(places.size(), 80u);
    const double nan = std::nan(""), infinity = std::numeric_limits<double>::infinity();
    for (const Place& place : places) {
      // The nets differ in their recipes; what else is in a header is the same for each.
      const bool is_recipe = place.path.rfind("recipe.", 0) == 0;
      if (!is_recipe && name != std::string("mlp")) continue;
      for (const double value : {-1.0, 0.0, 1000.0, 0x1p28, 0x1p31 - 1, 0x1p62, -0x1p62, 1e300, nan, infinity}) {
        // Most values of these are accepted and cost a run; a few will do.
        if (MayHaveOtherValues(place.path) && value != 0 && value != 0x1p62 && !std::isnan(value)) continue;
        const std::string text = value == 0 ? "" : value == 1e300 ? "\xff" : absl::StrCat(value);
        checkpoint::Header header = golden->header();
        Set(place, value, text, header);
        if (header.SerializeAsString() == golden->header().SerializeAsString()) continue;
        SCOPED_TRACE(absl::StrCat(name, ": ", place.path, " = ", value, " or '", text, "'"));
        WriteFile(path, WithHeader(bytes, header));
        const auto checkpoint = Checkpoint::Open(path);
        absl::Status status = checkpoint.status();
        if (status.ok()) status = LoadModel(*checkpoint).status();
        if (status.ok()) {
          // Runs to the end of an epoch, of which there may be any number.
          Log log(/*interrupt_at_line=*/1);
          status = Train(checkpoint->header().recipe(), {.data_dir = data, .out_dir = directory, .resume = true}, log)
                       .status();
        }
        if (status.ok() || absl::IsCancelled(status)) {
          ++trained;
          EXPECT_TRUE(MayHaveOtherValues(place.path)) << "was accepted";
        } else {
          ++refused;
          EXPECT_FALSE(status.message().empty());
          EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
        }
      }
    }
  }
  std::printf("%d changed headers were refused, %d accepted\n", refused, trained);
  EXPECT_GT(refused, 400);
  EXPECT_GT(trained, 50);
  // Some of them ask for gigabytes.
  rusage usage;
  ASSERT_EQ(getrusage(RUSAGE_SELF, &usage), 0);
  EXPECT_LT(usage.ru_maxrss, 2 << 20) << "in KiB";
}

// Lists that are shorter or longer than what they belong to.
TEST(ChangedHeadersTest, ListsOfAnotherLength) {
  const std::string path = NewDirectory() + "/checkpoint.bgc", bytes = ReadFile(Golden("mlp.bgc"));
  const auto golden = Checkpoint::Open(Golden("mlp.bgc"));
  ASSERT_TRUE(golden.ok());
  const Reflection* reflection = checkpoint::Header::GetReflection();
  int lists = 0;
  for (int f = 0; f < checkpoint::Header::descriptor()->field_count(); ++f) {
    const FieldDescriptor* field = checkpoint::Header::descriptor()->field(f);
    if (!field->is_repeated() || reflection->FieldSize(golden->header(), field) == 0) continue;
    ++lists;
    SCOPED_TRACE(field->name());
    checkpoint::Header shorter = golden->header(), longer = golden->header();
    reflection->RemoveLast(&shorter, field);
    if (field->cpp_type() == FieldDescriptor::CPPTYPE_MESSAGE) {
      reflection->AddMessage(&longer, field)->CopyFrom(reflection->GetRepeatedMessage(golden->header(), field, 0));
    } else {
      reflection->AddInt64(&longer, field, 1);
    }
    for (const checkpoint::Header& header : {shorter, longer}) {
      WriteFile(path, WithHeader(bytes, header));
      const auto checkpoint = Checkpoint::Open(path);
      absl::Status status = checkpoint.status();
      if (status.ok()) status = LoadModel(*checkpoint).status();
      if (status.ok()) {
        const auto bundle = LoadModel(*checkpoint);
        ExecContext context({.threads = 1});
        const auto optimizer = *MakeOptimizer(context, "adam", {.learning_rate = 0.01});
        status = checkpoint->RestoreOptimizer(*bundle->store, *optimizer);
      }
      EXPECT_FALSE(status.ok());
    }
  }
  EXPECT_EQ(lists, 4) << "parameters, optimizer_state, epochs, image_shape";
}

}  // namespace
}  // namespace bitgrad
