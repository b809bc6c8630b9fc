// Makes a driver's launch of a start entry: indices become pointers, each checked against what is really mapped.
#pragma once

#include <array>

#include "executor/session_view.hpp"
#include "takt/driver.hpp"
#include "wire/rings.hpp"

namespace takt::executor {

// One a launch under way; never allocates. Not to be moved once it has built something.
class LaunchBuilder {
 public:
  explicit LaunchBuilder(std::uint32_t accelerator) noexcept { launch_.accelerator = accelerator; }

  // The launch, valid until the next call; its metrics go to `metrics`, a row a job. Anything that does not fit is an
  // error: nothing was touched then.
  [[nodiscard]] Result<const Launch*> build(const SessionView& session, const wire::StartEntry& entry,
                                            std::span<std::array<float, kMaxMetrics>, kMaxBatch> metrics) noexcept;

 private:
  [[nodiscard]] Result<void> fill(const SessionView& session, const Place& place, const wire::StartJob& job,
                                  std::size_t position) noexcept;
  [[nodiscard]] Result<void> fill_inputs(const SessionView& session, const Place& place, const wire::JobRecord& record,
                                         std::size_t position) noexcept;

  Launch launch_;
  std::array<JobIo, kMaxBatch> jobs_{};
  std::array<std::array<TensorView, kMaxTensors>, kMaxBatch> inputs_{};
};

}  // namespace takt::executor
