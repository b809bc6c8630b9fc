// libtorch on CUDA: eager chains and captured ones. Captures are begun here, not by at::cuda::CUDAGraph: its interface
// changes between versions, what it does (a memory pool for the allocator around a stream capture) does not.
#include <ATen/Context.h>
#include <ATen/cuda/CUDAGraph.h>
#include <c10/core/InferenceMode.h>
#include <c10/cuda/CUDACachingAllocator.h>
#include <c10/cuda/CUDAStream.h>
#include <cuda_runtime_api.h>

#include <cstdio>
#include <exception>
#include <mutex>
#include <new>
#include <utility>

#include "cuda/engine.hpp"
#include "cuda/segments.hpp"

namespace takt::cuda {
namespace {

// Libraries make things at first use that another thread's capture must not see: one at a time in the process.
std::mutex capturing;

cudaStream_t real(Stream stream) noexcept {
  return reinterpret_cast<cudaStream_t>(stream);
}

// What an exception of libtorch was about; the vendor's number says whether the device survives it.
tl::unexpected<Error> failure(const std::exception& error, const char* text) noexcept {
  if (dynamic_cast<const c10::OutOfMemoryError*>(&error) != nullptr)
    return fail(Code::no_memory, "the device has no memory left for a segment", cudaErrorMemoryAllocation);
  if (dynamic_cast<const std::bad_alloc*>(&error) != nullptr) return fail(Code::no_memory, "no memory for a segment");
  std::fprintf(stderr, "cuda: %s\n", error.what());
  return fail(Code::internal, text, cudaPeekAtLastError());
}

void check(cudaError_t status) {
  TORCH_CHECK(status == cudaSuccess, "CUDA: ", cudaGetErrorString(status));
}

class TorchRecording final : public Recording {
 public:
  explicit TorchRecording(cudaGraph_t graph) : graph_(graph) {}
  [[nodiscard]] Graph graph() const noexcept override { return reinterpret_cast<Graph>(graph_); }

 private:
  cudaGraph_t graph_;
};

class TorchRecorder final : public Recorder {
 public:
  TorchRecorder(int device, Stream stream)
      : device_(static_cast<c10::DeviceIndex>(device)), stream_(real(stream)), pool_(at::cuda::graph_pool_handle()) {
    c10::cuda::setCurrentCUDAStream(c10::cuda::getStreamFromExternal(stream_, device_));
  }

  [[nodiscard]] Result<void> run(const PlacedModel& model, const models::Step& step, std::size_t batch,
                                 const Ends& ends) noexcept override {
    try {
      chain(model, step, batch, ends);
      return {};
    } catch (const std::exception& error) {
      return failure(error, "libtorch refused a segment; its reason is on standard error");
    }
  }

  [[nodiscard]] Result<std::unique_ptr<Recording>> capture(const PlacedModel& model, const models::Step& step,
                                                           std::size_t batch, const Ends& ends) noexcept override {
    const std::lock_guard alone(capturing);
    try {
      Capture capture(device_, stream_, pool_);
      chain(model, step, batch, ends);
      return std::make_unique<TorchRecording>(capture.end());
    } catch (const std::exception& error) {
      (void)cudaGetLastError();
      return failure(error, "a segment cannot be captured; the reason is on standard error");
    }
  }

 private:
  // A stream capture whose allocations come from the lane's pool. The pool lives as long as the process.
  class Capture {
   public:
    Capture(c10::DeviceIndex device, cudaStream_t stream, at::cuda::MempoolId_t pool)
        : device_(device), stream_(stream), pool_(pool) {
      c10::cuda::CUDACachingAllocator::beginAllocateToPool(device_, pool_,
                                                           [stream](cudaStream_t s) { return s == stream; });
      if (const cudaError_t begun = cudaStreamBeginCapture(stream_, cudaStreamCaptureModeThreadLocal);
          begun != cudaSuccess) {
        c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
        check(begun);
      }
    }
    ~Capture() {
      if (done_) return;
      cudaGraph_t broken = nullptr;
      (void)cudaStreamEndCapture(stream_, &broken);
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
    }
    Capture(const Capture&) = delete;
    Capture& operator=(const Capture&) = delete;

    cudaGraph_t end() {
      cudaGraph_t graph = nullptr;
      const cudaError_t ended = cudaStreamEndCapture(stream_, &graph);
      c10::cuda::CUDACachingAllocator::endAllocateToPool(device_, pool_);
      done_ = true;
      check(ended);
      return graph;
    }

   private:
    c10::DeviceIndex device_;
    cudaStream_t stream_;
    at::cuda::MempoolId_t pool_;
    bool done_ = false;
  };

  void chain(const PlacedModel& model, const models::Step& step, std::size_t batch, const Ends& ends) {
    const c10::InferenceMode inference;
    const std::size_t in = model.bytes_in(step), out = model.bytes_out(step);
    auto* place = static_cast<std::byte*>(ends.in);
    for (const void* const from : ends.from) {
      check(cudaMemcpyAsync(place, from, in, cudaMemcpyDeviceToDevice, stream_));
      place += in;
    }
    const at::Tensor last = static_cast<const TorchModel&>(model).forward(step, batch, ends.in, ends.taps);
    const auto* frame = static_cast<const std::byte*>(last.data_ptr());
    for (void* const to : ends.to) {
      check(cudaMemcpyAsync(to, frame, out, ends.to_host ? cudaMemcpyDeviceToHost : cudaMemcpyDeviceToDevice, stream_));
      frame += out;
    }
    if (ends.word != nullptr)
      check(cudaMemcpyAsync(ends.word, ends.one, sizeof(std::uint32_t), cudaMemcpyDeviceToHost, stream_));
  }

  const c10::DeviceIndex device_;
  const cudaStream_t stream_;
  const at::cuda::MempoolId_t pool_;
};

class TorchEngine final : public Engine {
 public:
  [[nodiscard]] Result<std::unique_ptr<PlacedModel>> place(const models::BoundModel& bound, int device,
                                                           Precision precision) override {
    try {
      begin();
      const c10::InferenceMode inference;
      const at::Device there(at::kCUDA, static_cast<c10::DeviceIndex>(device));
      return std::make_unique<TorchModel>(bound, there, precision);
    } catch (const std::exception& error) {
      return failure(error, "the model's weights cannot be put on the device; the reason is on standard error");
    }
  }
  [[nodiscard]] Result<std::unique_ptr<Recorder>> recorder(int device, Stream stream) override {
    try {
      begin();
      return std::make_unique<TorchRecorder>(device, stream);
    } catch (const std::exception& error) {
      return failure(error, "libtorch cannot use the device; the reason is on standard error");
    }
  }
  [[nodiscard]] AllocatorCounts counts(int device) noexcept override {
    try {
      const auto stats = c10::cuda::CUDACachingAllocator::getDeviceStats(static_cast<c10::DeviceIndex>(device));
      return {stats.num_device_alloc, stats.num_device_free, stats.num_alloc_retries, stats.num_ooms};
    } catch (const std::exception&) {
      return {};
    }
  }

 private:
  // The algorithms that cuDNN picks are those that are fastest on the lane's own part of the device. TF32 would be less
  // than single precision.
  static void begin() {
    at::globalContext().lazyInitDevice(at::kCUDA);
    at::globalContext().setBenchmarkCuDNN(true);
    at::globalContext().setAllowTF32CuDNN(false);
    at::globalContext().setAllowTF32CuBLAS(false);
  }
};

}  // namespace

std::unique_ptr<Engine> make_torch_engine() {
  return std::make_unique<TorchEngine>();
}

}  // namespace takt::cuda
