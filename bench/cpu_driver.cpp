// What the cpu driver adds to the bare network (P18), what batches gain, what a first run costs, what preprocessing
// costs. Every figure is a ratio within one run: both sides are measured in turns, the median of each round, then of
// the rounds.
#include <ATen/core/Tensor.h>
#include <ATen/ops/from_blob.h>
#include <c10/core/InferenceMode.h>
#include <dlfcn.h>
#include <malloc.h>
#include <torch/version.h>

#include <CLI/CLI.hpp>
#include <algorithm>
#include <array>
#include <chrono>
#include <cstdio>
#include <cstring>
#include <deque>
#include <filesystem>
#include <functional>
#include <latch>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "files/model_file.hpp"
#include "host/segment_runner.hpp"
#include "slim_resnet/network.hpp"
#include "support/machine.hpp"
#include "takt/driver.hpp"
#include "wire/ring_ops.hpp"

namespace takt::bench {
namespace {

constexpr int kRounds = 9;
constexpr int kWidths = models::slim::kWidths;
constexpr std::array kWidthNames{"0.25", "0.5", "0.75", "1"};

using nlohmann::json;
using Work = std::function<void()>;

double microseconds(const Work& work) {
  const auto begin = std::chrono::steady_clock::now();
  work();
  return std::chrono::duration<double, std::micro>(std::chrono::steady_clock::now() - begin).count();
}

// The q-quantile.
double quantile(std::vector<double> values, double q) {
  std::sort(values.begin(), values.end());
  return values[std::min(values.size() - 1, static_cast<std::size_t>(q * static_cast<double>(values.size())))];
}

struct Times {
  double p50 = 0, p99 = 0;  // microseconds
};

// The works run in turns; of each the median over kRounds of the quantiles within a round.
std::vector<Times> interleaved(const std::vector<Work>& works, int turns) {
  std::vector<std::vector<double>> p50(works.size()), p99(works.size());
  for (int round = 0; round < kRounds; ++round) {
    std::vector<std::vector<double>> times(works.size());
    for (int turn = 0; turn < turns; ++turn)
      for (std::size_t w = 0; w < works.size(); ++w) times[w].push_back(microseconds(works[w]));
    for (std::size_t w = 0; w < works.size(); ++w) {
      p50[w].push_back(quantile(times[w], 0.5));
      p99[w].push_back(quantile(times[w], 0.99));
    }
  }
  std::vector<Times> result;
  for (std::size_t w = 0; w < works.size(); ++w) result.push_back({quantile(p50[w], 0.5), quantile(p99[w], 0.5)});
  return result;
}

// A driver as the executor holds it, with jobs of its own.
class Rig {
 public:
  explicit Rig(const Model& model)
      : model_(&model), slots_(kMaxBatch, std::vector<float>(kSlotValues)), pixels_(kPixelBytes, 100) {
    const std::filesystem::path here = std::filesystem::read_symlink("/proc/self/exe").parent_path();
    void* const module = ::dlopen((here / "../lib/takt-driver-cpu.so").c_str(), RTLD_NOW | RTLD_LOCAL);
    TAKT_CHECK(module != nullptr);
    driver_ = static_cast<const DriverEntry*>(::dlsym(module, kDriverSymbol))->make();
    require(driver_->open(0, {.name = "cpu0", .cores = {}, .threads = 1}));
    require(driver_->load(model));
    require(driver_->enter(0, Criticality::soft));
    for (auto& result : results_) result.resize(model.result_bytes());
  }

