// What the real Api asks CUDA for: versions of the driver's functions, groups of a split, nodes of a graph.
#include <gtest/gtest.h>

#include <array>
#include <memory>
#include <numeric>

#include "cuda/api.hpp"
#include "cuda/fake_runtime.hpp"

namespace takt::test {
namespace {

using namespace cuda;

struct Calls : testing::Test {
  FakeRuntime cuda;
  std::unique_ptr<Api> api = make_real_api();
  std::array<GreenContext, 2> contexts{};
  std::array<int, 2> granted{};

  Status make(std::array<int, 2> groups, bool rest_to_last) {
    return api->make_parts(0, 8, groups, rest_to_last, contexts, granted);
  }
};

Graph graph(RuntimeGraph& g) {
  return reinterpret_cast<Graph>(g.handle());
}

RuntimeNode copy(void* to, const void* from, std::size_t bytes) {
  RuntimeNode node{.type = cudaGraphNodeTypeMemcpy};
  node.copy.dstPtr.ptr = to;
  node.copy.srcPtr.ptr = const_cast<void*>(from);
  node.copy.extent = {bytes, 1, 1};
  node.copy.kind = cudaMemcpyDeviceToHost;
  return node;
}

TEST_F(Calls, EachDriverFunctionIsLookedUpInItsOwnVersion) {
  EXPECT_TRUE(api->has_green_contexts());
  const std::map<std::string, unsigned> wanted = {{"cuDeviceGet", 2000},
                                                  {"cuDeviceGetDevResource", 12040},
                                                  {"cuDevSmResourceSplitByCount", 12040},
                                                  {"cuDevResourceGenerateDesc", 12040},
                                                  {"cuGreenCtxCreate", 12040},
                                                  {"cuGreenCtxDestroy", 12040},
                                                  {"cuGreenCtxGetDevResource", 12040},
                                                  {"cuGreenCtxStreamCreate", 12050}};
  EXPECT_EQ(cuda.versions, wanted);
}

TEST_F(Calls, ADriverThatLacksOneFunctionHasNoParts) {
  cuda.known_since["cuGreenCtxStreamCreate"] = 99999;
  SmResource resource;
  EXPECT_FALSE(api->has_green_contexts());
  EXPECT_EQ(make({4, 12}, true), cudaErrorSymbolNotFound);
  EXPECT_EQ(api->sm_resource(0, resource), cudaErrorSymbolNotFound);
  EXPECT_TRUE(cuda.descriptions.empty());
}

TEST_F(Calls, ADevicesLimitsAreTheDriversOwn) {
  if (CUDART_VERSION < 13000) GTEST_SKIP() << "these headers know none";
  cuda.least = 4, cuda.step = 2, cuda.groups = 30;
  SmResource resource;
  ASSERT_EQ(api->sm_resource(0, resource), kOk);
  EXPECT_EQ(resource.sms, 132);
  EXPECT_EQ(resource.least, 4);
  EXPECT_EQ(resource.step, 2);
  EXPECT_EQ(resource.groups, 30);
}

TEST_F(Calls, WhereTheDriverTellsNoLimitsTheGuidelineHolds) {
  cuda.least = cuda.step = 0;
  SmResource resource;
  ASSERT_EQ(api->sm_resource(0, resource), kOk);
  EXPECT_EQ(resource.least, 8);
  EXPECT_EQ(resource.step, 8);
  EXPECT_EQ(resource.groups, 16);
}

TEST_F(Calls, PartsAreGroupsOfOneSplitAndTheRestGoesToTheLast) {
  ASSERT_EQ(make({4, 12}, true), kOk);
  EXPECT_EQ(granted, (std::array{32, 100}));
  EXPECT_EQ(cuda.descriptions[0], std::vector<unsigned>(4, 8));
  std::vector<unsigned> last(12, 8);
  last.push_back(4);
  EXPECT_EQ(cuda.descriptions[1], last);
  EXPECT_EQ(cuda.context_flags, CU_GREEN_CTX_DEFAULT_STREAM);
  std::vector<unsigned> each(16);
  std::iota(each.begin(), each.end(), 1U);
  EXPECT_EQ(cuda.groups_given, each) << "no group belongs to two parts";
}

TEST_F(Calls, GroupsThatNobodyAskedForStayUnused) {
  ASSERT_EQ(make({2, 3}, false), kOk);
  EXPECT_EQ(granted, (std::array{16, 24}));
  ASSERT_EQ(make({2, 3}, true), kOk);
  EXPECT_EQ(granted, (std::array{16, 28})) << "the rest is what no group could be made of";
}

TEST_F(Calls, OnePartOfAllIsTheDeviceUnsplit) {
  std::array<GreenContext, 1> context{};
  std::array<int, 1> sms{};
  ASSERT_EQ(api->make_parts(0, 8, std::array{16}, true, context, sms), kOk);
  EXPECT_EQ(sms[0], 132);
  EXPECT_EQ(cuda.descriptions[0], std::vector<unsigned>{132});
}

TEST_F(Calls, MoreGroupsThanThereAreIsRefusedBeforeAnythingIsMade) {
  EXPECT_EQ(make({8, 9}, false), cudaErrorInvalidValue);
  EXPECT_TRUE(cuda.created.empty());
}

TEST_F(Calls, AllPartsAreMadeOrNone) {
  cuda.failures["cuGreenCtxCreate#2"] = 2;
  EXPECT_EQ(make({4, 12}, true), 2);
  EXPECT_EQ(cuda.created, std::vector<unsigned>{0}) << "the first was destroyed";
  EXPECT_EQ(contexts[0], nullptr);
}

TEST_F(Calls, APartThatCannotBeReadBackIsDestroyedToo) {
  cuda.failures["cuGreenCtxGetDevResource"] = 999;
  EXPECT_EQ(make({4, 12}, true), 999);
  EXPECT_EQ(cuda.created, std::vector<unsigned>{0});
}

TEST_F(Calls, AStreamOfAPartDoesNotWaitForTheDefaultOne) {
  ASSERT_EQ(make({4, 12}, true), kOk);
  Stream stream = nullptr;
  ASSERT_EQ(api->make_stream(contexts[1], -3, stream), kOk);
  EXPECT_EQ(stream, reinterpret_cast<Stream>(32));
  EXPECT_EQ(cuda.stream_flags, CU_STREAM_NON_BLOCKING);
  EXPECT_EQ(cuda.stream_priority, -3);
}

TEST_F(Calls, CopiesComeInTheOrderInWhichTheyRun) {
  std::array<char, 4> a{}, b{};
  RuntimeNode in = copy(a.data(), b.data(), 3), kernel, out = copy(b.data(), a.data(), 2), word = copy(&b[3], &a[3], 1);
  word.copy.dstPos.x = 1;
  RuntimeGraph g{{&word, &out, &kernel, &in}, {{&out, &word}, {&kernel, &out}, {&in, &kernel}}};
  std::array<CopyNode, 3> copies;
  std::size_t count = 0;
  ASSERT_EQ(api->copies(graph(g), copies, count), kOk);
  ASSERT_EQ(count, 3u);
  EXPECT_EQ(copies[0].to, a.data());
  EXPECT_EQ(copies[0].from, b.data());
  EXPECT_EQ(copies[0].bytes, 3u);
  EXPECT_EQ(copies[1].to, b.data());
  EXPECT_EQ(copies[2].bytes, 1u);
  EXPECT_EQ(copies[2].to, &b[3] + 1) << "its offset counts";
  EXPECT_EQ(copies[0].node, reinterpret_cast<Node>(&in));
}

TEST_F(Calls, ACopyIsChangedWithItsOwnKind) {
  std::array<char, 4> a{}, b{};
  RuntimeNode node = copy(a.data(), b.data(), 3);
  RuntimeGraph g{{&node}, {}};
  std::array<CopyNode, 1> copies;
  std::size_t count = 0;
  ASSERT_EQ(api->copies(graph(g), copies, count), kOk);
  copies[0].to = &a[1];
  ASSERT_EQ(api->set_copy(reinterpret_cast<GraphExec>(g.handle()), copies[0]), kOk);
  EXPECT_EQ(cuda.changed.node, reinterpret_cast<cudaGraphNode_t>(&node));
  EXPECT_EQ(cuda.changed.to, &a[1]);
  EXPECT_EQ(cuda.changed.from, b.data());
  EXPECT_EQ(cuda.changed.bytes, 3u);
  EXPECT_EQ(cuda.changed.kind, cudaMemcpyDeviceToHost);
}

TEST_F(Calls, MoreCopiesThanRoomAreCounted) {
  std::array<char, 4> a{}, b{};
  RuntimeNode one = copy(a.data(), b.data(), 1), two = copy(b.data(), a.data(), 1);
  RuntimeGraph g{{&one, &two}, {{&one, &two}}};
  std::array<CopyNode, 1> copies;
  std::size_t count = 0;
  ASSERT_EQ(api->copies(graph(g), copies, count), kOk);
  EXPECT_EQ(count, 2u);
  EXPECT_EQ(copies[0].to, a.data());
}

TEST_F(Calls, FactsCountChildGraphsToo) {
  RuntimeNode kernel, other, alloc{.type = cudaGraphNodeTypeMemAlloc}, host{.type = cudaGraphNodeTypeHost};
  RuntimeGraph inner{{&other, &alloc}, {}};
  RuntimeNode child{.type = cudaGraphNodeTypeGraph};
  child.child = inner.handle();
  RuntimeGraph plain{{&kernel}, {}}, nested{{&kernel, &child}, {}}, calls{{&host}, {}}, empty;
  GraphFacts facts;
  ASSERT_EQ(api->facts(graph(plain), facts), kOk);
  EXPECT_EQ(facts.nodes, 1u);
  EXPECT_EQ(facts.kernels, 1u);
  EXPECT_FALSE(facts.allocates);
  ASSERT_EQ(api->facts(graph(nested), facts), kOk);
  EXPECT_EQ(facts.nodes, 4u);
  EXPECT_EQ(facts.kernels, 2u);
  EXPECT_TRUE(facts.allocates);
  EXPECT_FALSE(facts.calls_host);
  ASSERT_EQ(api->facts(graph(calls), facts), kOk);
  EXPECT_TRUE(facts.calls_host);
  ASSERT_EQ(api->facts(graph(empty), facts), kOk);
  EXPECT_EQ(facts.nodes, 0u);
}

TEST_F(Calls, AGraphIsUploadedToItsLaneBeforeItIsReady) {
  RuntimeGraph g;
  GraphExec exec = nullptr;
  const auto lane = reinterpret_cast<Stream>(64);
  ASSERT_EQ(api->instantiate(graph(g), lane, exec), kOk);
  EXPECT_NE(exec, nullptr);
  EXPECT_EQ(cuda.instantiate_flags, cudaGraphInstantiateFlagUpload | cudaGraphInstantiateFlagUseNodePriority);
  EXPECT_EQ(cuda.uploaded_to, reinterpret_cast<cudaStream_t>(64));
  EXPECT_EQ(cuda.synchronised, 1);
}

TEST_F(Calls, AGraphThatIsNoGoodIsNotKept) {
  RuntimeGraph g;
  GraphExec exec = nullptr;
  cuda.instantiate_result = cudaGraphInstantiateNodeOperationNotSupported;
  EXPECT_NE(api->instantiate(graph(g), nullptr, exec), kOk);
  EXPECT_EQ(exec, nullptr);
  EXPECT_EQ(cuda.destroyed_graphs, 1);
}

TEST_F(Calls, NoErrorIsLeftForOthersToFind) {
  cuda.failures["cudaStreamQuery"] = kNotReady;
  EXPECT_EQ(api->query(nullptr), kNotReady);
  EXPECT_EQ(cuda.last_error, cudaSuccess);
  cuda.failures["cudaGetDriverEntryPointByVersion"] = 35;
  EXPECT_FALSE(api->has_green_contexts());
  EXPECT_EQ(cuda.last_error, cudaSuccess);
  RuntimeGraph g;
  GraphFacts facts;
  cuda.failures["cudaGraphGetNodes"] = 719;
  EXPECT_EQ(api->facts(graph(g), facts), 719);
  EXPECT_EQ(cuda.last_error, cudaSuccess);
}

TEST_F(Calls, TheDeviceIsDescribedForNvml) {
  DeviceInfo info;
  ASSERT_EQ(api->describe(0, info), kOk);
  EXPECT_EQ(info.name, "Fake");
  EXPECT_EQ(info.pci, "0000:65:00.0");
  EXPECT_EQ(info.major, 9);
  EXPECT_EQ(info.sms, 132);
  EXPECT_TRUE(info.registers_host);
  EXPECT_FALSE(info.registers_read_only);
}

}  // namespace
}  // namespace takt::test
