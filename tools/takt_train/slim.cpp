// `takt-train slim`: the order of things, progress and the end by signal.
#include "takt_train/slim.hpp"

#include <ATen/Parallel.h>

#include <chrono>
#include <csignal>
#include <cstdio>
#include <numeric>
#include <span>
#include <system_error>
#include <utility>
#include <vector>

#include "takt_train/cifar100.hpp"
#include "takt_train/slim_calibrate.hpp"
#include "takt_train/slim_checkpoint.hpp"
#include "takt_train/slim_report.hpp"
#include "takt_train/slim_trainer.hpp"

namespace takt::train {
namespace {

using Seconds = std::chrono::duration<double>;
using std::chrono::steady_clock;

constexpr int64_t kStepsPerLine = 20;

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

// Smoothed figures of the run, one line every few steps.
class Progress {
 public:
  void note(const SlimTrainer& trainer, const SlimOptions& options, const SlimTrainer::Report& step) {
    loss_ += step.loss;
    accuracy_ += step.accuracy;
    ++steps_;
    if (steps_ < kStepsPerLine && !trainer.done()) {
      return;
    }
    const double rate = static_cast<double>(steps_) / seconds_since(since_);
    const int64_t at = trainer.state().step;
    const double left_min = static_cast<double>(trainer.total_steps() - at) / rate / 60;
    const double count = static_cast<double>(steps_);
    std::printf("epoch %ld/%ld step %ld/%ld loss %.3f top1 %.1f %% %.0f img/s ETA %.1f min\n",
                (at - 1) / trainer.steps_per_epoch() + 1, options.epochs, at, trainer.total_steps(), loss_ / count,
                100 * accuracy_ / count, rate * static_cast<double>(options.batch), left_min);
    std::fflush(stdout);
    *this = Progress();
  }

 private:
  double loss_ = 0;
  double accuracy_ = 0;
  int64_t steps_ = 0;
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

// False after an error; a signal ends the loop like the last step does.
bool train(const SlimOptions& options, SlimTrainer& trainer) {
  std::signal(SIGINT, ask_to_stop);
  std::signal(SIGTERM, ask_to_stop);
  Progress progress;
  auto saved = steady_clock::now();
  while (!trainer.done() && stop_asked == 0) {
    const auto step = trainer.step();
    if (!(step.loss < 1e6)) {  // NaN included
      std::fprintf(stderr, "takt-train: the loss diverged at step %ld; lower --learning-rate\n", trainer.state().step);
      return false;
    }
    progress.note(trainer, options, step);
    if (seconds_since(saved) >= options.checkpoint_every_s) {
      if (!save(options, trainer)) {
        return false;
      }
      saved = steady_clock::now();
    }
  }
  return save(options, trainer);
}

bool measure(const SlimOptions& options, const TrainingState& state, const Cifar100& training) {
  const auto test = Cifar100::read_test(options.data);
  if (!test) {
    std::fprintf(stderr, "takt-train: %s\n", test.error().to_string().c_str());
    return false;
  }
  const at::Device device(options.device);
  std::vector<int64_t> indices(static_cast<std::size_t>(training.size()));
  std::iota(indices.begin(), indices.end(), int64_t{0});
  const auto kept = static_cast<std::size_t>(training.size() - options.held_out);
  const std::span<const int64_t> all(indices);

  auto weights = models::slim::to_device(state.weights, device);
  std::printf("calibrating batch norm\n");
  std::fflush(stdout);
  calibrate(weights, training, all.first(kept), options.seed);
  std::printf("measuring the subnets\n");
  std::fflush(stdout);
  const models::SlimResNet network(weights);
  Measured measured;
  measured.steps = state.step;
  measured.held_out = measure_subnets(network, device, training, all.subspan(kept));
  measured.test = measure_uniform(network, device, *test, all.first(static_cast<std::size_t>(test->size())));
  std::printf("%s", describe(options, measured).c_str());
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
  if (options.resume || options.evaluate) {
    return read_checkpoint(options);
  }
  if (std::filesystem::exists(checkpoint_path(options), failed)) {
    return fail(Code::already_exists, "there is a checkpoint already: give --resume, or remove it");
  }
  return TrainingState{models::slim::make_weights(options.base_width, options.seed), {}, 0};
}

}  // namespace

int run_slim(const SlimOptions& asked) {
  SlimOptions options = asked;
  if (options.base_width % 4 != 0) {
    std::fprintf(stderr, "takt-train: --base-width must be a multiple of 4\n");
    return 1;
  }
  at::set_num_threads(options.threads);
  const auto training = Cifar100::read_training(options.data);
  if (!training) {
    std::fprintf(stderr, "takt-train: %s\n", training.error().to_string().c_str());
    return 1;
  }
  auto state = begin(options);
  if (!state) {
    report(checkpoint_path(options).c_str(), state.error());
    return 1;
  }
  if (options.held_out + options.batch > training->size()) {
    std::fprintf(stderr, "takt-train: --held-out leaves less than one batch to train on\n");
    return 1;
  }
  SlimTrainer trainer(options, *training, std::move(*state));
  if (!options.evaluate && !train(options, trainer)) {
    return 1;
  }
  const bool wanted = options.evaluate || (trainer.done() && !options.write_model.empty());
  return !wanted || measure(options, trainer.state(), *training) ? 0 : 1;
}

}  // namespace takt::train