  // The launch, and everything between the broker's post and its pop, on one thread: no waking, only work.
  void run_through_rings(const Variant& variant, std::size_t batch) {
    wire::StartEntry& entry = producer_.entry();
    entry.count = static_cast<std::uint16_t>(batch);
    (void)producer_.publish(++sequence_);
    const wire::StartEntry* const claimed = consumer_.try_claim();
    TAKT_CHECK(claimed != nullptr);
    wire::CompletionEntry* const out = completions_.entry();
    out->metrics = {};
    run(variant, claimed->count, out->metrics);
    out->sequence = consumer_.sequence();
    out->count = claimed->count;
    completions_.publish();
    TAKT_CHECK(popper_.pop(popped_) == wire::CompletionConsumer::Pop::entry && producer_.finish(popped_.sequence));
  }
  void run(const Variant& variant, std::size_t batch, std::span<std::array<float, kMaxMetrics>> metrics) {
    const bool last = variant.segment + std::size_t{1} == model_->segments.size();
    for (std::size_t i = 0; i < batch; ++i) {
      auto* slot = reinterpret_cast<std::byte*>(slots_[i].data());
      jobs_[i] = {.inputs = {}, .slot_in = slot, .slot_out = slot, .result = {}, .metrics = nullptr};
      if (variant.segment == 0) jobs_[i].inputs = {&view_, 1};
      if (last) jobs_[i].result = results_[i];
      if (last) jobs_[i].metrics = metrics[i].data();
    }
    require(driver_->run({.model = model_, .variant = &variant, .jobs = std::span(jobs_).first(batch)}));
  }
  void show(const Form& form) {
    desc_.format = form.format;
    desc_.rank = 2;
    desc_.dims = {form.height, form.width};
    desc_.bytes = picture_bytes(form.format, form.width, form.height);
  }
  void enter_here() { require(driver_->enter(0, Criticality::hard)); }
  [[nodiscard]] std::span<const std::uint8_t> pixels() const { return std::span(pixels_).first(desc_.bytes); }

 private:
  static constexpr std::size_t kSlotValues = std::size_t{1} << 20;
  static constexpr std::size_t kPixelBytes = std::size_t{3840} * 2160 * 3;

  template <class T>
  static void require(const Result<T>& result) {
    if (!result) give_up(result.error().text);
  }

