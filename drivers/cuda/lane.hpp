// One lane: a stream of a part of a device, with its captured graphs and at most two launches under way.
//
// All of it is on one thread: capture, launch and wait. Graphs of a lane share its input memory and its allocator pool;
// they run one after the other, so nobody is disturbed. What a launch needs beside the graph itself: inputs of clients
// are copied to the device before it, activations by copy nodes whose ends are bound to the jobs' slots, results and
// the word that says "done" land in pinned memory.
#pragma once

#include <array>
#include <cstdint>
#include <memory>
#include <span>
#include <vector>

#include "cuda/api.hpp"
#include "cuda/budget.hpp"
#include "cuda/engine.hpp"
#include "cuda/keys.hpp"
#include "cuda/pictures.hpp"
#include "takt/driver.hpp"
#include "takt/time.hpp"

namespace takt::cuda {

class LaneClock : public Clock {
 public:
  virtual void sleep_until(Instant t) noexcept = 0;
  virtual void relax() noexcept = 0;  // between two looks at a word
};

// Activations on the device, shared by all lanes of it.
struct Slots {
  std::byte* base = nullptr;
  std::uint64_t bytes = 0;  // of one
  std::uint32_t count = 0;
  [[nodiscard]] std::byte* at(std::uint32_t slot) const noexcept {
    return slot < count ? base + slot * bytes : nullptr;
  }
};

// What all lanes of a device share; constant while they work.
struct LaneContext {
  Api* api = nullptr;
  Engine* engine = nullptr;
  LaneClock* clock = nullptr;
  Budget* budget = nullptr;
  int device = 0;
  const void* one = nullptr;  // device memory that holds 1
  // Called with a status that ends the process; does not return in service.
  void (*fatal)(const char* what, Status status) = nullptr;
};

class Lane {
 public:
  static constexpr std::size_t kDepth = 2;

  // `limits`: which graphs are recorded, of each model.
  Lane(const LaneContext& context, Stream stream, KeyLimits limits)
      : c_(context), stream_(stream), limits_(std::move(limits)) {}

  // On the lane's thread, like everything below. What was prepared before stays; a model's steps are warmed up and
  // captured, uniform subnets at batch 1 first. Blocks for seconds; allocates. No_memory if not even those fit.
  // `whole`: all that is recorded at batch 1, not only the uniform subnets; for lanes that may not be disturbed later.
  [[nodiscard]] Result<void> prepare(std::span<const PlacedModel* const> models, const Slots& slots, bool whole);
  // Records one more graph; false if there is none left to record.
  [[nodiscard]] bool prepare_more();

  // Blocks while the same graph is under way.
  [[nodiscard]] Result<void> launch(const Launch& launch) noexcept;
  // See Driver::await(). An error concerns the oldest launch.
  [[nodiscard]] Result<bool> await(Instant until) noexcept;

  [[nodiscard]] bool idle() const noexcept { return begun_ == ended_; }

  struct Counts {
    std::size_t graphs = 0, nodes = 0, refused = 0;  // refused: they could not be recorded
    std::uint64_t launches = 0, eager = 0;
  };
  [[nodiscard]] const Counts& counts() const noexcept { return counts_; }

 private:
  // Copy nodes are as they were bound last.
  struct Entry {
    std::unique_ptr<Recording> recording;
    GraphExec exec = nullptr;
    std::vector<CopyNode> in, out;  // by frame; empty: not to or from a slot
    CopyNode tell;                  // the word's
    std::uint32_t* word = nullptr;  // pinned
    std::byte* results = nullptr;   // pinned, of the last segment
  };
  // A form's picture on the device and the weights that belong to the picture there.
  struct PicturePlace {
    PicturePlan plan;
    void* bytes = nullptr;
    void* taps = nullptr;
    float* staging = nullptr;  // pinned
    PictureGeometry geometry;
    bool filled = false;
  };
  struct Served {
    const PlacedModel* model = nullptr;
    void* in = nullptr;  // the lane's input memory when it was recorded: its graphs read there
    Shelf shelf;         // positions in `entries`
    std::vector<std::unique_ptr<Entry>> entries;
    std::vector<std::unique_ptr<PicturePlace>> pictures;  // by step; null: it takes none
    std::vector<Key> left;                                // to be recorded, the next one last
  };
  struct Flight {
    const Served* served = nullptr;
    const models::Step* step = nullptr;
    std::span<const JobIo> jobs;
    const std::uint32_t* word = nullptr;
    const std::byte* results = nullptr;
    Instant begun{};
    Duration expected{};
    bool finished = false;  // its results are out
  };
  [[nodiscard]] Result<void> open();
  [[nodiscard]] Result<void> serve(const PlacedModel& model, bool whole);
  [[nodiscard]] Result<void> make_graph(Served& served, const Key& key);
  [[nodiscard]] Result<void*> take(Use use, std::size_t bytes) noexcept;
  [[nodiscard]] Result<void*> pin(std::size_t bytes) noexcept;
  [[nodiscard]] Result<void> make_room(const PlacedModel& model);
  [[nodiscard]] Result<void> make_picture_places(Served& served);
  [[nodiscard]] Result<void> warm_up(const Served& served, const Key& key);
  [[nodiscard]] Result<void> record(Served& served, const Key& key);
  [[nodiscard]] Result<void> find_copies(const PlacedModel& model, const models::Step& step, const Ends& ends,
                                         Entry& entry);

  [[nodiscard]] const Served* served(const Model* model) const noexcept;
  [[nodiscard]] Result<void> check(const Served& served, const models::Step& step, const Launch& launch) const noexcept;
  [[nodiscard]] Result<void> bring_in(const Served& served, const models::Step& step, const JobIo& job,
                                      std::size_t frame) noexcept;
  [[nodiscard]] Result<void> bring_picture(PicturePlace& place, const models::Picture& picture) noexcept;
  [[nodiscard]] Result<void> bind(Entry& entry, CopyNode& node, void* to, const void* from) noexcept;
  [[nodiscard]] Result<void> go(Entry& entry, std::span<const JobIo> jobs, std::uint32_t* word) noexcept;
  [[nodiscard]] Result<void> go_eager(const Served& served, const models::Step& step, std::span<const JobIo> jobs,
                                      std::uint32_t* word, std::byte* results) noexcept;
  [[nodiscard]] Result<void> settle(Status status) noexcept;
  [[nodiscard]] Result<void> finish_before(const std::uint32_t* word) noexcept;
  void finish(Flight& flight) noexcept;
  [[nodiscard]] static bool done(const Flight& flight) noexcept;

  const LaneContext c_;
  const Stream stream_;
  const KeyLimits limits_;
  Slots slots_;
  std::unique_ptr<Recorder> recorder_;
  std::vector<std::unique_ptr<Served>> served_;
  void* in_ = nullptr;  // of the largest step at the greatest batch
  std::size_t in_bytes_ = 0;
  void* nowhere_ = nullptr;             // device memory that stands in for slots in warm-up and capture
  std::size_t nowhere_bytes_ = 0;       // as many as a batch may need
  std::uint32_t* idle_word_ = nullptr;  // pinned: told by launches that are not their batch's last
  std::array<std::uint32_t*, kDepth> eager_words_{};
  std::array<std::byte*, kDepth> eager_results_{};
  std::size_t result_bytes_ = 0;  // of a batch
  std::array<Flight, kDepth> flights_;
  std::size_t begun_ = 0, ended_ = 0;
  Instant free_{};  // end of the latest launch that ended
  Counts counts_;
};

}  // namespace takt::cuda
