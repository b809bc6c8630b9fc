// The profiling run: the model's segments in order, so that each variant is fed what the one before it really made.
#include "executor/profiler.hpp"

#include <sysexits.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <cmath>
#include <cstring>
#include <fstream>
#include <map>
#include <optional>
#include <set>
#include <thread>

#include "executor/energy_meter.hpp"
#include "executor/log.hpp"
#include "executor/model_shelf.hpp"
#include "executor/sample_data.hpp"
#include "files/profile_file.hpp"
#include "live/monotonic_clock.hpp"
#include "live/realtime.hpp"

namespace takt::executor {
namespace {

constexpr int kWarmUps = 3;
constexpr std::size_t kLeastRepetitions = 30, kMostRepetitions = 20'000;
// A real-time thread that never pauses is throttled for 50 ms a second, which would be the 99th percentile.
constexpr int kRealtimePauseShare = 8;

std::string machine_name() {
  std::string name = "unknown CPU";
  std::ifstream cpus("/proc/cpuinfo");
  for (std::string line; std::getline(cpus, line);)
    if (const std::size_t colon = line.find(": "); line.starts_with("model name") && colon != std::string::npos) {
      name = line.substr(colon + 2);
      break;
    }
  return name + ", " + std::to_string(std::thread::hardware_concurrency()) + " CPUs";
}

std::string today() {
  const std::time_t now = std::time(nullptr);
  std::tm utc{};
  ::gmtime_r(&now, &utc);
  std::array<char, 32> text{};
  std::strftime(text.data(), text.size(), "%Y-%m-%dT%H:%M:%SZ", &utc);
  return text.data();
}

// What a segment left for the next one: its bytes, or numbers of slots for a driver that keeps activations, one a job.
struct Activation {
  std::vector<std::byte> bytes;
  std::uint64_t size = 0;
  std::uint32_t slot = kNoSlotNumber;  // the first of kMaxBatch
};

// Numbers of slots for drivers that keep activations: what the segment before has left and what this one makes, for
// each width and each job of the largest batch.
class SlotNumbers {
 public:
  explicit SlotNumbers(const Model& model) noexcept {
    for (const Segment& segment : model.segments)
      widths_ = std::max(widths_, static_cast<std::uint32_t>(segment.widths.size()) + 1);
  }
  [[nodiscard]] std::uint32_t count() const noexcept { return 2 * widths_ * static_cast<std::uint32_t>(kMaxBatch); }
  // The first of those that segment `s` writes at this width; -1: it has none.
  [[nodiscard]] std::uint32_t first(std::size_t s, int width) const noexcept {
    const std::uint32_t side = s % 2 == 0 ? 0 : widths_;
    return (side + static_cast<std::uint32_t>(width + 1)) * static_cast<std::uint32_t>(kMaxBatch);
  }

 private:
  std::uint32_t widths_ = 1;
};

// Tells the driver of memory as a session does of a client's pool: what it cannot use it copies from.
class KnownPool {
 public:
  KnownPool(Driver& driver, std::span<const std::byte> memory, bool results)
      : driver_(driver), memory_(memory), known_(driver.map_pool(memory, results).has_value()) {}
  ~KnownPool() {
    if (known_) driver_.unmap_pool(memory_);
  }
  KnownPool(const KnownPool&) = delete;
  KnownPool& operator=(const KnownPool&) = delete;

 private:
  Driver& driver_;
  std::span<const std::byte> memory_;
  bool known_;
};

// One thing to measure: a variant fed by a frame or by an activation of the segment before.
struct Case {
  const Variant* variant = nullptr;
  const Form* form = nullptr;      // preprocessing
  const Activation* in = nullptr;  // null: the first segment
};

class Profiler {
 public:
  // `energy`: the driver measures it.
  Profiler(const ProfileOptions& options, Driver& driver, const Model& model, bool energy)
      : options_(options), driver_(driver), model_(model), end_(live::monotonic_now() + options.time), numbers_(model) {
    rows_ = cases() * options.batches.size();
    if (energy) energy_time_ = options.energy;
    end_ += energy_time_ * static_cast<long>(rows_);
  }

  Result<std::vector<files::Profile::Row>> run() {
    Boundary before;
    for (std::size_t s = 0; s < model_.segments.size(); ++s) {
      Boundary after;
      for (const Variant& variant : model_.variants) {
        if (variant.segment != s) continue;
        if (const Result<void> done = measure_variant(variant, before, after); !done)
          return tl::unexpected(done.error());
      }
      before = std::move(after);
    }
    return std::move(table_);
  }

