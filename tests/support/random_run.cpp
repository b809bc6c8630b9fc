// Seeded runs; see random_run.hpp.
#include "support/random_run.hpp"

#include <algorithm>

namespace takt::test {

RandomRun::RandomRun(std::uint64_t seed, RunShape shape)
    : random_(seed), shape_(std::move(shape)), accelerators_(1 + random_.below(3)), catalog_(accelerators_) {
  make_models();
  const Hops hops{.to_worker = random_.chance(0.5) ? Duration{} : us(random_.between(1, 300)),
                  .to_core = random_.chance(0.5) ? Duration{} : us(random_.between(1, 300))};
  world_ = std::make_unique<VirtualWorld>(
      catalog_, WorldOptions{.core = make_core(), .policy = shape_.policy, .hops = hops, .history = shape_.history});
  world_->executors().set_time_of(
      [this](AcceleratorId, const Entry& e) { return random_.between(e.expected / 2, e.expected); });
  for (std::uint64_t i = 0, n = 2 + random_.below(6); i < n; ++i) open_stream();
}

void RandomRun::make_models() {
  for (std::uint64_t m = 0, n = 2 + random_.below(3); m < n; ++m) {
    const std::uint64_t segments = 1 + random_.below(4), subnets = 1 + random_.below(3);
    std::vector<SubnetDraft> drafts;
    for (std::uint64_t s = 0; s < subnets; ++s) {
      SubnetDraft draft{"n" + std::to_string(s), 0.9F - 0.2F * static_cast<float>(s), {}};
      const std::uint64_t shared = random_.below(segments + 1);  // begins like the first one
      for (std::uint64_t k = 0; k < segments; ++k) {
        const bool same = s > 0 && k < shared;
        const Duration time = us(random_.between(100, 4000)) / static_cast<std::int64_t>(s + 1);
        draft.pieces.push_back(same ? drafts[0].pieces[k] : Piece{"v" + std::to_string(s), time});
      }
      drafts.push_back(std::move(draft));
    }
    const ModelId model = catalog_.add(drafts);
    if (random_.chance(0.5)) catalog_.set_batches(model, random_.unit(), std::size_t{1} << random_.below(5));
    // Accelerator 0 runs every model, the others some of them and at another speed.
    constexpr double kFactors[] = {0, 0.5, 1, 2, 5};
    for (std::size_t a = 1; a < accelerators_; ++a) catalog_.set_factor(model, a, kFactors[random_.below(5)]);
  }
}

CoreConfig RandomRun::make_core() {
  CoreConfig core = serial_core(accelerators_, 0, static_cast<std::uint32_t>(1 + random_.below(8)));
  core.max_jobs = 64;
  core.max_streams = 12;
  core.max_batch =
      static_cast<std::uint32_t>(shape_.least_batch + random_.below(shape_.most_batch - shape_.least_batch + 1));
  for (AcceleratorSpec& a : core.accelerators) {
    a.ahead = static_cast<std::uint8_t>(random_.below(kMaxAhead + 1));
    a.preempts = random_.chance(0.3);
  }
  if (random_.chance(0.3)) {  // each its own memory, lost with it
    core.slot_pools.assign(accelerators_, core.slot_pools[0]);
    for (std::size_t a = 0; a < accelerators_; ++a) core.accelerators[a].pool = SlotPoolId{a};
    for (AcceleratorSpec& a : core.accelerators) a.shares_slots = false;
  }
  return core;
}

StreamSpec RandomRun::make_spec() {
  StreamSpec spec = soft(ModelId{random_.below(catalog_.models().size())}, us(random_.between(1000, 60000)));
  constexpr Criticality kClasses[] = {Criticality::hard, Criticality::firm, Criticality::soft, Criticality::soft};
  spec.criticality = kClasses[random_.below(4)];
  spec.period = us(random_.between(3000, 60000));
  if (random_.chance(0.3)) spec.jitter = random_.between(Duration{}, spec.period / 3);
  if (spec.criticality == Criticality::soft && random_.chance(0.1)) spec.relative_deadline = Duration{};
  spec.late = random_.chance(0.5) ? LateRule::abort : LateRule::finish;
  spec.queue = static_cast<QueueRule>(random_.below(3));
  spec.queue_depth = static_cast<std::uint32_t>(1 + random_.below(4));
  if (random_.chance(0.2)) spec.accuracy_floor = 0.6F;
  if (random_.chance(0.2)) spec.accuracy_ceiling = 0.8F;
  if (spec.criticality != Criticality::hard && !open_.empty() && random_.chance(0.2)) {
    spec.parent = open_[random_.below(open_.size())];
    spec.trigger = {static_cast<Trigger::Op>(random_.below(3)), 0, 0.5F};
  }
  return spec;
}

void RandomRun::open_stream() {
  const Admission admission = world_->ask(make_spec());
  if (admission.outcome != Admission::Outcome::refused) open_.push_back(admission.stream);
}

void RandomRun::release_and_go_on() {
  if (!open_.empty()) {
    const StreamId stream = open_[random_.below(open_.size())];
    for (std::uint64_t burst = random_.chance(0.2) ? 4 : 1; burst > 0; --burst) {
      const Instant deadline = random_.chance(0.1) ? world_->now() + us(random_.between(-1000, 30000)) : kNever;
      if (const auto frame = world_->release(stream, deadline))
        world_->frames()[*frame].metric = static_cast<float>(random_.unit());
    }
  }
  if (shape_.changes && random_.chance(0.15)) change_something();
  if (shape_.losses && random_.chance(0.03)) lose_something();
  if (++released_ < shape_.frames)
    world_->at(world_->now() + us(random_.chance(0.3) ? 0 : random_.between(0, 4000)), [this] { release_and_go_on(); });
}

void RandomRun::change_something() {
  switch (random_.below(8)) {
    case 0:
      if (!open_.empty()) {
        const std::size_t which = random_.below(open_.size());
        world_->close(open_[which]);
        open_.erase(open_.begin() + static_cast<std::ptrdiff_t>(which));
      }
      open_stream();
      break;
    case 1:
      if (!open_.empty())
        (void)world_->core().update_stream(open_[random_.below(open_.size())], make_spec(), world_->now());
      break;
    default:
      // One of the newest frames: older ones have their answer.
      if (!world_->frames().empty()) {
        const std::size_t all = world_->frames().size();
        world_->cancel(all - 1 - random_.below(std::min<std::size_t>(all, 6)));
      }
  }
}

void RandomRun::lose_something() {
  const std::size_t a = random_.below(accelerators_);
  world_->down(a);
  world_->at(world_->now() + us(random_.between(0, 20000)), [this, a] { world_->up(a); });
}

void RandomRun::run() {
  world_->at(world_->now(), [this] { release_and_go_on(); });
  world_->run();
  for (const StreamId stream : open_) world_->close(stream);
  world_->run();
}

}  // namespace takt::test
