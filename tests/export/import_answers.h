// What tests of single ops ask of a small graph: its numbers, or why it is not imported.

#ifndef BITGRAD_TESTS_EXPORT_IMPORT_ANSWERS_H_
#define BITGRAD_TESTS_EXPORT_IMPORT_ANSWERS_H_

#include <string>
#include <vector>

#include "bitgrad/core/exec_context.h"
#include "bitgrad/export/import_onnx.h"
#include "bitgrad/tests/export/import_testing.h"
#include "gtest/gtest.h"

namespace bitgrad {

// What the graph makes of examples, whose elements are in ONNX's order. The test fails where it is not imported.
inline std::vector<double> Answer(TestGraph& graph, const Dims& dims, const std::vector<double>& x) {
  const absl::StatusOr<TestValue> y = ImportAndRun(graph.model(), {.dims = dims, .data = x}, nullptr);
  EXPECT_TRUE(y.ok()) << y.status();
  return y.ok() ? y->data : std::vector<double>();
}

// Why the graph is not imported; "no error" where it is.
inline std::string ErrorOf(TestGraph& graph) {
  ExecContext context({.threads = 1});
  const absl::StatusOr<PackedModelWriter> writer = ImportOnnx(context, graph.model(), {}, nullptr);
  return writer.ok() ? "no error" : std::string(writer.status().message());
}

}  // namespace bitgrad

#endif  // BITGRAD_TESTS_EXPORT_IMPORT_ANSWERS_H_
