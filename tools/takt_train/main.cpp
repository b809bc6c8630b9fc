// takt-train: command line of the trainers.
#include <CLI/CLI.hpp>
#include <exception>
#include <iostream>
#include <map>
#include <string>
#include <vector>

#include "takt_train/slim.hpp"

namespace {

// Seconds as 90, 90s, 1.5m or 0.5h.
CLI::Validator seconds() {
  return CLI::AsNumberWithUnit(std::map<std::string, double>{{"s", 1}, {"m", 60}, {"h", 3600}});
}

void add_slim_options(CLI::App& command, takt::train::SlimOptions& options) {
  command.add_option("--data", options.data, "folder with train-*.bin and test.bin of CIFAR-100")->required();
  command.add_option("--out", options.out, "folder of the checkpoint")->required();
  command.add_option("--write-model", options.write_model, "measure, then write the finished model to this folder");
  command.add_option("--device", options.device, "cpu or cuda")->check(CLI::IsMember({"cpu", "cuda"}));
  command.add_option("--precision", options.precision, "bf16, tf32 or single; by itself bf16 on cuda, single on cpu")
      ->check(
          CLI::IsMember(std::vector<std::string>(takt::train::kPrecisions.begin(), takt::train::kPrecisions.end())));
  command.add_flag("--try-algorithms", options.try_algorithms, "cuDNN measures its algorithms for each new shape");
  command.add_option("--machine", options.machine, "the machine in words, for accuracy.txt");
  command.add_option("--epochs", options.epochs)->check(CLI::Range(1, 10000))->capture_default_str();
  command.add_option("--batch", options.batch)->check(CLI::Range(2, 4096))->capture_default_str();
  command.add_option("--base-width", options.base_width, "channels of segment 1, a multiple of 4")
      ->check(CLI::Range(4, 256))
      ->capture_default_str();
  command.add_option("--random-subnets", options.random_subnets, "random subnets a step beside largest and smallest")
      ->check(CLI::Range(0, 16))
      ->capture_default_str();
  command.add_option("--held-out", options.held_out, "training images kept for measuring subnets")
      ->check(CLI::Range(1, 40000))
      ->capture_default_str();
  command.add_option("--learning-rate", options.learning_rate)->check(CLI::PositiveNumber)->capture_default_str();
  command.add_option("--warm-up-epochs", options.warm_up_epochs)->check(CLI::NonNegativeNumber)->capture_default_str();
  command.add_option("--weight-decay", options.weight_decay)->check(CLI::NonNegativeNumber)->capture_default_str();
  command.add_option("--checkpoint-every", options.checkpoint_every_s, "as 60, 60s or 1m")
      ->transform(seconds())
      ->capture_default_str();
  command.add_option("--stop-after", options.stop_after_s, "as 9m: ends with a checkpoint after that long in all")
      ->transform(seconds());
  command.add_option("--seed", options.seed)->capture_default_str();
  command.add_option("--threads", options.threads)->check(CLI::Range(1, 256))->capture_default_str();
  command.add_flag("--resume", options.resume, "go on from the checkpoint in --out, if there is one");
  command.add_flag("--evaluate", options.evaluate, "measure the checkpoint in --out, train nothing");
}

}  // namespace

int main(int argc, char** argv) {
  try {
    CLI::App app{"Trains the models of takt."};
    app.require_subcommand(1);
    takt::train::SlimOptions options;
    CLI::App* slim = app.add_subcommand("slim", "SlimResNet on CIFAR-100");
    add_slim_options(*slim, options);
    CLI11_PARSE(app, argc, argv);
    return takt::train::run_slim(options);
  } catch (const std::exception& error) {
    std::cerr << "takt-train: " << error.what() << '\n';
    return 1;
  }
}
