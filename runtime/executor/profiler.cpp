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
#include <set>
#include <thread>

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

// One thing to measure: a variant fed by a frame or by an activation of the segment before.
struct Case {
  const Variant* variant = nullptr;
  const Form* form = nullptr;                  // preprocessing
  const std::vector<std::byte>* in = nullptr;  // null: the first segment
};

class Profiler {
 public:
  Profiler(const ProfileOptions& options, Driver& driver, const Model& model)
      : options_(options), driver_(driver), model_(model), end_(live::monotonic_now() + options.time) {
    rows_ = cases() * options.batches.size();
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
  using Boundary = std::map<int, std::vector<std::byte>>;

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
    for (const std::uint32_t batch : options_.batches) {
      const Result<files::Profile::Row> row = measure(c, batch, after[width_out]);
      if (!row) return tl::unexpected(row.error());
      keep_slower(*row);
      ++done_;
      show_progress();
    }
    return {};
  }

  Result<files::Profile::Row> measure(const Case& c, std::uint32_t batch, std::vector<std::byte>& made) {
    const bool last = c.variant->segment + 1U == model_.segments.size();
    const std::vector<TensorDesc> inputs =
        c.in == nullptr ? frame_descriptors(model_, c.form) : std::vector<TensorDesc>{};
    const std::uint64_t in_bytes = c.in == nullptr ? frame_bytes(inputs) : c.in->size();
    const std::uint64_t out_bytes = last ? model_.result_bytes() : c.variant->activation_bytes;
    const Result<Areas> in = Areas::make(batch, in_bytes), out = Areas::make(batch, out_bytes);
    if (!in || !out) return tl::unexpected(in ? out.error() : in.error());
    std::vector<TensorView> views(batch * inputs.size());
    std::vector<JobIo> jobs(batch);
    for (std::size_t j = 0; j < batch; ++j) {
      const std::span<TensorView> own = std::span(views).subspan(j * inputs.size(), inputs.size());
      feed(jobs[j], c, inputs, own, (*in)[j]);
      if (!last) jobs[j].slot_out = (*out)[j].data();
      if (last) jobs[j].result = (*out)[j];
      if (last) jobs[j].metrics = metrics_[j].data();
    }
    const Result<std::vector<Duration>> times = repeat({0, &model_, c.variant, Duration{}, jobs});
    if (!times) return tl::unexpected(times.error());
    if (!last && made.empty()) made.assign((*out)[0].begin(), (*out)[0].end());
    files::Profile::Row row = name_row(c);
    row.batch = batch;
    row.p50 = std::max(quantile(*times, 0.5), Duration{1});
    row.p99 = std::max(quantile(*times, 0.99), row.p50);
    row.memory = row.bytes_moved = batch * (in_bytes + out_bytes);
    return row;
  }

  // A frame of its own for each job of a batch, or a copy of the activation.
  void feed(JobIo& job, const Case& c, std::span<const TensorDesc> inputs, std::span<TensorView> views,
            std::span<std::byte> memory) {
    if (c.in != nullptr) {
      std::copy(c.in->begin(), c.in->end(), memory.begin());
      job.slot_in = memory.data();
      return;
    }
    fill_frame(inputs, memory, random_);
    for (std::size_t i = 0; i < inputs.size(); ++i)
      views[i] = {.desc = &inputs[i], .data = memory.data() + inputs[i].offset};
    job.inputs = views;
  }

  Result<std::vector<Duration>> repeat(const Launch& launch) {
    for (int i = 0; i < kWarmUps; ++i)
      if (const Result<void> ran = driver_.run(launch); !ran) return tl::unexpected(ran.error());
    const std::size_t left = std::max<std::size_t>(1, rows_ - std::min(rows_, done_));
    const Instant begin = live::monotonic_now();
    const Duration share = std::max(Duration{0}, end_ - begin) / static_cast<long>(left);
    std::vector<Duration> times;
    times.reserve(kMostRepetitions);
    while (times.size() < kLeastRepetitions ||
           (times.size() < kMostRepetitions && live::monotonic_now() - begin < share)) {
      const Instant started = live::monotonic_now();
      const Result<void> ran = driver_.run(launch);
      const Instant ended = live::monotonic_now();
      if (!ran) return tl::unexpected(ran.error());
      times.push_back(ended - started);
      if (options_.priority > 0) std::this_thread::sleep_for((ended - started) / kRealtimePauseShare);
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
  const Instant begin_ = live::monotonic_now(), end_;
  Instant shown_{};
  std::size_t rows_ = 0, done_ = 0;
  std::mt19937_64 random_{1};
  std::array<std::array<float, kMaxMetrics>, kMaxBatch> metrics_{};
  std::vector<files::Profile::Row> table_;
};

// The same order as in a worker: see Worker::enter().
Result<void> become_worker(const ProfileOptions& options, Driver& driver) {
  live::name_thread("profile");
  if (const Result<void> pinned = live::pin_thread(options.accelerator.cores); !pinned) return pinned;
  if (const Result<void> entered = driver.enter(0, options.priority > 0 ? Criticality::hard : Criticality::soft);
      !entered)
    return entered;
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
  if (const Result<void> opened = driver.open(0, options.accelerator); !opened) return complain(opened.error());
  ModelShelf shelf(driver);
  const Parsed<ModelShelf::Loaded> loaded = shelf.get(options.model, VariantId{0U});
  if (!loaded) {
    log_line("%s", loaded.error().to_string().c_str());
    return EX_DATAERR;
  }
  const Model& model = *loaded->model;
  Result<std::vector<files::Profile::Row>> rows;
  std::thread([&] {
    const Result<void> ready = become_worker(options, driver);
    rows = ready ? Profiler(options, driver, model).run() : tl::unexpected(ready.error());
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
