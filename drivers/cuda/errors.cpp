// The list of CUDA's error numbers, as the header of CUDA 13.0 describes them.
#include "cuda/errors.hpp"

#include <algorithm>
#include <iterator>

namespace takt::cuda {
namespace {

struct Row {
  Status status;
  Meaning meaning;
};

constexpr const char* kOlder =
    "driver and CUDA libraries do not fit each other: install a driver of this CUDA's release";
constexpr const char* kBuild = "this build of libtorch has no kernels for the device: install one for its generation";
constexpr const char* kMps = "the MPS server refused: see its log, or stop it";
constexpr const char* kRecord = "the work could not be recorded into a graph and runs without one";
constexpr const char* kRegister = "host memory is registered already, or not at all";

constexpr Meaning sticky(const char* text) {
  return {Fault::sticky, Code::disconnected, text};
}
constexpr Meaning gone(const char* text) {
  return {Fault::gone, Code::disconnected, text};
}
constexpr Meaning mismatch(const char* text) {
  return {Fault::mismatch, Code::unsupported, text};
}
constexpr Meaning capture() {
  return {Fault::capture, Code::unsupported, kRecord};
}
constexpr Meaning misuse(Code code, const char* text) {
  return {Fault::misuse, code, text};
}
constexpr Meaning unavailable(Code code, const char* text) {
  return {Fault::unavailable, code, text};
}

// In rising order.
constexpr Row kRows[] = {
    {0, {Fault::none, Code::internal, "success"}},
    {1, misuse(Code::invalid_argument, "CUDA refused an argument")},
    {2, {Fault::memory, Code::no_memory, "no device memory: fewer graphs, slots or models, or a lighter subnet"}},
    {3, unavailable(Code::system, "CUDA could not be initialised: see dmesg and nvidia-smi")},
    {4, gone("the CUDA runtime is being unloaded: the process is ending")},
    {34, {Fault::no_driver, Code::not_found, "a stub of libcuda was loaded: take its folder out of LD_LIBRARY_PATH"}},
    {35, {Fault::no_driver, Code::not_found, "no NVIDIA driver, or one older than this CUDA: see nvidia-smi"}},
    {36, mismatch(kOlder)},
    {46, gone("the devices are busy or not to be had: see their compute mode in nvidia-smi")},
    {98, mismatch(kBuild)},
    {100, gone("no CUDA device: see nvidia-smi and CUDA_VISIBLE_DEVICES")},
    {101, gone("no such CUDA device: see nvidia-smi and CUDA_VISIBLE_DEVICES")},
    {102, unavailable(Code::no_permission, "the device has no licence (virtual GPU)")},
    {127, unavailable(Code::system, "CUDA could not be started: see dmesg and nvidia-smi")},
    {200, mismatch(kBuild)},
    {201, misuse(Code::internal, "no usable CUDA context on this thread")},
    {209, mismatch(kBuild)},
    {214, sticky("uncorrectable memory error (ECC) of the device: drain it and reset it if it repeats")},
    {216, gone("another process has the device exclusively: see its compute mode in nvidia-smi")},
    {218, mismatch(kBuild)},
    {220, sticky("uncorrectable NVLink error: drain the device and reset it if it repeats")},
    {222, mismatch(kOlder)},
    {224, unavailable(Code::unsupported, "the device cannot be split like this")},
    {226, sticky("an error of the device was contained by ending what ran there")},
    {304, unavailable(Code::system, "the operating system refused a call of CUDA's: see dmesg")},
    {400, misuse(Code::invalid_argument, "CUDA does not know the stream, event or graph")},
    {401, misuse(Code::internal, "a CUDA object is not in the state that the call needs")},
    {500, mismatch("the driver lacks a function: install a newer one")},
    {600, {Fault::busy, Code::timed_out, "work is under way"}},
    {700, sticky("a kernel used an illegal address")},
    {701, misuse(Code::no_capacity, "a kernel needs more registers or threads than the device has")},
    {702, sticky("a kernel ran into the device's time limit: switch it off, or use a device without a display")},
    {709, gone("the CUDA context is destroyed")},
    {710, sticky("an assertion failed in a kernel")},
    {712, misuse(Code::already_exists, kRegister)},
    {713, misuse(Code::not_found, kRegister)},
    {714, sticky("a kernel's stack is corrupt, or the device is defective")},
    {715, sticky("a kernel ran into an illegal instruction")},
    {716, sticky("a kernel used a misaligned address")},
    {717, sticky("a kernel used an address of the wrong kind of memory")},
    {718, sticky("a kernel's program counter is wrong")},
    {719, sticky("a kernel failed")},
    {721, sticky("a kernel left tensor memory behind")},
    {800, unavailable(Code::no_permission, "CUDA does not permit this here")},
    {801, unavailable(Code::unsupported, "CUDA does not support this on this machine")},
    {802, unavailable(Code::system, "the system is not ready for CUDA: start nvidia-fabricmanager, or wait")},
    {803, mismatch(kOlder)},
    {804, mismatch(kOlder)},
    {805, unavailable(Code::system, kMps)},
    {806, unavailable(Code::system, kMps)},
    {807, unavailable(Code::system, kMps)},
    {808, unavailable(Code::no_capacity, kMps)},
    {809, unavailable(Code::no_capacity, kMps)},
    {810, sticky("the MPS server ended this client: another client's fault may be the reason")},
    {900, capture()},
    {901, capture()},
    {902, capture()},
    {903, capture()},
    {904, capture()},
    {905, capture()},
    {906, capture()},
    {907, capture()},
    {908, capture()},
    {909, unavailable(Code::timed_out, "CUDA gave up waiting")},
    {910, misuse(Code::invalid_argument, "a graph cannot be changed like this")},
    {911, sticky("an external device that takes part in the work failed")},
    {912, misuse(Code::invalid_argument, "a cluster of blocks does not fit the multiprocessors")},
    {914, unavailable(Code::unsupported, "the device has no such resource to split")},
    {915, unavailable(Code::unsupported, "the device cannot be split like this")},
    {999, sticky("CUDA failed for an unknown reason: see dmesg for an Xid")},
};
static_assert(std::is_sorted(std::begin(kRows), std::end(kRows),
                             [](const Row& a, const Row& b) { return a.status < b.status; }));

}  // namespace

Meaning meaning_of(Status status) noexcept {
  const Row* const row = std::lower_bound(std::begin(kRows), std::end(kRows), status,
                                          [](const Row& r, Status wanted) { return r.status < wanted; });
  if (row != std::end(kRows) && row->status == status) return row->meaning;
  return misuse(Code::internal, "CUDA refused a call: its number is in the log");
}

bool ends_process(Status status) noexcept {
  const Fault fault = meaning_of(status).fault;
  return fault == Fault::sticky || fault == Fault::gone;
}

Error error_of(Status status) noexcept {
  const Meaning meaning = meaning_of(status);
  return Error{meaning.code, meaning.text, status};
}

Result<void> checked(Status status) noexcept {
  if (status == kOk) return {};
  return tl::unexpected<Error>(error_of(status));
}

}  // namespace takt::cuda
