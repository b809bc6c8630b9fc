// takt-offline: what a model says of frames, without broker or executor; one JSON line a frame.
#include <CLI/CLI.hpp>
#include <algorithm>
#include <cmath>
#include <cstdio>
#include <string>
#include <vector>

#include "files/model_file.hpp"
#include "files/words.hpp"
#include "frame_source.hpp"
#include "host/warm_up.hpp"
#include "offline.hpp"
#include "support/digest.hpp"

namespace takt::offline {
namespace {

struct Options {
  std::string model = "models/slim_resnet", subnet, cifar, picture, format = "rgb";
  std::uint32_t width = 32, height = 32;
  std::size_t batch = 1, first = 0, count = SIZE_MAX;
};

int complain(const std::string& text) {
  std::fprintf(stderr, "takt-offline: %s\n", text.c_str());
  return 1;
}

Parsed<std::unique_ptr<FrameSource>> open_source(const Options& options, PictureKind kind) {
  return options.cifar.empty() ? open_pictures(options.picture, kind) : open_records(options.cifar, kind);
}

// "top1" is the number of the class, "probability" its softmax; "digest" tells whether two runs gave the same bits.
void print(std::size_t frame, int label, const std::vector<float>& logits) {
  const std::size_t best = models::top1(logits);
  double sum = 0;
  for (const float value : logits) sum += std::exp(static_cast<double>(value) - static_cast<double>(logits[best]));
  const auto digest = models::sha256(std::as_bytes(std::span(logits)));
  const std::string known = label < 0 ? "null" : std::to_string(label);
  std::printf(R"({"frame":%zu,"label":%s,"top1":%zu,"probability":%.6f,"digest":"%s"})"
              "\n",
              frame, known.c_str(), best, 1 / sum, digest ? digest->c_str() : "");
}

// Frames of one batch, in memory.
class Batch {
 public:
  Batch(PictureKind kind, std::size_t size)
      : bytes_(picture_bytes(kind.format, kind.width, kind.height)), pixels_(bytes_ * size) {
    desc_.format = kind.format;
    desc_.rank = 2;
    desc_.dims = {kind.height, kind.width};
    desc_.bytes = bytes_;
  }
  std::span<const TensorView> read(const FrameSource& source, std::size_t first, std::size_t count) {
    views_.clear();
    for (std::size_t i = 0; i < count; ++i) {
      const std::span<std::uint8_t> place = std::span(pixels_).subspan(i * bytes_, bytes_);
      source.read(first + i, place);
      views_.push_back({&desc_, reinterpret_cast<const std::byte*>(place.data())});
    }
    return views_;
  }

 private:
  TensorDesc desc_;
  std::size_t bytes_;
  std::vector<std::uint8_t> pixels_;
  std::vector<TensorView> views_;
};

int run(const Options& options, PictureKind kind) {
  const Parsed<Model> model = files::read_model(options.model, VariantId{0U});
  if (!model) return complain(model.error().to_string());
  const auto named = [&](const Subnet& s) { return s.name == options.subnet; };
  const auto subnet = std::find_if(model->subnets.begin(), model->subnets.end(), named);
  if (subnet == model->subnets.end()) return complain("the model has no subnet '" + options.subnet + "'");
  const auto source = open_source(options, kind);
  if (!source) return complain(source.error().to_string());
  const auto offline = models::Offline::open(*model);
  if (!offline) return complain(options.model + ": " + offline.error().text);

  Batch batch(kind, options.batch);
  const auto number = static_cast<std::uint32_t>(subnet - model->subnets.begin());
  const std::size_t first = std::min(options.first, (*source)->size());
  const std::size_t end = first + std::min(options.count, (*source)->size() - first);
  for (std::size_t frame = first; frame < end; frame += options.batch) {
    const std::size_t size = std::min(options.batch, end - frame);
    const auto says = (*offline)->run(number, batch.read(**source, frame, size));
    if (!says) return complain("frame " + std::to_string(frame) + ": " + says.error().text);
    for (std::size_t i = 0; i < size; ++i) print(frame + i, (*source)->label(frame + i), (*says)[i]);
  }
  return 0;
}

int main_checked(int argc, char** argv) {
  Options options;
  CLI::App app{"A model's answers without broker or executor, one JSON line a frame."};
  app.add_option("--model", options.model, "folder of the model")->capture_default_str();
  app.add_option("--subnet", options.subnet, "its name in model.xml")->required();
  app.add_option("--batch", options.batch, "frames that go together; the last batch may be smaller")
      ->check(CLI::Range(std::size_t{1}, kMaxBatch))
      ->capture_default_str();
  auto* cifar = app.add_option("--cifar", options.cifar, "file of CIFAR-100 records");
  auto* picture = app.add_option("--picture", options.picture, "file of packed raw pictures");
  cifar->excludes(picture);
  app.add_option("--format", options.format, "of the frames: records are drawn as rgb 32x32 or nv12")
      ->check(CLI::IsMember({"rgb", "nv12", "yuyv", "gray"}))
      ->capture_default_str();
  app.add_option("--width", options.width)->check(CLI::Range(1U, kMaxPictureWidth))->capture_default_str();
  app.add_option("--height", options.height)->check(CLI::Range(1U, kMaxPictureHeight))->capture_default_str();
  app.add_option("--first", options.first, "number of the first frame")->capture_default_str();
  app.add_option("--count", options.count, "number of frames; all if not given");
  CLI11_PARSE(app, argc, argv);
  if (options.cifar.empty() == options.picture.empty()) return complain("give --cifar or --picture");
  models::enlarge_kernel_cache();
  PictureKind kind{.width = options.width, .height = options.height};
  for (const auto& [word, format] : files::kPictureWords)
    if (word == options.format) kind.format = format;
  return run(options, kind);
}

}  // namespace
}  // namespace takt::offline

int main(int argc, char** argv) {
  return takt::offline::main_checked(argc, argv);
}