 private:
  // Activations between two segments: one for each width that the tensor may have there (-1: it has none).
  using Boundary = std::map<int, Activation>;

  // Every variant once; one that takes any width, once for each width that may come.
  [[nodiscard]] std::size_t cases() const {
    std::size_t count = 0;
    std::set<int> before{-1};
    for (std::size_t s = 0; s < model_.segments.size(); ++s) {
      std::set<int> after;
      for (const Variant& variant : model_.variants) {
        if (variant.segment != s) continue;
        count += variant.width_in >= 0 ? 1 : before.size();
        if (variant.width_out >= 0) after.insert(variant.width_out);
      }
      if (!after.empty()) before = std::move(after);
    }
    return count;
  }

  Result<void> measure_variant(const Variant& variant, const Boundary& before, Boundary& after) {
    const Form* const form = variant.form < 0 ? nullptr : &model_.forms[static_cast<std::size_t>(variant.form)];
    if (variant.segment == 0) return measure_case({&variant, form, nullptr}, variant.width_out, after);
    for (const auto& [width, activation] : before) {
      if (variant.width_in >= 0 && variant.width_in != width) continue;
      const int width_out = variant.width_out >= 0 ? variant.width_out : width;
      if (const Result<void> done = measure_case({&variant, nullptr, &activation}, width_out, after); !done)
        return done;
    }
    return {};
  }

  Result<void> measure_case(const Case& c, int width_out, Boundary& after) {
    Activation& made = after[width_out];
    if (!driver_.caps().shares_slots) made.slot = numbers_.first(c.variant->segment, width_out);
    for (const std::uint32_t batch : options_.batches) {
      const Result<files::Profile::Row> row = measure(c, batch, made);
      if (!row) return tl::unexpected(row.error());
      keep_slower(*row);
      ++done_;
      show_progress();
    }
    return {};
  }

  Result<files::Profile::Row> measure(const Case& c, std::uint32_t batch, Activation& made) {
    const bool last = c.variant->segment + 1U == model_.segments.size();
    const bool own = made.slot != kNoSlotNumber;  // the driver keeps activations
    const std::vector<TensorDesc> inputs =
        c.in == nullptr ? frame_descriptors(model_, c.form) : std::vector<TensorDesc>{};
    const std::uint64_t in_bytes = c.in == nullptr ? frame_bytes(inputs) : c.in->size;
    const std::uint64_t out_bytes = last ? model_.result_bytes() : c.variant->activation_bytes;
    const Result<Areas> in = Areas::make(batch, own && c.in != nullptr ? 0 : in_bytes),
                        out = Areas::make(batch, own && !last ? 0 : out_bytes);
    if (!in || !out) return tl::unexpected(in ? out.error() : in.error());
    std::vector<TensorView> views(batch * inputs.size());
    std::vector<JobIo> jobs(batch);
    for (std::size_t j = 0; j < batch; ++j) {
      const std::span<TensorView> views_of_job = std::span(views).subspan(j * inputs.size(), inputs.size());
      feed(jobs[j], c, inputs, views_of_job, (*in)[j]);
      if (own) number(jobs[j], c, last ? kNoSlotNumber : made.slot, static_cast<std::uint32_t>(j));
      if (!last && !own) jobs[j].slot_out = (*out)[j].data();
      if (last) jobs[j].result = (*out)[j];
      if (last) jobs[j].metrics = metrics_[j].data();
    }
    std::optional<KnownPool> frames, results;
    if (c.in == nullptr) frames.emplace(driver_, in->whole(), false);
    if (last) results.emplace(driver_, out->whole(), true);
    Launch launch{0, &model_, c.variant, Duration{}, jobs};
    const Result<std::vector<Duration>> times = repeat(launch);
    if (!times) return tl::unexpected(times.error());
    const Result<double> energy_nj = measure_energy(launch);
    if (!energy_nj) return tl::unexpected(energy_nj.error());
    if (!last && !own && made.bytes.empty()) made.bytes.assign((*out)[0].begin(), (*out)[0].end());
    if (!last) made.size = out_bytes;
    files::Profile::Row row = name_row(c);
    row.batch = batch;
    row.p50 = std::max(quantile(*times, 0.5), Duration{1});
    row.p99 = std::max(quantile(*times, 0.99), row.p50);
    row.memory = row.bytes_moved = batch * (in_bytes + out_bytes);
    row.energy_nj = static_cast<std::uint64_t>(std::llround(*energy_nj));
    return row;
  }

