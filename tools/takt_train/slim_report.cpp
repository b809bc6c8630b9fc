// The finished model on disk; text is put together by hand, so that equal models give equal bytes.
#include "takt_train/slim_report.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <filesystem>
#include <span>
#include <system_error>

#include "support/digest.hpp"
#include "support/files.hpp"
#include "takt_train/cifar100.hpp"

namespace takt::train {

using models::slim::kSegments;
using models::slim::kSubnets;
using models::slim::kWidthNames;
using models::slim::kWidths;

namespace {

constexpr const char* kWeights = "weights.safetensors";
constexpr std::string_view kWidthList = "0.25 0.5 0.75 1";
constexpr std::array<std::string_view, kWidths> kWidthValues{"0.25", "0.5", "0.75", "1"};
constexpr std::string_view kSource =
    "SlimResNet after Slim Scheduler (arXiv 2510.09018), reconstructed: ResNet-18 with the CIFAR stem, slimmable "
    "(arXiv 1812.08928), trained with the sandwich rule and in-place distillation (arXiv 1903.05134). Data: CIFAR-100, "
    "A. Krizhevsky, Learning Multiple Layers of Features from Tiny Images, 2009.";

struct Form {
  const char* format;
  int width;
  int height;
};
constexpr std::array<Form, 6> kForms{{{"rgb", 32, 32},
                                      {"rgb", 1280, 720},
                                      {"nv12", 1280, 720},
                                      {"yuyv", 1280, 720},
                                      {"gray", 1280, 720},
                                      {"nv12", 3840, 2160}}};

std::size_t index_of(int value) {
  return static_cast<std::size_t>(value);
}

[[gnu::format(printf, 1, 2)]] std::string format(const char* pattern, ...) {
  std::array<char, 1024> text{};
  std::va_list arguments;
  va_start(arguments, pattern);
  std::vsnprintf(text.data(), text.size(), pattern, arguments);
  va_end(arguments);
  return text.data();
}

template <class Names>
std::string join(const models::slim::Subnet& subnet, const Names& names, char between) {
  std::string text;
  for (const int width : subnet) {
    text += (text.empty() ? "" : std::string(1, between)) + std::string(names[index_of(width)]);
  }
  return text;
}

// The largest activation of one frame between this segment and the next, as floats.
int64_t activation_bytes(int64_t base_width, int segment) {
  const int64_t values = segment == 0 ? models::slim::kImageValues
                                      : models::slim::channels(base_width, segment, models::slim::kFullWidth) *
                                            models::slim::side(segment) * models::slim::side(segment);
  return segment == kSegments ? 0 : values * static_cast<int64_t>(sizeof(float));
}

std::string input_element() {
  std::string text = "  <input name=\"image\" dtype=\"u8\">\n";
  for (const Form& form : kForms) {
    text += format("    <form name=\"%s-%dx%d\" format=\"%s\" width=\"%d\" height=\"%d\"/>\n", form.format, form.width,
                   form.height, form.format, form.width, form.height);
  }
  text += "    <normalise width=\"32\" height=\"32\" mean=\"" + std::string(kMeanText) + "\" deviation=\"" +
          std::string(kDeviationText) + "\"/>\n  </input>\n";
  return text;
}

std::string model_xml(const std::string& weights_file, const std::string& digest, int64_t base_width,
                      const SubnetAccuracy& accuracy) {
  std::string text =
      "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n"
      "<!-- SlimResNet for CIFAR-100. Written by takt-train; an accuracy is top-1 on the held-out training images. "
      "-->\n"
      "<model name=\"slim_resnet\" version=\"1\" module=\"slim_resnet\" weights=\"" +
      weights_file + "\" digest=\"sha256:" + digest + "\">\n  <source>" + std::string(kSource) + "</source>\n" +
      input_element() +
      "  <output name=\"logits\" dtype=\"f32\" dims=\"100\"/>\n"
      "  <metric name=\"top1\" output=\"logits\" kind=\"softmax_max\"/>\n" +
      format("  <segment name=\"preprocess\" activation_bytes=\"%ld\"/>\n", activation_bytes(base_width, 0));
  for (int segment = 1; segment <= kSegments; ++segment) {
    text += format("  <segment name=\"stage%d\" widths=\"%s\" activation_bytes=\"%ld\"/>\n", segment, kWidthList.data(),
                   activation_bytes(base_width, segment));
  }
  for (int i = 0; i < kSubnets; ++i) {
    const auto subnet = models::slim::subnet_at(i);
    text += format("  <subnet name=\"%s\" widths=\"%s\" accuracy=\"%.4f\"/>\n", join(subnet, kWidthNames, '-').c_str(),
                   join(subnet, kWidthValues, ' ').c_str(), accuracy[index_of(i)]);
  }
  return text + "</model>\n";
}

std::string today() {
  const std::chrono::year_month_day day(std::chrono::floor<std::chrono::days>(std::chrono::system_clock::now()));
  return format("%04d-%02u-%02u", static_cast<int>(day.year()), static_cast<unsigned>(day.month()),
                static_cast<unsigned>(day.day()));
}

// Weights of a model that was in the folder before, if it had another number of parts.
void remove_all_but(const std::filesystem::path& first) {
  const auto kept = models::part_names(first);
  std::error_code ignored;
  for (const auto& entry : std::filesystem::directory_iterator(first.parent_path(), ignored)) {
    const std::string name = entry.path().filename().string();
    const bool part = name.starts_with("weights-") && name.find("-of-") != std::string::npos;
    if ((name == kWeights || (part && name.ends_with(".safetensors"))) &&
        std::find(kept->begin(), kept->end(), entry.path()) == kept->end()) {
      std::filesystem::remove(entry.path(), ignored);
    }
  }
}

Result<void> write_text(const std::filesystem::path& path, const std::string& text) {
  const std::array pieces{std::as_bytes(std::span(text))};
  return models::write_file_atomically(path, pieces);
}

}  // namespace

std::string describe(const SlimOptions& options, const Measured& measured) {
  std::string text = "SlimResNet on CIFAR-100, base width " + std::to_string(options.base_width) + ", measured " +
                     today() + " (UTC).\n\n";
  text += "Top-1 at one width throughout (all 10,000 test images | the held-out training images):\n";
  for (int width = 0; width < kWidths; ++width) {
    const int subnet = width * (64 + 16 + 4 + 1);
    text += format("  %-4s  %.2f %%  |  %.2f %%\n", kWidthNames[index_of(width)].data(),
                   100 * measured.test[index_of(width)], 100 * measured.held_out[index_of(subnet)]);
  }
  text += format(
      "\nRecipe: %ld steps of batch %ld (%ld epochs planned); each step the largest subnet on the labels, the "
      "smallest\n"
      "and %ld random on the largest's softmax; SGD with Nesterov momentum 0.9, weight decay %g, learning rate %g "
      "with\n"
      "%g warm-up epochs and a cosine to 0; crop with padding 4 and flip; steps in %s; seed %lu. The last %ld "
      "training\n"
      "images are held out. Batch norm re-estimated per (segment, width in, width out) on the other training images.\n"
      "Matrices are stored in half precision, as they were measured.\n",
      measured.steps, options.batch, options.epochs, options.random_subnets, options.weight_decay,
      options.learning_rate, options.warm_up_epochs, options.precision.c_str(), options.seed, options.held_out);
  return text + "Machine: " + options.machine + ", " + options.device + ".\n";
}

Result<void> write_model(const SlimOptions& options, const models::slim::Weights& weights, const Measured& measured) {
  std::error_code failed;
  std::filesystem::create_directories(options.write_model, failed);
  if (failed) {
    return fail(Code::system, "cannot create the model's folder", failed.value());
  }
  const auto file = models::slim::write_weights(options.write_model / kWeights, weights, {models::Dtype::f16});
  if (!file) {
    return tl::unexpected(file.error());
  }
  const auto digest = models::sha256_of_file(*file);
  if (!digest) {
    return tl::unexpected(digest.error());
  }
  const std::string xml = model_xml(file->filename().string(), *digest, weights.base_width, measured.held_out);
  if (auto written = write_text(options.write_model / "model.xml", xml); !written) {
    return written;
  }
  remove_all_but(*file);
  return write_text(options.write_model / "accuracy.txt", describe(options, measured));
}

}  // namespace takt::train
