// SlimResNet as a native module: model.xml's segments and widths, found in the network.
#include "module.hpp"

#include <charconv>
#include <utility>

#include "slim_resnet/network.hpp"
#include "slim_resnet/weights.hpp"

namespace takt::models {
namespace {

// "0.25" .. "1" as 0 .. 3, whatever the number of zeros; -1 for another width.
int width_of(const std::string& text) {
  double value = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), value);
  if (error != std::errc{} || end != text.data() + text.size()) return -1;
  for (int width = 0; width < slim::kWidths; ++width)
    if (value * slim::kWidths == width + 1) return width;
  return -1;
}

FrameShape shape_of(const std::array<std::int64_t, 3>& shape) {
  return {shape[0], shape[1], shape[2]};
}

class SlimResNetModule final : public NativeModule {
 public:
  explicit SlimResNetModule(SlimResNet network) : network_(std::move(network)) {}

  [[nodiscard]] int segments() const noexcept override { return slim::kSegments; }

  [[nodiscard]] Result<Piece> find(const Model& model, const Variant& variant) const override {
    const std::size_t preprocessing = model.has_preprocessing() ? 1 : 0;
    if (variant.segment < preprocessing || variant.segment >= preprocessing + slim::kSegments)
      return fail(Code::invalid_argument, "slim_resnet has four segments after preprocessing");
    Piece piece{.segment = static_cast<int>(variant.segment - preprocessing)};
    piece.width_out = named_width(model, variant.segment, variant.width_out);
    if (piece.segment > 0) piece.width_in = named_width(model, variant.segment - std::size_t{1}, variant.width_in);
    if (piece.width_in < 0 || piece.width_out < 0)
      return fail(Code::invalid_argument, "slim_resnet has the widths 0.25, 0.5, 0.75 and 1 in every segment");
    return piece;
  }

  [[nodiscard]] FrameShape shape_in(const Piece& piece) const noexcept override {
    return shape_of(network_.activation_shape(piece.segment, piece.width_in));
  }
  [[nodiscard]] FrameShape shape_out(const Piece& piece) const noexcept override {
    return shape_of(network_.activation_shape(piece.segment + 1, piece.width_out));
  }
  [[nodiscard]] std::unique_ptr<NativeModule> to(const c10::Device& device, c10::ScalarType type) const override {
    return std::make_unique<SlimResNetModule>(*network_.to(device, type));
  }
  [[nodiscard]] at::Tensor run(const Piece& piece, const at::Tensor& batch) const override {
    return network_.run(piece.segment + 1, piece.width_in, piece.width_out, batch);
  }

 private:
  static int named_width(const Model& model, std::size_t segment, int position) {
    const std::vector<std::string>& widths = model.segments[segment].widths;
    if (position < 0 || static_cast<std::size_t>(position) >= widths.size()) return -1;
    return width_of(widths[static_cast<std::size_t>(position)]);
  }

  SlimResNet network_;
};

Result<std::unique_ptr<NativeModule>> make(WeightBytes content) {
  const auto weights = slim::parse_weights(std::move(content));
  if (!weights) return tl::unexpected(weights.error());
  return std::make_unique<SlimResNetModule>(SlimResNet(*weights));
}

}  // namespace
}  // namespace takt::models

TAKT_MODULE(slim_resnet, takt::models::make)