  // A frame of its own for each job of a batch, or a copy of the activation.
  void feed(JobIo& job, const Case& c, std::span<const TensorDesc> inputs, std::span<TensorView> views,
            std::span<std::byte> memory) {
    if (c.in != nullptr) {
      if (c.in->slot != kNoSlotNumber) return;
      std::copy(c.in->bytes.begin(), c.in->bytes.end(), memory.begin());
      job.slot_in = memory.data();
      return;
    }
    fill_frame(inputs, memory, random_);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      views[i] = {.desc = &inputs[i], .data = memory.data() + inputs[i].offset};
    job.inputs = views;
  }

  static void number(JobIo& job, const Case& c, std::uint32_t made, std::uint32_t place) {
    if (c.in != nullptr) job.slot_in_number = c.in->slot + place;
    if (made != kNoSlotNumber) job.slot_out_number = made + place;
  }

  // Of one launch, over a loop of seconds; 0 if it is not to be had.
  Result<double> measure_energy(const Launch& launch) {
    if (energy_time_ == Duration{0}) return 0.0;
    EnergyMeter meter(driver_, 0);
    const Instant end = live::monotonic_now() + energy_time_;
    while (live::monotonic_now() < end) {
      const Result<void> ran = driver_.run(launch);
      if (!ran) return tl::unexpected(ran.error());
      meter.count();
    }
    return meter.stop();
  }

  // One run; the launch says what the fastest one took so far. In service the profile tells drivers when to look for
  // the end; without it they would look as if it were long overdue, which is late.
  Result<Duration> run(Launch& launch) {
    const Instant started = live::monotonic_now();
    const Result<void> ran = driver_.run(launch);
    const Duration took = live::monotonic_now() - started;
    if (!ran) return tl::unexpected(ran.error());
    launch.expected = launch.expected == Duration{0} ? took : std::min(launch.expected, took);
    return took;
  }

  Result<std::vector<Duration>> repeat(Launch& launch) {
    for (int i = 0; i < kWarmUps; ++i)
      if (const Result<Duration> took = run(launch); !took) return tl::unexpected(took.error());
    const std::size_t left = std::max<std::size_t>(1, rows_ - std::min(rows_, done_));
    const Instant begin = live::monotonic_now();
    const Duration share = std::max(Duration{0}, (end_ - begin) / static_cast<long>(left) - energy_time_);
    std::vector<Duration> times;
    times.reserve(kMostRepetitions);
    while (times.size() < kLeastRepetitions ||
           (times.size() < kMostRepetitions && live::monotonic_now() - begin < share)) {
      const Result<Duration> took = run(launch);
      if (!took) return tl::unexpected(took.error());
      times.push_back(*took);
      if (options_.priority > 0) std::this_thread::sleep_for(*took / kRealtimePauseShare);
    }
    std::sort(times.begin(), times.end());
    return times;
  }

  files::Profile::Row name_row(const Case& c) const {
    files::Profile::Row row;
    const Segment& segment = model_.segments[c.variant->segment];
    row.segment = segment.name;
    if (c.form != nullptr) row.form = c.form->name;
    if (c.variant->width_out >= 0) row.out = segment.widths[static_cast<std::size_t>(c.variant->width_out)];
    if (c.variant->width_in < 0) return row;
    for (std::size_t s = c.variant->segment; s-- > 0;)  // the latest segment with widths
      if (!model_.segments[s].widths.empty()) {
        row.in = model_.segments[s].widths[static_cast<std::size_t>(c.variant->width_in)];
        break;
      }
    return row;
  }

  // A variant may be measured with several inputs; the profile says the worst.
  void keep_slower(const files::Profile::Row& row) {
    const auto same = [&](const files::Profile::Row& r) {
      return r.segment == row.segment && r.in == row.in && r.out == row.out && r.form == row.form &&
             r.batch == row.batch;
    };
    const auto found = std::find_if(table_.begin(), table_.end(), same);
    if (found == table_.end())
      table_.push_back(row);
    else if (found->p99 < row.p99)
      *found = row;
  }