  const Model* model_;
  std::unique_ptr<Driver> driver_;
  std::vector<std::vector<float>> slots_;
  std::array<std::vector<std::byte>, kMaxBatch> results_;
  std::array<JobIo, kMaxBatch> jobs_;
  std::vector<std::uint8_t> pixels_;
  TensorDesc desc_;
  TensorView view_{&desc_, reinterpret_cast<const std::byte*>(pixels_.data())};
  std::unique_ptr<wire::LaneRings> rings_ = std::make_unique<wire::LaneRings>();
  wire::StartProducer producer_{rings_->start};
  wire::StartConsumer consumer_{rings_->start};
  wire::CompletionProducer completions_{rings_->completion};
  wire::CompletionConsumer popper_{rings_->completion};
  wire::CompletionEntry popped_;
  std::uint64_t sequence_ = 0;
};

const Variant& variant_of(const Model& model, int segment, int width) {
  for (const Variant& v : model.variants)
    if (v.segment == segment && v.width_out == width && (segment == 1 || v.width_in == width)) return v;
  TAKT_CHECK(!"no such variant");
  return model.variants[0];
}

// The network on a tensor that lies ready: what no driver can do without.
Work bare_forward(const models::SlimResNet& network, int segment, int width, std::int64_t batch) {
  const auto [channels, height, side] = network.activation_shape(segment - 1, width);
  auto values = std::make_shared<std::vector<float>>(static_cast<std::size_t>(batch * channels * height * side), 0.5F);
  const at::Tensor input = at::from_blob(values->data(), {batch, height, side, channels}).permute({0, 3, 1, 2});
  return [&network, segment, width, values, input] {
    const c10::InferenceMode inference;
    const at::Tensor output = network.run(segment, width, width, input);
    asm volatile("" : : "r"(output.data_ptr()) : "memory");
  };
}

void overhead(Rig& rig, const Model& model, const models::SlimResNet& network, json& report) {
  std::printf(
      "\nP18: a segment from post over claim and driver to completion, against the bare forward; limit 5 us + 2 %%\n");
  std::printf("%-8s %-6s %5s | %9s %9s %9s %9s | %9s %9s\n", "segment", "width", "batch", "bare p50", "driver", "added",
              "of limit", "bare p99", "driver");
  for (const std::size_t batch : {std::size_t{1}, std::size_t{8}})
    for (int segment = 1; segment <= models::slim::kSegments; ++segment)
      for (int width = 0; width < kWidths; ++width) {
        const Variant& variant = variant_of(model, segment, width);
        const auto us = interleaved({bare_forward(network, segment, width, static_cast<std::int64_t>(batch)),
                                     [&] { rig.run_through_rings(variant, batch); }},
                                    batch == 1 ? 100 : 30);
        const double added = us[1].p50 - us[0].p50, of_limit = added / (5 + 0.02 * us[0].p50);
        const std::string& name = model.segments[variant.segment].name;
        const char* const width_name = kWidthNames[static_cast<std::size_t>(width)];
        std::printf("%-8s %-6s %5zu | %9.1f %9.1f %9.1f %8.0f%% | %9.1f %9.1f\n", name.c_str(), width_name, batch,
                    us[0].p50, us[1].p50, added, 100 * of_limit, us[0].p99, us[1].p99);
        report["overhead"].push_back({{"segment", name},
                                      {"width", width_name},
                                      {"batch", batch},
                                      {"bare_us", us[0].p50},
                                      {"driver_us", us[1].p50},
                                      {"of_limit", of_limit},
                                      {"bare_p99_us", us[0].p99},
                                      {"driver_p99_us", us[1].p99}});
      }
}

void batch_gain(Rig& rig, const Model& model, json& report) {
  constexpr std::array<std::size_t, 5> kBatches{1, 2, 4, 8, 16};
  std::printf(
      "\nBatch gain: frames/s of all four segments over those at batch 1, same width throughout; target 1.3x at 8\n");
  std::printf("%-6s %12s %8s %8s %8s %8s\n", "width", "us at 1", "2", "4", "8", "16");
  for (int width = 0; width < kWidths; ++width) {
    std::vector<Work> works;
    for (const std::size_t batch : kBatches)
      works.emplace_back([&, width, batch] {
        for (int segment = 1; segment <= models::slim::kSegments; ++segment)
          rig.run_through_rings(variant_of(model, segment, width), batch);
      });
    const auto us = interleaved(works, 15);
    const char* const width_name = kWidthNames[static_cast<std::size_t>(width)];
    std::printf("%-6s %12.1f", width_name, us[0].p50);
    for (std::size_t b = 1; b < kBatches.size(); ++b) {
      const double gain = us[0].p50 * static_cast<double>(kBatches[b]) / us[b].p50;
      std::printf(" %7.2fx", gain);
      report["batch_gain"].push_back({{"width", width_name}, {"batch", kBatches[b]}, {"gain", gain}});
    }
    std::printf("\n");
  }
}

// The first run of each (variant, batch) on a worker that has just entered, over the median of its next five.
std::vector<double> first_over_later(Rig& rig, const Model& model) {
  std::vector<double> ratios;
  for (const Variant& variant : model.variants) {
    if (variant.form >= 0) continue;
    for (const std::size_t batch : {1U, 2U, 4U, 8U}) {
      const Work work = [&] { rig.run_through_rings(variant, batch); };
      const double first = microseconds(work);
      std::vector<double> later;
      for (int i = 0; i < 5; ++i) later.push_back(microseconds(work));
      ratios.push_back(first / quantile(later, 0.5));
    }
  }
  return ratios;
}

void first_runs(Rig& rig, const Model& model, json& report) {
  // One new thread a round, one after the other; all live to the end, so that none inherits another's memory.
  std::vector<std::vector<double>> rounds(kRounds);
  std::latch over(1);
  std::deque<std::latch> ended;
  std::vector<std::jthread> threads;
  for (auto& round : rounds) {
    std::latch& done = ended.emplace_back(1);
    threads.emplace_back([&rig, &model, &round, &done, &over] {
      rig.enter_here();
      round = first_over_later(rig, model);
      done.count_down();
      over.wait();
    });
    done.wait();
  }
  over.count_down();
  std::vector<double> medians;
  for (std::size_t i = 0; i < rounds[0].size(); ++i) {
    std::vector<double> of_one;
    for (const auto& round : rounds) of_one.push_back(round[i]);
    medians.push_back(quantile(of_one, 0.5));
  }
  const double p50 = quantile(medians, 0.5), p99 = quantile(medians, 0.99), most = quantile(medians, 1);
  std::printf(
      "\nFirst run of a new worker over its later ones, median of %d workers, %zu (variant, batch): p50 %.2fx p99 "
      "%.2fx "
      "max %.2fx; limit 10x\n",
      kRounds, medians.size(), p50, p99, most);
  report["first_run"] = {{"p50", p50}, {"p99", p99}, {"max", most}};
}

void preprocessing(Rig& rig, const Model& model, json& report) {
  std::printf("\nPreprocessing to %ux%u, batch 1, against reading every byte of the picture once\n",
              model.normalise.width, model.normalise.height);
  std::array<std::array<float, kMaxMetrics>, 1> metrics{};
  for (const Form& form : model.forms) {
    rig.show(form);
    const Work read = [&] {
      std::uint64_t sum = 0;
      const auto pixels = rig.pixels();
      for (std::size_t i = 0; i + 8 <= pixels.size(); i += 8) {
        std::uint64_t word = 0;
        std::memcpy(&word, pixels.data() + i, 8);
        sum += word;
      }
      asm volatile("" : : "r"(sum));
    };
    const auto us = interleaved({read, [&] { rig.run(model.variant(form.variant), 1, metrics); }}, 40);
    std::printf("%-16s read %8.1f us  preprocess p50 %8.1f us p99 %8.1f us  %5.2fx\n", form.name.c_str(), us[0].p50,
                us[1].p50, us[1].p99, us[1].p50 / us[0].p50);
    report["preprocessing"].push_back({{"form", form.name}, {"read_us", us[0].p50}, {"preprocess_us", us[1].p50}});
  }
}

int run(const std::string& folder, const std::string& file) {
  const auto model = files::read_model(folder, VariantId{0U});
  if (!model) give_up(model.error().to_string());
  Rig rig(*model);
  const auto network = models::SlimResNet::load(std::filesystem::path(folder) / model->weights);
  if (!network) give_up(network.error().text);
  models::use_threads(1);
  json report = {{"program", "cpu_driver"},
                 {"rounds", kRounds},
                 {"libtorch", TORCH_VERSION},
                 {"model", folder},
                 {"base_width", (*network)->base_width()},
                 {"machine", describe_machine()}};
  print_machine(report["machine"]);
  std::printf("libtorch %s, one thread, base width %d, median of %d rounds\n", TORCH_VERSION,
              static_cast<int>((*network)->base_width()), kRounds);
  first_runs(rig, *model, report);
  preprocessing(rig, *model, report);
  overhead(rig, *model, **network, report);
  batch_gain(rig, *model, report);
  save(file, report);
  return 0;
}

}  // namespace
}  // namespace takt::bench

int main(int argc, char** argv) {
  // As the broker sets it for executors: memory of tensors is kept, not given back and faulted in again.
  mallopt(M_MMAP_MAX, 0);
  mallopt(M_TRIM_THRESHOLD, -1);
  mallopt(M_TOP_PAD, 64 << 20);
  std::string folder = TAKT_SOURCE_DIR "/models/slim_resnet", json;
  CLI::App app{
      "What the cpu driver adds to the bare network (P18), what batches gain, what first runs and pictures cost."};
  app.add_option("--model", folder, "folder of a slim_resnet model")->capture_default_str();
  app.add_option("--json", json, "also write the figures to this file");
  CLI11_PARSE(app, argc, argv);
  return takt::bench::run(folder, json);
}
