// `takt-train slim`: the order of things, progress and the end by signal.
#include "takt_train/slim.hpp"

#include <ATen/Parallel.h>

#include <algorithm>
#include <array>
#include <chrono>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <span>
#include <string>
#include <system_error>
#include <utility>
#include <vector>

#include "takt_train/cifar100.hpp"
#include "takt_train/device.hpp"
#include "takt_train/slim_calibrate.hpp"
#include "takt_train/slim_checkpoint.hpp"
#include "takt_train/slim_report.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::train {
namespace {

using Seconds = std::chrono::duration<double>;
using std::chrono::steady_clock;

// Losses are read that often: on CUDA reading waits for all queued steps.
constexpr int64_t kStepsPerReport = 20;
constexpr double kLineEvery_s = 5;
// Measuring is not resumable; it starts only with this share of --stop-after before it.
constexpr double kShareToMeasure = 0.25;

// A signal handler can reach nothing but a global of this type.
volatile std::sig_atomic_t stop_asked = 0;

void ask_to_stop(int) {
  stop_asked = 1;
}

double seconds_since(steady_clock::time_point start) {
  return Seconds(steady_clock::now() - start).count();
}

bool report(const char* what, const Error& error) {
  std::fprintf(stderr, "takt-train: %s: %s (%s, %ld)\n", what, error.text, to_string(error.code), error.vendor);
  return false;
}

// "1 h 05 min", "12.5 min".
std::string duration(double seconds) {
  std::array<char, 64> text{};
  const auto minutes = static_cast<int64_t>(seconds / 60);
  if (minutes >= 60) {
    std::snprintf(text.data(), text.size(), "%ld h %02ld min", minutes / 60, minutes % 60);
  } else {
    std::snprintf(text.data(), text.size(), "%.1f min", seconds / 60);
  }
  return text.data();
}

// Figures of the steps since the last line, one line every few seconds.
class Progress {
 public:
  explicit Progress(int64_t step) : since_step_(step) {}

  void note(const SlimTrainer& trainer, const SlimOptions& options, const SlimTrainer::Report& report, bool last) {
    const int64_t at = trainer.state().step;
    const double passed_s = seconds_since(since_);
    if (at == since_step_ || (passed_s < kLineEvery_s && !last)) {
      return;
    }
    const double rate = static_cast<double>(at - since_step_) / passed_s;
    const double epochs = static_cast<double>(at) / static_cast<double>(trainer.steps_per_epoch());
    std::printf("epoch %.2f of %ld, step %ld of %ld, loss %.3f, top1 %.1f %%, %.0f images/s, %s left\n", epochs,
                options.epochs, at, trainer.total_steps(), report.loss, 100 * report.accuracy,
                rate * static_cast<double>(options.batch),
                duration(static_cast<double>(trainer.total_steps() - at) / rate).c_str());
    std::fflush(stdout);
    since_step_ = at;
    since_ = steady_clock::now();
  }

