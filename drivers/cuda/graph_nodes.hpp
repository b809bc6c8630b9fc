// What is in a captured graph. For real_api.cpp: includes CUDA's header.
#pragma once

#include <cuda_runtime_api.h>

#include <vector>

#include "cuda/api.hpp"

namespace takt::cuda {

// Adds up nodes, those of child graphs too. May throw std::bad_alloc.
[[nodiscard]] cudaError_t count_nodes(cudaGraph_t graph, GraphFacts& facts);

// Copies of the graph itself, each after those that it depends on. One capture on one stream is a chain, so this is the
// order in which they were captured. May throw std::bad_alloc.
[[nodiscard]] cudaError_t find_copies(cudaGraph_t graph, std::vector<CopyNode>& copies);

}  // namespace takt::cuda
