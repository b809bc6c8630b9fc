// Reading graphs: CUDA gives nodes in no order that it promises.
#include "cuda/graph_nodes.hpp"

#include <algorithm>
#include <cstddef>
#include <unordered_map>

namespace takt::cuda {
namespace {

using Nodes = std::vector<cudaGraphNode_t>;

cudaError_t nodes_of(cudaGraph_t graph, Nodes& nodes) {
  std::size_t count = 0;
  if (const cudaError_t status = cudaGraphGetNodes(graph, nullptr, &count); status != cudaSuccess) return status;
  nodes.resize(count);
  return count == 0 ? cudaSuccess : cudaGraphGetNodes(graph, nodes.data(), &count);
}

cudaError_t get_edges(cudaGraph_t graph, cudaGraphNode_t* from, cudaGraphNode_t* to, std::size_t* count) {
  // Edges whose data is not asked for are an error: it is fetched and not looked at.
#if CUDART_VERSION >= 13000
  std::vector<cudaGraphEdgeData> data(from == nullptr ? 0 : *count);
  return cudaGraphGetEdges(graph, from, to, from == nullptr ? nullptr : data.data(), count);
#elif CUDART_VERSION >= 12030
  std::vector<cudaGraphEdgeData> data(from == nullptr ? 0 : *count);
  return cudaGraphGetEdges_v2(graph, from, to, from == nullptr ? nullptr : data.data(), count);
#else
  return cudaGraphGetEdges(graph, from, to, count);
#endif
}

// Each node after those that it waits for; otherwise in the order that CUDA gave.
cudaError_t in_order(cudaGraph_t graph, Nodes& nodes) {
  std::size_t edges = 0;
  if (const cudaError_t status = nodes_of(graph, nodes); status != cudaSuccess) return status;
  if (const cudaError_t status = get_edges(graph, nullptr, nullptr, &edges); status != cudaSuccess) return status;
  Nodes from(edges), to(edges);
  if (edges > 0)
    if (const cudaError_t status = get_edges(graph, from.data(), to.data(), &edges); status != cudaSuccess)
      return status;
  std::unordered_map<cudaGraphNode_t, std::size_t> waits_for;
  std::unordered_map<cudaGraphNode_t, Nodes> followers;
  for (std::size_t i = 0; i < edges; ++i) ++waits_for[to[i]], followers[from[i]].push_back(to[i]);
  Nodes order;
  for (const cudaGraphNode_t node : nodes)
    if (waits_for[node] == 0) order.push_back(node);
  for (std::size_t next = 0; next < order.size(); ++next)
    for (const cudaGraphNode_t follower : followers[order[next]])
      if (--waits_for[follower] == 0) order.push_back(follower);
  nodes = std::move(order);
  return cudaSuccess;
}

cudaError_t count_node(cudaGraphNode_t node, GraphFacts& facts) {
  cudaGraphNodeType type{};
  if (const cudaError_t status = cudaGraphNodeGetType(node, &type); status != cudaSuccess) return status;
  ++facts.nodes;
  if (type == cudaGraphNodeTypeKernel) ++facts.kernels;
  if (type == cudaGraphNodeTypeMemAlloc || type == cudaGraphNodeTypeMemFree) facts.allocates = true;
  if (type == cudaGraphNodeTypeHost) facts.calls_host = true;
  if (type != cudaGraphNodeTypeGraph) return cudaSuccess;
  cudaGraph_t child = nullptr;
  if (const cudaError_t status = cudaGraphChildGraphNodeGetGraph(node, &child); status != cudaSuccess) return status;
  return count_nodes(child, facts);
}

// A captured copy is one-dimensional: all of it lies in the width.
CopyNode copy_of(cudaGraphNode_t node, const cudaMemcpy3DParms& p) noexcept {
  return {reinterpret_cast<Node>(node), static_cast<std::byte*>(p.dstPtr.ptr) + p.dstPos.x,
          static_cast<const std::byte*>(p.srcPtr.ptr) + p.srcPos.x, p.extent.width * p.extent.height * p.extent.depth,
          static_cast<int>(p.kind)};
}

}  // namespace

cudaError_t count_nodes(cudaGraph_t graph, GraphFacts& facts) {
  Nodes nodes;
  if (const cudaError_t status = nodes_of(graph, nodes); status != cudaSuccess) return status;
  for (const cudaGraphNode_t node : nodes)
    if (const cudaError_t status = count_node(node, facts); status != cudaSuccess) return status;
  return cudaSuccess;
}

cudaError_t find_copies(cudaGraph_t graph, std::vector<CopyNode>& copies) {
  Nodes nodes;
  if (const cudaError_t status = in_order(graph, nodes); status != cudaSuccess) return status;
  for (const cudaGraphNode_t node : nodes) {
    cudaGraphNodeType type{};
    if (const cudaError_t status = cudaGraphNodeGetType(node, &type); status != cudaSuccess) return status;
    if (type != cudaGraphNodeTypeMemcpy) continue;
    cudaMemcpy3DParms parameters{};
    if (const cudaError_t status = cudaGraphMemcpyNodeGetParams(node, &parameters); status != cudaSuccess)
      return status;
    copies.push_back(copy_of(node, parameters));
  }
  return cudaSuccess;
}

}  // namespace takt::cuda
