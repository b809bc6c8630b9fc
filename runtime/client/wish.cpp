// Stream configurations: checked, completed, put into messages.
#include "client/wish.hpp"

#include <algorithm>
#include <cstddef>
#include <cstring>

namespace takt::lib {
namespace {

std::string_view text(const char* given) noexcept {
  return given != nullptr ? given : "";
}

constexpr std::uint64_t round_up(std::uint64_t bytes, std::uint64_t to) noexcept {
  return (bytes + to - 1) / to * to;
}

const char* name_of(PictureFormat format) noexcept {
  switch (format) {
    case PictureFormat::rgb: return "rgb";
    case PictureFormat::nv12: return "nv12";
    case PictureFormat::yuyv: return "yuyv";
    case PictureFormat::gray: return "gray";
    case PictureFormat::none: break;
  }
  return "none";
}

int set_picture(takt_client& client, const takt_stream_config& config, TensorDesc& picture) noexcept {
  const unsigned format = number_of(config.picture);
  if (format == TAKT_PICTURE_NONE) return TAKT_OK;
  if (format > TAKT_GRAY) return fail(client, TAKT_E_INVALID, "no such picture format");
  if (config.width > kMaxPictureWidth || config.height > kMaxPictureHeight ||
      picture_bytes(static_cast<PictureFormat>(format), config.width, config.height) == 0)
    return failf(client, TAKT_E_INVALID, "a picture of %ux%u is empty, odd-sized or over %ux%u", config.width,
                 config.height, kMaxPictureWidth, kMaxPictureHeight);
  picture = lib::picture(static_cast<PictureFormat>(format), config.width, config.height);
  return TAKT_OK;
}

// What the model would take instead, for the text of an error.
int fail_no_form(takt_client& client, const wire::ModelInfo& model, const TensorDesc& asked) noexcept {
  std::array<char, 160> list{};
  std::size_t used = 0;
  for (std::uint32_t i = 0; i < std::min<std::uint32_t>(model.forms, wire::kMaxForms); ++i) {
    const wire::WireForm& f = model.form[i];
    const int n =
        std::snprintf(list.data() + used, list.size() - used, " %s %ux%u", name_of(f.format), f.width, f.height);
    used = std::min(used + static_cast<std::size_t>(std::max(n, 0)), list.size() - 1);
  }
  if (asked.format == PictureFormat::none)
    return failf(client, TAKT_E_INVALID, "%s takes pictures: set picture, width and height; at most%s",
                 model.name.data(), list.data());
  return failf(client, TAKT_E_INVALID, "%s takes no %s of %ux%u; at most%s", model.name.data(), name_of(asked.format),
               asked.dims[1], asked.dims[0], used > 0 ? list.data() : " tensors");
}

// A trigger compares a metric of the parent's model.
int set_metric(takt_client& client, const takt_stream& stream, wire::OpenStream& m) noexcept {
  if (stream.wish.metric.empty()) return TAKT_OK;
  const wire::ModelInfo* model = find_model(client, stream.parent->model);
  for (std::uint32_t i = 0; model != nullptr && i < model->metrics; ++i) {
    m.trigger_metric = i;
    if (wire::text_of(model->metric[i]) == stream.wish.metric) return TAKT_OK;
  }
  return failf(client, TAKT_E_NOT_FOUND, "%s has no metric %s", stream.parent->model.c_str(),
               stream.wish.metric.c_str());
}

const takt_stream& head_of(const takt_stream& stream) noexcept {
  const takt_stream* head = &stream;
  while (head->parent != nullptr) head = head->parent;
  return *head;
}

}  // namespace

const wire::ModelInfo* find_model(const takt_client& client, std::string_view name) noexcept {
  for (const wire::ModelInfo& model : client.models)
    if (wire::text_of(model.name) == name) return &model;
  return nullptr;
}

const TensorDesc& picture_of(const takt_stream& stream) noexcept {
  return head_of(stream).wish.picture;
}

bool complete(const takt_stream_config& given, takt_stream_config& config) noexcept {
  takt_stream_config_init(&config);
  constexpr std::size_t kLeast = offsetof(takt_stream_config, name);
  if (given.struct_size < kLeast) return false;
  std::memcpy(&config, &given, std::min<std::size_t>(given.struct_size, sizeof config));
  return true;
}

int set_rules(takt_client& client, const takt_stream_config& config, wire::OpenStream& m) noexcept {
  const unsigned criticality = number_of(config.criticality), late = number_of(config.late),
                 queue = number_of(config.queue);
  if (criticality > TAKT_SOFT || late > TAKT_LATE_FINISH || queue > TAKT_QUEUE_DROP_OLDEST)
    return fail(client, TAKT_E_INVALID, "no such class, late rule or queue rule");
  m.criticality = static_cast<std::uint8_t>(criticality);
  m.late = static_cast<std::uint8_t>(late);
  m.queue = static_cast<std::uint8_t>(queue);
  m.queue_depth = config.queue_depth;
  m.period_ns = config.period_ns;
  m.jitter_ns = config.jitter_ns;
  m.relative_deadline_ns = config.relative_deadline_ns;
  m.accuracy_floor = config.accuracy_floor;
  m.accuracy_ceiling = config.accuracy_ceiling;
  return TAKT_OK;
}

int make_wish(takt_client& client, const takt_stream_config& config, std::int64_t until_ns, Wish& wish) {
  if (text(config.preset).size() >= wire::kMaxName || text(config.model).size() >= wire::kMaxName)
    return fail(client, TAKT_E_INVALID, "a name is longer than 63 bytes");
  wire::set_text(wish.open.name, text(config.name));
  if (const int e = set_picture(client, config, wish.picture); e != TAKT_OK) return e;
  if (!text(config.preset).empty()) {
    wire::set_text(wish.open.preset, text(config.preset));
    return TAKT_OK;
  }
  if (text(config.model).empty()) return fail(client, TAKT_E_INVALID, "a stream needs a model or a preset");
  wish.model = config.model;
  wish.metric = text(config.trigger_metric);
  if (find_model(client, wish.model) == nullptr)
    if (const int e = fetch_models(client, until_ns); e != TAKT_OK) return e;
  wish.open.trigger_threshold = config.trigger_threshold;
  wish.open.trigger_op = wish.metric.empty()        ? std::uint8_t{0}
                         : config.trigger_less != 0 ? std::uint8_t{1}
                                                    : std::uint8_t{2};
  return set_rules(client, config, wish.open);
}

int set_numbers(takt_client& client, const takt_stream& stream, const std::string& name, wire::OpenStream& m) noexcept {
  if (stream.is_child) {
    if (stream.parent == nullptr || stream.parent->state != takt_stream::State::open)
      return fail(client, TAKT_E_NOT_FOUND, "the parent stream is not open");
    m.parent = stream.parent->id;
    if (const int e = set_metric(client, stream, m); e != TAKT_OK) return e;
  }
  if (name.empty()) return TAKT_OK;
  const wire::ModelInfo* model = find_model(client, name);
  if (model == nullptr) return failf(client, TAKT_E_NOT_FOUND, "the broker has no model %s", name.c_str());
  m.model = model->model;
  const TensorDesc& picture = picture_of(stream);
  if (model->forms > 0) {
    m.form = covering_form(*model, picture.format, picture.dims[1], picture.dims[0]);
    return m.form >= 0 ? TAKT_OK : fail_no_form(client, *model, picture);
  }
  // A child may work on its parent's outputs although the cascade began with a picture.
  m.form = -1;
  if (picture.format == PictureFormat::none || stream.is_child) return TAKT_OK;
  return fail_no_form(client, *model, picture);
}

takt_admission admission_of(const wire::StreamOpened& opened) noexcept {
  takt_admission admission{};
  admission.outcome = static_cast<decltype(admission.outcome)>(opened.outcome);
  admission.reason = static_cast<decltype(admission.reason)>(opened.reason);
  admission.bound_ns = opened.bound_ns;
  admission.feasible_period_ns = opened.feasible_period_ns;
  std::copy(opened.subnet.begin(), opened.subnet.end(), admission.subnet);
  std::copy(opened.accelerator_name.begin(), opened.accelerator_name.end(), admission.accelerator);
  return admission;
}

int fail_refused(takt_client& client, const takt_admission& admission) noexcept {
  static constexpr std::array kReasons{"it gave no reason",
                                       "the accelerators have not enough time left",
                                       "the deadline is shorter than the model takes",
                                       "no accelerator runs this model on such input",
                                       "no subnet is within the accuracy bounds",
                                       "the broker has no room for another stream",
                                       "its parent cannot have such a child"};
  const char* reason = kReasons[std::min<std::size_t>(admission.reason, kReasons.size() - 1)];
  if (admission.feasible_period_ns == 0) return failf(client, TAKT_E_NOT_ADMITTED, "not admitted: %s", reason);
  return failf(client, TAKT_E_NOT_ADMITTED, "not admitted: %s; a period of %.3f ms would fit", reason,
               static_cast<double>(admission.feasible_period_ns) / kMillisecond);
}

int lay_out(takt_client& client, const wire::ModelInfo& model, const TensorDesc& picture, Layout& layout) noexcept {
  layout = Layout{};
  layout.inputs = std::min<std::uint32_t>(model.inputs, kMaxTensors);
  std::uint64_t offset = 0;
  for (std::uint32_t i = 0; i < layout.inputs; ++i) {
    const wire::WireTensorSpec& spec = model.input[i];
    const bool is_picture = i == 0 && model.forms > 0;  // which is what forms are about
    TensorDesc& desc = layout.input[i];
    desc = is_picture ? picture : packed(spec);
    const auto bytes =
        is_picture ? picture_bytes(picture.format, picture.dims[1], picture.dims[0]) : packed_bytes(spec).value_or(0);
    if (bytes == 0) return failf(client, TAKT_E_UNSUPPORTED, "input %u of %s has no size", i, model.name.data());
    desc.offset = offset;
    desc.bytes = bytes;
    offset += align_result(bytes);
  }
  layout.slot_bytes = round_up(std::max<std::uint64_t>(offset, 1), kPage);
  return TAKT_OK;
}

}  // namespace takt::lib

using namespace takt::lib;

void takt_stream_config_init(takt_stream_config* config) {
  if (config == nullptr) return;
  *config = takt_stream_config{};
  config->struct_size = sizeof *config;
  config->criticality = TAKT_SOFT;
  config->queue_depth = 8;
  config->accuracy_ceiling = 1;
  config->slots = 4;
}
