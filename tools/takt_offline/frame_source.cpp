// Frames from files.
#include "frame_source.hpp"

#include <cstring>
#include <fstream>
#include <iterator>
#include <utility>
#include <vector>

#include "pictures.hpp"

namespace takt::offline {
namespace {

tl::unexpected<InputError> refuse(const std::string& file, std::string text) {
  return tl::unexpected<InputError>(InputError{file, 0, "", std::move(text)});
}

class Records final : public FrameSource {
 public:
  Records(demo::SampleFile file, PictureKind kind) : file_(std::move(file)), kind_(kind) {}
  [[nodiscard]] std::size_t size() const noexcept override { return file_.size(); }
  [[nodiscard]] int label(std::size_t i) const noexcept override { return file_.label(i); }
  void read(std::size_t i, std::span<std::uint8_t> pixels) const noexcept override {
    const takt_picture picture = kind_.format == PictureFormat::rgb ? TAKT_RGB : TAKT_NV12;
    demo::draw(file_.pixels(i), picture, kind_.width, kind_.height, pixels);
  }

 private:
  demo::SampleFile file_;
  PictureKind kind_;
};

class Pictures final : public FrameSource {
 public:
  Pictures(std::vector<char> data, std::size_t bytes) : data_(std::move(data)), bytes_(bytes) {}
  [[nodiscard]] std::size_t size() const noexcept override { return data_.size() / bytes_; }
  [[nodiscard]] int label(std::size_t) const noexcept override { return -1; }
  void read(std::size_t i, std::span<std::uint8_t> pixels) const noexcept override {
    std::memcpy(pixels.data(), data_.data() + i * bytes_, bytes_);
  }

 private:
  std::vector<char> data_;
  std::size_t bytes_;
};

}  // namespace

Parsed<std::unique_ptr<FrameSource>> open_records(const std::string& file, PictureKind kind) {
  const bool rgb = kind.format == PictureFormat::rgb;
  if ((!rgb && kind.format != PictureFormat::nv12) ||
      !demo::can_draw(rgb ? TAKT_RGB : TAKT_NV12, kind.width, kind.height))
    return refuse(file, "records can be read as rgb 32x32, or drawn as nv12 of even sides, landscape, 64 high or more");
  std::string error;
  demo::SampleFile records = demo::SampleFile::read(file, error);
  if (!error.empty()) return refuse(file, "is not a file of CIFAR-100 records");
  return std::make_unique<Records>(std::move(records), kind);
}

Parsed<std::unique_ptr<FrameSource>> open_pictures(const std::string& file, PictureKind kind) {
  const std::size_t bytes = picture_bytes(kind.format, kind.width, kind.height);
  if (bytes == 0) return refuse(file, "the format does not allow this width and height");
  std::ifstream stream(file, std::ios::binary);
  std::vector<char> data{std::istreambuf_iterator<char>(stream), std::istreambuf_iterator<char>()};
  if (data.empty() || data.size() % bytes != 0)
    return refuse(file, "is not a whole number of pictures of " + std::to_string(bytes) + " bytes");
  return std::make_unique<Pictures>(std::move(data), bytes);
}

}  // namespace takt::offline
