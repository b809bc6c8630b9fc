// From the application's stream configuration to what is asked of the broker, and what the broker said of it.
#pragma once

#include "client/client.hpp"

namespace takt::lib {

// What a new stream wants: names, picture and rules, checked against the broker's models (fetched anew if one is
// missing). 0 or a takt_error with the text set.
int make_wish(takt_client& client, const takt_stream_config& config, std::int64_t until_ns, Wish& wish);
// The configuration with defaults for what an older application does not know. False: its struct_size is nonsense.
[[nodiscard]] bool complete(const takt_stream_config& given, takt_stream_config& config) noexcept;
// What takt_stream_update() may change.
int set_rules(takt_client& client, const takt_stream_config& config, wire::OpenStream& message) noexcept;
// Looks up parent and metric, and the model and its form, which have other numbers after a restart. `model` empty: a
// preset says.
int set_numbers(takt_client& client, const takt_stream& stream, const std::string& model,
                wire::OpenStream& message) noexcept;

[[nodiscard]] const wire::ModelInfo* find_model(const takt_client& client, std::string_view name) noexcept;
// The picture that reaches the stream: its own, or that of the stream at the head of its cascade.
[[nodiscard]] const TensorDesc& picture_of(const takt_stream& stream) noexcept;

[[nodiscard]] takt_admission admission_of(const wire::StreamOpened& opened) noexcept;
int fail_refused(takt_client& client, const takt_admission& admission) noexcept;

// Where a model's inputs lie in a slot. 0 or a takt_error with the text set.
int lay_out(takt_client& client, const wire::ModelInfo& model, const TensorDesc& picture, Layout& layout) noexcept;

}  // namespace takt::lib
