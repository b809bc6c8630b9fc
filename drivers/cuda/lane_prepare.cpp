// What a lane does before it serves: memory, warm-up, recording, instantiating.
#include <algorithm>

#include "cuda/errors.hpp"
#include "cuda/lane.hpp"

namespace takt::cuda {
namespace {

// What libraries make at first use (handles, work areas, the choice of an algorithm) is there after this many runs.
constexpr int kWarmUps = 3;

}  // namespace

Result<void> Lane::prepare(std::span<const PlacedModel* const> models, const Slots& slots, bool whole) {
  slots_ = slots;
  if (!recorder_)
    if (const Result<void> opened = open(); !opened) return opened;
  for (const PlacedModel* const model : models) {
    const bool known = std::any_of(served_.begin(), served_.end(), [&](auto& s) { return s->model == model; });
    if (known) continue;
    if (const Result<void> ready = serve(*model, whole); !ready) return ready;
  }
  return settle(c_.api->synchronize(stream_));
}

Result<void> Lane::open() {
  auto recorder = c_.engine->recorder(c_.device, stream_);
  if (!recorder) return tl::unexpected(recorder.error());
  recorder_ = std::move(*recorder);
  const Result<void*> words = pin((1 + kDepth) * sizeof(std::uint32_t));
  if (!words) return tl::unexpected(words.error());
  idle_word_ = static_cast<std::uint32_t*>(*words);
  for (std::size_t i = 0; i < kDepth; ++i) eager_words_[i] = idle_word_ + 1 + i;
  return {};
}

// What makes the lane ready must have its graphs; for the rest there is the eager way.
Result<void> Lane::serve(const PlacedModel& model, bool whole) {
  if (const Result<void> room = make_room(model); !room) return room;
  auto added = std::make_unique<Served>();
  added->model = &model;
  added->in = in_;
  added->shelf = Shelf(model.bound().steps().size());
  if (const Result<void> made = make_picture_places(*added); !made) return made;
  const KeyPlan plan = plan_keys(model.bound().model(), {}, limits_);
  for (std::size_t i = 0; i < plan.keys.size(); ++i) {
    if (i >= plan.ready && !(whole && plan.keys[i].batch == 1)) {
      added->left.push_back(plan.keys[i]);
    } else if (const Result<void> made = make_graph(*added, plan.keys[i]); !made) {
      if (i < plan.ready || ends_process(static_cast<Status>(made.error().vendor))) return made;
    }
  }
  std::reverse(added->left.begin(), added->left.end());
  served_.push_back(std::move(added));
  return {};
}

Result<void> Lane::make_graph(Served& served, const Key& key) {
  Result<void> made = warm_up(served, key);
  if (made) made = record(served, key);
  counts_.refused += !made;
  return made;
}

bool Lane::prepare_more() {
  for (const auto& served : served_) {
    if (served->left.empty()) continue;
    const Key key = served->left.back();
    served->left.pop_back();
    const Result<void> made = make_graph(*served, key);
    if (!made && ends_process(static_cast<Status>(made.error().vendor)))
      c_.fatal("a recording", static_cast<Status>(made.error().vendor));
    if (!made && made.error().code == Code::no_memory) served->left.clear();
    return true;
  }
  return false;
}

Result<void*> Lane::take(Use use, std::size_t bytes) noexcept {
  std::uint64_t free = 0, total = 0;
  if (const Status s = c_.api->memory(free, total); s != kOk) return tl::unexpected(error_of(s));
  if (const Result<void> taken = c_.budget->take(use, bytes, free); !taken) return tl::unexpected(taken.error());
  void* memory = nullptr;
  if (const Status s = c_.api->device_alloc(bytes, memory); s != kOk) {
    c_.budget->give_back(use, bytes);
    return tl::unexpected(error_of(s));
  }
  return memory;
}

Result<void*> Lane::pin(std::size_t bytes) noexcept {
  void* memory = nullptr;
  if (const Status s = c_.api->pinned_alloc(bytes, memory); s != kOk) return tl::unexpected(error_of(s));
  return memory;
}

// Lane memory for the largest step; it only grows, before any graph of this model is recorded. Graphs recorded before
// keep the old place, so that stays.
Result<void> Lane::make_room(const PlacedModel& model) {
  std::size_t in = 0, out = 0, results = 0;
  for (const models::Step& step : model.bound().steps()) {
    if (!step.preprocess) in = std::max(in, model.bytes_in(step) * kMaxBatch);
    out = std::max(out, model.bytes_out(step) * kMaxBatch);
    if (step.last) results = std::max(results, model.bytes_out(step) * kMaxBatch);
  }
  if (in > in_bytes_) {
    const Result<void*> memory = take(Use::activations, in);
    if (!memory) return tl::unexpected(memory.error());
    in_ = *memory, in_bytes_ = in;
  }
  if (out > nowhere_bytes_) {
    const Result<void*> memory = take(Use::activations, out);
    if (!memory) return tl::unexpected(memory.error());
    nowhere_ = *memory, nowhere_bytes_ = out;
  }
  for (std::byte*& place : eager_results_) {
    if (results <= result_bytes_) break;
    const Result<void*> memory = pin(results);
    if (!memory) return tl::unexpected(memory.error());
    place = static_cast<std::byte*>(*memory);
  }
  result_bytes_ = std::max(result_bytes_, results);
  return {};
}

Result<void> Lane::make_picture_places(Served& served) {
  const models::BoundModel& bound = served.model->bound();
  served.pictures.resize(bound.steps().size());
  for (std::size_t i = 0; i < bound.steps().size(); ++i) {
    const models::Step& step = bound.steps()[i];
    if (!step.preprocess) continue;
    auto place = std::make_unique<PicturePlace>();
    const Form& form = bound.model().forms[static_cast<std::size_t>(step.variant->form)];
    place->plan = PicturePlan::of(form, bound.model().normalise);
    const std::size_t taps = place->plan.taps() * sizeof(float);
    const Result<void*> bytes = take(Use::activations, place->plan.bytes());
    if (!bytes) return tl::unexpected(bytes.error());
    const Result<void*> weights = take(Use::activations, taps);
    if (!weights) return tl::unexpected(weights.error());
    const Result<void*> staging = pin(taps);
    if (!staging) return tl::unexpected(staging.error());
    place->bytes = *bytes, place->taps = *weights, place->staging = static_cast<float*>(*staging);
    served.pictures[i] = std::move(place);
  }
  return {};
}

Result<void> Lane::warm_up(const Served& served, const Key& key) {
  const models::Step& step = served.model->bound().steps()[key.variant];
  std::array<JobIo, kMaxBatch> none{};
  for (int i = 0; i < kWarmUps; ++i)
    if (const auto ran =
            go_eager(served, step, std::span<const JobIo>(none).first(key.batch), idle_word_, eager_results_[0]);
        !ran)
      return ran;
  return settle(c_.api->synchronize(stream_));
}

Result<void> Lane::record(Served& served, const Key& key) {
  const PlacedModel& model = *served.model;
  const models::Step& step = model.bound().steps()[key.variant];
  auto entry = std::make_unique<Entry>();
  const std::size_t out = model.bytes_out(step);
  const Result<void*> pinned = pin(kResultAlignment + (step.last ? out * key.batch : 0));
  if (!pinned) return tl::unexpected(pinned.error());
  entry->word = static_cast<std::uint32_t*>(*pinned);
  entry->results = static_cast<std::byte*>(*pinned) + kResultAlignment;

  // Slots are bound at every launch; until then these stand in, each at an address of its own.
  std::array<const void*, kMaxBatch> from{};
  std::array<void*, kMaxBatch> to{};
  for (std::size_t f = 0; f < key.batch; ++f) {
    from[f] = static_cast<std::byte*>(nowhere_) + f * model.bytes_in(step);
    to[f] = (step.last ? entry->results : static_cast<std::byte*>(nowhere_)) + f * out;
  }
  const PicturePlace* const picture = served.pictures[key.variant].get();
  const Ends ends{
      .in = picture != nullptr ? picture->bytes : served.in,
      .from = step.first ? std::span<const void* const>{} : std::span<const void* const>(from).first(key.batch),
      .taps = picture != nullptr ? picture->taps : nullptr,
      .to = std::span<void* const>(to).first(key.batch),
      .to_host = step.last,
      .one = c_.one,
      .word = entry->word};
  std::uint64_t before = 0, after = 0, total = 0;
  if (const Status s = c_.api->memory(before, total); s != kOk) return tl::unexpected(error_of(s));
  if (const Result<void> room = c_.budget->room_for_graph(before); !room) return room;
  auto recording = recorder_->capture(model, step, key.batch, ends);
  if (!recording) return tl::unexpected(recording.error());
  entry->recording = std::move(*recording);
  if (const Result<void> found = find_copies(model, step, ends, *entry); !found) return found;
  if (const Status s = c_.api->instantiate(entry->recording->graph(), stream_, entry->exec); s != kOk)
    return tl::unexpected(error_of(s));
  if (c_.api->memory(after, total) == kOk) c_.budget->count_graph(before, after);
  served.shelf.put(key, static_cast<std::uint32_t>(served.entries.size()));
  served.entries.push_back(std::move(entry));
  ++counts_.graphs;
  return {};
}

// The copies whose ends change, found among the graph's nodes by their addresses.
Result<void> Lane::find_copies(const PlacedModel& model, const models::Step& step, const Ends& ends, Entry& entry) {
  GraphFacts facts;
  if (const Status s = c_.api->facts(entry.recording->graph(), facts); s != kOk) return tl::unexpected(error_of(s));
  if (facts.allocates || facts.calls_host)
    return fail(Code::unsupported, "a recorded segment allocates or calls the host: it runs eagerly");
  counts_.nodes += facts.nodes;
  std::vector<CopyNode> copies(facts.nodes);
  std::size_t count = 0;
  if (const Status s = c_.api->copies(entry.recording->graph(), copies, count); s != kOk)
    return tl::unexpected(error_of(s));
  copies.resize(std::min(count, copies.size()));
  const auto find = [&](const void* to, const void* from) -> const CopyNode* {
    const auto found = std::find_if(copies.begin(), copies.end(), [&](const CopyNode& c) {
      return c.to == to && (from == nullptr || c.from == from);
    });
    return found != copies.end() ? &*found : nullptr;
  };
  const auto keep = [](const CopyNode* node, std::vector<CopyNode>& kept) {
    if (node != nullptr) kept.push_back(*node);
    return node != nullptr;
  };
  bool all = true;
  for (std::size_t f = 0; f < ends.from.size(); ++f)
    all &= keep(find(static_cast<std::byte*>(ends.in) + f * model.bytes_in(step), ends.from[f]), entry.in);
  for (std::size_t f = 0; f < ends.to.size() && !step.last; ++f) all &= keep(find(ends.to[f], nullptr), entry.out);
  const CopyNode* const tell = find(ends.word, ends.one);
  if (!all || tell == nullptr) return fail(Code::internal, "a recorded segment lacks a copy: it runs eagerly");
  entry.tell = *tell;
  return {};
}

}  // namespace takt::cuda