 private:
  int64_t since_step_;
  steady_clock::time_point since_ = steady_clock::now();
};

bool save(const SlimOptions& options, const SlimTrainer& trainer) {
  if (const auto written = write_checkpoint(options, trainer.state()); !written) {
    return report("checkpoint", written.error());
  }
  std::printf("checkpoint at step %ld\n", trainer.state().step);
  std::fflush(stdout);
  return true;
}

bool time_is_up(const SlimOptions& options, steady_clock::time_point start, double share = 1) {
  return options.stop_after_s > 0 && seconds_since(start) >= share * options.stop_after_s;
}

// False, after saying so, if the loss of the steps since the last report is none: what they trained is lost.
bool converges(const SlimTrainer& trainer, const SlimTrainer::Report& report) {
  if (report.loss < 1e6) {  // NaN is not
    return true;
  }
  std::fprintf(stderr, "takt-train: the loss diverged before step %ld; lower --learning-rate\n", trainer.state().step);
  return false;
}

// False after an error; a signal or the clock ends the loop like the last step does.
bool train(const SlimOptions& options, SlimTrainer& trainer, steady_clock::time_point start) {
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  Progress progress(trainer.state().step);
  auto saved = steady_clock::now();
  bool ending = trainer.done();
  while (!ending) {
    trainer.step();
    ending = trainer.done() || stop_asked != 0 || time_is_up(options, start);
    const bool save_now = ending || seconds_since(saved) >= options.checkpoint_every_s;
    if (save_now || trainer.state().step % kStepsPerReport == 0) {
      const auto report = trainer.report();
      if (!converges(trainer, report)) {
        return false;
      }
      progress.note(trainer, options, report, ending);
    }
    if (save_now) {
      if (!save(options, trainer)) {
        return false;
      }
      saved = steady_clock::now();
    }
  }
  return true;
}

// Tells what is under way; it may take minutes.
void tell(const char* what) {
  std::printf("%s\n", what);
  std::fflush(stdout);
}

bool complain(const std::string& text) {
  std::fprintf(stderr, "takt-train: %s\n", text.c_str());
  return false;
}

// In single precision, with the weights as the file will hold them.
bool measure(const SlimOptions& options, const TrainingState& state, const Cifar100& training) {
  const auto test = Cifar100::read_test(options.data);
  if (!test) {
    return complain(test.error().to_string());
  }
  allow_tf32(false);
  std::vector<int64_t> indices(static_cast<std::size_t>(std::max(training.size(), test->size())));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  const std::span<const int64_t> all(indices);
  const auto kept = static_cast<std::size_t>(training.size() - options.held_out);

  auto weights = models::slim::rounded_to_half(state.weights);
  tell("calibrating batch norm");
  calibrate(weights, training, all.first(kept), options.seed);
  tell("measuring the subnets");
  const models::SlimResNet network(weights);
  Measured measured;
  measured.steps = state.step;
  measured.held_out = measure_subnets(network, training, all.subspan(kept, static_cast<std::size_t>(options.held_out)));
  measured.test =
      measure_uniform(network, test->to(training.device()), all.first(static_cast<std::size_t>(test->size())));
  tell(describe(options, measured).c_str());
  if (options.write_model.empty()) {
    return true;
  }
  const auto written = write_model(options, weights, measured);
  return written.has_value() || report("model", written.error());
}

Result<TrainingState> begin(SlimOptions& options) {
  std::error_code failed;
  std::filesystem::create_directories(options.out, failed);
  if (failed) {
    return fail(Code::system, "cannot create the folder of the checkpoint", failed.value());
  }
  const bool there = std::filesystem::exists(checkpoint_path(options), failed);
  if (options.evaluate || (options.resume && there)) {
    return read_checkpoint(options);
  }
  if (there) {
    return fail(Code::already_exists, "there is a checkpoint already: give --resume, or remove it");
  }
  return TrainingState{models::slim::make_weights(options.base_width, options.seed), {}, 0};
}

// Trains and measures on what is open by now.
bool run(const SlimOptions& options, const Cifar100& training, TrainingState state, steady_clock::time_point start) {
  allow_tf32(options.precision == "tf32");
  std::printf("on %s in %s, from step %ld\n", options.device.c_str(), options.precision.c_str(), state.step);
  std::fflush(stdout);
  SlimTrainer trainer(options, training, std::move(state));
  const bool was_done = trainer.done();
  if (!options.evaluate && !train(options, trainer, start)) {
    return false;
  }
  if (!options.evaluate && (!trainer.done() || options.write_model.empty())) {
    return true;
  }
  if (!was_done && !options.evaluate && time_is_up(options, start, 1 - kShareToMeasure)) {
    tell("trained; the same command with --resume measures and writes the model");
    return true;
  }
  return measure(options, trainer.state(), training);
}

}  // namespace

int run_slim(const SlimOptions& asked) {
  const auto start = steady_clock::now();
  SlimOptions options = asked;
  if (options.base_width % 4 != 0) {
    return complain("--base-width must be a multiple of 4"), 1;
  }
  const auto device = open_device(options.device);
  if (!device) {
    return complain(device.error()), 1;
  }
  auto precision = choose_precision(options.precision, *device);
  if (!precision) {
    return complain(precision.error()), 1;
  }
  options.precision = *precision;
  at::set_num_threads(options.threads);
  if (options.try_algorithms) {
    try_algorithms();
  }
  const auto training = Cifar100::read_training(options.data);
  if (!training) {
    return complain(training.error().to_string()), 1;
  }
  auto state = begin(options);
  if (!state) {
    return report(checkpoint_path(options).c_str(), state.error()), 1;
  }
  if (options.held_out + options.batch > training->size()) {
    return complain("--held-out leaves less than one batch to train on"), 1;
  }
  return run(options, training->to(*device), std::move(*state), start) ? 0 : 1;
}

}  // namespace takt::train
