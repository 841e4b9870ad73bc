// What an ONNX file says of the model beside its graph: docs/onnx.md lists it.

#ifndef BITGRAD_EXPORT_ONNX_METADATA_H_
#define BITGRAD_EXPORT_ONNX_METADATA_H_

#include "bitgrad/export/onnx.h"
#include "bitgrad/proto/packed_model.pb.h"
#include "onnx/onnx_pb.h"

namespace bitgrad {

// Producer, version, opsets and metadata_props.
void SetOnnxMetadata(const packed::Header& header, OnnxDialect dialect, onnx::ModelProto& proto);

}  // namespace bitgrad

#endif  // BITGRAD_EXPORT_ONNX_METADATA_H_
