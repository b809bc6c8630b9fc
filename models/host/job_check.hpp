// What a driver checks of a job before it runs: the client's tensors are as the model wants them. No tensor library here.
#pragma once

#include "host/bound_model.hpp"
#include "picture/picture.hpp"
#include "takt/driver.hpp"

namespace takt::models {

// The job's input for `step`, a first segment without preprocessing: packed floats of the network's shape. Else
// Code::invalid_argument.
[[nodiscard]] Result<void> check_tensor_input(const Step& step, const JobIo& job) noexcept;

// The job's picture for `step`, which preprocesses: one that the step's form covers. Else Code::invalid_argument.
[[nodiscard]] Result<Picture> picture_input(const BoundModel& bound, const Step& step, const JobIo& job) noexcept;

// The place for a last segment's result. Code::invalid_argument if it is too small.
[[nodiscard]] Result<void> check_result_area(const BoundModel& bound, const JobIo& job) noexcept;

}  // namespace takt::models
