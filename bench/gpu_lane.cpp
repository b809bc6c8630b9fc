// What a lane adds to CUDA itself: P14 (CPU time of a launch), P15 (gap between segments, throughput), a frame from
// pixels to answer, P17 (a hard lane beside a saturating soft one). Without executor or broker.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <atomic>
#include <cstdio>
#include <cstring>
#include <functional>
#include <memory>
#include <thread>

#include "cuda/driver.hpp"
#include "cuda/errors.hpp"
#include "cuda/real_clock.hpp"
#include "files/model_file.hpp"
#include "support/machine.hpp"
#include "support/statistics.hpp"

namespace takt {
namespace {

using bench::give_up;
using bench::Rounds;
using bench::Samples;
using cuda::Status;
using nlohmann::json;

struct Options {
  std::string json, model = TAKT_SOURCE_DIR "/models/slim_resnet";
  int unit = 0, rounds = 7, turns = 400;
};

void require(Status status, const char* what) {
  if (status != cuda::kOk) give_up(std::string(what) + ": " + cuda::meaning_of(status).text);
}
template <class T>
T require(Result<T> result) {
  if (!result) give_up(std::string(result.error().text) + " (" + std::to_string(result.error().vendor) + ")");
  if constexpr (!std::is_void_v<T>) return std::move(*result);
}

std::int64_t nanoseconds(const std::function<void()>& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::nanoseconds(std::chrono::steady_clock::now() - begin).count();
}

// A driver on the GPU with the model loaded; one lane for the thread that enters.
struct Gpu {
  Model model;
  cuda::Api* api = nullptr;
  cuda::Engine* engine = nullptr;
  std::unique_ptr<cuda::CudaDriver> driver;

  Gpu(const Options& options, const std::vector<int>& parts) {
    auto parsed = files::read_model(options.model, VariantId{0U});
    if (!parsed) give_up(parsed.error().to_string());
    model = std::move(*parsed);
    auto real = cuda::make_real_api();
    auto torch = cuda::make_torch_engine();
    api = real.get(), engine = torch.get();
    driver = std::make_unique<cuda::CudaDriver>(
        cuda::CudaDriver::Parts{.api = std::move(real),
                                .engine = std::move(torch),
                                .clock = std::make_unique<cuda::RealClock>(),
                                .nvml = cuda::load_nvml(),
                                .fatal = [](const char* what, Status status) { require(status, what); },
                                .keys = {}});
    for (std::size_t i = 0; i < parts.size(); ++i) {
      std::vector<int> others = parts;
      others.erase(others.begin() + static_cast<std::ptrdiff_t>(i));
      const Opened opened = require(
          driver->open(static_cast<std::uint32_t>(i),
                       {.name = "part" + std::to_string(i), .unit = options.unit, .sms = parts[i], .others = others}));
      std::printf("part %zu: %d multiprocessors%s%s\n", i, opened.sms, opened.note.empty() ? "" : ": ",
                  opened.note.c_str());
    }
    require(driver->load(model));
    std::uint64_t slot = 0;
    for (const Segment& segment : model.segments) slot = std::max(slot, segment.activation_bytes);
    require(driver->make_slots(slot, 64));
  }
  void enter(std::uint32_t part, Criticality worker) const {
    require(driver->enter(part, worker));
    require(driver->prepare(part, worker));
    while (driver->prepare_more(part, worker)) {
    }
  }
  // Of the most accurate subnet.
  [[nodiscard]] const Variant& segment(std::size_t n) const {
    const auto best = std::max_element(model.subnets.begin(), model.subnets.end(),
                                       [](auto& a, auto& b) { return a.accuracy < b.accuracy; });
    return model.variant(best->path[n]);
  }
  [[nodiscard]] std::size_t segments() const { return model.subnets.front().path.size(); }
};

// One job's memory; its picture is the largest form's.
struct Frame {
  std::vector<std::byte> pixels, result;
  TensorDesc desc;
  TensorView view;
  std::uint32_t slot;
  const Form* form;

