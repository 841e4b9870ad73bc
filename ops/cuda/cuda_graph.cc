#include "bitgrad/ops/cuda/cuda_graph.h"

#include "bitgrad/ops/cuda/cuda_status.h"

namespace bitgrad {
namespace {

class CudaGraph final : public DeviceStream::Recording {
 public:
  CudaGraph(CudaStream& owner, cudaStream_t stream, cudaGraphExec_t graph)
      : owner_(owner), stream_(stream), graph_(graph) {}
  ~CudaGraph() override {
    cudaStreamSynchronize(stream_);  // the graph may still be running
    cudaGraphExecDestroy(graph_);
  }
  void Enqueue() override { owner_.Keep(CudaStatus(cudaGraphLaunch(graph_, stream_), "cudaGraphLaunch")); }

 private:
  CudaStream& owner_;
  const cudaStream_t stream_;
  const cudaGraphExec_t graph_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<DeviceStream::Recording>> EndCapture(CudaStream& owner, cudaStream_t stream) {
  cudaGraph_t graph = nullptr;
  BITGRAD_RETURN_IF_CUDA_ERROR(cudaStreamEndCapture(stream, &graph));
  cudaGraphExec_t executable = nullptr;
  const absl::Status status = CudaStatus(cudaGraphInstantiate(&executable, graph, 0), "cudaGraphInstantiate");
  cudaGraphDestroy(graph);
  if (!status.ok()) return status;
  return std::make_unique<CudaGraph>(owner, stream, executable);
}

}  // namespace bitgrad