  void show_progress() {
    const Instant now = live::monotonic_now();
    const bool terminal = ::isatty(STDERR_FILENO) != 0;
    if (done_ < rows_ && now - shown_ < (terminal ? std::chrono::seconds(1) : std::chrono::seconds(10))) return;
    shown_ = now;
    const double spent = std::chrono::duration<double>(now - begin_).count();
    const double ahead = spent / static_cast<double>(done_) * static_cast<double>(rows_ - std::min(rows_, done_));
    std::fprintf(stderr, "%smeasured %zu of %zu, about %.0f s to go%s", terminal ? "\r" : "", done_, rows_, ahead,
                 terminal && done_ < rows_ ? "   " : "\n");
  }

  const ProfileOptions& options_;
  Driver& driver_;
  const Model& model_;
  const Instant begin_ = live::monotonic_now();
  Instant end_, shown_{};
  const SlotNumbers numbers_;
  Duration energy_time_{};
  std::size_t rows_ = 0, done_ = 0;
  std::mt19937_64 random_{1};
  std::array<std::array<float, kMaxMetrics>, kMaxBatch> metrics_{};
  std::vector<files::Profile::Row> table_;
};

// What a session would do before its workers start.
Result<void> make_slots(Driver& driver, const Model& model) {
  if (driver.caps().shares_slots) return {};
  std::uint64_t bytes = kResultAlignment;
  for (const Variant& variant : model.variants) bytes = std::max(bytes, align_result(variant.activation_bytes));
  return driver.make_slots(bytes, SlotNumbers(model).count());
}

// The same order as in a worker: see Worker::enter().
Result<void> become_worker(const ProfileOptions& options, Driver& driver) {
  live::name_thread("profile");
  if (const Result<void> pinned = live::pin_thread(options.accelerator.cores); !pinned) return pinned;
  const Criticality worker = options.priority > 0 ? Criticality::hard : Criticality::soft;
  if (const Result<void> entered = driver.enter(0, worker); !entered) return entered;
  if (const Result<void> prepared = driver.prepare(0, worker); !prepared) return prepared;
  while (driver.prepare_more(0, worker)) {
  }
  live::set_timer_slack();
  if (options.priority == 0) return {};
  if (const live::Grant fifo = live::take_fifo(options.priority); !fifo.granted)
    log_line("measures without real time: %s", fifo.text.c_str());
  return {};
}

int complain(const Error& error) {
  log_line("cannot profile: %s (%ld)", error.text, error.vendor);
  return EX_SOFTWARE;
}

}  // namespace

Duration quantile(const std::vector<Duration>& sorted, double q) {
  const auto rank = static_cast<std::size_t>(std::ceil(q * static_cast<double>(sorted.size())));
  return sorted[std::clamp<std::size_t>(rank, 1, sorted.size()) - 1];
}

int run_profile(const ProfileOptions& options, Driver& driver) {
  const Result<Opened> opened = driver.open(0, options.accelerator);
  if (!opened) return complain(opened.error());
  if (opened->sms > 0) log_line("%d multiprocessors granted", opened->sms);
  if (!opened->note.empty()) log_line("%s", opened->note.c_str());
  ModelShelf shelf(driver);
  const Parsed<ModelShelf::Loaded> loaded = shelf.get(options.model, VariantId{0U});
  if (!loaded) {
    log_line("%s", loaded.error().to_string().c_str());
    return EX_DATAERR;
  }
  const Model& model = *loaded->model;
  if (const Result<void> made = make_slots(driver, model); !made) return complain(made.error());
  const Result<DeviceHealth> health = driver.health(0);
  const bool energy = health && health->energy_mj >= 0;
  Result<std::vector<files::Profile::Row>> rows;
  std::thread([&] {
    const Result<void> ready = become_worker(options, driver);
    rows = ready ? Profiler(options, driver, model, energy).run() : tl::unexpected(ready.error());
  }).join();
  if (!rows) return complain(rows.error());
  files::Profile profile{.model = model.name,
                         .digest = model.digest,
                         .accelerator = options.accelerator.name,
                         .driver = options.driver_name,
                         .machine = machine_name(),
                         .date = today(),
                         .rows = std::move(*rows),
                         .file = {}};
  if (const Result<void> written = files::write_profile(profile, options.output); !written) {
    log_line("cannot write %s: %s (%ld)", options.output.c_str(), written.error().text, written.error().vendor);
    return EX_CANTCREAT;
  }
  return EX_OK;
}

}  // namespace takt::executor
