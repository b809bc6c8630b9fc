// Runs segments before anybody waits for them, so that no frame pays for what libtorch and oneDNN make at first use.
#pragma once

#include <span>

#include "host/bound_model.hpp"
#include "host/segment_runner.hpp"

namespace takt::models {

// Batches that profiles measure.
inline constexpr std::size_t kProfiledBatches[] = {1, 2, 4, 8, 16};

// oneDNN compiles a kernel for each (shape, batch, number of threads) and keeps it for the whole process. Other batches
// are compiled when they first come: about 0.1 ms a convolution.
[[nodiscard]] Result<void> warm_process(const BoundModel& bound);

// What belongs to one thread: its part of the allocator's memory, work areas of the matrix product. It grows with the
// size of a segment, so the widest ones are enough.
[[nodiscard]] Result<void> warm_thread(const BoundModel& bound, SegmentRunner& runner);

// Takes effect if called before the process's first convolution: room for the kernels of all variants and batches. With
// oneDNN's own 1,024 a model of 52 variants with five convolutions each pushes its own kernels out.
void enlarge_kernel_cache() noexcept;

}  // namespace takt::models