  Frame(const Model& model, std::uint32_t at, const Form& of) : result(model.result_bytes()), slot(at), form(&of) {
    pixels.resize(picture_bytes(of.format, of.width, of.height), std::byte{100});
    desc = {.format = of.format, .rank = 2, .bytes = pixels.size(), .dims = {of.height, of.width}};
    view = {&desc, pixels.data()};
  }
  [[nodiscard]] JobIo io(const Model& model, const Variant& variant) {
    JobIo io;
    if (variant.segment == 0) io.inputs = {&view, 1};
    if (variant.segment > 0) io.slot_in_number = slot;
    if (variant.segment + 1U < model.segments.size()) io.slot_out_number = slot;
    if (variant.segment + 1U == model.segments.size()) io.result = result;
    return io;
  }
};

Launch launch_of(const Gpu& gpu, const Variant& variant, JobIo& io, std::uint32_t part = 0) {
  return {.accelerator = part, .model = &gpu.model, .variant = &variant, .expected = Duration{0}, .jobs = {&io, 1}};
}

// The same segment's graph, launched by hand: what no runtime can do without.
class BareGraph {
 public:
  BareGraph(const Gpu& gpu, const cuda::PlacedModel& placed, const models::Step& step, cuda::Recorder& recorder,
            cuda::Stream stream)
      : api_(*gpu.api), stream_(stream), placed_(placed), step_(step), recorder_(recorder) {
    void* memory = nullptr;
    require(api_.device_alloc(3 * (std::size_t{1} << 20), memory), "device memory");
    auto* const base = static_cast<std::byte*>(memory);
    from_ = base, to_ = base + (1 << 20);
    require(api_.device_alloc(sizeof(std::uint32_t), one_), "device memory");
    void* word = nullptr;
    require(api_.pinned_alloc(4096, word), "pinned memory");
    word_ = static_cast<std::uint32_t*>(word);
    *word_ = 1;
    require(api_.copy(one_, word_, sizeof(std::uint32_t), stream_), "copy");
    void* const host = static_cast<std::byte*>(word) + 64;
    ends_ = {.in = base + (2 << 20),
             .from = {&from_, 1},
             .to = {step.last ? &(to_ = host) : &to_, 1},
             .to_host = step.last,
             .one = one_,
             .word = word_};
    for (int i = 0; i < 3; ++i) run_eagerly();
    recording_ = require(recorder_.capture(placed_, step_, 1, ends_));
    require(api_.instantiate(recording_->graph(), stream_, exec_), "instantiate");
  }
  void launch() {
    std::atomic_ref(*word_).store(0, std::memory_order_relaxed);
    require(api_.launch(exec_, stream_), "launch");
  }
  void queue_eagerly() { require(recorder_.run(placed_, step_, 1, ends_)); }
  void run_eagerly() {
    queue_eagerly();
    require(api_.synchronize(stream_), "synchronize");
  }
  void wait() const {
    while (std::atomic_ref(*word_).load(std::memory_order_acquire) == 0) {
    }
  }

 private:
  cuda::Api& api_;
  cuda::Stream stream_;
  const cuda::PlacedModel& placed_;
  const models::Step& step_;
  cuda::Recorder& recorder_;
  const void* from_ = nullptr;
  void* to_ = nullptr;
  void* one_ = nullptr;
  std::uint32_t* word_ = nullptr;
  cuda::Ends ends_;
  std::unique_ptr<cuda::Recording> recording_;
  cuda::GraphExec exec_ = nullptr;
};

void show(const char* what, const bench::Quantiles& q) {
  std::printf("  %-44s p50 %8.2f us  p99 %8.2f us\n", what, q.p50 / 1e3, q.p99 / 1e3);
}
// As tools/gpu_check/README.md wants them.
void target(json& report, const char* name, const char* what, double value, double limit, const char* unit,
            bool at_least = false) {
  report["targets"].push_back(
      {{"name", name}, {"what", what}, {"value", value}, {"limit", limit}, {"unit", unit}, {"at_least", at_least}});
}
json as_json(const bench::Quantiles& q) {
  return {{"p50_us", q.p50 / 1e3}, {"p99_us", q.p99 / 1e3}};
}

// The bare side: graphs of all segments on a stream of the primary context, recorded on this thread.
struct Bare {
  std::unique_ptr<models::NativeModule> module;
  std::unique_ptr<models::BoundModel> bound;
  std::unique_ptr<cuda::PlacedModel> placed;
  std::unique_ptr<cuda::Recorder> recorder;
  cuda::Stream stream = nullptr;
  std::vector<std::unique_ptr<BareGraph>> graphs;

