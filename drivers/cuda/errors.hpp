// What CUDA's error numbers mean for takt: what to tell the operator, and whether the process can go on.
#pragma once

#include <cstdint>

#include "cuda/api.hpp"
#include "takt/result.hpp"

namespace takt::cuda {

enum class Fault : std::uint8_t {
  none,
  busy,        // not an error: work is under way
  memory,      // not sticky: the context stays whole, something lighter may fit
  sticky,      // every later call fails until the process ends
  gone,        // the device is lost, or none can be had
  no_driver,   // none, or one that is older than this CUDA
  mismatch,    // driver, CUDA or the device's generation do not fit each other
  capture,     // a recording failed: that work runs unrecorded
  misuse,      // a wrong call
  unavailable  // not permitted, not supported, or not now: without harm to what runs
};

struct Meaning {
  Fault fault = Fault::none;
  Code code = Code::internal;
  const char* text = "";  // static: what it is and what to do
};

// Any thread. Numbers of cudaError_t; those of CUresult are the same ones. A number that is not known is `misuse`.
[[nodiscard]] Meaning meaning_of(Status status) noexcept;

// Whether a lane that sees this must leave with _exit(): no call of this process can succeed any more, or its device is
// lost. In open(), where no device was had yet, Fault::gone is an answer to the operator instead.
[[nodiscard]] bool ends_process(Status status) noexcept;

// `vendor` is the status. Not for kOk and kNotReady.
[[nodiscard]] Error error_of(Status status) noexcept;
[[nodiscard]] Result<void> checked(Status status) noexcept;

}  // namespace takt::cuda
