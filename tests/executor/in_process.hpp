// A session of one model without sockets: what the main thread of takt-exec prepares for its workers.
#pragma once

#include <fstream>
#include <string>

#include "executor/null_models.hpp"
#include "executor/session_view.hpp"
#include "files/model_file.hpp"
#include "support/fake_broker.hpp"

namespace takt::test {

struct InProcess {
  static constexpr std::uint32_t kFrames = 3, kResults = 4;

  FakeSession shared;
  FakePool frames{1 << 16}, results{1 << 16};
  Model model;
  executor::SessionView view;

  explicit InProcess(const std::string& xml = chain_model("chain"))
      : model(*files::parse_model(xml, "model.xml", "/nowhere", VariantId{0U})) {
    view.memory = &shared.memory();
    view.board = {&shared.job(0), FakeSession::kJobs};
    view.slots = shared.slot(0);
    view.slot_bytes = FakeSession::kSlotBytes;
    view.slot_count = FakeSession::kSlots;
    for (const Variant& variant : model.variants)
      view.places.push_back({&model, &variant, variant.segment == 0, variant.segment + 1U == model.segments.size(),
                             model.result_bytes()});
    view.completed = live::Notifier(live::FileDescriptor(::dup(shared.completed().fd())));
    must_map(kFrames, frames, wire::PoolKind::frames);
    must_map(kResults, results, wire::PoolKind::results);
  }

  // A job whose frame and result area lie `area` areas into the pools; the frame begins with `tag`.
  wire::JobRecord& describe(std::size_t job, std::uint64_t tag, std::size_t area = 0) {
    wire::JobRecord& record = shared.job(job);
    record = {};
    record.inputs = 1;
    record.input[0].dtype = DType::f32;
    record.input[0].rank = 1;
    record.input[0].dims = {64};
    record.input[0].bytes = 256;
    record.input[0].pool = kFrames;
    record.input[0].offset = area * 256;
    record.result_pool = kResults;
    record.result_bytes = model.result_bytes();
    record.result_offset = area * model.result_bytes();
    std::memcpy(frames.memory.data() + area * 256, &tag, sizeof(tag));
    return record;
  }
  // The first bytes of the first output.
  std::uint64_t tag_of_result(std::size_t area = 0) const {
    const std::byte* const result = results.memory.data() + area * model.result_bytes();
    ResultHeader header;
    std::memcpy(&header, result, sizeof(header));
    std::uint64_t tag = 0;
    std::memcpy(&tag, result + header.tensors[0].offset, sizeof(tag));
    return tag;
  }

 private:
  void must_map(std::uint32_t number, const FakePool& pool, wire::PoolKind kind) {
    const Result<void> mapped = view.pools.map(number, pool.fd.get(), pool.memory.size(), kind);
    if (!mapped) throw std::runtime_error(mapped.error().text);
  }
};

}  // namespace takt::test