  Bare(const Gpu& gpu, int unit) {
    module = require(models::load_module(gpu.model));
    bound = std::make_unique<models::BoundModel>(require(models::BoundModel::bind(gpu.model, *module)));
    placed = require(gpu.engine->place(*bound, unit, Precision::half));
    require(gpu.api->make_stream(nullptr, 0, stream), "stream");
    recorder = require(gpu.engine->recorder(unit, stream));
    for (std::size_t n = 0; n < gpu.segments(); ++n)
      graphs.push_back(std::make_unique<BareGraph>(gpu, *placed, *bound->step(&gpu.segment(n)), *recorder, stream));
  }
};

// P14. The device is idle at every launch, so only the call is timed.
void launches(const Options& options, Gpu& gpu, Bare& bare, json& report) {
  Rounds rounds;
  Frame frame(gpu.model, 0, gpu.model.forms.front());
  const Variant& middle = gpu.segment(gpu.segments() / 2);
  BareGraph& graph = *bare.graphs[gpu.segments() / 2];
  JobIo io = frame.io(gpu.model, middle);
  for (int round = 0; round < options.rounds; ++round) {
    Samples limit, lane, eager;
    for (int turn = 0; turn < options.turns; ++turn) {
      limit.push_back(nanoseconds([&] { graph.launch(); }));
      graph.wait();
      const Launch launch = launch_of(gpu, middle, io);
      lane.push_back(nanoseconds([&] { require(gpu.driver->launch(launch)); }));
      require(gpu.driver->await(kNever));
      eager.push_back(nanoseconds([&] { graph.queue_eagerly(); }));
      require(gpu.api->synchronize(bare.stream), "synchronize");
    }
    rounds.add("bare", limit), rounds.add("lane", lane), rounds.add("eager", eager);
  }
  std::printf("\nP14: CPU time to launch a captured segment (targets: 1.3x bare, 0.1x eager)\n");
  show("bare cudaGraphLaunch", rounds.of("bare"));
  show("lane", rounds.of("lane"));
  show("libtorch, eager", rounds.of("eager"));
  const double of_bare = rounds.ratio("lane", "bare").p50, of_eager = rounds.ratio("lane", "eager").p50;
  std::printf("  lane / bare %.2f, lane / eager %.3f\n", of_bare, of_eager);
  target(report, "P14 a", "CPU time of a lane's launch over a bare cudaGraphLaunch, p50", of_bare, 1.3, "x");
  target(report, "P14 b", "the same over libtorch's eager launch, p50", of_eager, 0.1, "x");
  report["figures"].push_back({{"title", "CPU time to launch a segment, p50"},
                               {"unit", "us"},
                               {"bars",
                                {{"bare graph", rounds.of("bare").p50 / 1e3},
                                 {"lane", rounds.of("lane").p50 / 1e3},
                                 {"eager", rounds.of("eager").p50 / 1e3}}}});
  report["launch"] = {{"bare", as_json(rounds.of("bare"))},
                      {"lane", as_json(rounds.of("lane"))},
                      {"eager", as_json(rounds.of("eager"))}};
}

// All segments of a frame, the next one launched while the one before runs.
void run_chain(Gpu& gpu, Frame& frame, std::size_t begin) {
  std::array<JobIo, 8> ios;
  std::size_t launched = 0;
  const std::size_t count = gpu.segments() - begin;
  for (std::size_t ended = 0; ended < count; ++ended) {
    for (; launched < count && launched - ended < 2; ++launched) {
      const Variant& variant = gpu.segment(begin + launched);
      ios[launched] = frame.io(gpu.model, variant);
      require(gpu.driver->launch(launch_of(gpu, variant, ios[launched])));
    }
    require(gpu.driver->await(kNever));
  }
}

// P15. From the second segment on: the first takes pixels.
void chains(const Options& options, Gpu& gpu, Bare& bare, json& report) {
  Rounds rounds;
  Frame frame(gpu.model, 0, gpu.model.forms.front());
  const std::size_t boundaries = gpu.segments() - 2;
  for (int round = 0; round < options.rounds; ++round) {
    Samples limit, lane;
    for (int turn = 0; turn < options.turns; ++turn) {
      limit.push_back(nanoseconds([&] {
        for (std::size_t n = 1; n < bare.graphs.size(); ++n) bare.graphs[n]->launch();
        bare.graphs.back()->wait();
      }));
      lane.push_back(nanoseconds([&] { run_chain(gpu, frame, 1); }));
    }
    rounds.add("bare", limit), rounds.add("lane", lane);
  }
  const double gap =
      (rounds.of("lane").p50 - rounds.of("bare").p50) / 1e3 / static_cast<double>(std::max<std::size_t>(boundaries, 1));
  const double throughput = 1 / rounds.ratio("lane", "bare").p50;
  std::printf("\nP15: segments one behind the other (targets: 10 us more a boundary, 0.97x throughput)\n");
  show("bare chain of graphs", rounds.of("bare"));
  show("lane, two under way", rounds.of("lane"));
  std::printf("  more at a boundary %.2f us, throughput %.3fx\n", gap, throughput);
  target(report, "P15 a", "more idle time at a segment boundary than in a bare chain of graphs", gap, 10, "us");
  target(report, "P15 b", "throughput over a bare chain", throughput, 0.97, "x", true);
  report["chain"] = {{"bare", as_json(rounds.of("bare"))}, {"lane", as_json(rounds.of("lane"))}};
}

// From pixels in registered memory to the answer in the client's, over the time of the graphs alone.
void frames(const Options& options, Gpu& gpu, Bare& bare, json& report) {
  std::printf("\nA frame from pixels to its answer, over the network's own graphs (target for CIFAR: 150 us more)\n");
  for (const Form& form : gpu.model.forms) {
    Frame frame(gpu.model, 0, form);
    require(gpu.driver->map_pool(frame.pixels, false));
    const Variant& preprocess = gpu.model.variant(form.variant);
    Rounds rounds;
    for (int round = 0; round < options.rounds; ++round) {
      Samples limit, whole;
      for (int turn = 0; turn < options.turns / 2; ++turn) {
        limit.push_back(nanoseconds([&] {
          for (auto& graph : bare.graphs) graph->launch();
          bare.graphs.back()->wait();
        }));
        whole.push_back(nanoseconds([&] {
          JobIo io = frame.io(gpu.model, preprocess);
          require(gpu.driver->run(launch_of(gpu, preprocess, io)));
          run_chain(gpu, frame, 0);
        }));
      }
      rounds.add("graphs", limit), rounds.add("frame", whole);
    }
    const double more = (rounds.of("frame").p50 - rounds.of("graphs").p50) / 1e3;
    show((form.name + ", graphs alone").c_str(), rounds.of("graphs"));
    show((form.name + ", frame").c_str(), rounds.of("frame"));
    std::printf("  more %.1f us\n", more);
    if (form.width == 32 && form.format == PictureFormat::rgb)
      target(report, "frame", "a CIFAR frame from pixels to answer over its graphs' own time", more, 150, "us");
    report["frames"].push_back({{"form", form.name},
                                {"graphs", as_json(rounds.of("graphs"))},
                                {"frame", as_json(rounds.of("frame"))},
                                {"more_us", more}});
    gpu.driver->unmap_pool(frame.pixels);
  }
}

// P17. Launch to end of a short segment in its part, alone and beside a lane that never stops in the other part.
Samples hard_turns(Gpu& gpu, Frame& frame, int turns) {
  const Variant& last = gpu.segment(gpu.segments() - 1);
  JobIo io = frame.io(gpu.model, last);
  Samples samples;
  for (int turn = 0; turn < turns; ++turn) {
    samples.push_back(nanoseconds([&] { require(gpu.driver->run(launch_of(gpu, last, io, 0))); }));
    std::this_thread::sleep_for(std::chrono::microseconds(300));
  }
  return samples;
}

// `soft_part`: where the other lane works.
void isolation(const Options& options, const char* name, const std::vector<int>& parts, std::uint32_t soft_part,
               double limit, json& report) {
  auto* const gpu = new Gpu(options, parts);  // graphs live as long as the process
  std::atomic<bool> ready{false}, loaded{false}, stop{false};
  std::thread soft([&] {
    gpu->enter(soft_part, Criticality::soft);
    Frame frame(gpu->model, 8, gpu->model.forms.front());
    const Variant& big = gpu->segment(1);
    ready = true;
    while (!loaded) std::this_thread::yield();
    while (!stop) {
      JobIo io = frame.io(gpu->model, big);
      require(gpu->driver->run(launch_of(*gpu, big, io, soft_part)));
    }
  });
  while (!ready) std::this_thread::yield();
  gpu->enter(0, Criticality::hard);
  Frame frame(gpu->model, 0, gpu->model.forms.front());
  const bench::Quantiles alone = bench::quantiles(hard_turns(*gpu, frame, options.turns * 4));
  loaded = true;
  const bench::Quantiles beside = bench::quantiles(hard_turns(*gpu, frame, options.turns * 4));
  stop = true;
  soft.join();
  std::printf("\nP17 (%s): a hard segment, launch to end\n", name);
  show("alone", alone);
  show("beside a saturating soft lane", beside);
  std::printf("  p99 %.2fx\n", beside.p99 / alone.p99);
  if (limit > 0)
    target(report, "P17", "hard launch to end beside a saturating soft lane over alone, p99", beside.p99 / alone.p99,
           limit, "x");
  report["figures"].push_back({{"title", std::string("Hard launch to end, p99, ") + name},
                               {"unit", "us"},
                               {"bars", {{"alone", alone.p99 / 1e3}, {"beside soft", beside.p99 / 1e3}}}});
}

int run(const Options& options) {
  json report{{"machine", bench::describe_machine()}};
  bench::print_machine(report["machine"]);
  auto* const gpu = new Gpu(options, {0});  // graphs live as long as the process
  gpu->enter(0, Criticality::soft);
  auto* const bare = new Bare(*gpu, options.unit);
  launches(options, *gpu, *bare, report);
  chains(options, *gpu, *bare, report);
  frames(options, *gpu, *bare, report);
  bench::save(options.json, report);
  isolation(options, "in parts of 32 multiprocessors and the rest", {32, 0}, 1, 1.5, report);
  isolation(options, "in one part, by stream priority", {0}, 0, 0, report);
  bench::save(options.json, report);
  std::fflush(nullptr);
  std::_Exit(0);  // graphs and contexts are the process's to free
}

}  // namespace
}  // namespace takt

int main(int argc, char** argv) {
  CLI::App app("What a lane adds to CUDA itself: launches, chains, frames; a hard lane beside a saturating soft one.");
  takt::Options options;
  app.add_option("--json", options.json, "write the figures here as well");
  app.add_option("--model", options.model, "folder of the model");
  app.add_option("--unit", options.unit, "number of the GPU");
  app.add_option("--rounds", options.rounds)->check(CLI::Range(1, 1000));
  app.add_option("--turns", options.turns, "of each series in a round")->check(CLI::Range(10, 1000000));
  CLI11_PARSE(app, argc, argv);
  return takt::run(options);
}
